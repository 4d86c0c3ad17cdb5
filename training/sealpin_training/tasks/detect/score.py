"""What a detector's boxes are worth: COCO's figures, and what counts of each class by a rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.verdict import Rule

from ...dataset.records import Record
from . import page
from .boxes import BoxCount, count_boxes, told
from .coco import CocoScore, Matches, average_precision, coco_score, matches
from .confusion import Confusion, confusion


@dataclass(frozen=True)
class DetectScore:
    """Boxes found on photos, a sequence for each, against their labels."""

    records: Sequence[Record]
    found: Sequence[Sequence[Finding]]
    classes: tuple[str, ...]

    title: ClassVar = "COCO"
    best_told: ClassVar = "best F1 of each class's boxes"

    @cached_property
    def coco(self) -> CocoScore:
        """COCO's result."""
        return coco_score(self.records, self.found, self.classes)

    @property
    def metrics(self) -> Mapping[str, float]:
        """COCO's twelve figures."""
        return self.coco.metrics

    @property
    def best_thresholds(self) -> Mapping[str, float]:
        """By category, the score from which its boxes have the best F1."""
        return self.coco.best_f1

    @property
    def by_category(self) -> Mapping[str, Mapping[str, float]]:
        """AP, AP50, recall and boxes of each category that is labelled."""
        return self.coco.by_category

    @property
    def lines(self) -> list[str]:
        """A row for each category."""
        return [
            f"  {name:<20} AP {row['AP']:.3f}  AP50 {row['AP50']:.3f}  of {int(row['boxes'])} boxes"
            for name, row in self.by_category.items()
        ]

    @cached_property
    def _matches(self) -> dict[str, Matches]:
        return matches(self.records, self.found, self.classes)

    def resampled(self, times: npt.NDArray[np.int64]) -> float:
        """AP with each photo there so many `times` [photos]."""
        return average_precision(self._matches, times)

    def account(self, rule: Rule) -> "BoxAccount":
        """What counts by a rule."""
        return BoxAccount(
            self,
            rule,
            count_boxes(self.records, self.found, self.classes, rule),
            confusion(self.records, self.found, self.classes, rule),
        )


@dataclass(frozen=True)
class BoxAccount:
    """Boxes that count by a rule; `boxes` are by category, the worst found first."""

    score: DetectScore
    rule: Rule
    boxes: Mapping[str, BoxCount]
    confusion: Confusion

    @property
    def told(self) -> str:
        """What is found of each class's boxes, in a sentence."""
        return told(self.boxes, self.rule)

    @property
    def lines(self) -> list[str]:
        """A row for each class."""
        return [
            f"  {name:<20} precision {count.precision:.3f}  recall {count.recall:.3f}  F1 {count.f1:.3f}"
            for name, count in self.boxes.items()
        ]

    def answer(self) -> dict[str, Any]:
        """What scripts are told of it."""
        return {"boxes": {name: count.as_dict() for name, count in self.boxes.items()}}

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON and for later stages."""
        counts, curves = self.confusion.counts.tolist(), self.score.coco.precision
        return {
            **self.answer(),
            "confusion": {"labels": [*self.score.classes, "nothing"], "counts": counts},
            "precision_at_recall": {name: list(curve) for name, curve in curves.items()},
        }

    def figures(self) -> list[str]:
        """Tables and a chart."""
        return page.figures(self.score.coco, self.boxes, self.confusion, self.rule, self.score.classes)

    def pictures(self, records: Sequence[Record]) -> list[str]:
        """The worst misses and false alarms."""
        return page.pictures(records, self.score.found, self.confusion, self.rule)
