"""What the line asks: how many bad parts escape, how many good ones are rejected, and at which threshold.

`sealpin_edge.verdict.judge` judges the parts. Shares are per 1,000 parts of their kind, with
Wilson's 95 % interval (Wilson 1927): of 40 bad parts without an escape one may still be 1 in 12.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import nextafter, sqrt
from typing import Any

from sealpin_edge.verdict import Verdict

ESCAPE_COST = 10.0
# How far up the gap between good and bad parts the threshold lies
GAP_SHARE = 0.25
STEPS = tuple(round(0.05 * step, 2) for step in range(1, 20))
_Z = 1.959964  # two-sided 95 %


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


def choose_threshold(scores: Sequence[float], bad: Sequence[bool], escape_cost: float = ESCAPE_COST) -> float:
    """A score in the widest gap in which the parts' verdicts cost least, nearer to the good parts.

    `scores` are the parts' highest scores in 0..1. An escape costs `escape_cost`, a false reject 1. Parts yet to come
    will fall into the gap from both sides, and those from above cost more: hence not its middle, but `GAP_SHARE` of
    the way up.
    """
    edges = sorted({0.0, 1.0, *scores})
    best = min(
        (
            sum(escape_cost for score, is_bad in zip(scores, bad, strict=True) if is_bad and score <= low)
            + sum(1.0 for score, is_bad in zip(scores, bad, strict=True) if not is_bad and score > low),
            low - high,
            low + GAP_SHARE * (high - low),
        )
        for low, high in pairwise(edges)
    )
    return round(best[2], 4)


def threshold_for_false_rejects(scores: Sequence[float], bad: Sequence[bool], per_1000: float) -> float:
    """The lowest threshold at which no more than so many of 1,000 good parts are rejected: the fewest escapes."""
    good = sorted((score for score, is_bad in zip(scores, bad, strict=True) if not is_bad), reverse=True)
    allowed = int(len(good) * per_1000 / 1000)
    if allowed >= len(good):
        return 0.0
    # Above the first good part that must not be rejected, below every part that scores more
    floor = good[allowed]
    ceiling = min((score for score in (*scores, 1.0) if score > floor), default=1.0)
    return max(floor + GAP_SHARE * (ceiling - floor), nextafter(floor, 1.0))
