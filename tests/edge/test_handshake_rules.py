"""The handshake's rules one by one, as edge/PLC.md tells them: a PLC, a station and a clock that the test moves."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from sealpin_edge.error_code import ErrorCode
from sealpin_edge.plc.block import Inputs, Outputs
from sealpin_edge.plc.handshake import Handshake, Outcome, State, Timers
from sealpin_edge.tasks.verdict import Verdict

# Times are sums of powers of two, so that a limit is met to the bit
ROUND = 0.125
MOMENT = 2**-10
SEQ = 41
NONE = ErrorCode.NONE
NOTHING: set[str] = set()
RUNNING = [State.TRIGGERED, State.ACQUIRED]
UNTOLD = [*RUNNING, State.RESULT]
BITS = dict.fromkeys(State, NOTHING) | {
    State.READY: {"ready"},
    State.TRIGGERED: {"trigger_ack", "busy"},
    State.ACQUIRED: {"trigger_ack", "busy", "acquired"},
    State.RESULT: {"trigger_ack", "acquired", "result_valid", "ok"},
    State.FAULT: {"fault"},
}
Way = tuple[dict[str, bool], dict[str, Any], str]
# What keeps a station from Ready: of the PLC, of the station itself, and which bit the PLC must change
IN_THE_WAY: list[Way] = [
    ({"trigger": True}, {}, "Trigger"),
    ({"reset": True}, {}, "Reset"),
    ({"ack": True}, {}, "ResultAck"),
    ({"enable": False}, {}, "Enable"),
    ({}, {"able": False}, ""),
    ({}, {"unfit": ErrorCode.NOT_TAUGHT}, ""),
]
Late = tuple[State, float, ErrorCode, dict[str, Any]]
LATE: list[Late] = [
    (State.TRIGGERED, 1.0, ErrorCode.CAMERA, {}),
    (State.ACQUIRED, 3.0, ErrorCode.INFERENCE, {}),
    (State.TRIGGERED, 4.0 - ROUND, ErrorCode.DEADLINE, {"capture_s": 9.0}),  # the trigger was low a round before
    (State.RESULT, 2.0, ErrorCode.RESULT_NOT_ACKNOWLEDGED, {}),
]


class Line:
    """One handshake between a PLC and the rest of a station. What the PLC has set stands until it sets it anew."""

    def __init__(self, *recipe: int, **timers: Any) -> None:
        self.handshake = Handshake(Timers(**timers), *recipe)
        self.simple = "result_hold_s" in timers
        self.plc = Inputs(enable=True, part_seq=0 if self.simple else SEQ)
        self.station: dict[str, Any] = {}
        self.now = 0.0

    def step(self, after: float = ROUND, *, write: bool = True, **changes: Any) -> Outputs:
        """A round `after` seconds from the last one."""
        self.now += after
        self.plc = replace(self.plc, **changes)
        said = self.handshake.step(self.plc, self.now, **self.station)
        assert said.error is self.handshake.error
        if write:
            self.handshake.written(said)
        return said

    def wait(self, seconds: float, **changes: Any) -> Outputs:
        """Rounds in quick succession until `seconds` have passed; what is said in the last one."""
        while seconds > ROUND:
            self.step(ROUND, **changes)
            seconds -= ROUND
        return self.step(seconds, **changes)

    def limit(self, seconds: float, **changes: Any) -> tuple[Outputs, Outputs]:
        """What is said a moment before `seconds` have passed, and what then."""
        return self.wait(seconds - MOMENT, **changes), self.step(MOMENT, **changes)

    def judge(self, verdict: Verdict = Verdict.OK, **more: Any) -> bool:
        return self.handshake.judged(Outcome(self.handshake.token, verdict, **more), self.now)

    def lose(self) -> None:
        self.handshake.connection_lost(self.now)

    def disturb(self) -> None:
        """A round in which somebody else has written the station's bytes."""
        self.station = {"disturbed": True}
        self.step(write=False)
        self.station = {}

    def overtake(self, how: str) -> Outputs:
        """A round after which another part may lie there."""
        if how == "rises":
            self.step(trigger=False, write=False)
        return self.step(0.25 if how == "blind" else ROUND, trigger=True, part_seq=self.plc.part_seq + (how == "seq"))

    def to(self, state: State, *, told: bool = True) -> "Line":
        """From the beginning to a state, by its shortest way; a result is written if it is `told`."""
        self.step(enable=state is not State.PREOP)
        if state is State.HALTED:
            assert self.handshake.halt(self.now)
        elif state not in (State.PREOP, State.READY):
            self.step(trigger=True)
        if state in (State.ACQUIRED, State.RESULT, State.CLEARING):
            self.handshake.acquired(self.handshake.token, self.now)
        if state in (State.RESULT, State.CLEARING):
            assert self.judge(Verdict.NG if self.simple and state is State.CLEARING else Verdict.OK)
            self.step(write=told)
        if state is State.CLEARING:
            self.step(ack=not self.simple)
        if state is State.FAULT:
            self.wait(1.0)
        assert self.handshake.state is state
        return self


