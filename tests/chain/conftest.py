"""The README's commands, run once as a user would, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sealpin_edge.simulation.servers import free_port
from sealpin_edge.simulation.site import Site
from tests.conftest import write_parts

ROOT = Path(__file__).parents[2]
FEWER_STEPS = "--steps 4"


@dataclass
class Walk:
    """A folder in which the README's commands were run, and what each printed."""

    folder: Path
    printed: dict[str, str] = field(default_factory=dict)


def blocks(kind: str) -> list[str]:
    """Fenced blocks of a kind in the README."""
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def environment() -> dict[str, str]:
    """As after `source .venv/bin/activate`."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """All commands of the README, but for a training of a few steps only and ports that are free."""
    walk = Walk(tmp_path_factory.mktemp("walk"))
    (walk.folder / "pipelines").symlink_to(ROOT / "pipelines")
    plc, display = free_port(), free_port()
    (config,) = blocks("toml")
    config = config.replace("1102", str(plc)) + f'\n[display]\naddress = "127.0.0.1:{display}"\n'
    (walk.folder / "station.toml").write_text(config)
    waiting: list[tuple[str, subprocess.Popen[str]]] = []
    for line in "".join(blocks("sh")).splitlines():
        if line.startswith("source "):
            continue
        command = line.replace("1102", str(plc)).replace("--run first", f"--run first {FEWER_STEPS}")
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
