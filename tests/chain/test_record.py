"""What happened, afterwards: every trigger is on record, with its reason, and so is what else happened."""

import json
import subprocess
import threading
from pathlib import Path

import pytest

from sealpin_edge.error_code import ErrorCode
from sealpin_edge.plc import family
from sealpin_edge.plc.block import STATION_OFFSET, Inputs, Outputs, decode_outputs, encode_inputs
from sealpin_simulation.plc import SimulatedPlc, make_plc
from sealpin_simulation.site import Site
from tests.chain.conftest import environment

pytestmark = pytest.mark.usefixtures("busy_machine")


class Plc:
    """An S7 whose program the test is: it sets the inputs, and waits for what the station says."""

    def __init__(self, port: int) -> None:
        self.block = family("s7").parse_address("DB100", "", bit=False)
        self.plc: SimulatedPlc = make_plc("s7", "127.0.0.1", port, [self.block])
        self.inputs, self.told = Inputs(enable=True), [Outputs()]
        self._changed = threading.Condition()
        self.plc.written = self._written
        self.set()
        self.plc.start()

    def _written(self) -> None:
        with self._changed:
            self.told.append(decode_outputs(self.plc.read(self.block.at(STATION_OFFSET), 16)))
            self._changed.notify_all()

    def set(self, **changes: object) -> None:
        self.inputs = Inputs(**{**vars(self.inputs), **changes})  # type: ignore[arg-type]
        self.plc.write(self.block, encode_inputs(self.inputs))

    def wait(self, **wanted: object) -> Outputs:
        with self._changed:
            assert self._changed.wait_for(
                lambda: all(getattr(self.told[-1], key) == value for key, value in wanted.items()), 15
            ), f"{wanted} did not come: {self.told[-1]}"
            return self.told[-1]

    def part(self, seq: int) -> Outputs:
        """One part, as the README has it."""
        self.wait(ready=True)
        self.set(part_seq=seq)
        self.set(trigger=True)
        said = self.wait(result_valid=True)
        self.set(ack=True, trigger=False)
        self.wait(result_valid=False)
        self.set(ack=False)
        return said


@pytest.fixture
def plc(site: Site):  # type: ignore[no-untyped-def]
    made = Plc(site.plc_port)
    yield made
    made.plc.stop()


