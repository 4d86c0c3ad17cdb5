"""What the line asks: how many bad parts escape, and how many good ones are rejected.

`sealpin_edge.tasks.verdict.judge` judges the parts. Shares are per 1,000 parts of their kind, with
Wilson's 95 % interval (Wilson 1927): of 40 bad parts without an escape one may still be 1 in 12.
"""

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.tasks.verdict import Verdict

from ..dataset.records import Record

STEPS = tuple(round(0.05 * step, 2) for step in range(1, 20))
_Z = 1.959964  # two-sided 95 %
# A curve over thresholds has so many steps at most: more than a chart has pixels for
MOST_STEPS = 600
Outcome = tuple[float, "Share", "Share"]
"""A threshold for all classes, and the escapes and false rejects at it."""


@dataclass(frozen=True)
class Share:
    """`count` of `parts`: per 1,000, and between which bounds the true share lies in 19 of 20 such tests."""

    count: int
    parts: int

    @property
    def per_1000(self) -> float:
        """The share that was seen; 0 without parts."""
        return 1000 * self.count / self.parts if self.parts else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """Wilson's interval, per 1,000; 0 and 1,000 without parts."""
        if not self.parts:
            return 0.0, 1000.0
        share, n = self.count / self.parts, self.parts
        middle = share + _Z * _Z / (2 * n)
        spread = _Z * sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n))
        scale = 1000 / (1 + _Z * _Z / n)
        return max(0.0, (middle - spread) * scale), min(1000.0, (middle + spread) * scale)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        low, high = self.bounds
        return {**asdict(self), "per_1000": round(self.per_1000, 2), "low": round(low, 2), "high": round(high, 2)}

    def __str__(self) -> str:
        if not self.parts:
            return "-"
        low, high = self.bounds
        return f"{self.per_1000:.1f} ({low:.1f} to {high:.1f})"


def escapes_and_rejects(verdicts: Sequence[Verdict], bad: Sequence[bool]) -> tuple[list[int], list[int]]:
    """Which bad parts escape as OK, and which good ones are not OK, by their place in the sequence."""
    parts = list(enumerate(zip(verdicts, bad, strict=True)))
    escapes = [place for place, (verdict, is_bad) in parts if is_bad and verdict is Verdict.OK]
    return escapes, [place for place, (verdict, is_bad) in parts if not is_bad and verdict is not Verdict.OK]


def bad_parts(records: Sequence[Record], notice: Set[str]) -> list[bool]:
    """Which parts are bad in truth: those with a label of a category that rejects."""
    return [not set(record.defects) <= notice for record in records]


def outcomes(scores: npt.NDArray[np.float64], bad: Sequence[bool], thresholds: Sequence[float]) -> list[Outcome]:
    """Escapes and false rejects with each of some thresholds, one for all classes; `scores` are threshold.part_scores.

    A part is rejected when its highest score is at least the threshold, which is what `judge` says of it.
    """
    highest, flags = scores.max(axis=1), np.asarray(bad, bool)
    bad_ones, good_ones = np.sort(highest[flags]), np.sort(highest[~flags])
    return [
        (
            float(threshold),
            Share(int(np.searchsorted(bad_ones, threshold, side="left")), len(bad_ones)),
            Share(len(good_ones) - int(np.searchsorted(good_ones, threshold, side="left")), len(good_ones)),
        )
        for threshold in thresholds
    ]


def curve(scores: npt.NDArray[np.float64], bad: Sequence[bool]) -> list[Outcome]:
    """`outcomes` at every threshold where one of them changes, and at 1; each holds down to the threshold before it."""
    edges = np.unique(np.append(scores.max(axis=1), 1.0).clip(0.0, 1.0))
    edges = edges[edges > 0]  # of parts without a box, which no threshold rejects
    places = np.unique(np.linspace(0, len(edges) - 1, MOST_STEPS).round().astype(int))
    return outcomes(scores, bad, edges[places].tolist())
