"""What the operator is to see: whatever the station is at, green and red stand for the newest part alone."""

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import sealpin_edge
from sealpin_edge.display.screen import LOADING, NO_CONNECTION, SILENT_S, TOLD, VERDICT_S, Look, Screen, choose_screen
from sealpin_edge.error_code import ErrorCode
from sealpin_edge.plc.block import Inputs
from sealpin_edge.plc.handshake import Handshake, Outcome, State, Timers
from sealpin_edge.tasks.verdict import Verdict

VERDICTS = (Look.OK, Look.NG, Look.NOT_INSPECTED)
AT_WORK = (State.READY, State.RESULT, State.CLEARING)
PAGE = (Path(sealpin_edge.__file__).with_name("display") / "page.html").read_text()


def last(verdict: str = "OK", error: ErrorCode = ErrorCode.NONE, **changes: Any) -> dict[str, Any]:
    return {"verdict": verdict, "error": int(error), "detections": [], **changes}


def screen(state: State = State.READY, error: ErrorCode = ErrorCode.NONE, **changes: Any) -> Screen:
    return choose_screen(state, error, **{"connected": True, "last": last(), "age_s": 1.0, **changes})


@pytest.mark.parametrize("error", ErrorCode)
@pytest.mark.parametrize("verdict", ["OK", "NG", "NOT INSPECTED"])
def test_no_trouble_leaves_a_verdict_in_its_colours(error: ErrorCode, verdict: str) -> None:
    the_last = last(verdict, error)
    for state in State:
        assert screen(state, error, last=the_last, connected=False).look is Look.TROUBLE
        for why in (ErrorCode.CAMERA, ErrorCode.NOT_TAUGHT):
            assert screen(state, error, last=the_last, unfit=why).look is Look.TROUBLE
        assert screen(state, ErrorCode.ACK_STUCK, last=the_last).look is Look.TROUBLE
        assert screen(state, error, last=the_last, age_s=VERDICT_S + 0.1).look not in VERDICTS
        assert screen(state, error, last=the_last, pending=True).look not in VERDICTS
    for state, waits_for in product(
        (State.PREOP, State.FAULT, State.HALTED), ("", "Enable", "Trigger", "Reset", "ResultAck")
    ):
        assert screen(state, error, last=the_last, waits_for=waits_for).look is Look.TROUBLE
    for state in (State.TRIGGERED, State.ACQUIRED):
        assert screen(state, error, last=the_last).look not in VERDICTS


@pytest.mark.parametrize(("state", "verdict"), list(product(AT_WORK, Verdict)))
def test_the_newest_parts_verdict_is_shown_until_it_is_old(state: State, verdict: Verdict) -> None:
    shown = screen(state, ErrorCode.TOO_DARK, last=last(verdict.value, ErrorCode.TOO_DARK))
    assert (shown.look, shown.word) == (Look(verdict.value.lower().replace(" ", "-")), verdict.value)
    aged = screen(state, ErrorCode.TOO_DARK, last=last(verdict.value), age_s=VERDICT_S + 1)
    assert aged.word == ("READY" if state is State.READY else "WAITING")


def test_a_station_without_a_part_says_so_and_one_with_a_part_does_not() -> None:
    assert (screen(last=None).word, screen(last=None).told) == ("READY", "no part yet since the start")
    assert "no part yet" not in str(screen(age_s=1e6)) + str(LOADING) + str(screen(State.TRIGGERED, last=None))


def test_every_error_code_has_words_and_a_fault_says_them_with_what_to_do() -> None:
    assert set(TOLD) == set(ErrorCode)
    for error, (told, advice) in TOLD.items():
        shown = screen(State.FAULT, error)
        assert (shown.word, shown.told) == ("FAULT", told)
        assert advice in shown.advice and "no part is inspected" in shown.advice
        assert len(told) <= 40 and len(advice) <= 50, "it is read in large letters"


def test_what_was_found_is_told_by_category() -> None:
    found = [{"category": "QA", "score": 0.5}, {"category": "PR", "score": 0.612}, {"category": "QA", "score": 0.91}]
    assert screen(last=last("NG", detections=found)).told == "2 QA\u00a091%, PR\u00a061%"


def test_the_handshake_says_which_bit_it_waits_for() -> None:
    handshake = Handshake(Timers())
    handshake.connected(0.0)
    clock = iter(range(1, 100))

    def waits_for(**bits: bool) -> str:
        handshake.step(Inputs(**bits), next(clock) / 100)
        return handshake.waits_for

    assert waits_for() == waits_for(trigger=True) == "Enable"
    assert waits_for(enable=True, trigger=True) == "Trigger"
    assert waits_for(enable=True, reset=True) == "Reset"
    assert waits_for(enable=True, ack=True) == "ResultAck"
    assert waits_for(enable=True) == "" and handshake.state is State.READY
    assert waits_for() == "Enable"
    assert choose_screen(handshake.state, handshake.error, connected=True, waits_for="Enable").word == "SWITCHED OFF"


def test_only_a_fault_that_reset_ends_asks_for_it() -> None:
    handshake = Handshake(Timers())
    handshake.connected(0.0)
    for at, bits in ((0.1, {}), (0.2, {}), (0.3, {"trigger": True})):
        handshake.step(Inputs(enable=True, **bits), at)
    handshake.judged(Outcome(handshake.token, Verdict.OK), 0.4)
    handshake.written(handshake.step(Inputs(enable=True, trigger=True), 0.45))
    handshake.step(Inputs(enable=True, trigger=True), 9.0, looked_at=9.0)
    assert (handshake.error, handshake.waits_for) == (ErrorCode.RESULT_NOT_ACKNOWLEDGED, "Reset")
    shown = choose_screen(handshake.state, handshake.error, connected=True, waits_for=handshake.waits_for)
    assert shown.advice.endswith("then press Reset")
    assert "Reset" not in str(screen(State.FAULT, ErrorCode.PLC_SILENT))


def test_the_page_says_the_same_of_what_only_a_display_can_know() -> None:
    told = dict(re.findall(r"const (LOADING|NO_CONNECTION) = (\{.*?\});", PAGE, re.DOTALL))
    for name, expected in (("LOADING", LOADING), ("NO_CONNECTION", NO_CONNECTION)):
        document = json.loads(re.sub(r"(\w+): (?=[\"\[])", r'"\1": ', told[name]))
        assert document == {**vars(expected), "beside": []}
    assert f"SILENT_MS = {SILENT_S * 1000:.0f}" in PAGE
    assert set(re.findall(r'^  "([a-z-]+)": "M', PAGE, re.MULTILINE)) == set(Look)