def simple(*recipe: int, **timers: Any) -> Line:
    return Line(*recipe, result_hold_s=0.5, **timers)


def bits(said: Outputs) -> set[str]:
    """The names of the bits that are set."""
    return {field.name for field in fields(said) if getattr(said, field.name) is True}


def test_a_new_handshake_has_nothing_to_tell() -> None:
    new = Handshake(Timers())
    assert (new.state, new.start, new.token, new.part_seq, new.missed) == (State.PREOP, None, 0, 0, 0)
    assert (new.why_void, new.error, new.waits_for, new.untold) == (NONE, NONE, "", False)
    assert new.step(Inputs(), 0.0) == Outputs()


def test_the_heartbeat_changes_every_half_second_and_is_a_byte() -> None:
    line = Line()
    assert [said.heartbeat for said in (*line.limit(0.5), *line.limit(0.5))] == [0, 1, 1, 2]
    assert [line.step(0.5).heartbeat for _ in range(255)] == [*range(3, 256), 0, 1]
    assert line.step(60.0).heartbeat == 2, "what is late is not made up for"


@pytest.mark.parametrize("state", State)
def test_each_state_has_its_bits_until_reset_stands_and_the_heartbeat_goes_on(state: State) -> None:
    line = Line().to(state)
    said = line.step(MOMENT)
    assert (bits(said), said.result_seq) == (BITS[state], SEQ if state is State.RESULT else 0)
    line.station = {"degraded": True}
    assert bits(line.step(MOMENT)) == BITS[state] | {"degraded"}, "it changes nothing else"
    later = [line.wait(0.5, reset=True), line.wait(0.5)]
    assert [(bits(one), one.heartbeat - said.heartbeat) for one in later] == [({"degraded"}, 1), ({"degraded"}, 2)]
    assert line.handshake.state is (State.HALTED if state is State.HALTED else State.PREOP)


@pytest.mark.parametrize("way", IN_THE_WAY)
def test_it_gets_ready_when_nothing_is_in_the_way(way: Way) -> None:
    line = Line()
    plc, line.station, waits_for = way
    for _ in range(3):  # a trigger that stands at the first look is no new one
        said = line.step(**plc)
        assert (bits(said), said.error) == (NOTHING, line.station.get("unfit", NONE))
        assert (line.handshake.state, line.handshake.waits_for) == (State.PREOP, waits_for)
    line.station = {}
    assert bits(line.step(enable=True, trigger=False, reset=False, ack=False)) == {"ready"}
    assert (line.handshake.waits_for, line.handshake.missed) == ("", 0)
    assert bits(line.wait(60.0)) == {"ready"}


@pytest.mark.parametrize("rises", [False, True])
@pytest.mark.parametrize("way", IN_THE_WAY[1:])
def test_ready_falls_when_something_comes_in_the_way(way: Way, rises: bool) -> None:
    line = Line().to(State.READY)
    plc, line.station, _ = way
    assert bits(line.step(trigger=rises, **plc)) == ({"missed_trigger"} if rises else NOTHING)
    assert (line.handshake.state, line.handshake.token, line.handshake.missed) == (State.PREOP, 0, int(rises))


