"""What a task says its findings are worth, beside the line's own account of escapes and false rejects."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sealpin_edge.tasks.verdict import Rule

from ..dataset.records import Record


class Account(Protocol):
    """What counts by a rule, against the labels."""

    @property
    def told(self) -> str:
        """What it finds of each class, in a sentence without a subject."""

    @property
    def lines(self) -> list[str]:
        """A row for each class, for a terminal."""

    def answer(self) -> dict[str, Any]:
        """What scripts are told of it."""

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON and for later stages."""

    def figures(self) -> list[str]:
        """Sections of a page: its tables and charts."""

    def pictures(self, records: Sequence[Record]) -> list[str]:
        """Sections of a page: the photos on which it is most wrong, of these, which have their pictures."""


class Score(Protocol):
    """Findings on a split's photos against the labels by the measures of the task's field, whatever counts or not."""

    title: str

    @property
    def metrics(self) -> Mapping[str, float]:
        """Figures in 0..1, the task's key metric among them; -1 where nothing of that kind was labelled."""

    @property
    def best_thresholds(self) -> Mapping[str, float]:
        """By category, where the task's own measure is best: what counts where parts of one kind are missing."""

    @property
    def best_told(self) -> str:
        """What `best_thresholds` are best by, in words."""

    @property
    def by_category(self) -> Mapping[str, Mapping[str, float]]:
        """Figures of each category that is labelled."""

    @property
    def lines(self) -> list[str]:
        """A row for each category, for a terminal."""

    def resampled(self, times: npt.NDArray[np.int64]) -> float:
        """The key metric with each photo there so many `times` [photos]: what `metrics` has when each is once."""

    def account(self, rule: Rule) -> Account:
        """What counts by a rule."""


def grid(metrics: Mapping[str, float], columns: int = 3) -> Iterable[str]:
    """Metrics for a terminal, some in a row."""
    width = max(map(len, metrics), default=0)
    cells = [f"{name:>{width}} {'-' if value < 0 else f'{value:.3f}':>6}" for name, value in metrics.items()]
    for start in range(0, len(cells), columns):
        yield "  " + "  ".join(cells[start : start + columns])
