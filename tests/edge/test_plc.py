"""PLC side: the 24 bytes, and the handshake's rules."""

import os
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sealpin_edge.error_code import ErrorCode
from sealpin_edge.plc.block import Inputs, Outputs, decode_inputs, decode_outputs, encode_inputs, encode_outputs
from sealpin_edge.plc.handshake import Handshake, Outcome, State, Timers
from sealpin_edge.tasks.verdict import Verdict

bytes_, words, flags = st.integers(0, 255), st.integers(0, 65535), st.booleans()
inputs = st.builds(Inputs, flags, flags, flags, flags, bytes_, words, words)
outputs = st.builds(
    Outputs, *[flags] * 8, bytes_, words, st.sampled_from(ErrorCode), flags, flags, bytes_, words
)  # fmt: skip


@given(inputs, outputs)
def test_the_block_says_what_was_put_into_it(given_inputs: Inputs, given_outputs: Outputs) -> None:
    assert decode_inputs(encode_inputs(given_inputs)) == given_inputs
    assert decode_outputs(encode_outputs(given_outputs)) == given_outputs


def test_the_block_lies_in_memory_as_documented() -> None:
    assert (
        encode_inputs(Inputs(enable=True, ack=True, heartbeat=7, part_seq=0x0102, recipe_id=3)).hex()
        == "0507010200030000"
    )
    said = Outputs(
        ready=True, ok=True, heartbeat=9, result_seq=0x0A0B, error=ErrorCode.DEADLINE, defects=2, cycle_ms=300
    )
    assert encode_outputs(said).hex() == "2109" + "0a0b" + "0003" + "00" + "02" + "012c" + "0000000000" + "01"


RECIPE = 3