def test_the_next_part_waits_until_trigger_and_acknowledgement_are_low() -> None:
    for high in (True, False):
        line = Line().to(State.CLEARING)
        line.wait(1.0, trigger=high, ack=not high)
        assert line.handshake.state is State.CLEARING
        assert bits(line.step(trigger=False, ack=False)) == {"ready"}
    for plc, station, _ in IN_THE_WAY[3:]:
        line = Line().to(State.CLEARING)
        line.station = station
        assert bits(line.step(trigger=False, ack=False, **plc)) == NOTHING
        assert line.handshake.state is State.PREOP


@pytest.mark.parametrize("state", [one for one in State if one not in (State.READY, State.HALTED)])
def test_a_trigger_that_begins_no_inspection_is_told_until_one_does_or_reset(state: State) -> None:
    line = Line().to(state)
    line.step(trigger=False, ack=state is State.CLEARING)  # so that it stays there
    assert line.step(trigger=True).missed_trigger and line.step().missed_trigger
    assert (line.handshake.start, line.handshake.state) == (None, state)
    line.handshake.connected(line.now)
    line.step(enable=True, trigger=False, ack=False, reset=state is State.FAULT)
    said = line.wait(0.25, reset=False)
    assert (said.ready, said.missed_trigger) == (True, state is not State.FAULT)
    assert (line.step(trigger=True).missed_trigger, line.handshake.missed) == (False, 1)


def test_an_inspection_starts_once_with_a_number_of_its_own() -> None:
    line = Line().to(State.READY)
    for token in (1, 2, 3):
        line.step(trigger=True, part_seq=SEQ + token)
        assert (line.handshake.start, line.handshake.token, line.handshake.part_seq) == (token, token, SEQ + token)
        line.step()
        assert (line.handshake.start, line.judge()) == (None, True)
        assert line.step().result_seq == SEQ + token
        assert line.step(ack=True, trigger=False).result_seq == 0
        assert bits(line.step(ack=False)) == {"ready"}


@pytest.mark.parametrize("state", State)
def test_news_that_is_not_awaited_changes_nothing(state: State) -> None:
    line = Line().to(state)
    for token in (0, 1, 2) if state not in RUNNING else (0, 2):  # part 1 has been there, or nothing has yet
        line.handshake.acquired(token, line.now)
        assert line.handshake.judged(Outcome(token, Verdict.NG, error=ErrorCode.CAMERA), line.now) is False
    assert (bits(line.step()), line.handshake.state) == (BITS[state], state)


@pytest.mark.parametrize("state", RUNNING)
@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_is_told_with_defects_and_time_as_far_as_the_block_goes(state: State, verdict: Verdict) -> None:
    verdict_bits = {Verdict.OK: {"ok"}, Verdict.NG: {"ng"}, Verdict.NOT_INSPECTED: NOTHING}[verdict]
    clipped = [(0, 0, 0, 0), (255, 255, 65535, 65535), (256, 255, 65536, 65535), (9999, 255, 10**9, 65535)]
    for defects, told, took, told_ms in clipped:
        line = Line().to(state)
        assert line.judge(verdict, defects=defects, cycle_ms=took) if defects else line.judge(verdict)
        said, gone = line.step(), line.step(ack=True)
        assert bits(said) == {"trigger_ack", "acquired", "result_valid"} | verdict_bits
        assert (said.defects, said.cycle_ms, gone.defects, gone.cycle_ms) == (told, told_ms, 0, 0)


def test_an_error_code_stands_until_the_next_trigger_is_accepted() -> None:
    line = Line().to(State.ACQUIRED)
    line.judge(Verdict.NOT_INSPECTED, error=ErrorCode.TOO_DARK)
    said = [line.step(), line.step(ack=True, trigger=False), line.step(ack=False), line.step()]
    assert [one.error for one in said] == [ErrorCode.TOO_DARK] * 4
    assert line.step(trigger=True).error is NONE


