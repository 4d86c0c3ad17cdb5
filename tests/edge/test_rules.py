"""What a PLC can see broken, told from two writes of the station; no connection is needed to know it."""

import pytest

from sealpin_edge.plc.block import Inputs, Outputs
from sealpin_simulation import rules

SEQ = 7
IDLE, LOOKING = Outputs(ready=True), Outputs(trigger_ack=True, busy=True)
TRIGGERED = Inputs(enable=True, trigger=True, part_seq=SEQ)


def result(**said: object) -> Outputs:
    return Outputs(**{"result_valid": True, "result_seq": SEQ, **said})  # type: ignore[arg-type]


def full(before: Outputs, now: Outputs, inputs: Inputs = TRIGGERED, part: rules.Awaited | None = None) -> list[str]:
    return list(rules.full_mode(before, now, inputs, part or rules.Awaited(1)))


@pytest.mark.parametrize("said", [{"ok": True}, {"ng": True}, {}])
def test_a_result_of_the_part_that_was_triggered_breaks_no_rule(said: dict[str, bool]) -> None:
    part = rules.Awaited(1)
    assert full(IDLE, LOOKING, part=part) == []
    assert full(LOOKING, result(**said), part=part) == []
    assert part.verdicts == 1
    assert full(result(**said), result(**said, heartbeat=1), part=part) == []
    assert full(result(**said), IDLE, Inputs(enable=True, ack=True, part_seq=SEQ), part) == []
    assert part.verdicts == 1


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (LOOKING, result(ok=True, ng=True), "OK and NG together"),
        (LOOKING, Outputs(ok=True, busy=True), "a verdict without ResultValid"),
        (LOOKING, Outputs(ng=True, busy=True), "a verdict without ResultValid"),
        (IDLE, Outputs(ready=True, busy=True), "Ready and Busy together"),
        (result(ok=True), result(ng=True), "the verdict changed while ResultValid stood"),
        (result(ok=True), result(ok=True, result_seq=8), "the verdict changed while ResultValid stood"),
        (LOOKING, result(ok=True, result_seq=8), "the result is of part 8"),
    ],
)
def test_a_write_that_contradicts_itself_or_the_one_before_is_told(before: Outputs, now: Outputs, told: str) -> None:
    assert full(before, now) == [told]


def test_a_result_that_nobody_waits_for_is_told() -> None:
    assert full(IDLE, result(ok=True), Inputs(part_seq=SEQ)) == ["a result without a trigger"]
    late = "for a part that was given up: is --verdict-timeout below decision_deadline_ms?"
    for said, what in (({"ok": True}, "OK"), ({"ng": True}, "a result"), ({}, "a result")):
        assert full(LOOKING, result(**said), part=rules.Awaited(1, given_up=True)) == [f"{what} {late}"]


def test_every_further_result_for_one_trigger_is_told() -> None:
    part = rules.Awaited(1)
    assert [full(LOOKING, result(ok=True), part=part) for _ in range(3)] == [
        [], ["2 results for one trigger"], ["3 results for one trigger"],
    ]  # fmt: skip


def test_in_simple_mode_one_pulse_for_a_trigger_breaks_no_rule_and_others_are_told() -> None:
    low, high, part = Outputs(), Outputs(ok=True), rules.Awaited(1)

    def simple(before: Outputs, now: Outputs, trigger: bool) -> list[str]:
        return list(rules.simple_mode(before, now, trigger, part))

    assert simple(low, high, True) == simple(high, high, False) == simple(high, low, False) == []
    assert part.verdicts == 1
    assert simple(low, high, True) == ["2 OK pulses for one trigger"]
    part = rules.Awaited(2)
    assert simple(low, high, False) == ["an OK pulse began while the trigger was low"]
    part = rules.Awaited(3, given_up=True)
    late = "is --verdict-timeout below decision_deadline_ms + ok_pulse_ms?"
    assert simple(low, high, True) == [f"OK for a part that was given up: {late}"]
