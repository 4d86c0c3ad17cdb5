"""What surrounds the loop: serials, shifts, systemd, logs, the window, metrics."""

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from sealpin_edge.device.prepare import HEAL_UNITS
from sealpin_edge.display.screen import SILENT_S, TOLD
from sealpin_edge.display.shift import ShiftCounter, shift_start
from sealpin_edge.display.window import ASK_S, HEIGHT, REFRESH_S, WIDTH, draw_screen
from sealpin_edge.error_code import ErrorCode
from sealpin_edge.errors import PlcFault, PlcRefused
from sealpin_edge.inspection.inspector import Job, Judged
from sealpin_edge.plc.address import Address
from sealpin_edge.plc.serial import SerialReader, clean_serial
from sealpin_edge.tasks.verdict import Verdict
from sealpin_edge.watch.logs import set_up_logging
from sealpin_edge.watch.metrics import Metrics
from sealpin_edge.watch.notify import ServiceManager
from tests.browser import colourful
from tests.skips import not_installed

UNIT = Path(__file__).parents[2] / "edge/systemd/sealpin-edge.service"
STARTS = ("06:00", "14:00", "22:00")


@pytest.mark.parametrize(
    ("raw", "serial"),
    [
        (b"AB-123\0\0\0", "AB-123"),
        (b"  AB 1  ", "AB 1"),
        (b"ERROR", ""),
        (b"ER", ""),
        (b"\xff\xfe", ""),
        (b"A\x07", ""),
        (b"", ""),
    ],
)
def test_a_serial_is_plain_text_and_a_bad_read_is_none(raw: bytes, serial: str) -> None:
    assert clean_serial(raw) == serial


@given(st.binary(max_size=40))
def test_no_bytes_of_a_plc_make_a_serial_that_is_not_printable(raw: bytes) -> None:
    assert clean_serial(raw).isprintable()


class Memory:
    """A driver of a PLC with a serial and a ready bit."""

    ready, text = False, b"S1"

    def read_bit(self, address: Address) -> bool:
        return self.ready

    def read_text(self, address: Address, length: int) -> bytes:
        return self.text


def test_a_serial_is_waited_for_until_its_bit_or_its_time() -> None:
    plc = Memory()
    reader = SerialReader(plc, Address("DB", 32), 16, Address("DB", 0, 0), 0.5, print)  # type: ignore[arg-type]
    reader.begin(10.0)
    reader.poll(10.4)
    assert reader.pending
    plc.ready = True
    reader.poll(10.45)
    assert (reader.pending, reader.serial) == (False, "S1")
    plc.ready = False
    reader.begin(20.0)
    assert reader.serial == "", "the last part's serial is not this one's"
    reader.poll(20.6)
    assert (reader.pending, reader.serial) == (False, "")


def test_a_wrong_address_of_the_serial_does_not_cost_every_part_its_verdict() -> None:
    class Refusing(Memory):
        def read_text(self, address: Address, length: int) -> bytes:
            raise PlcRefused("there is no such place")

    told: list[str] = []
    reader = SerialReader(Refusing(), Address("DB", 32), 16, None, 0.5, told.append)  # type: ignore[arg-type]
    reader.try_out()
    assert "[plc] serial" in reader.trouble and len(told) == 1
    reader.begin(2.0)
    assert not reader.pending
    reader.poll(2.0)


def test_lost_connections_while_a_serial_is_read_do_not_switch_serials_off() -> None:
    class Lossy(Memory):
        def read_text(self, address: Address, length: int) -> bytes:
            raise PlcFault("the connection to the PLC broke")

    reader = SerialReader(Lossy(), Address("DB", 32), 16, None, 0.5, print)  # type: ignore[arg-type]
    for _ in range(5):
        reader.begin(1.0)
        with pytest.raises(PlcFault):
            reader.poll(1.0)
    reader.begin(2.0)
    assert reader.pending and not reader.trouble


def test_a_shift_begins_at_its_time_also_after_midnight() -> None:
    def at(hour: int, minute: int = 0) -> datetime:
        return datetime(2026, 5, 4, hour, minute).astimezone()

    assert shift_start(STARTS, at(15)).hour == 14
    assert shift_start(STARTS, at(14)).hour == 14
    early = shift_start(STARTS, at(3))
    assert (early.day, early.hour) == (3, 22)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))
def test_a_shift_began_within_the_last_day(moment: datetime) -> None:
    now = moment.astimezone()
    start = shift_start(STARTS, now)
    assert start <= now < start + timedelta(hours=10)


