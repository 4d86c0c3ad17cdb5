"""Do so many photos tell two runs apart? Both judged the same ones, so it is asked of the differences between them.

The task's key metric: photos are drawn anew, with replacement, and both runs scored on the same draw (paired bootstrap,
percentile interval: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13). Verdicts: of the parts
that one run alone judges wrong, are there more of one than a coin would give (McNemar 1947, exact by the binomial
distribution)?
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import comb
from typing import Any

import numpy as np

from ..tasks.score import Score

DRAWS = 1000
SEED = 0
_LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """What `run` is more than `base` on the same photos.

    `gain` is a difference of the task's key `metric`, `low` to `high` hold it in 19 of 20 such tests. Of the parts,
    `run_wrong` and `base_wrong` are judged wrong by that run alone, and a coin would be so uneven in a share `p` of all
    tries, 0..1.
    """

    run: str
    base: str
    photos: int
    metric: str
    gain: float
    low: float
    high: float
    run_wrong: int
    base_wrong: int
    p: float

    @property
    def apart(self) -> tuple[str, ...]:
        """In what they differ by more than chance: the metric, verdicts, both or nothing."""
        real = {self.metric: not self.low <= 0 <= self.high, "verdicts": self.p < _LEVEL}
        return tuple(name for name, more in real.items() if more)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "apart": list(self.apart)}

    def __str__(self) -> str:
        parts = f"{self.run_wrong} parts are judged wrong by {self.run} alone, {self.base_wrong} by {self.base} alone"
        told = (
            f"more than chance on {self.photos} photos: {' and '.join(self.apart)}"
            if self.apart
            else f"{self.photos} photos cannot tell these apart"
        )
        return (
            f"{self.run} against {self.base}: {told}. {self.metric} {self.gain:+.3f}"
            f" (95 %: {self.low:+.3f} to {self.high:+.3f}); {parts}"
        )


def difference(
    names: tuple[str, str],
    metric: str,
    scores: tuple[Score, Score],
    wrong: tuple[Sequence[bool], Sequence[bool]],
) -> Difference:
    """Compare the second run with the first. `wrong` says for each photo whether that run judged its part wrong."""
    photos = len(wrong[0])
    whole = np.ones(photos, np.int64)
    draws = np.random.default_rng(SEED).multinomial(photos, np.full(photos, 1 / photos), DRAWS)
    spread = [scores[1].resampled(draw) - scores[0].resampled(draw) for draw in draws]
    low, high = np.percentile(spread, (2.5, 97.5))
    base_wrong, run_wrong = (
        sum(one and not other for one, other in zip(wrong[first], wrong[1 - first], strict=True)) for first in (0, 1)
    )
    return Difference(
        names[1],
        names[0],
        photos,
        metric,
        round(scores[1].resampled(whole) - scores[0].resampled(whole), 4),
        round(float(low), 4),
        round(float(high), 4),
        run_wrong,
        base_wrong,
        round(mcnemar(run_wrong, base_wrong), 4),
    )


def mcnemar(one: int, other: int) -> float:
    """The exact two-sided p-value of so many parts that one alone, and the other alone, judges wrong."""
    total, fewer = one + other, min(one, other)
    return float(min(1.0, 2 * sum(comb(total, count) for count in range(fewer + 1)) / 2**total))
