"""A whole station on real parts: S7 over loopback, an FTP server, an HTTP API, SQLite, and a real TFLite model."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from sealpin_edge.config.file import load_config
from sealpin_edge.inspection.station import Station
from sealpin_simulation.line import Line, LineReport
from sealpin_simulation.servers import FtpServer, ResultsServer, free_port
from tests.conftest import write_parts

GOOD: list[tuple[str, int, int]] = []
LARGE = [("PR", 2, 3)]
SMALL = [("QA", 5, 5)]
PARTS = [GOOD, LARGE, GOOD, SMALL, [*LARGE, *SMALL], GOOD]
TRUTH = ["OK", "NG", "OK", "NG", "NG", "OK"]


@dataclass
class Site:
    """What surrounds a station under test."""

    folder: Path
    plc_port: int
    display_port: int
    ftp: FtpServer
    api: ResultsServer
    uploads: Path

    def write_config(self, model: Path, *, mode: str = "full", **changes: str) -> Path:
        """A station.toml for this site; `changes` replace whole lines by their key."""
        plc = 'block = "DB100"' if mode == "full" else 'trigger = "M76.6"\nok = "M76.5"\nok_pulse_ms = 60'
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        (self.folder / "ftp.secret").write_text("ftp-password\n")
        (self.folder / "api.secret").write_text("api-token\n")
        text = f"""
[station]
name = "test"
mode = "{mode}"
data_dir = "data"

[plc]
host = "127.0.0.1"
port = {self.plc_port}
{plc}

[camera]
driver = "folder"
checks = "off"
path = "photos"

[model]
file = "{model}"
sha256 = "{changes.get("sha256", sha256)}"
{changes.get("extra", "")}

[photos]
url = "ftp://station@127.0.0.1:{self.ftp.port}/line1"
password_file = "ftp.secret"
first = "{changes.get("first", "upload")}"

[results]
url = "http://127.0.0.1:{self.api.port}/results"
token_file = "api.secret"

[display]
address = "127.0.0.1:{self.display_port}"

[timers]
server_ms = 2000
"""
        path = self.folder / "station.toml"
        path.write_text(text)
        return path

    def line(self, **changes: object) -> Line:
        """A line with full mode's block, or with what `changes` say."""
        settings = {"block": "DB100", "interval_s": 0.02, **changes}
        return Line("127.0.0.1", self.plc_port, **settings)  # type: ignore[arg-type]

    def health(self) -> dict[str, object]:
        """The station's /health."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.display_port}/health", timeout=5) as answer:
            return dict(json.load(answer))

    def state(self) -> str:
        """The handshake's state as the station tells it; empty before it answers."""
        with suppress(OSError):
            return str(self.health()["state"])
        return ""

    def waiting(self) -> tuple[int, int, int]:
        """Photos and results that wait, and what was set aside."""
        outbox = self.health()["outbox"]
        assert isinstance(outbox, dict)
        return outbox["photos"], outbox["results"], outbox["aside"]

    def uploaded(self) -> list[Path]:
        """Photos on the FTP server, in order of arrival's date and name."""
        return sorted(file for file in self.uploads.rglob("*.jpg") if file.is_file())  # no .part, which is under way


@pytest.fixture
def site(tmp_path: Path, cut_off: list[Callable[[], None]]) -> Site:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    ftp, api = FtpServer(uploads, "station", "ftp-password"), ResultsServer("api-token")
    for server in (ftp, api):
        server.start()
        cut_off.append(server.stop)
    write_parts(tmp_path / "photos", PARTS)
    return Site(tmp_path, free_port(), free_port(), ftp, api, uploads)


