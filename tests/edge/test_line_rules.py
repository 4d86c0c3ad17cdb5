"""The emulated line keeps the rules itself, and reports a station that breaks one: here the test plays the station."""

import threading
import time
from collections.abc import Callable

import pytest

from sealpin_edge.config.station import TimersSection
from sealpin_edge.error_code import ErrorCode
from sealpin_edge.plc import Target, family, make_driver
from sealpin_edge.plc.block import STATION_OFFSET, Inputs, Outputs, decode_inputs, encode_outputs
from sealpin_edge.plc.section import PlcSection
from sealpin_simulation.line import STATION_DEAD_S, TRIGGER_LOW_S, VERDICT_S, Line
from sealpin_simulation.servers import free_port

BLOCK = family("s7").parse_address("DB100", "", bit=False)
TRIGGER, OK = (family("s7").parse_address(text, "", bit=True) for text in ("M76.6", "M77.0"))


class Player:
    """A station without a handshake: it says over a real connection whatever the test has it say."""

    def __init__(self, cut_off: list[Callable[[], None]], *, simple: bool = False, **settings: float) -> None:
        places = {"trigger": "M76.6", "ok": "M77.0"} if simple else {"block": "DB100"}
        self.line = Line("127.0.0.1", free_port(), interval_s=0.0, **places, **settings)  # type: ignore[arg-type]
        self.line.start()
        cut_off.append(self.line.stop)
        self.driver = make_driver("s7", Target("127.0.0.1", self.line._plc.address[1], 0.5))
        self.driver.connect()
        cut_off.append(self.driver.close)
        self.beat = 0
        if simple:
            self.pulse(False)
        else:
            self.driver.write(BLOCK.at(STATION_OFFSET), bytes(16))

    def play(self, parts: int) -> None:
        """Let the line begin."""
        self.shift = threading.Thread(target=self.line.run, args=(parts, None, 5.0), daemon=True)
        self.shift.start()

    def say(self, *, beats: bool = True, **said: object) -> None:
        self.beat = (self.beat + beats) % 256
        self.driver.write(BLOCK.at(STATION_OFFSET), encode_outputs(Outputs(heartbeat=self.beat, **said)))  # type: ignore[arg-type]

    def inputs(self) -> Inputs:
        return decode_inputs(self.driver.read(BLOCK, STATION_OFFSET))

    def pulse(self, value: bool) -> None:
        self.driver.write_bit(OK, value)

    def trigger(self) -> bool:
        return self.driver.read_bit(TRIGGER)

    def until(self, done: Callable[[], bool], timeout_s: float = 5.0) -> None:
        end = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < end, f"it did not happen in time; {self.line.report}"
            threading.Event().wait(0.005)

    def triggered(self) -> int:
        """Get Ready, and wait for the next part; its PartSeq."""
        self.say(ready=True)
        self.until(lambda: self.inputs().trigger)
        return self.inputs().part_seq

    def result(self, seq: int, **said: object) -> None:
        self.say(trigger_ack=True, acquired=True, result_valid=True, result_seq=seq, **said)

    def cleared(self) -> None:
        """Wait for the acknowledgement, take the result away, and wait until that is seen."""
        self.until(lambda: self.inputs().ack)
        self.say()
        self.until(lambda: not self.inputs().ack)

    @property
    def violations(self) -> list[str]:
        return self.line.report.violations


def test_a_line_waits_for_as_long_as_a_station_with_the_default_times_may_take() -> None:
    assert TimersSection.decision_deadline_ms + PlcSection.ok_pulse_ms < 1000 * VERDICT_S
    assert TimersSection.trigger_low_ms == 1000 * TRIGGER_LOW_S


def test_a_well_behaved_station_breaks_no_rule(cut_off: list[Callable[[], None]]) -> None:
    player = Player(cut_off)
    player.play(3)
    for said in ({"ok": True}, {"ng": True}, {"error": ErrorCode.NO_PART}):
        seq = player.triggered()
        player.say(trigger_ack=True, busy=True)
        player.result(seq, **said)
        player.cleared()
    player.shift.join(5)
    assert [part.verdict for part in player.line.report.parts] == ["OK", "NG", "NOT INSPECTED"]
    assert [part.part_seq for part in player.line.report.parts] == [1, 2, 3]
    assert player.violations == []