class HandshakeMachine(RuleBasedStateMachine):
    """A PLC, an inspector, a clock and a network that do whatever they like, in any order."""

    timers = Timers()

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.handshake = Handshake(self.timers, RECIPE)
        self.plc = Inputs(enable=True, recipe_id=RECIPE)
        self.said = Outputs()
        self.judged_tokens: set[int] = set()
        self.given: dict[int, Verdict] = {}
        self.results_shown: dict[int, set[Verdict]] = {}
        self.started: list[int] = []
        self.doubtful: set[int] = set()
        self.looked_at, self.was_high = self.now, True

    def step(self) -> None:
        before, outstanding = self.handshake.state, self.outstanding()
        if self.now - self.looked_at > self.timers.trigger_low_s:
            self.doubtful |= outstanding
        if self.plc.trigger and not self.was_high:
            self.doubtful |= outstanding
        if self.plc.part_seq != self.handshake.part_seq and before in (State.TRIGGERED, State.ACQUIRED, State.RESULT):
            self.doubtful |= outstanding
        self.looked_at, self.was_high = self.now, self.plc.trigger
        self.said = self.handshake.step(self.plc, self.now)
        self.handshake.written(self.said)
        if self.handshake.start is not None:
            assert before is State.READY, "a part is taken only when Ready was said"
            self.started.append(self.handshake.start)
            if self.timers.result_hold_s is None and self.plc.recipe_id != RECIPE:
                self.doubtful.add(self.handshake.start)

    def outstanding(self) -> set[int]:
        """The part whose verdict the PLC may still get and has not got."""
        token = self.handshake.token
        return {token} - set(self.results_shown) if token in self.started else set()

    def poll(self, seconds: float, **changes: int) -> None:
        """Look at the PLC every tenth of a second, as a station does that is well."""
        end = self.now + seconds
        self.plc = Inputs(**{**vars(self.plc), **changes})
        while self.now < end:
            self.now = min(end, self.now + 0.1)
            self.step()

    @rule(seconds=st.floats(0.001, 5.0))
    def time_passes(self, seconds: float) -> None:
        beat = (self.plc.heartbeat + 1) % 256
        for part in (seconds / 3,) * 3:
            self.poll(part, heartbeat=beat)
            beat = (beat + 1) % 256

    @rule(seconds=st.floats(0.001, 5.0))
    def time_passes_with_a_stalled_plc(self, seconds: float) -> None:
        self.poll(seconds)

    @rule(seconds=st.sampled_from([0.0, 0.15, 0.3, 3.0, 60.0, 86_400.0, 1e9]))
    def the_station_is_frozen(self, seconds: float) -> None:
        self.now += seconds
        self.step()

    @rule(name=st.sampled_from(["enable", "trigger", "ack", "reset"]), value=st.booleans())
    def plc_sets_a_bit(self, name: str, value: bool) -> None:
        self.plc = Inputs(**{**vars(self.plc), name: value})
        self.step()

    @rule(seq=st.integers(0, 65535))
    def plc_names_a_part(self, seq: int) -> None:
        self.plc = Inputs(**{**vars(self.plc), "part_seq": seq})

    @rule(recipe=st.sampled_from([RECIPE, RECIPE, 0]))
    def plc_changes_its_recipe(self, recipe: int) -> None:
        self.plc = Inputs(**{**vars(self.plc), "recipe_id": recipe})

    @rule(back=st.integers(0, 2))
    def the_photo_is_taken(self, back: int) -> None:
        self.handshake.acquired(self.handshake.token - back, self.now)
        self.step()

    @rule(back=st.integers(0, 2), verdict=st.sampled_from(Verdict))
    def the_inspector_answers(self, back: int, verdict: Verdict) -> None:
        token = self.handshake.token - back
        if token in self.started and token not in self.given:
            self.given[token] = verdict
            self.handshake.judged(Outcome(token, verdict), self.now)
        self.step()

    @rule()
    def the_connection_is_lost_and_back(self) -> None:
        self.handshake.connection_lost(self.now)
        assert self.handshake.state is State.FAULT
        self.handshake.connected(self.now)
        self.looked_at, self.was_high = self.now, True
        self.step()
        assert not self.said.result_valid, "a verdict is never sent again on a new connection"

    @rule()
    def a_patient_plc_always_gets_ready_again(self) -> None:
        for reset in (True, *[False] * 7):
            self.poll(0.6, enable=True, trigger=False, ack=False, reset=reset, heartbeat=(self.plc.heartbeat + 1) % 256)
        assert self.said.ready

    @invariant()
    def verdict_bits_are_sound(self) -> None:
        said, handshake = self.said, self.handshake
        assert not (said.ok and said.ng)
        assert not (said.ready and said.busy)
        assert said.result_valid or not (said.ok or said.ng)
        if said.result_valid:
            assert said.result_seq == handshake.part_seq
            assert handshake.token in self.given, "a result needs an inspector that answered"
            doubtful = handshake.token in self.doubtful
            verdict = Verdict.NOT_INSPECTED if doubtful else self.given[handshake.token]
            assert (said.ok, said.ng) == (verdict is Verdict.OK, verdict is Verdict.NG)
            shown = self.results_shown.setdefault(handshake.token, set())
            shown.add(verdict)
            assert len(shown) == 1


class SimpleMachine(HandshakeMachine):
    """The same with a line that has two bits only."""

    timers = Timers(result_hold_s=0.5)