def edge(site: Site, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = ["sealpin-edge", *map(str, arguments), "--config", str(site.config)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)


def page_says(site: Site, last: str) -> list[str]:
    """The page's events once the newest begins with `last`: the PLC has its words first, the page a moment later."""

    def events() -> list[str]:
        return [event["text"] for event in site.health()["events"]]

    site.wait_for(lambda: events()[-1].startswith(last))
    return events()


def slow_photos(site: Site) -> None:
    """To be judged they take some tenths of a second."""
    import cv2
    import numpy as np

    for file in site.photos.iterdir():
        file.unlink()
    for number in range(2):
        cv2.imwrite(str(site.photos / f"{number}.png"), np.full((6000, 8000, 3), 120 + number, np.uint8))


def test_a_killed_station_leaves_no_part_of_the_plcs_without_a_record(site: Site, plc: Plc) -> None:
    slow_photos(site)
    site.start()
    plc.part(1)
    site.wait_for(lambda: len(site.api.results) == 1)
    plc.wait(ready=True)
    plc.set(part_seq=2)
    plc.set(trigger=True)
    plc.wait(busy=True)
    site.wait_for(lambda: b'"part_seq": 2,' in (site.folder / "data/triggers").read_bytes())
    site.kill()
    plc.set(trigger=False)
    site.start()
    plc.part(3)
    site.wait_for(lambda: len(site.api.results) == 3)
    results = sorted(site.api.results.values(), key=lambda one: one["station_seq"])
    assert [(one["station_seq"], one["part_seq"]) for one in results] == [(1, 1), (2, 2), (3, 3)]
    assert [(one["verdict"], one["error"]) for one in results] == [
        ("OK", 0), ("NOT INSPECTED", ErrorCode.NOT_RECORDED), ("OK", 0),
    ]  # fmt: skip
    assert site.stop() == 0
    assert "it was cut off before: 1 parts were not recorded" in site.log.read_text()


def test_a_result_says_why_a_part_was_not_inspected(site: Site, plc: Plc) -> None:
    slow_photos(site)
    site.config.write_text(site.config.read_text() + "decision_deadline_ms = 600\ncapture_ms = 50\ninference_ms = 20\n")
    site.start()
    plc.wait(ready=True)
    plc.set(part_seq=5)
    plc.set(trigger=True)
    said = plc.wait(fault=True)
    assert said.error is ErrorCode.INFERENCE
    site.wait_for(lambda: len(site.api.results) == 1)
    (result,) = site.api.results.values()
    assert (result["verdict"], result["error"], result["reason"]) == ("NOT INSPECTED", 2, "inference")
    assert (result["part_seq"], result["station_seq"]) == (5, 1)
    site.wait_for(lambda: bool(site.health()["last"]))
    last = site.health()["last"]
    assert (last["part"], last["number"], last["reason"]) == ("5", 1, "inference")


def test_a_missed_trigger_is_a_part_on_record_an_event_and_a_count(site: Site, plc: Plc) -> None:
    slow_photos(site)
    site.start()
    plc.wait(ready=True)
    plc.set(part_seq=1)
    plc.set(trigger=True)
    plc.wait(busy=True)
    plc.set(trigger=False)
    threading.Event().wait(0.2)
    plc.set(trigger=True)
    plc.wait(missed_trigger=True)
    site.wait_for(lambda: len(site.api.results) == 2)
    assert [one["reason"] for one in sorted(site.api.results.values(), key=lambda one: one["station_seq"])] == [
        "overtaken", "missed trigger",
    ]  # fmt: skip
    health = site.health()
    assert health["missed_triggers"] == 1
    assert any("part 2 is missed" in event["text"] for event in health["events"])
    assert "1 triggers missed" in edge(site, "status").stdout


def test_why_the_line_stopped_is_in_the_log_the_database_and_on_the_page(site: Site, plc: Plc) -> None:
    site.start()
    plc.part(1)
    plc.set(trigger=False)
    plc.wait(ready=True)
    plc.set(part_seq=2)
    plc.set(trigger=True)
    plc.wait(result_valid=True)
    plc.wait(fault=True)  # nobody acknowledges
    plc.set(trigger=False, reset=True)
    plc.wait(fault=False)
    plc.set(reset=False)
    plc.wait(ready=True)
    plc.set(enable=False)
    plc.wait(ready=False)
    plc.set(enable=True)
    plc.wait(ready=True)
    plc.plc.stop()
    shown = page_says(site, "the connection is lost")
    assert site.stop() == 0
    log = site.log.read_text()
    done = edge(site, "results", "events", "--json")
    assert done.returncode == 0, done.stderr
    kept = [event["text"] for event in json.loads(done.stdout)["events"]]
    told = [
        "'simulated' is up", "connected, at", "Ready", "Fault: error 4, result not acknowledged",
        "the PLC has pulsed Reset", "the Fault is over", "the PLC has switched Enable off", "not Ready",
        "the PLC has switched Enable on", "the connection is lost",
    ]  # fmt: skip
    for texts in (shown, kept, log.splitlines()):
        left = iter(texts)
        for text in told:
            assert any(text in one for one in left), f"{text!r} is not told, or not in its place: {texts}"
    assert "stopped" in kept


def test_an_acknowledgement_that_is_stuck_and_a_part_seq_that_stands_are_events(site: Site, plc: Plc) -> None:
    site.config.write_text(site.config.read_text() + "result_ack_ms = 300\n")
    site.start()
    plc.part(7)
    plc.part(7)
    plc.wait(ready=True)
    plc.set(ack=True)
    plc.wait(error=ErrorCode.ACK_STUCK)
    plc.set(ack=False)
    plc.wait(ready=True)
    texts = page_says(site, "Ready")
    assert "PartSeq 7 was the last part's too: the PLC must count its parts" in texts
    assert "not Ready: error 17, ack stuck" in texts, texts


def test_a_number_that_no_part_can_have_is_no_part(site: Site, plc: Plc) -> None:
    site.start()
    plc.part(1)
    site.wait_for(lambda: len(site.api.results) == 1)
    for name in ("9" * 30, ""):
        told = edge(site, "part", name)
        assert (told.returncode, "no part of this name" in told.stderr) == (2, True)
    turned = edge(site, "results", "events", "--from", "2026-05-04", "--to", "2026-05-03")
    assert (turned.returncode, "no such time" in turned.stderr) == (2, True)


def test_a_plc_heartbeat_that_stops_and_comes_back_is_an_event(site: Site, plc: Plc) -> None:
    site.config.write_text(site.config.read_text() + "plc_dead_ms = 600\n")
    site.start()
    plc.wait(ready=True)
    for beat in (1, 2, 3):
        plc.set(heartbeat=beat)
        threading.Event().wait(0.05)
    plc.wait(fault=True)
    plc.set(heartbeat=4)
    plc.wait(ready=True)
    texts = page_says(site, "Ready")
    assert "Fault: error 5, plc silent" in texts and "the Fault is over, not Ready" in texts, texts


def test_results_can_be_had_without_an_api(site: Site, plc: Plc, tmp_path: Path) -> None:
    config = site.config.read_text()
    site.config.write_text(config[: config.index("[results]")] + config[config.index("[display]") :])
    site.start()
    for seq in (11, 12):
        plc.part(seq)
    plc.wait(ready=True)
    site.wait_for(lambda: site.health()["counts"]["NG"] == 1)
    out = tmp_path / "out.csv"
    done = edge(site, "results", "export", "--csv", out)
    assert done.returncode == 0, done.stderr
    header, *rows = out.read_text(encoding="utf-8-sig").splitlines()
    assert header.startswith("station_seq,part_seq,created_at,barcode,verdict,error,reason,")
    assert [row.split(",")[:2] for row in rows] == [["1", "11"], ["2", "12"]]
    assert edge(site, "results", "export", "--from", "2099-01-01", "--csv", tmp_path / "none.csv").returncode == 0
    assert len((tmp_path / "none.csv").read_text().splitlines()) == 1
    before = out.read_bytes()
    again = edge(site, "results", "export", "--csv", out)
    assert (again.returncode, "in the way" in again.stderr, out.read_bytes()) == (2, True, before)
    assert edge(site, "results", "export", "--csv", out, "--force").returncode == 0
    (tmp_path / "notes.txt").write_text("mine")
    assert edge(site, "results", "export", "--csv", tmp_path / "notes.txt", "--force").returncode == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"
    for name in ("2", "12"):
        told = edge(site, "part", name)
        assert told.returncode == 0, told.stderr
        assert "station_seq 2, PartSeq 12" in told.stdout and "NG" in told.stdout and "PR" in told.stdout
    assert edge(site, "part", "99").returncode == 2
    wrong = edge(site, "results", "export", "--from", "yesterday", "--csv", out)
    assert (wrong.returncode, "2026-05-04" in wrong.stderr) == (2, True)


def test_a_serial_that_reaches_past_its_block_costs_no_part_and_is_named(site: Site, plc: Plc) -> None:
    """Tried at the connect: neither the first part nor the next pays for a wrong address."""
    config = site.config.read_text().replace('block = "DB100"', 'block = "DB100"\nserial = "DB100.DBB4090"')
    site.config.write_text(config)
    site.start()
    plc.wait(ready=True)
    health = site.health()
    assert "[plc] serial" in health["serial"] and any("no serials" in text for text in health["alarms"])
    assert [plc.part(seq).error for seq in (1, 2)] == [ErrorCode.NONE] * 2
    assert site.stop() == 0
    assert "[plc] serial" in site.log.read_text()


def test_status_says_which_server_lags_behind_and_why(site: Site, plc: Plc) -> None:
    site.api.stop()
    site.start()
    plc.part(1)
    site.wait_for(lambda: bool(site.health()["degraded"]))
    told = edge(site, "status")
    assert told.returncode == 1
    assert "degraded  results: the results API cannot be reached" in told.stdout, told.stdout
    assert "photos:" not in told.stdout
    site.api.start()
    site.wait_until_drained()