# Limits of time


@pytest.mark.parametrize("late", LATE)
def test_what_is_late_is_a_fault_that_stands_until_reset(late: Late) -> None:
    state, seconds, error, timers = late
    line = Line(**timers).to(state)
    before, then = line.limit(seconds)
    assert (bits(before), before.error, bits(then), then.error) == (BITS[state], NONE, {"fault"}, error)
    assert line.handshake.why_void is (NONE if state is State.RESULT else error)
    line.step(heartbeat=1)
    line.wait(9.0, heartbeat=2, trigger=False)  # neither a silent PLC nor what follows hides it
    line.disturb()
    line.lose()
    line.handshake.connected(line.now)
    said = line.wait(9.0)
    assert (bits(said), said.error, line.handshake.waits_for) == ({"fault"}, error, "Reset")
    said = line.step(reset=True)
    assert (bits(said), said.error, line.handshake.state) == (NOTHING, NONE, State.PREOP)
    assert bits(line.step(reset=False)) == {"ready"}


@pytest.mark.parametrize("late", LATE[:3])
def test_in_simple_mode_a_fault_is_over_when_the_trigger_is_low(late: Late) -> None:
    state, seconds, error, timers = late
    line = simple(**timers).to(state)
    assert [said.error for said in line.limit(seconds)] == [NONE, error]
    assert (bits(line.wait(9.0)), line.handshake.waits_for) == ({"fault"}, "")
    assert bits(line.wait(0.25, trigger=False)) == {"ready"}
    line.disturb()
    assert line.handshake.error is ErrorCode.FOREIGN_WRITER, "the old fault hides no new one"


@pytest.mark.parametrize(("early", "taken"), [(MOMENT, True), (0.0, False)])
def test_a_verdict_counts_before_the_deadline_only(early: float, taken: bool) -> None:
    line = Line(capture_s=9.0).to(State.TRIGGERED)
    line.wait(3.75)
    line.now += 0.125 - early
    assert line.judge() is taken
    assert line.handshake.why_void is (NONE if taken else ErrorCode.DEADLINE), "known before the next look"
    said = line.step(MOMENT / 2)
    assert (said.ok, said.error) == ((True, NONE) if taken else (False, ErrorCode.DEADLINE))
    assert line.handshake.waits_for == ("" if taken else "Reset")


def test_a_result_that_is_not_yet_written_waits_for_no_acknowledgement() -> None:
    line = Line().to(State.ACQUIRED)
    before = line.step()
    line.judge()
    line.handshake.written(before)  # it was said before there was a result
    for _ in range(32):
        assert line.step(write=False).ok
    assert line.step(ack=True, write=False).ok, "it cannot be of a result that nobody has seen"
    assert line.handshake.untold is True
    assert line.step(ack=False).ok and line.handshake.untold is False
    before, then = line.limit(2.0)
    assert (before.ok, then.fault) == (True, True), "its time begins with the look after which it is written"


def test_an_acknowledgement_counts_when_it_rises_after_the_result() -> None:
    line = Line().to(State.CLEARING)
    line.step(trigger=False, ack=False)
    line.step(trigger=True)
    line.step(ack=True)
    line.judge()
    assert line.step().ok and line.step().ok and line.step().ok, "it rose before the result"
    assert line.step(ack=False).ok and line.step().ok
    assert bits(line.step(ack=True)) == NOTHING
    assert line.handshake.state is State.CLEARING


@pytest.mark.parametrize("state", [State.PREOP, State.READY, State.CLEARING])
def test_an_acknowledgement_that_stands_for_two_seconds_is_told_until_it_falls(state: State) -> None:
    line = Line() if state is State.PREOP else Line().to(state)
    if state is not State.CLEARING:  # which it has begun
        line.step(ack=True)
    before, then = line.limit(2.0, ack=True)
    assert (before.error, then.error, bits(then)) == (NONE, ErrorCode.ACK_STUCK, NOTHING)
    said = line.step(ack=False, trigger=False)
    assert (bits(said), said.error) == ({"ready"}, NONE)
    assert Line().to(State.CLEARING).wait(9.0, ack=False).error is NONE, "a trigger that stands is no such thing"


