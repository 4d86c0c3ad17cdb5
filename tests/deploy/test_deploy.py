"""Deploys to stand-in stations: real sshd, packages, station and line; cuts and attacks at each step."""

import base64
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sealpin_edge.device.environment import platform
from sealpin_export.deploy.connection import ConnectionLost, connect
from tests.conftest import write_parts
from tests.deploy.faults import ATTACKS, STEPS, Attack, cut, cut_cable
from tests.deploy.workshop import ROOT, TEMPLATE, WHEELS, Station, Workshop, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="session")
def workshop(toy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """With the toy model and four parts."""
    folder = tmp_path_factory.mktemp("workshop")
    write_parts(folder / "photos", [[], [("PR", 2, 3)], [], [("QA", 5, 5)]])
    return Workshop(folder, toy_model, folder / "photos")


@pytest.fixture(scope="module")
def attacked(workshop: Workshop) -> Iterator[Station]:
    """One station for all attacks and cuts: none of them may leave anything behind."""
    made = workshop.station("attacked")
    yield made
    made.close()


@pytest.fixture
def station(workshop: Workshop) -> Iterator[Station]:
    """A station that runs the first bundle."""
    made = workshop.station()
    yield made
    made.close()


def test_a_deploy_changes_the_release_and_a_rollback_brings_the_old_one_back(
    workshop: Workshop, station: Station
) -> None:
    first, second = workshop.first.manifest.release, workshop.bundle("2")
    assert station.running() == first
    assert station.judges() == "OK"
    outcome = station.deploy(second)
    assert (outcome.result, outcome.before, outcome.to) == ("deployed", first, second.manifest.release)
    assert station.running() == second.manifest.release
    assert station.judges() == "OK"
    assert station.deploy(second).result == "unchanged"
    back = station.rollback()
    assert (back.result, back.to) == ("deployed", first)
    assert station.running() == first
    assert station.line.report.violations == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_is_not_as_it_should_be_never_replaces_what_runs(
    workshop: Workshop, attacked: Station, attack: Attack
) -> None:
    before = attacked.running()
    outcome = attack.play(workshop, attacked)
    assert outcome.result == attack.result, outcome
    assert attack.told in outcome.why
    assert (outcome.exit_code == 0) == (attack.result == "deployed")
    assert attacked.running() == (outcome.to if attack.result == "deployed" else before)
    if attack.result == "deployed":
        assert attacked.rollback().result == "deployed"


@pytest.mark.parametrize(
    ("step", "how"),
    # The others, by cable, are in benchmarks/deploy_faults.py
    [*((step, "power") for step in STEPS), *((step, "cable") for step in ("send", "switch", "watch"))],
)
def test_a_cut_at_any_step_ends_on_a_working_release_and_the_next_deploy_gets_through(
    workshop: Workshop, attacked: Station, step: str, how: str
) -> None:
    before = attacked.running()
    target = next(made for made in (workshop.first, workshop.second) if made.manifest.release != before)
    if step == "send":
        target = workshop.unlike(target)
    outcome = cut(attacked, target, step, how)
    after = attacked.running()
    if step == "prune":  # it is confirmed: the toolkit sees that, or cannot ask
        assert outcome.result in ("deployed", "unknown")
        assert after == target.manifest.release
    else:
        lost = "unknown" if how == "power" else "rolled_back"
        assert outcome.result == ("refused" if STEPS.index(step) < STEPS.index("halt") else lost)
        assert after == before
    attacked.wait_until_free()
    assert attacked.deploy(target, allow_downgrade=True).result in ("deployed", "unchanged")
    assert attacked.running() == target.manifest.release
    assert attacked.judges() in ("OK", "NG")
    # That the station is silent without power is no breach of the handshake
    assert [told for told in attacked.line.report.violations if "heartbeat" not in told] == []


def test_an_upload_goes_on_where_it_was_cut(workshop: Workshop, attacked: Station) -> None:
    made = workshop.unlike(workshop.second)
    data = dict(made.members())["golden/extra.jpg"]
    sha256, half = made.manifest.members["golden/extra.jpg"].sha256, len(data) // 2
    offer = {
        "head": base64.b64encode(made.manifest.head).decode(),
        "signature": base64.b64encode(made.signature).decode(),
        "allow_downgrade": True,
    }
    sent: list[int] = []

    def cut_half_way(count: int) -> None:
        sent.append(count)
        if sum(sent) >= half:
            cut_cable()

    with connect(attacked.device) as talk:
        talk.ask("lock", holder="test")
        assert talk.ask("offer", **offer)["missing"] == [{"sha256": sha256, "bytes": len(data), "have": 0}]
        with pytest.raises(ConnectionLost):
            talk.put(sha256, data, 0, cut_half_way)
    attacked.wait_until_free()
    with connect(attacked.device) as talk:
        talk.ask("lock", holder="test")
        (entry,) = talk.ask("offer", **offer)["missing"]
        assert 0 < entry["have"] < len(data)
        sent.clear()
        talk.put(sha256, data, entry["have"], sent.append)
        assert sum(sent) == len(data) - entry["have"]
        assert talk.ask("offer", **offer)["missing"] == []


def test_what_is_the_stations_own_is_not_touched(workshop: Workshop, station: Station) -> None:
    home = station.machine.path("/var/lib/sealpin")
    (home / "ftp.secret").write_text("secret")
    kept = {path.name: path.read_bytes() for path in home.glob("*") if path.is_file()}
    station.line.run(3)
    assert station.deploy(workshop.second).result == "deployed"
    station.line.run(2)
    assert station.rollback().result == "deployed"
    assert {path.name: path.read_bytes() for path in home.glob("*") if path.is_file()} == kept
    station.machine.cut_power()
    with closing(sqlite3.connect(station.machine.disk / "var/lib/sealpin/data/station.db")) as db:
        assert [row[0] for row in db.execute("SELECT sequence FROM inspection ORDER BY sequence")] == [1, 2, 3, 4, 5]


def test_the_commands_of_the_readme(workshop: Workshop, toy_model: Path, tmp_path: Path) -> None:
    """As they stand there, but for address, keys and the platform of the packages."""
    station = workshop.station("line1", prepared=False)
    try:
        (tmp_path / "export").mkdir()
        (tmp_path / "export/model.tflite").write_bytes(toy_model.read_bytes())
        shutil.copytree(workshop.photos, tmp_path / "photos")
        (tmp_path / "station.toml").write_text(TEMPLATE)
        shutil.copytree(workshop.photos, station.machine.path("/var/lib/sealpin/photos"))
        (block,) = re.findall(r"```shell\n(.*?)```", (ROOT / "export/README.md").read_text(), re.DOTALL)
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        environment |= {"XDG_CONFIG_HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELS)}
        reached = f"root@127.0.0.1 --port {station.machine.port} --key {workshop.login}"
        printed = {}
        for line in block.splitlines():
            command = line.replace("pi@192.0.2.17", reached).replace(
                "--version 3", f"--version 3 --platform {platform()}"
            )
            done = subprocess.run(
                shlex.split(command.replace("sealpin deploy", "sealpin deploy --watch-s 1")),
                cwd=tmp_path, env=environment, input="y\n", capture_output=True, text=True,
            )  # fmt: skip
            # There is nothing to go back to after the first deploy
            assert done.returncode == (2 if "rollback" in line else 0), f"{command}\n{done.stdout}{done.stderr}"
            printed[line.split()[1]] = done.stdout
        assert "line1: deployed (nothing -> 3-" in printed["deploy"]
        assert " ready " in printed["stations"]
        assert "nothing to go back to" in printed["rollback"]
    finally:
        station.close()
