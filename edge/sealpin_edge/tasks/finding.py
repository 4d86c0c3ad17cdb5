"""What a model found on a photo, whatever its task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    HeatMap = npt.NDArray[np.float32]
else:  # the handshake, which knows verdicts, needs no NumPy
    HeatMap = Any
"""[height, width], 0..1, spread over the whole photo: how much each place speaks for a defect. For the eye alone."""


class Edges(NamedTuple):
    """A box's edges in pixels of the photo as stored: 0 <= xmin <= xmax <= width, and so for y."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class Finding:
    """One defect: its category, how sure the model is, 0..1, and where it is.

    `box` is None when the whole photo is meant. `outline` are the corners of a polygon in pixels of the photo, x and y,
    for a task that tells the defect's shape.
    """

    category: str
    score: float
    box: Edges | None = None
    outline: Sequence[tuple[float, float]] | None = None

    @property
    def edges(self) -> Edges:
        """Its box, for a task whose findings all have one. Raises ValueError where the whole photo is meant."""
        if self.box is None:
            raise ValueError(f"{self.category} is said of the whole photo")
        return self.box

    def as_dict(self) -> dict[str, object]:
        """For JSON: category, score, box [xmin, ymin, xmax, ymax] and outline, either of them null without one."""
        return {
            "category": self.category,
            "score": round(self.score, 4),
            "box": self.box and [round(edge, 2) for edge in self.box],
            "outline": self.outline and [[round(x, 2), round(y, 2)] for x, y in self.outline],
        }


@dataclass(frozen=True)
class Reading:
    """What a model says of one photo: its findings, surest first, and a heat map where its task gives one."""

    findings: Sequence[Finding]
    heat_map: HeatMap | None = None


def overlap(one: Edges | None, other: Edges | None) -> float:
    """Intersection over union of two boxes, 0..1. None is the whole photo, which is like nothing but itself."""
    if one is None or other is None:
        return float(one is other)
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(edges[2] - edges[0]) * (edges[3] - edges[1]) for edges in (one, other)]
    return width * height / (sum(areas) - width * height)
