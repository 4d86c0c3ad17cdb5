"""OK, NG or NOT INSPECTED. There is no fourth, and no default."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum

from .camera import Frame
from .detection import Detection, above, rejects


class Verdict(Enum):
    """What the station says of a part."""

    OK = "OK"
    NG = "NG"
    NOT_INSPECTED = "NOT INSPECTED"


@dataclass(frozen=True)
class Inference:
    """A finished run of the model on one frame: all its detections, and the hash of the model that found them."""

    frame: Frame
    detections: Sequence[Detection]
    model_sha256: str


def decide(
    inference: Inference,
    *,
    triggered_at: float,
    expected_sha256: str,
    thresholds: Mapping[str, float],
    notice: Set[str],
) -> tuple[Verdict, tuple[Detection, ...]]:
    """The only function that says OK. Returns the verdict and the detections that count.

    OK takes a frame exposed after the trigger (both in monotonic seconds), a finished inference, and the model that the
    station was given. A category in `notice` is shown and does not reject.
    """
    counted = above(inference.detections, thresholds)
    if inference.frame.exposed_at < triggered_at or inference.model_sha256 != expected_sha256:
        return Verdict.NOT_INSPECTED, counted
    return (Verdict.NG if rejects(counted, notice) else Verdict.OK), counted
