"""The README's commands, run once as a user would, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sealpin_simulation.servers import free_port
from sealpin_simulation.site import BUSY_MS, Site
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from tests.conftest import write_parts
from tests.training.dataset.corpus import picture

ROOT = Path(__file__).parents[2]
CLASSES = ("scratch", "dent", "stain")
FEWER_STEPS = "--start-from scratch --steps 4"
# Of a network that has learnt next to nothing int8 leaves nothing, and is refused: it is proven in tests/export
LOSSLESS = "--quantize float32"
# What a person does, and what comes from the internet
NOT_RUN = ("source ", "sealpin label ", "sealpin pretrained get ")


@dataclass
class Walk:
    """A folder in which the README's commands were run, and what each printed."""

    folder: Path
    printed: dict[str, str] = field(default_factory=dict)


def blocks(kind: str) -> list[str]:
    """Fenced blocks of a kind in the README."""
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def write_labelled(folder: Path) -> None:
    """Photos with labelImg's XML: two boxes on each, of every class as many."""
    for number in range(42):
        name, side, edge = f"photo_{number:02d}.jpg", 320, 20 + 5 * number
        folder.mkdir(exist_ok=True)
        picture(number, side, side).save(folder / name, quality=90)
        first, second = CLASSES[number % 3], CLASSES[(number + 1) % 3]
        boxes = [Box(first, edge, 40, edge + 60, 90), Box(second, 120, edge + 10, 160, edge + 50)]
        voc.write((folder / name).with_suffix(".xml"), name, side, side, boxes)


def environment() -> dict[str, str]:
    """As after `source .venv/bin/activate`."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """All commands of the README on photos of three classes and no good part, as `sealpin label` would leave them.

    The training is of a few steps and starts from nothing; ports are free ones.
    """
    walk = Walk(tmp_path_factory.mktemp("walk"))
    write_labelled(walk.folder / "photos")
    plc, display = free_port(), free_port()
    (config,) = blocks("toml")
    config = config.replace("1102", str(plc)) + f'\n[display]\naddress = "127.0.0.1:{display}"\n'
    (walk.folder / "station.toml").write_text(config)
    waiting: list[tuple[str, subprocess.Popen[str]]] = []
    with ExitStack() as processes:
        for line in "".join(blocks("sh")).splitlines():
            if line.startswith(NOT_RUN):
                continue
            command = line.replace("1102", str(plc)).replace("--run first", f"--run first {FEWER_STEPS}")
            command = command.replace("--size 320", "--size 320 --batch-size 4").replace("--quantize int8", LOSSLESS)
            arguments = shlex.split(command.removesuffix("&"))
            if command.endswith("&") or arguments[:2] == ["sealpin-edge", "run"]:
                process = subprocess.Popen(
                    arguments,
                    cwd=walk.folder,
                    env=environment(),
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                processes.callback(process.kill)  # whatever else fails
                waiting.append((line, process))
            else:
                done = subprocess.run(arguments, cwd=walk.folder, env=environment(), text=True, capture_output=True)
                assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
                walk.printed[line] = done.stdout
        (line, plc_sim), (_, station) = waiting
        try:
            walk.printed[line], _ = plc_sim.communicate(timeout=120)
        finally:
            station.terminate()
            log, _ = station.communicate(timeout=30)
        assert plc_sim.returncode == 0, f"{walk.printed[line]}\n{log}"
        assert station.returncode == 0, log
    return walk


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four parts for a folder camera: OK, NG, OK, NG."""
    write_parts(tmp_path / "photos", [[], [("PR", 2, 3)], [], [("QA", 5, 5)]])
    return tmp_path / "photos"


@pytest.fixture
def site(tmp_path: Path, toy_model: Path, photos: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site of the toy model, its station not yet started; an indirect parameter changes its settings."""
    made = Site(tmp_path / "site", toy_model, photos, **getattr(request, "param", {}))
    yield made
    made.close()


@pytest.fixture
def busy_machine(site: Site) -> None:
    """Beside other tests it may look away from its PLC for longer than on a Pi that has nothing else to do.

    Not for tests of stations that stand still: this is the time after which they withhold an OK.
    """
    site.config.write_text(re.sub("trigger_low_ms = .*", f"trigger_low_ms = {BUSY_MS}", site.config.read_text()))