def wait_until(done: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait for something that another thread brings about."""
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.02)


@pytest.fixture
def running(cut_off: list[Callable[[], None]]) -> Callable[[Path], Station]:
    """A function that starts a station from its config; it is stopped at the end."""

    def start(config: Path) -> Station:
        station, stop = Station(load_config(config)), threading.Event()
        thread = threading.Thread(target=station.run, args=(stop,), daemon=True)
        thread.start()
        cut_off.append(lambda: (stop.set(), thread.join(20)))  # type: ignore[func-returns-value]
        return station

    return start


def play(site: Site, line: Line, parts: int, cut_off: list[Callable[[], None]]) -> LineReport:
    line.start()
    cut_off.insert(0, line.stop)
    return line.run(parts, ready_timeout_s=15)


def test_full_mode_brings_verdicts_photos_and_results_to_where_they_belong(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    running(site.write_config(toy_model))
    report = play(site, site.line(), len(PARTS), cut_off)
    assert report.violations == []
    assert [part.verdict for part in report.parts] == TRUTH
    assert [part.defects for part in report.parts] == [len(burrs) for burrs in PARTS]
    wait_until(lambda: len(site.api.results) == 6 and len(site.uploaded()) == 9)
    results = sorted(site.api.results.values(), key=lambda result: result["part_seq"])
    assert [result["verdict"] for result in results] == TRUTH
    burr = results[1]["detections"][0]
    assert burr["bounding_box"] == {"origin_x": 64, "origin_y": 96, "width": 32, "height": 32}
    assert burr["categories"][0]["category_name"] == "PR"
    for result in results:
        raw = site.uploads / "line1" / result["image_path"]
        marked = raw.with_name(f"{raw.stem}_defects.jpg")
        assert raw.is_file()
        assert marked.is_file() == (result["verdict"] == "NG")
        if marked.is_file():
            blue, green, red = np.median(cv2.imread(str(marked))[2:6].reshape(-1, 3), axis=0)
            assert red > 180 > 60 > max(blue, green), "an NG photo has a red frame"
    health = site.health()
    assert (health["state"], health["plc"], health["degraded"]) == ("ready", "connected", False)
    assert site.waiting() == (0, 0, 0)
    assert health["counts"] == {"OK": 3, "NG": 3, "NOT INSPECTED": 0}


def test_simple_mode_pulses_ok_and_stays_silent_for_a_bad_part(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    running(site.write_config(toy_model, mode="simple"))
    line = site.line(block="", trigger="M76.6", ok="M76.5", verdict_timeout_s=1.0, interval_s=0.1)
    report = play(site, line, len(PARTS), cut_off)
    assert report.violations == []
    assert [part.verdict for part in report.parts] == TRUTH


def test_a_notice_category_is_shown_and_does_not_reject(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    running(site.write_config(toy_model, extra='notice = ["QA"]'))
    report = play(site, site.line(), len(PARTS), cut_off)
    assert [part.verdict for part in report.parts] == ["OK", "NG", "OK", "OK", "NG", "OK"]
    assert report.parts[3].defects == 1


@pytest.mark.parametrize("first", ["upload", "store"])
def test_what_an_outage_holds_back_arrives_once_when_the_servers_are_back(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]], first: str
) -> None:
    running(site.write_config(toy_model, first=first))
    servers = (site.ftp, site.api)

    def before_part(number: int) -> None:
        if number == 2:
            wait_until(lambda: len(site.api.results) == 1 and len(site.uploaded()) == 1)
            for server in servers:
                server.stop()
        if number == 5:
            wait_until(lambda: bool(site.health()["degraded"]))
            for server in servers:
                server.start()

    report = play(site, site.line(before_part=before_part), len(PARTS), cut_off)
    assert [part.verdict for part in report.parts] == TRUTH
    wait_until(lambda: len(site.api.results) == 6 and len(site.uploaded()) == 9)
    wait_until(lambda: not site.health()["degraded"])
    wait_until(lambda: not any((site.folder / "data/photos").iterdir()))
    assert all(cv2.imread(str(file)) is not None for file in site.uploaded())


def test_a_stored_part_survives_a_restart(site: Site, toy_model: Path, cut_off: list[Callable[[], None]]) -> None:
    for server in (site.ftp, site.api):
        server.stop()
    config = site.write_config(toy_model)
    line = site.line()
    line.start()
    cut_off.append(line.stop)
    for parts in (2, 1):
        station, stop = Station(load_config(config)), threading.Event()
        thread = threading.Thread(target=station.run, args=(stop,), daemon=True)
        thread.start()
        line.run(parts, ready_timeout_s=15)
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
    for server in (site.ftp, site.api):
        server.start()
    station, stop = Station(load_config(config)), threading.Event()
    thread = threading.Thread(target=station.run, args=(stop,), daemon=True)
    thread.start()
    wait_until(lambda: len(site.api.results) == 3)
    wait_until(lambda: site.waiting() == (0, 0, 0))
    stop.set()
    thread.join(20)
    assert len(site.uploaded()) >= 4


def test_an_unreadable_photo_is_not_inspected_and_never_ok(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    broken = site.folder / "photos" / "part_000.jpg"
    broken.write_bytes(broken.read_bytes()[:2000])
    running(site.write_config(toy_model))
    report = play(site, site.line(), 2, cut_off)
    assert [(part.verdict, part.error_code) for part in report.parts] == [("NOT INSPECTED", 1), ("NG", 0)]
    assert report.violations == []


def test_the_station_works_again_after_the_plc_was_away(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    running(site.write_config(toy_model))
    line = site.line()
    line.start()
    assert line.run(1, ready_timeout_s=15).ok
    line.stop()
    wait_until(lambda: (site.health()["plc"], site.health()["state"]) == ("not connected", "fault"))
    report = play(site, site.line(), 2, cut_off)
    assert [part.verdict for part in report.parts] == ["NG", "OK"]
    assert report.violations == []


def edge_program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("sealpin-edge")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)


def test_a_plc_that_is_not_there_is_told_and_the_station_gives_up(site: Site, toy_model: Path) -> None:
    done = edge_program("run", "--config", str(site.write_config(toy_model)))
    assert done.returncode == 2
    assert "there is no PLC here" in done.stderr
    assert f"127.0.0.1:{site.plc_port}" in done.stderr
    assert "--wait-for-plc" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_is_not_the_bundles_is_told_and_nothing_starts(site: Site, toy_model: Path) -> None:
    done = edge_program("run", "--config", str(site.write_config(toy_model, sha256="0" * 64)))
    assert done.returncode == 2
    assert "not the model that the station was given" in done.stderr
    assert not (site.folder / "data").exists()


def test_a_display_address_that_is_taken_is_told(site: Site, toy_model: Path) -> None:
    with socket.create_server(("127.0.0.1", site.display_port)):
        done = edge_program("run", "--config", str(site.write_config(toy_model)))
    assert done.returncode == 3
    assert "[display] address" in done.stderr
