"""Thresholds for each class, chosen on val by what an escape costs.

A part is judged by its highest score of each class, an array [parts, classes]: it is OK when each is below its class's
threshold, which is what `sealpin_edge.tasks.verdict.judge` says of all its detections. All of it sorts and sums, so
that 100,000 parts are no trouble.
"""

from collections.abc import Sequence, Set
from math import floor, isfinite, nextafter
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.verdict import MOST_DOUBT, UNSURE, weighed

ESCAPE_COST = 10.0
# How far up the gap between good and bad parts a threshold lies
GAP_SHARE = 0.25
# The lowest threshold that is chosen; they have four decimals where the gap is wide enough
LEAST = 0.0001
_ROUNDS = 20

Scores = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def part_scores(found: Sequence[Sequence[Finding]], classes: Sequence[str], notice: Set[str] = frozenset()) -> Scores:
    """Each part's highest score of each class, [parts, classes]; 0 for none, and for a class that does not reject.

    A part with a score that is no number is never OK: it has scores above every threshold. Doubt of MOST_DOUBT and more
    rejects whatever the threshold, and has the highest score.
    """
    scores = np.zeros((len(found), len(classes)))
    for part, detections in enumerate(found):
        if not all(isfinite(one.score) for one in detections):
            scores[part] = np.inf
            continue
        for one in weighed(detections, notice):
            if one.category not in notice:
                column = classes.index(one.category)
                sure = one.category == UNSURE and one.score >= MOST_DOUBT
                scores[part, column] = max(scores[part, column], 1.0 if sure else one.score)
    return scores


def common_threshold(scores: Sequence[float] | Scores, bad: Sequence[bool] | Flags, escape_cost: float) -> float:
    """A score in the widest gap in which the parts' verdicts cost least, nearer to the good parts.

    `scores` are the parts' highest scores in 0..1, [parts]. An escape costs `escape_cost`, a false reject 1. Parts yet
    to come will fall into the gap from both sides, and those from above cost more: hence not its middle, but
    `GAP_SHARE` of the way up.
    """
    own, flags = np.asarray(scores, float), np.asarray(bad, bool)
    return _cheapest(own, flags, np.ones(len(flags), bool), escape_cost)


def thresholds_by_class(scores: Scores, bad: Sequence[bool] | Flags, movable: Set[int], escape_cost: float) -> Any:
    """Thresholds [classes] at which the parts' verdicts cost no more than at the best common one.

    All begin with that. Then one class after the other, of those that are `movable`, by their place: a threshold leaves
    the common one only where that costs strictly less, the others being what they are, until none does (coordinate
    descent). So classes that nothing tells apart keep one threshold.
    """
    flags = np.asarray(bad, bool)
    common = common_threshold(scores.max(axis=1), flags, escape_cost)
    thresholds = np.full(scores.shape[1], common)
    cost = _cost(scores, flags, thresholds, escape_cost)
    for _ in range(_ROUNDS):
        before = cost
        for place in sorted(movable):
            others = np.delete(scores, place, axis=1) >= np.delete(thresholds, place)
            open_parts = ~others.any(axis=1)  # whose verdict this class decides
            moved = thresholds.copy()
            moved[place] = _cheapest(scores[:, place], flags, open_parts, escape_cost)
            if (less := _cost(scores, flags, moved, escape_cost)) < cost:
                thresholds, cost = moved, less
        if cost == before:
            break
    return thresholds


def _cost(scores: Scores, bad: Flags, thresholds: Any, escape_cost: float) -> float:
    rejected = (scores >= thresholds).any(axis=1)
    return escape_cost * int((bad & ~rejected).sum()) + int((~bad & rejected).sum())


def _cheapest(own: Scores, bad: Flags, open_parts: Flags, escape_cost: float) -> float:
    """The cheapest threshold of a class with these scores, which alone decides about `open_parts`; [parts] each.

    Between two neighbouring scores all thresholds cost the same; of the cheapest gaps, the widest is taken.
    """
    known = np.where(own < LEAST, 0.0, own)
    edges = np.unique(np.concatenate([[0.0, 1.0], known.clip(0.0, 1.0)]))
    low, high = edges[:-1], edges[1:]
    bad_ones, good_ones = np.sort(known[bad & open_parts]), np.sort(known[~bad & open_parts])
    escapes = np.searchsorted(bad_ones, low, side="right")
    rejects = len(good_ones) - np.searchsorted(good_ones, low, side="right")
    cost = escape_cost * escapes + rejects
    best = np.lexsort((low, low - high, cost))[0]
    return _in_gap(float(low[best]), float(high[best]))


def _in_gap(low: float, high: float) -> float:
    """A threshold above `low` and at most `high`, so that scores of `high` count and those of `low` do not."""
    threshold = max(low + GAP_SHARE * (high - low), nextafter(low, 1.0), LEAST)
    told = round(threshold, 4)
    return told if low < told <= high else threshold


def threshold_for_false_rejects(
    scores: Sequence[float] | Scores, bad: Sequence[bool] | Flags, per_1000: float
) -> float:
    """The lowest threshold at which no more than so many of 1,000 good parts are rejected: the fewest escapes.

    `scores` are the parts' highest scores in 0..1, [parts].
    """
    own, flags = np.asarray(scores, float).clip(0.0, 1.0), np.asarray(bad, bool)
    good = np.sort(own[~flags])[::-1]
    allowed = int(len(good) * per_1000 / 1000)
    if allowed >= len(good):
        return LEAST
    # Above the first good part that must not be rejected, below every part that scores more
    low = float(good[allowed])
    return _in_gap(low, float(own[own > low].min(initial=1.0)))


def to_threshold(score: float) -> float:
    """A box's score as a threshold from which that box still counts."""
    return max(LEAST, floor(score * 10_000) / 10_000)
