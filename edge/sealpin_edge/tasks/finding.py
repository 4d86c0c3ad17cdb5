"""What a detector found on a photo."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Detection:
    """One defect: category, score in 0..1, and edges in pixels of the photo."""

    category: str
    score: float
    xmin: float
    ymin: float
    xmax: float
    ymax: float
