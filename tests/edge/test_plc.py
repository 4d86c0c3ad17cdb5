"""PLC side: the 24 bytes, and the handshake's rules."""

import os

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sealpin_edge.plc.block import (
    ErrorCode,
    Inputs,
    Outputs,
    decode_inputs,
    decode_outputs,
    encode_inputs,
    encode_outputs,
)
from sealpin_edge.plc.handshake import Handshake, Outcome, State, Timers
from sealpin_edge.verdict import Verdict

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


class HandshakeMachine(RuleBasedStateMachine):
    """A PLC, an inspector, a clock and a network that do whatever they like, in any order."""

    timers = Timers()

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.handshake = Handshake(self.timers)
        self.plc = Inputs(enable=True)
        self.said = Outputs()
        self.judged_tokens: set[int] = set()
        self.given: dict[int, Verdict] = {}
        self.results_shown: dict[int, set[Verdict]] = {}
        self.started: list[int] = []

    def step(self) -> None:
        before = self.handshake.state
        self.said = self.handshake.step(self.plc, self.now)
        if self.handshake.start is not None:
            assert before is State.READY, "a part is taken only when Ready was said"
            self.started.append(self.handshake.start)

    @rule(seconds=st.floats(0.001, 5.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.plc = Inputs(**{**vars(self.plc), "heartbeat": (self.plc.heartbeat + 1) % 256})
        self.step()

    @rule(seconds=st.floats(0.001, 5.0))
    def time_passes_with_a_stalled_plc(self, seconds: float) -> None:
        self.now += seconds
        self.step()

    @rule(seconds=st.sampled_from([0.0, 60.0, 86_400.0, 1e9]))
    def the_clock_jumps(self, seconds: float) -> None:
        self.now += seconds
        self.step()

    @rule(name=st.sampled_from(["enable", "trigger", "ack", "reset"]), value=st.booleans())
    def plc_sets_a_bit(self, name: str, value: bool) -> None:
        self.plc = Inputs(**{**vars(self.plc), name: value})
        self.step()

    @rule(seq=st.integers(0, 65535))
    def plc_names_a_part(self, seq: int) -> None:
        self.plc = Inputs(**{**vars(self.plc), "part_seq": seq})

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
        self.step()
        assert not self.said.result_valid, "a verdict is never sent again on a new connection"

    @rule()
    def a_patient_plc_always_gets_ready_again(self) -> None:
        for reset in (True, *[False] * 7):
            self.now += 0.6
            self.plc = Inputs(enable=True, reset=reset, heartbeat=(self.plc.heartbeat + 1) % 256)
            self.step()
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
            verdict = self.given[handshake.token]
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


def run_to_result(handshake: Handshake, verdict: Verdict) -> Outputs:
    handshake.step(Inputs(enable=True), 1.0)
    handshake.step(Inputs(enable=True, trigger=True, part_seq=5), 1.1)
    assert handshake.start == 1
    handshake.acquired(1, 1.2)
    assert handshake.step(Inputs(enable=True, trigger=True, part_seq=5), 1.2).acquired
    handshake.judged(Outcome(1, verdict, defects=2, cycle_ms=150), 1.3)
    return handshake.step(Inputs(enable=True, trigger=True, part_seq=5), 1.3)


def test_a_part_from_trigger_to_the_next_ready() -> None:
    handshake = Handshake(Timers())
    said = run_to_result(handshake, Verdict.NG)
    assert (said.result_valid, said.ok, said.ng, said.result_seq, said.defects, said.cycle_ms) == (
        True,
        False,
        True,
        5,
        2,
        150,
    )
    assert not handshake.step(Inputs(enable=True, ack=True), 1.4).result_valid
    assert handshake.step(Inputs(enable=True), 1.5).ready


def test_a_result_that_nobody_acknowledges_is_a_fault_until_reset() -> None:
    handshake = Handshake(Timers())
    run_to_result(handshake, Verdict.OK)
    said = handshake.step(Inputs(enable=True, trigger=True), 3.4)
    assert (said.fault, said.ok, said.error) == (True, False, ErrorCode.RESULT_NOT_ACKNOWLEDGED)
    assert handshake.step(Inputs(enable=True), 60.0).fault
    handshake.step(Inputs(enable=True, reset=True), 61.0)
    assert handshake.step(Inputs(enable=True), 61.1).ready


def test_an_inspection_over_its_deadline_is_a_fault_and_its_late_answer_is_ignored() -> None:
    handshake = Handshake(Timers())
    handshake.step(Inputs(enable=True), 1.0)
    handshake.step(Inputs(enable=True, trigger=True), 1.1)
    assert handshake.step(Inputs(enable=True, trigger=True), 5.2).error is ErrorCode.DEADLINE
    handshake.judged(Outcome(1, Verdict.OK), 5.3)
    assert not handshake.step(Inputs(enable=True), 5.4).ok


def test_a_trigger_while_busy_is_missed_and_not_queued() -> None:
    handshake = Handshake(Timers())
    for now, trigger in ((1.0, False), (1.1, True), (1.2, False), (1.3, True)):
        said = handshake.step(Inputs(enable=True, trigger=trigger), now)
    assert said.missed_trigger
    assert handshake.token == 1


def test_simple_mode_pulses_ok_for_its_time_and_arms_when_the_trigger_was_low() -> None:
    handshake = Handshake(Timers(result_hold_s=0.5))
    assert run_to_result(handshake, Verdict.OK).ok
    high = Inputs(enable=True, trigger=True)
    assert handshake.step(high, 1.7).ok
    assert not handshake.step(high, 1.81).ok
    handshake.step(high, 1.9)
    assert handshake.token == 1
    handshake.step(Inputs(enable=True), 2.0)
    handshake.step(high, 2.1)
    assert handshake.token == 2


@pytest.mark.parametrize(("acquired", "error"), [(False, ErrorCode.CAMERA), (True, ErrorCode.INFERENCE)])
def test_a_camera_or_a_model_that_hangs_is_named(acquired: bool, error: ErrorCode) -> None:
    handshake = Handshake(Timers(capture_s=1.0, inference_s=1.5))
    handshake.step(Inputs(enable=True), 1.0)
    handshake.step(Inputs(enable=True, trigger=True), 1.1)
    if acquired:
        handshake.acquired(1, 1.2)
    assert not handshake.step(Inputs(enable=True, trigger=True), 2.0).fault
    said = handshake.step(Inputs(enable=True, trigger=True), 2.8)
    assert (said.fault, said.error) == (True, error)


@pytest.mark.parametrize("judged_first", [False, True])
def test_in_simple_mode_no_ok_is_seen_with_the_next_part_in_place(judged_first: bool) -> None:
    handshake = Handshake(Timers(result_hold_s=0.5))
    low, high = Inputs(enable=True), Inputs(enable=True, trigger=True)
    for now, inputs in ((1.0, low), (1.1, high), (1.15, low)):
        handshake.step(inputs, now)
    if judged_first:
        assert handshake.judged(Outcome(1, Verdict.OK), 1.2)
        assert handshake.step(low, 1.2).ok
    assert not handshake.step(high, 1.3).ok
    if not judged_first:
        assert not handshake.judged(Outcome(1, Verdict.OK), 1.4)
    assert not handshake.step(high, 1.5).ok
    assert handshake.step(low, 1.6).missed_trigger


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
    handshake.step(Inputs(enable=True), 4.0)
    handshake.connection_lost(4.1)
    handshake.connected(4.2)
    assert handshake.step(Inputs(enable=True), 4.3).error is ErrorCode.RESULT_NOT_ACKNOWLEDGED