def test_a_result_of_another_part_is_reported_and_none_of_this_one(cut_off: list[Callable[[], None]]) -> None:
    player = Player(cut_off, verdict_timeout_s=0.3)
    player.play(1)
    player.result(player.triggered() + 7, ok=True)
    player.shift.join(5)
    assert "part 1: the result is of part 8" in player.violations
    assert player.line.report.parts[0].verdict == "NONE"


def test_an_ok_after_the_line_has_given_the_part_up_is_reported(cut_off: list[Callable[[], None]]) -> None:
    player = Player(cut_off, verdict_timeout_s=0.2)
    player.play(1)
    seq = player.triggered()
    player.say(trigger_ack=True, busy=True)
    player.until(lambda: player.inputs().reset)
    player.result(seq, ok=True)
    assert player.violations == [
        "part 1: no verdict within 0.2 s",
        "part 1: OK for a part that was given up: is --verdict-timeout below decision_deadline_ms?",
    ]


@pytest.mark.parametrize("change", [{"ng": True}, {}, {"ok": True, "result_seq": 9}])
def test_a_verdict_that_changes_while_it_stands_is_reported(
    cut_off: list[Callable[[], None]], change: dict[str, object]
) -> None:
    player = Player(cut_off)
    player.play(1)
    seq = player.triggered()
    player.result(seq, ok=True)
    player.say(**{"trigger_ack": True, "result_valid": True, "result_seq": seq, **change})
    assert player.violations == ["part 1: the verdict changed while ResultValid stood"]


def test_a_heartbeat_that_stands_is_reported_also_while_ready_and_ready_counts_no_more(
    cut_off: list[Callable[[], None]],
) -> None:
    player = Player(cut_off)
    player.say(ready=True)
    assert player.line.wait_ready(1)
    player.until(lambda: bool(player.violations), STATION_DEAD_S + 2)
    assert player.violations == ["the station's heartbeat stood still for 2 s"]
    assert player.line.outputs.ready and not player.line.wait_ready(0.1)
    player.play(1)
    player.say(ready=True, beats=False)
    threading.Event().wait(0.1)
    assert not player.inputs().trigger, "a dead station gets no part"
    player.result(player.triggered(), ok=True)
    player.cleared()
    player.shift.join(5)
    assert len(player.violations) == 1


def test_a_station_that_has_taken_leave_is_not_a_dead_one(
    cut_off: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealpin_simulation.line.STATION_DEAD_S", 0.3)
    player = Player(cut_off)
    player.say(ready=True)
    player.driver.write(BLOCK.at(STATION_OFFSET), bytes(16))
    threading.Event().wait(1.0)
    assert player.violations == []
    player.say(ready=True)
    player.until(lambda: bool(player.violations))


def test_in_simple_mode_the_trigger_is_low_for_its_time_and_a_well_behaved_station_breaks_no_rule(
    cut_off: list[Callable[[], None]],
) -> None:
    player = Player(cut_off, simple=True, verdict_timeout_s=0.4)
    player.play(3)
    low_at, lows = 0.0, []
    for good in (True, False, True):
        player.until(player.trigger)
        lows.append(time.monotonic() - low_at)
        if good:
            player.pulse(True)
            player.pulse(False)
        player.until(lambda: not player.trigger())
        low_at = time.monotonic()
    player.shift.join(5)
    assert [part.verdict for part in player.line.report.parts] == ["OK", "NG", "OK"]
    # A look at the PLC takes some milliseconds of it
    assert min(lows) > TRIGGER_LOW_S - 0.05
    assert player.violations == []


def test_in_simple_mode_a_late_ok_is_reported_and_is_not_the_next_parts(cut_off: list[Callable[[], None]]) -> None:
    player = Player(cut_off, simple=True, verdict_timeout_s=0.3)
    player.play(2)
    player.until(player.trigger)
    player.until(lambda: not player.trigger())
    player.pulse(True)
    player.until(lambda: len(player.violations) == 2)
    assert player.violations == [
        "part 1: OK for a part that was given up: is --verdict-timeout below decision_deadline_ms + ok_pulse_ms?",
        "part 2: an OK pulse is still there when the trigger is to rise",
    ]
    assert not player.trigger(), "the line waits for its end"
    player.pulse(False)
    player.shift.join(5)
    assert [part.verdict for part in player.line.report.parts] == ["NG", "NG"]


def test_in_simple_mode_an_ok_without_a_trigger_is_reported(cut_off: list[Callable[[], None]]) -> None:
    player = Player(cut_off, simple=True)
    player.pulse(True)
    player.pulse(False)
    assert player.violations == ["part 0: an OK pulse began while the trigger was low"]