@pytest.mark.parametrize("state", [State.PREOP, State.CLEARING])
def test_an_acknowledgement_that_rises_late_is_given_its_two_seconds(state: State) -> None:
    line = Line()
    line.to(state)
    line.wait(9.0, ack=False)
    assert line.handshake.state is state, "for want of Enable, or because the trigger stands"
    assert line.step(ack=True).error is NONE
    before, then = line.limit(2.0)
    assert (before.error, then.error) == (NONE, ErrorCode.ACK_STUCK)
    line.step(ack=False)
    line.step(ack=True)
    assert line.limit(2.0)[0].error is NONE


# Whose verdict it is


@pytest.mark.parametrize("how", ["blind", "seq", "rises", "nothing"])
@pytest.mark.parametrize("state", UNTOLD)
def test_a_verdict_is_withheld_when_another_part_may_lie_there(how: str, state: State) -> None:
    line = Line().to(state, told=False)
    said = line.overtake(how)
    if state is not State.RESULT:
        assert line.judge()
        said = line.step()
    ok = how == "nothing"
    assert (said.result_valid, said.ok, said.ng, said.result_seq) == (True, ok, False, SEQ)
    assert said.error is (NONE if ok else ErrorCode.OVERTAKEN)
    assert Line().to(State.RESULT).overtake(how).ok, "what was told stands"
    line.step(ack=True, trigger=False)
    line.step(ack=False)
    line.step(trigger=True)
    assert line.judge() and line.step().ok, "the next part has its own verdict"


@pytest.mark.parametrize("how", ["blind", "rises"])
@pytest.mark.parametrize("state", UNTOLD)
def test_in_simple_mode_a_part_that_may_be_overtaken_gets_no_ok(how: str, state: State) -> None:
    line = simple().to(state, told=False)
    assert bits(line.overtake(how)) <= {"missed_trigger"}
    assert (line.handshake.state, line.handshake.why_void) == (State.CLEARING, ErrorCode.OVERTAKEN)
    assert bits(simple().to(State.RESULT).overtake(how)) <= {"missed_trigger"}, "one that stands is taken back"


@pytest.mark.parametrize(("gap", "timers"), [(0.1875, {}), (0.203125, {}), (0.25, {"trigger_low_s": 0.25})])
def test_a_station_is_blind_that_has_not_looked_for_longer_than_a_trigger_is_low(gap: float, timers: Any) -> None:
    line = Line(**timers).to(State.TRIGGERED)
    line.step(gap)
    assert line.judge() and line.step().ok is (gap != 0.203125), "0.2 s where nothing else is set"


@pytest.mark.parametrize(("own", "asked", "ok"), [((), 0, True), ((), 1, False), ((2,), 2, True), ((2,), 0, False)])
def test_a_part_of_another_recipe_is_not_inspected(own: tuple[int, ...], asked: int, ok: bool) -> None:
    for line, fits in ((Line(*own), ok), (simple(*own), True)):  # two bits name no recipe
        line.plc = replace(line.plc, recipe_id=asked)
        assert line.to(State.TRIGGERED).judge()
        said = line.step()
        assert (said.result_valid, said.ok, said.error) == (True, fits, NONE if fits else ErrorCode.WRONG_RECIPE)


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("state", UNTOLD)
@pytest.mark.parametrize("error", [ErrorCode.PLC_SILENT, ErrorCode.FOREIGN_WRITER, ErrorCode.VERDICT_NOT_TAKEN])
def test_a_part_that_ends_without_its_verdict_has_a_reason(error: ErrorCode, told: bool, state: State) -> None:
    line = Line().to(State.RESULT if told else state, told=told)
    end: dict[ErrorCode, Callable[[], object]] = {
        ErrorCode.PLC_SILENT: line.lose,
        ErrorCode.FOREIGN_WRITER: line.disturb,
        ErrorCode.VERDICT_NOT_TAKEN: lambda: line.step(reset=True, write=False),
    }
    end[error]()
    assert (line.handshake.why_void, line.judge()) == (NONE if told else error, False)
    line.lose()
    assert line.handshake.why_void is (NONE if told else error), "what comes later is no reason"
    line.handshake.connected(line.now)
    line.wait(0.25, reset=False, trigger=False)
    line.step(trigger=True)
    assert (line.handshake.start, line.handshake.why_void) == (2, NONE)


