"""Marks for the fields of the schema: without effect, followed at one value only, or honoured within a range.

Fields without a mark are honoured. Numbers always have one, but for the sides of the resizer, whose bounds are the
backbone's: recipe.py.
"""

from dataclasses import dataclass, field
from typing import Any

IDLE = "idle"
FIXED = "fixed"
WITHIN = "within"

# What must be above 0 is at least this: networks compute in float32, where much less is 0
TINY = 1e-12
# The highest weight, scale or mean: sums of many are still numbers in float32
LARGE = 1e6
# A rate as high as this still is one: training names the step at which the loss breaks
MOST_RATE = 1e30
# Months on any machine
MOST_STEPS = 100_000_000
# Far beyond any memory, of which training tells how many photos fit
MOST_PHOTOS = 10_000_000


@dataclass(frozen=True)
class Range:
    """What a number may be: from `least` to `most`, and no less than another field of its message."""

    least: float
    most: float
    no_less_than: str = ""

    def refusal(self, value: Any, message: Any) -> str:
        """What is allowed, when `value`, or one of its numbers, is not; else ""."""
        told, least = f"from {self.least:.12g} to {self.most:.12g}", self.least
        if self.no_less_than:
            other = getattr(message, self.no_less_than)
            told, least = f"{told}, and no less than {self.no_less_than}, {other:g}", max(least, other)
        # Nothing is true of a number that is none: it is refused
        numbers = value if isinstance(value, tuple) else (value,)
        return "" if all(least <= one <= self.most for one in numbers) else told


def idle(default: Any, why: str) -> Any:
    """A field that is read and changes nothing; `why` is told by `sealpin recipe check`."""
    return field(default=default, metadata={IDLE: why})


def fixed(default: Any, instead: str) -> Any:
    """A field that training follows at its default only; with another value it does `instead`."""
    return field(default=default, metadata={FIXED: instead})


def within(default: Any, least: float, most: float, no_less_than: str = "") -> Any:
    """A number, or several, honoured from `least` to `most`: what else a recipe says there is refused."""
    return field(default=default, metadata={WITHIN: Range(least, most, no_less_than)})