# SEALPIN_HANDSHAKE_STEPS=100000 takes its time
STEPS = int(os.environ.get("SEALPIN_HANDSHAKE_STEPS", "9000"))
TestHandshake = HandshakeMachine.TestCase
TestSimple = SimpleMachine.TestCase
TestHandshake.settings = TestSimple.settings = settings(
    max_examples=STEPS // 60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)


LOW, HIGH = Inputs(enable=True, part_seq=5), Inputs(enable=True, trigger=True, part_seq=5)


def poll(handshake: Handshake, inputs: Inputs, begin: float, end: float) -> Outputs:
    """Rounds from `begin` to `end` seconds, ten a second; what was said in the last one."""
    for tenth in range(round(begin * 10), round(end * 10) + 1):
        said = handshake.step(inputs, tenth / 10)
        handshake.written(said)
    return said


def trigger(handshake: Handshake, inputs: Inputs = HIGH) -> None:
    """A part is triggered at 1.1 s."""
    poll(handshake, replace(inputs, trigger=False), 1.0, 1.0)
    poll(handshake, inputs, 1.1, 1.1)
    assert handshake.start == 1


def run_to_result(handshake: Handshake, verdict: Verdict) -> Outputs:
    """A result at 1.3 s."""
    trigger(handshake)
    handshake.acquired(1, 1.2)
    assert poll(handshake, HIGH, 1.2, 1.2).acquired
    handshake.judged(Outcome(1, verdict, defects=2, cycle_ms=150), 1.3)
    return poll(handshake, HIGH, 1.3, 1.3)


def test_a_part_from_trigger_to_the_next_ready() -> None:
    handshake = Handshake(Timers())
    said = run_to_result(handshake, Verdict.NG)
    assert (said.result_valid, said.ok, said.ng, said.result_seq) == (True, False, True, 5)
    assert (said.defects, said.cycle_ms) == (2, 150)
    assert not poll(handshake, replace(LOW, ack=True), 1.4, 1.4).result_valid
    assert poll(handshake, LOW, 1.5, 1.5).ready


def test_a_result_that_nobody_acknowledges_is_a_fault_until_reset() -> None:
    handshake = Handshake(Timers())
    run_to_result(handshake, Verdict.OK)
    said = poll(handshake, HIGH, 1.4, 3.4)
    assert (said.fault, said.ok, said.error) == (True, False, ErrorCode.RESULT_NOT_ACKNOWLEDGED)
    assert poll(handshake, LOW, 3.5, 60.0).fault
    poll(handshake, replace(LOW, reset=True), 61.0, 61.0)
    assert poll(handshake, LOW, 61.1, 61.1).ready


def test_an_inspection_over_its_deadline_is_a_fault_and_its_late_answer_is_ignored() -> None:
    handshake = Handshake(Timers(capture_s=9))
    trigger(handshake)
    assert poll(handshake, HIGH, 1.2, 5.2).error is ErrorCode.DEADLINE
    assert not handshake.judged(Outcome(1, Verdict.OK), 5.3)
    assert not poll(handshake, LOW, 5.4, 5.4).ok
    assert handshake.why_void is ErrorCode.DEADLINE


def test_the_deadline_counts_from_when_the_trigger_was_last_seen_low() -> None:
    handshake = Handshake(Timers(capture_s=9, inference_s=9))
    poll(handshake, LOW, 1.0, 1.0)
    poll(handshake, HIGH, 4.0, 4.0)  # it may have risen three seconds ago, when nobody looked
    assert handshake.start == 1
    assert poll(handshake, HIGH, 4.1, 5.0).error is ErrorCode.DEADLINE


def test_a_trigger_while_busy_is_missed_counted_and_not_queued() -> None:
    handshake = Handshake(Timers())
    for now, inputs in ((1.0, LOW), (1.1, HIGH), (1.2, LOW), (1.3, HIGH)):
        said = handshake.step(inputs, now)
    assert said.missed_trigger
    assert (handshake.token, handshake.missed) == (1, 1)
    assert handshake.judged(Outcome(1, Verdict.OK), 1.35)
    assert not handshake.step(HIGH, 1.4).ok, "the PLC has given up this part"


@pytest.mark.parametrize("simple", [False, True])
def test_a_trigger_that_finds_no_ready_station_is_missed_and_counted(simple: bool) -> None:
    handshake = Handshake(Timers(result_hold_s=0.5 if simple else None))
    handshake.step(LOW, 1.0, unfit=ErrorCode.NOT_TAUGHT)
    said = handshake.step(HIGH, 1.1, unfit=ErrorCode.NOT_TAUGHT)
    assert (said.ready, said.missed_trigger, said.error) == (False, True, ErrorCode.NOT_TAUGHT)
    assert (handshake.token, handshake.missed) == (0, 1)


def test_simple_mode_pulses_ok_for_its_time_and_arms_when_the_trigger_was_low() -> None:
    handshake = Handshake(Timers(result_hold_s=0.5))
    assert run_to_result(handshake, Verdict.OK).ok
    assert poll(handshake, HIGH, 1.4, 1.7).ok
    assert not poll(handshake, HIGH, 1.8, 1.9).ok
    assert handshake.token == 1
    poll(handshake, LOW, 2.0, 2.0)
    poll(handshake, HIGH, 2.1, 2.1)
    assert handshake.token == 2


def test_in_simple_mode_the_next_part_may_follow_a_bad_one_at_once() -> None:
    handshake = Handshake(Timers(result_hold_s=0.5))
    run_to_result(handshake, Verdict.NG)
    poll(handshake, LOW, 1.4, 1.5)
    poll(handshake, HIGH, 1.6, 1.6)
    assert (handshake.token, handshake.missed) == (2, 0)


@pytest.mark.parametrize(("acquired", "error"), [(False, ErrorCode.CAMERA), (True, ErrorCode.INFERENCE)])
def test_a_camera_or_a_model_that_hangs_is_named(acquired: bool, error: ErrorCode) -> None:
    handshake = Handshake(Timers(capture_s=1.0, inference_s=1.5))
    trigger(handshake)
    if acquired:
        handshake.acquired(1, 1.2)
    assert not poll(handshake, HIGH, 1.2, 2.0).fault
    said = poll(handshake, HIGH, 2.1, 2.8)
    assert (said.fault, said.error, handshake.why_void) == (True, error, error)


@pytest.mark.parametrize("judged_first", [False, True])
def test_in_simple_mode_no_ok_is_seen_with_the_next_part_in_place(judged_first: bool) -> None:
    handshake = Handshake(Timers(result_hold_s=0.5))
    for now, inputs in ((1.0, LOW), (1.1, HIGH), (1.15, LOW)):
        handshake.step(inputs, now)
    if judged_first:
        assert handshake.judged(Outcome(1, Verdict.OK), 1.2)
        assert handshake.step(LOW, 1.2).ok
    assert not handshake.step(HIGH, 1.3).ok
    if not judged_first:
        assert not handshake.judged(Outcome(1, Verdict.OK), 1.4)
    assert not handshake.step(HIGH, 1.5).ok
    assert handshake.step(LOW, 1.6).missed_trigger


@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize("judged", ["before", "after"])
def test_a_station_that_stood_still_says_no_ok(simple: bool, judged: str) -> None:
    """For 4 s nobody looked: the PLC has given part 1 up and raised the trigger for the next one."""
    handshake = Handshake(Timers(result_hold_s=0.5 if simple else None, decision_deadline_s=60, inference_s=60))
    trigger(handshake)
    handshake.acquired(1, 1.2)
    poll(handshake, HIGH, 1.2, 1.2)
    if judged == "before":
        assert handshake.judged(Outcome(1, Verdict.OK), 1.25)
    said = [poll(handshake, HIGH, 5.2, 5.2)]
    if judged == "after":
        handshake.judged(Outcome(1, Verdict.OK), 5.21)
    said += [poll(handshake, HIGH, 5.3, 5.3), poll(handshake, LOW, 5.4, 5.4)]
    assert not any(one.ok for one in said)
    if simple:
        assert handshake.why_void is ErrorCode.OVERTAKEN
    else:
        assert (said[1].result_valid, said[1].error) == (True, ErrorCode.OVERTAKEN)


def test_an_ok_that_stands_when_nobody_looked_is_taken_back_in_simple_mode() -> None:
    handshake = Handshake(Timers(result_hold_s=9.0))
    assert run_to_result(handshake, Verdict.OK).ok
    assert not poll(handshake, HIGH, 2.0, 2.0).ok


def test_a_short_pause_withholds_nothing() -> None:
    handshake = Handshake(Timers(result_hold_s=0.5, trigger_low_s=0.2))
    trigger(handshake)
    handshake.step(HIGH, 1.29)
    assert handshake.judged(Outcome(1, Verdict.OK), 1.3)
    assert handshake.step(HIGH, 1.48).ok


def test_a_slow_look_counts_from_its_beginning() -> None:
    handshake = Handshake(Timers(result_hold_s=0.5, trigger_low_s=0.2))
    trigger(handshake)
    handshake.step(HIGH, 1.25, looked_at=1.15)
    assert handshake.judged(Outcome(1, Verdict.OK), 1.26)
    assert not handshake.step(HIGH, 1.4, looked_at=1.3).ok, "0.25 s lie between the two looks"


def test_another_recipe_is_not_inspected() -> None:
    handshake = Handshake(Timers(), recipe=2)
    trigger(handshake, replace(HIGH, recipe_id=3))
    assert handshake.judged(Outcome(1, Verdict.OK), 1.2)
    said = poll(handshake, replace(HIGH, recipe_id=3), 1.2, 1.2)
    assert (said.result_valid, said.ok, said.ng, said.error) == (True, False, False, ErrorCode.WRONG_RECIPE)


def test_a_part_seq_that_changes_meanwhile_withholds_the_verdict() -> None:
    handshake = Handshake(Timers())
    trigger(handshake)
    poll(handshake, replace(HIGH, part_seq=6), 1.2, 1.2)
    assert handshake.judged(Outcome(1, Verdict.OK), 1.3)
    said = poll(handshake, replace(HIGH, part_seq=6), 1.3, 1.3)
    assert (said.result_seq, said.ok, said.error) == (5, False, ErrorCode.OVERTAKEN)


@pytest.mark.parametrize("simple", [False, True])
def test_somebody_else_in_the_stations_bytes_is_a_fault_until_they_leave(simple: bool) -> None:
    handshake = Handshake(Timers(result_hold_s=0.5 if simple else None))
    poll(handshake, LOW, 1.0, 1.0)
    said = handshake.step(LOW, 1.1, disturbed=True)
    assert (said.ready, said.fault, said.error) == (False, True, ErrorCode.FOREIGN_WRITER)
    assert poll(handshake, LOW, 1.2, 3.0).fault
    assert poll(handshake, LOW, 3.1, 3.3).ready


def test_an_acknowledgement_that_is_stuck_is_told_and_no_part_is_taken() -> None:
    handshake = Handshake(Timers())
    run_to_result(handshake, Verdict.OK)
    said = poll(handshake, replace(LOW, ack=True), 1.4, 3.5)
    assert (said.ready, said.fault, said.error) == (False, False, ErrorCode.ACK_STUCK)
    assert (poll(handshake, LOW, 3.6, 3.6).ready, handshake.error) == (True, ErrorCode.NONE)
    fresh = Handshake(Timers())
    assert poll(fresh, replace(LOW, ack=True), 1.0, 3.2).error is ErrorCode.ACK_STUCK, "at the start too"


def test_an_acknowledgement_that_rises_while_ready_takes_ready_away() -> None:
    handshake = Handshake(Timers())
    assert poll(handshake, LOW, 1.0, 1.1).ready
    assert not poll(handshake, replace(LOW, ack=True), 1.2, 1.2).ready
    assert poll(handshake, replace(LOW, ack=True), 1.3, 3.3).error is ErrorCode.ACK_STUCK
    assert poll(handshake, LOW, 3.4, 3.5).ready


def test_an_acknowledgement_that_stood_before_the_result_does_not_end_it() -> None:
    """Else the result is gone before a PLC has read it, and on record all the same."""
    handshake = Handshake(Timers())
    trigger(handshake)
    acked = replace(HIGH, ack=True)
    poll(handshake, acked, 1.2, 1.2)
    assert handshake.judged(Outcome(1, Verdict.OK), 1.25)
    assert poll(handshake, acked, 1.3, 1.6).ok, "it waits for a new one"
    assert poll(handshake, HIGH, 1.7, 1.7).ok
    assert not poll(handshake, acked, 1.8, 1.8).result_valid


def test_a_plc_heartbeat_that_stops_is_a_fault_that_the_plc_can_read_and_that_heals() -> None:
    handshake = Handshake(Timers())
    for now, beat in ((1.0, 0), (1.2, 1), (1.4, 0)):
        handshake.step(Inputs(enable=True, heartbeat=beat), now)
    for now in (3.5, 3.6, 9.0):
        said = handshake.step(Inputs(enable=True), now)
        assert (said.fault, said.error) == (True, ErrorCode.PLC_SILENT)
    handshake.step(Inputs(enable=True, heartbeat=1), 9.1)
    assert handshake.step(Inputs(enable=True, heartbeat=0), 9.3).ready


def test_a_plc_without_a_heartbeat_is_no_fault() -> None:
    handshake = Handshake(Timers())
    assert all(not handshake.step(Inputs(enable=True), now).fault for now in (1.0, 5.0, 60.0))


def test_a_station_can_be_halted_while_the_last_part_still_lies_there() -> None:
    handshake = Handshake(Timers())
    run_to_result(handshake, Verdict.OK)
    assert not handshake.halt(1.35)
    handshake.step(Inputs(enable=True, trigger=True, ack=True), 1.4)
    assert handshake.halt(1.5)


def test_a_fault_that_needs_reset_survives_a_lost_connection() -> None:
    handshake = Handshake(Timers())
    run_to_result(handshake, Verdict.OK)
    handshake.step(LOW, 4.0)
    handshake.connection_lost(4.1)
    handshake.connected(4.2)
    assert handshake.step(LOW, 4.3).error is ErrorCode.RESULT_NOT_ACKNOWLEDGED