# Simple mode's pulse, faults that heal, new connections, Reset, and the end


def test_in_simple_mode_an_ok_is_a_pulse_and_anything_else_is_none() -> None:
    before, then = simple().to(State.RESULT).limit(0.5)
    assert (before.ok, bits(then)) == (True, NOTHING)
    for verdict in (Verdict.NG, Verdict.NOT_INSPECTED):
        line = simple().to(State.ACQUIRED)
        line.judge(verdict)
        assert (line.step().ok, line.step(trigger=False).ok, line.step().ready) == (False, False, True)


def test_a_plc_that_beats_must_beat_every_two_seconds() -> None:
    line = Line().to(State.READY)
    assert bits(line.wait(60.0)) == {"ready"}, "one that never did need not"
    line.step(heartbeat=1)
    before, then = line.limit(2.0)
    assert (bits(before), bits(then), then.error) == ({"ready"}, {"fault"}, ErrorCode.PLC_SILENT)
    assert (bits(line.wait(9.0)), line.handshake.waits_for) == ({"fault"}, "")
    assert line.wait(1.0, heartbeat=2, trigger=True).fault, "it is not over before the trigger is low"
    assert line.wait(1.0, trigger=False).ready
    line.handshake.connected(line.now)
    assert line.wait(9.0).ready, "on a new connection it has not beaten yet"
    assert not any(line.step(1.0, heartbeat=beat).fault for beat in (3, 4, 5, 6))


def test_a_foreign_writer_is_a_fault_until_two_seconds_after_it_has_stopped() -> None:
    line = Line().to(State.READY)
    line.station = {"disturbed": True}
    said = line.wait(3.0)
    assert (bits(said), said.error, line.handshake.waits_for) == ({"fault"}, ErrorCode.FOREIGN_WRITER, "")
    line.station = {}
    before, then = line.limit(2.0)
    assert (bits(before), bits(then), bits(line.step())) == ({"fault"}, NOTHING, {"ready"})
    assert (before.error, then.error) == (ErrorCode.FOREIGN_WRITER, NONE), "what has healed is told no longer"


@pytest.mark.parametrize("state", [one for one in State if one not in (State.FAULT, State.HALTED)])
@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("lost", [False, True])
def test_a_new_connection_begins_anew_whatever_was_before(state: State, high: bool, lost: bool) -> None:
    line = Line().to(state)
    if lost:
        line.lose()
        assert line.handshake.state is State.FAULT
    line.handshake.connected(line.now)
    assert line.handshake.state is State.PREOP
    assert line.step(MOMENT, trigger=True).error is NONE, "what has healed is told no longer"
    line.handshake.connected(line.now)
    assert bits(line.step(9.0, trigger=high, ack=False, enable=True)) == (NOTHING if high else {"ready"})
    assert line.handshake.missed == 0, "a trigger that stands when the connection is made does not count"


@pytest.mark.parametrize("state", State)
def test_it_halts_unless_a_part_is_being_judged_and_for_good(state: State) -> None:
    line = Line().to(state)
    assert line.handshake.halt(line.now) is (state not in UNTOLD)
    assert line.handshake.state is (state if state in UNTOLD else State.HALTED)
    if state not in UNTOLD:
        line.lose()
        line.disturb()
        line.handshake.connected(line.now)
        assert bits(line.wait(9.0, reset=True)) == bits(line.wait(9.0, reset=False, trigger=False)) == NOTHING
        assert bits(line.step(trigger=True)) == NOTHING, "what comes now is not even missed"
        assert (line.handshake.halt(line.now), line.handshake.missed) == (True, 0)