@pytest.mark.parametrize("day", [(3, 29), (10, 25)])
def test_shifts_keep_to_the_clock_on_the_wall_when_it_is_changed(
    day: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        moments = [datetime(2026, *day, tzinfo=UTC) + timedelta(minutes=10 * step) for step in range(-72, 216)]
        starts = [shift_start(STARTS, moment.astimezone()) for moment in moments]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert {(start.hour, start.minute) for start in starts} == {(6, 0), (14, 0), (22, 0)}
    assert starts == sorted(starts)
    assert len(set(starts)) in (6, 7)
    longest = timedelta(hours=9)
    assert all(start <= moment < start + longest for start, moment in zip(starts, moments, strict=True))


def test_counters_begin_anew_with_a_shift() -> None:
    day = datetime(2026, 5, 4, 13, 59).astimezone()
    counter = ShiftCounter(STARTS, day)
    counter.restore({"OK": 5})
    counter.add(Verdict.NG, day)
    assert counter.counts == {Verdict.OK: 5, Verdict.NG: 1, Verdict.NOT_INSPECTED: 0}
    counter.add(Verdict.OK, day + timedelta(minutes=1))
    assert counter.counts == {Verdict.OK: 1, Verdict.NG: 0, Verdict.NOT_INSPECTED: 0}


def test_systemd_is_told_and_a_missing_one_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    ServiceManager().tell("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        manager = ServiceManager()
        manager.tell("WATCHDOG=1")
        assert listener.recv(100) == b"WATCHDOG=1"
    manager.tell("WATCHDOG=1")


def test_the_unit_is_one_that_systemd_understands_and_is_hardened(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip(not_installed("systemd-analyze"))
    text = UNIT.read_text()
    for line in ("Type=notify", "Restart=always", "StartLimitIntervalSec=0", "WatchdogSec=10"):
        assert line in text.splitlines()
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/opt/sealpin/current/venv/bin/sealpin-edge", "/bin/true"))
    told = subprocess.run([program, "verify", copy], capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "")
    security = subprocess.run(
        [program, "security", "--offline=yes", "--threshold=25", copy], capture_output=True, text=True
    )
    assert security.returncode == 0, security.stdout[-200:]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason=not_installed("systemd-analyze"))
def test_the_units_that_heal_a_station_are_ones_that_systemd_understands(tmp_path: Path) -> None:
    for name, text in HEAL_UNITS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / UNIT.name).write_text(
        UNIT.read_text().replace("/opt/sealpin/current/venv/bin/sealpin-edge", "/bin/true")
    )
    for name in HEAL_UNITS:
        told = subprocess.run(["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True)
        assert (told.returncode, told.stderr) == (0, ""), name


def test_lines_for_the_journal_carry_its_priorities(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    listener = set_up_logging()
    logging.getLogger("sealpin_edge.test").error("first\nsecond")
    listener.stop()
    assert capsys.readouterr().err == "<3>first\n<3>second\n"


def test_a_log_that_nobody_reads_holds_up_nothing() -> None:
    talk = (
        "import logging; from sealpin_edge.watch.logs import set_up_logging\n"
        "set_up_logging(); log = logging.getLogger()\n"
        "for number in range(20_000): log.info('line %d %s', number, 'x' * 100)\n"
        "print('done', flush=True); import os; os._exit(0)"
    )
    program = [sys.executable, "-c", talk]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "done\n", "with standard error full and unread"


def health(**changes: object) -> dict[str, object]:
    return {
        "station": "line 1", "version": "1", "model_sha256": "ab", "camera": "ok",
        "camera_driver": "folder", "checks": "taught", "hints": [], "missed_triggers": 3, "plc": "connected",
        "state": "ready", "error": "", "degraded": False, "lost": 0, "uptime_s": 5, "last": None,
        "counts": {"OK": 1, "NG": 0, "NOT INSPECTED": 0}, "alarms": [], "recent": [],
        "screen": {"look": "ready", "word": "READY", "told": "", "advice": "", "beside": []}, "events": [],
        "degraded_by": [], "shift_since": "2026-05-04T06:00+02:00",
        "outbox": {
            "photos": 2, "results": 0, "aside": 0, "oldest_s": 1.5, "dropped": 0, "stored_mb": 1, "disk_free_mb": 9,
        },
        **changes,
    }  # fmt: skip


def test_metrics_are_what_prometheus_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(lambda: health())  # type: ignore[arg-type, return-value]
    job = Job(1, "id", "2026-05-04T00:00:00+00:00", 0.0, 1)
    metrics.part(Judged(job, Verdict.NG, ErrorCode.NONE, None, (), 5.0, 10.0, 18.0))
    metrics.part(Judged(job, Verdict.NOT_INSPECTED, ErrorCode.TOO_DARK, None, (), 5.0, 0.0, 6.0))
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for found in text_string_to_metric_families(metrics.text().decode())
        for sample in found.samples
    }
    assert samples["sealpin_parts_total", ("NG",)] == 1
    assert samples["sealpin_parts_total", ("OK",)] == 0
    assert samples["sealpin_faults_total", ("too_dark",)] == 1
    assert samples["sealpin_outbox_items", ("photos",)] == 2
    assert samples["sealpin_plc_up", ()] == samples["sealpin_camera_up", ()] == 1
    assert samples["sealpin_missed_triggers", ()] == 3
    assert samples["sealpin_stage_seconds_sum", ("model",)] == pytest.approx(0.010)


def last(verdict: str) -> dict[str, object]:
    return {"id": "x", "verdict": verdict, "reason": "", "detections": [], "age_s": 1.0, "part": "S1"}


def seen(look: str, word: str, verdict: str = "OK", told: str = "", **changes: object) -> dict[str, object]:
    screen = {"look": look, "word": word, "told": told, "advice": "", "beside": []}
    return health(screen=screen, last=last(verdict), **changes)


PHOTO = np.full((400, 400, 3), 120, np.uint8)
PHOTO[:20] = (0, 200, 0)


def test_the_windows_screens_differ_by_more_than_colour() -> None:
    screens = {
        name: draw_screen(state, PHOTO, 0.0)  # type: ignore[arg-type]
        for name, state in {
            "none": None,
            "no part yet": health(),
            "OK": seen("ok", "OK"),
            "NG": seen("ng", "NG", "NG"),
            "NOT INSPECTED": seen("not-inspected", "NOT INSPECTED", "NOT INSPECTED"),
            "ready": seen("ready", "READY"),
            "inspecting": seen("busy", "INSPECTING"),
            "fault": seen("trouble", "FAULT"),
            "recent": seen("ok", "OK", recent=[{"verdict": "NG", "part": "S1"}] * 20),
        }.items()
    }
    grey = {name: screen.mean(axis=2) for name, screen in screens.items()}
    for name, screen in grey.items():
        assert screen.shape == (HEIGHT, WIDTH)
        for other in set(grey) - {name}:
            assert (abs(screen - grey[other]) > 60).mean() > 0.002, f"{name} looks like {other} without colour"


@pytest.mark.parametrize("look", ["ready", "busy", "trouble"])
def test_the_window_has_green_and_red_only_for_a_verdict(look: str) -> None:
    parts = [{"verdict": "NG", "part": "S1"}, {"verdict": "OK", "part": "S2"}] if look == "trouble" else []
    assert max(colourful(draw_screen(seen(look, "WORD", recent=parts), PHOTO, 0.0)).values()) == 0
    assert colourful(draw_screen(seen("ok", "OK"), PHOTO, 0.0))["green"] > 0.2
    assert max(colourful(draw_screen(seen("ok", "OK", recent=parts), PHOTO, SILENT_S + 0.1)).values()) == 0


def test_the_window_notices_within_two_seconds_that_its_station_is_gone() -> None:
    """It asks, waits, asks for a photo, and draws in between."""
    assert SILENT_S + ASK_S + REFRESH_S <= 2.0


@pytest.mark.parametrize(
    "told", [*(words for words, _ in TOLD.values()), "word " * 60, "ÜberlangeBezeichnungOhneLücke" * 3]
)
def test_the_window_has_room_for_all_that_is_told(told: str) -> None:
    for look in ("not-inspected", "trouble"):
        state = seen(look, "NOT INSPECTED", "NOT INSPECTED", told)
        image = draw_screen(state, None, 0.0)
        assert image.shape == (HEIGHT, WIDTH, 3)


def test_a_build_without_windows_is_told() -> None:
    program = Path(os.sys.executable).with_name("sealpin-edge")  # type: ignore[attr-defined]
    done = subprocess.run([program, "window"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "opens no window here" in done.stderr


SIGNALLED = """
import os, queue, signal, threading, time
from sealpin_edge.inspection.inspector import Inspector

events = Inspector(lambda: None, None, None, None, "").events
outlasting = threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: outlasting.wait(0.02))
timers = [threading.Timer(0.01 * number, os.kill, (os.getpid(), signal.SIGUSR1)) for number in range(1, 20)]
for timer in timers:
    timer.start()
while any(timer.is_alive() for timer in timers):
    try:
        events.get(timeout=0.004)
    except queue.Empty:
        pass
print("still waiting in rounds")
"""


def test_a_signal_that_outlasts_the_wait_for_news_does_not_stop_the_plc_loop() -> None:
    """Else a station that is told to end under load may never do so."""
    done = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=20)
    assert done.stdout == "still waiting in rounds\n", done.stderr
