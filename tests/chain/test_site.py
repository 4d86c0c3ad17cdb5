"""A whole site: each PLC family, cuts, kills, a small store, a full disk; and the programs that look at a station."""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.plc import DRIVERS, family
from sealpin_edge.plc.block import STATION_OFFSET, Inputs, Outputs, decode_outputs, encode_inputs
from sealpin_simulation.crash import POINTS
from sealpin_simulation.plc import make_plc
from sealpin_simulation.rehearsal import rehearse
from sealpin_simulation.site import Site
from tests.conftest import write_parts

pytestmark = pytest.mark.usefixtures("busy_machine")


def edge(*arguments: object) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("sealpin-edge")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_simulate_runs_a_site_of_each_plc_family(driver: str, toy_model: Path, photos: Path) -> None:
    done = edge("simulate", "--model", toy_model, "--photos", photos, "--driver", driver, "--parts", 8, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["verdicts"] == {"NG": 4, "OK": 4}
    assert document["violations"] == []
    assert document["audit"]["reported"] == 8


def test_simulate_with_cuts_and_a_kill_loses_nothing(toy_model: Path, photos: Path, tmp_path: Path) -> None:
    done = edge(
        "simulate", "--model", toy_model, "--photos", photos, "--parts", 12, "--cut", "3-6", "--kill", 8,
        "--interval", 0.2, "--keep", tmp_path / "kept",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "results missing 0, photos missing 0, photos with other bytes 0" in done.stdout
    log = (tmp_path / "kept/station.log").read_text()
    assert "it was cut off before" in log
    told = [line.split("part ")[1].split()[0] for line in log.splitlines() if "verdict" in line and "PartSeq" in line]
    # The kill at the eighth part may come before the line of the seventh is written
    assert told in [[str(number) for number in range(1, 13) if number != lost] for lost in (0, 7)], "one line a part"


@pytest.mark.parametrize("point", [f"{when} {name}" for name in POINTS for when in ("before", "after")])
def test_a_station_killed_at_a_point_of_its_outbox_loses_nothing(site: Site, point: str) -> None:
    line = site.line(verdict_timeout_s=1.0, interval_s=0.02)
    line.start()
    site.cut()
    site.start((sys.executable, "-m", "sealpin_simulation.crash", point, "2"))
    line.run(3, ready_timeout_s=3)
    site.join()
    assert site.station
    try:
        site.station.wait(4)
    except subprocess.TimeoutExpired:
        site.kill()
    line.forget_station()
    site.start()
    line.run(2, ready_timeout_s=20)
    site.wait_until_drained()
    assert site.stop() == 0
    line.stop()
    audit = site.audit()
    assert audit.ok, audit
    assert len(audit.reported) == len(set(audit.reported)) >= 2


def test_a_verdict_that_the_plc_did_not_get_is_on_record_as_not_inspected(site: Site) -> None:
    block = family("s7").parse_address("DB100", "", bit=False)
    plc = make_plc("s7", "127.0.0.1", site.plc_port, [block])
    told: list[Outputs] = []
    ready = threading.Event()

    def written() -> None:
        told.append(decode_outputs(plc.read(block.at(STATION_OFFSET), 16)))
        if told[-1].ready:
            ready.set()
        if told[-1].busy and not told[-2].busy:
            # By the time that the station reads the next time its verdict is there, and so is Reset
            plc.write(block, encode_inputs(Inputs(enable=True, trigger=True, reset=True)))
            threading.Event().wait(0.3)

    plc.written = written
    plc.write(block, encode_inputs(Inputs(enable=True)))
    plc.start()
    site.start()
    assert ready.wait(20)
    plc.write(block, encode_inputs(Inputs(enable=True, trigger=True, part_seq=1)))
    site.wait_for(lambda: bool(site.api.results))
    site.wait_for(lambda: site.health()["last"]["verdict"] == "NOT INSPECTED")
    assert site.stop() == 0
    plc.stop()
    assert "did not take the verdict OK" in site.log.read_text()
    assert [result["verdict"] for result in site.api.results.values()] == ["NOT INSPECTED"]
    assert not any(outputs.result_valid or outputs.ok for outputs in told)


@pytest.mark.parametrize("error", ["EIO", "EROFS"])
def test_a_failing_disk_costs_no_verdict_and_is_told(site: Site, error: str) -> None:
    line = site.line(interval_s=0.05)
    line.start()
    site.start()
    line.run(2)
    try:
        mend = site.disk.fail(error)
    except EnvironmentFault as fault:
        pytest.skip(str(fault))
    line.run(4)
    spoiled = site.health()
    mend()
    line.run(4)
    site.wait_for(lambda: len(site.api.results) == 10)
    site.wait_until_drained()
    assert site.health()["lost"] == 0
    assert site.stop() == 0
    line.stop()
    assert [part.verdict for part in line.report.parts] == ["OK", "NG", *["OK", "NG"] * 4]
    assert line.report.violations == []
    assert spoiled["degraded"]
    assert "the store is full or fails" in spoiled["alarms"][0]
    # With servers at work nothing is lost: what the disk does not take goes to them from memory
    assert len(site.api.results) == 10
    assert len([file for file in site.uploads.rglob("*.jpg") if file.stat().st_size]) == 15


@pytest.mark.parametrize("site", [{"disk_mb": 8}], indirect=True)
def test_a_station_starts_on_a_disk_that_cannot_be_written(site: Site) -> None:
    if subprocess.run(["unshare", "--user", "--mount", "--map-root-user", "true"]).returncode:
        pytest.skip("this kernel gives no user namespaces")
    line = site.line(interval_s=0.05)
    line.start()
    site.read_only = True
    site.start()
    line.run(4)
    spoiled = site.health()
    site.disk.mount_writable()
    line.run(4)
    site.wait_for(lambda: len(site.api.results) == 8)
    assert site.stop() == 0
    line.stop()
    assert [part.verdict for part in line.report.parts] == ["OK", "NG"] * 4
    assert spoiled["degraded"]


@pytest.mark.parametrize("site", [{"store_mb": 1}], indirect=True)
def test_a_small_store_keeps_to_its_size_and_results_arrive_all_the_same(site: Site) -> None:
    rehearsal = rehearse(site, 40, cuts=[range(1, 41)], interval_s=0.01)
    assert rehearsal.report.violations == []
    assert rehearsal.health["outbox"]["dropped"] > 0
    assert not rehearsal.audit.missing_results and not rehearsal.audit.wrong_photos
    defects = list(site.uploads.rglob("*_defects.jpg"))
    assert len(defects) == 20, "marked photos are never dropped"


@pytest.mark.parametrize("site", [{"disk_mb": 4}], indirect=True)
def test_a_full_disk_costs_raw_photos_and_verdicts_and_results_go_on(site: Site) -> None:
    if subprocess.run(["unshare", "--user", "--mount", "--map-root-user", "true"]).returncode:
        pytest.skip("this kernel gives no user namespaces")
    rehearsal = rehearse(site, 100, cuts=[range(1, 101)], interval_s=0.03)
    why = [one for one in site.api.results.values() if one["verdict"] == "NOT INSPECTED"]
    assert [part.verdict for part in rehearsal.report.parts] == ["OK", "NG", "OK", "NG"] * 25, why
    assert rehearsal.report.violations == []
    assert rehearsal.health["outbox"]["dropped"] + rehearsal.health["lost"] > 0, "the disk was full"
    assert not rehearsal.audit.missing_results, "results are never dropped"


@pytest.fixture
def running(site: Site) -> Iterator[Site]:
    line = site.line(interval_s=0.02)
    line.start()
    site.start()
    line.run(4)
    site.wait_until_drained()
    yield site
    site.stop()
    line.stop()


def fetch(site: Site, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{site.display_port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def test_status_health_metrics_and_doctor_of_a_running_station(running: Site) -> None:
    told = edge("status", "--config", running.config)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "2 OK, 2 NG, 0 NOT INSPECTED" in told.stdout
    document: dict[str, Any] = json.loads(edge("status", "--config", running.config, "--json").stdout)
    assert [part["verdict"] for part in document["recent"]] == ["OK", "NG", "OK", "NG"]
    assert 'sealpin_parts_total{verdict="OK"} 2.0' in fetch(running, "/metrics")
    found = edge("doctor", "--config", running.config)
    assert found.returncode == 0, found.stdout
    assert "it is running" in found.stdout
    listed = edge("outbox", "list", "--config", running.config, "--json")
    assert json.loads(listed.stdout) == {"items": []}
    assert running.health()["outbox"]["photos"] == 0, "looking disturbs nothing"


def test_doctor_looks_over_an_installation_that_does_not_run(site: Site) -> None:
    line = site.line()
    line.start()
    found = edge("doctor", "--config", site.config, "--json")
    assert found.returncode == 0, found.stdout
    states = {one["what"]: one["state"] for one in json.loads(found.stdout)["findings"]}
    assert {states[what] for what in ("model", "PLC", "camera", "photos", "results")} == {"ok"}
    assert (site.uploads / "line/sealpin-doctor.txt").read_bytes() == b"second"
    line.stop()
    site.ftp.stop()
    (site.folder / "api.secret").write_text("another")
    found = edge("doctor", "--config", site.config)
    assert found.returncode == 1
    assert "the token is not the right one" in found.stdout
    assert "fault    PLC" in found.stdout and "fault    photos" in found.stdout
    assert "Traceback" not in found.stderr
    site.ftp.start()


def test_status_of_a_station_that_does_not_run_is_told(site: Site) -> None:
    told = edge("status", "--config", site.config)
    assert told.returncode == 3
    assert "does not answer" in told.stderr


def test_what_waits_is_listed_carried_away_and_sent_again(site: Site, tmp_path: Path) -> None:
    site.cut()
    line = site.line(interval_s=0.02)
    line.start()
    site.start()
    line.run(4)
    site.stop()
    line.stop()
    listed = edge("outbox", "list", "--config", site.config)
    assert "10 to be sent, 0 set aside" in listed.stdout
    done = edge("outbox", "export", "--config", site.config, tmp_path / "stick")
    assert "6 photos and 4 results" in done.stdout
    assert len(list((tmp_path / "stick/photos").rglob("*_defects.jpg"))) == 2
    assert edge("outbox", "retry", "--config", site.config).stdout.startswith("0 items")
    site.join()


def test_a_camera_is_taught_from_photos(site: Site, photos: Path) -> None:
    write_parts(photos, [[] for _ in range(6)])
    done = edge("teach-camera", "--config", site.config, photos)
    assert done.returncode == 0, done.stderr
    assert "256x256" in done.stdout
    assert (site.folder / "data/camera_limits.json").is_file()
