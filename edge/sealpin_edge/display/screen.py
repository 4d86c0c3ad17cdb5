"""What the operator is to see: one rule for the page and the window, and one table of words for every error code.

A verdict is in its colours only while the station is at work and the verdict belongs to the newest part. Whatever else
is so takes the screen, in words: a green OK beside a fault would be taken for the next part's.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..error_code import ErrorCode
from ..plc.handshake import State
from ..tasks.verdict import Verdict

# How long a verdict stands when no next part is triggered. The operator, 3 m away, has the seven seconds of a part to
# see it, and some for a slow one. What stands longer is of a part that has left, while another may lie there unseen.
VERDICT_S = 10.0
# A display that has heard nothing for so long shows NO_CONNECTION, so that no verdict outlives its station by 2 s
SILENT_S = 1.5


class Look(StrEnum):
    """How a screen is drawn. Each has a shape, a frame and a brightness of its own, so that colour is not needed."""

    OK = "ok"
    NG = "ng"
    NOT_INSPECTED = "not-inspected"
    READY = "ready"
    BUSY = "busy"
    TROUBLE = "trouble"


@dataclass(frozen=True)
class Screen:
    """`word` is for those who pass by, `told` says more, `advice` what it means for the operator, or what to do."""

    look: Look
    word: str
    told: str = ""
    advice: str = ""

    def __str__(self) -> str:
        return "; ".join(filter(None, (f"{self.word}: {self.told}", self.advice)))


# What each error code is to an operator, and what to do; edge/README.md has more for whoever maintains the station
TOLD = {
    ErrorCode.NONE: ("the reason is not known", "call maintenance: the station's log"),
    ErrorCode.CAMERA: ("no photo from the camera", "look at the camera and its cable"),
    ErrorCode.INFERENCE: ("the photo was not judged", "call maintenance: the station's log"),
    ErrorCode.DEADLINE: ("judging took too long", "look at this part yourself"),
    ErrorCode.RESULT_NOT_ACKNOWLEDGED: ("the machine did not take the result", "look at this part yourself"),
    ErrorCode.PLC_SILENT: ("the machine (PLC) is silent", "is the PLC in STOP?"),
    ErrorCode.VERDICT_NOT_TAKEN: ("the machine did not wait for the verdict", "look at this part yourself"),
    ErrorCode.OVERTAKEN: ("the next part came too early", "look at this part yourself"),
    ErrorCode.WRONG_RECIPE: ("wrong recipe for this station", "choose the right one at the machine"),
    ErrorCode.NOT_RECORDED: ("the station was off meanwhile", "look at this part yourself"),
    ErrorCode.TOO_DARK: ("too dark", "look at the lamp"),
    ErrorCode.TOO_BRIGHT: ("too bright", "look at the lamp"),
    ErrorCode.OUT_OF_FOCUS: ("out of focus", "look at the lens: dirty, moved?"),
    ErrorCode.NO_PART: ("no part on the photo", "is the part in its place?"),
    ErrorCode.WRONG_SIZE: ("the photo has another size", "call maintenance: the camera's settings"),
    ErrorCode.FROZEN: ("the camera's picture is frozen", "look at the camera and its cable"),
    ErrorCode.FOREIGN_WRITER: (
        "somebody else writes the station's bits",
        "call maintenance: is there a second station?",
    ),
    ErrorCode.ACK_STUCK: ("the machine's ResultAck is stuck", "the machine must take it back"),
    ErrorCode.NOT_TAUGHT: ("camera not taught", "call maintenance: sealpin-edge teach-camera"),
    ErrorCode.MISSED_TRIGGER: ("the part came before Ready", "look at this part yourself"),
}

_NONE_INSPECTED = "no part is inspected"
# What only a display can know: nothing has come yet, or nothing comes any more
LOADING = Screen(Look.BUSY, "LOADING", "waiting for the station")
NO_CONNECTION = Screen(
    Look.TROUBLE,
    "NO CONNECTION",
    "no connection to the station",
    "nothing here is up to date: is it on? is its cable in?",
)
_INSPECTING = Screen(Look.BUSY, "INSPECTING")
_WAITING = Screen(Look.BUSY, "WAITING", "for the part to leave")


def _trouble(word: str, told: str, advice: str) -> Screen:
    return Screen(Look.TROUBLE, word, told, f"{_NONE_INSPECTED}: {advice}" if advice else _NONE_INSPECTED)


_NO_PLC = _trouble("NO PLC", "no connection to the machine (PLC)", "is it on? is its network cable plugged in?")
_HALTED = _trouble("STOPPED", "the station has been stopped", "somebody must start it again")
# Not Ready without an error, by Handshake.waits_for
_WAITS_FOR = {
    "": _trouble("NOT READY", "the station is still busy with the last part", ""),
    "Enable": _trouble("SWITCHED OFF", "the machine has switched the inspection off (Enable)", ""),
    "Trigger": _trouble("NOT READY", "the machine's Trigger stands", "the machine must take it back"),
    "Reset": _trouble("NOT READY", "the machine's Reset stands", "the machine must take it back"),
    "ResultAck": _trouble("NOT READY", "the machine's ResultAck stands", "the machine must take it back"),
}


def choose_screen(
    state: State,
    error: ErrorCode,
    *,
    connected: bool,
    unfit: ErrorCode = ErrorCode.NONE,
    waits_for: str = "",
    last: dict[str, Any] | None = None,
    age_s: float = 0.0,
    pending: bool = False,
) -> Screen:
    """The screen for what the station is at.

    `state`, `error` and `waits_for` are the handshake's, `connected` says whether there is a PLC, `unfit` why no part
    can be judged at all. `last` is the newest part on record, put there `age_s` ago; `pending` says that a newer one
    is on its way.
    """
    if state is State.HALTED:
        return _HALTED
    if not connected:
        return _NO_PLC
    if state is State.FAULT:
        told, advice = TOLD[error]
        return _trouble("FAULT", told, f"{advice}, then press Reset" if waits_for == "Reset" else advice)
    if unfit:
        return _trouble("NOT READY", *TOLD[unfit])
    if error is ErrorCode.ACK_STUCK:
        return _trouble("NOT READY", *TOLD[error])
    if state is State.PREOP:
        return _WAITS_FOR[waits_for]
    if pending or state in (State.TRIGGERED, State.ACQUIRED):
        return _INSPECTING
    if last and age_s <= VERDICT_S:
        return _verdict(last)
    if state is State.READY:
        return Screen(Look.READY, "READY", "" if last else "no part yet since the start")
    return _WAITING


def _verdict(last: dict[str, Any]) -> Screen:
    verdict = Verdict(last["verdict"])
    if verdict is Verdict.NOT_INSPECTED:
        return Screen(Look.NOT_INSPECTED, verdict.value, *TOLD[ErrorCode(last["error"])])
    look = Look.OK if verdict is Verdict.OK else Look.NG
    return Screen(look, verdict.value, _found(last["detections"]))


def _found(detections: list[dict[str, Any]]) -> str:
    """What was found, by category with its best score: "2 QA 91%, PR 60%"."""
    scores: dict[str, list[float]] = {}
    for one in detections:
        scores.setdefault(one["category"], []).append(one["score"])
    return ", ".join(
        (f"{len(found)} " if len(found) > 1 else "") + f"{category}\u00a0{max(found):.0%}"
        for category, found in scores.items()
    )
