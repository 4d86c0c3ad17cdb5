"""What a detector found on a photo, and what it means for the part."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Detection:
    """One burr: category, score in 0..1, and edges in pixels of the photo."""

    category: str
    score: float
    xmin: float
    ymin: float
    xmax: float
    ymax: float


def above(detections: Iterable[Detection], thresholds: Mapping[str, float]) -> tuple[Detection, ...]:
    """The detections that count: those with a score of at least their category's threshold."""
    return tuple(found for found in detections if found.score >= thresholds[found.category])


def rejects(detections: Sequence[Detection], notice: Set[str] = frozenset()) -> bool:
    """Whether detections that count make a part NG: any of a category that is not only shown (`notice`)."""
    return any(found.category not in notice for found in detections)
