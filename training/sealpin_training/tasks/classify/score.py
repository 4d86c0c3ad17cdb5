"""What a classifier's probabilities are worth: how often right, how well ranked, how honest, and what counts by a rule.

All good classes count as one here: which good kind a part is of changes no verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.verdict import UNSURE, Rule, Verdict, judge

from ...dataset.records import Record
from . import page
from .calibration import Calibration, calibrate

Floats = npt.NDArray[np.float64]
# What no probability is taken to be below: the logarithm of 0 would make one photo weigh more than all others
LEAST = 1e-7
EVEN = 0.5


@dataclass(frozen=True)
class ClassifyScore:
    """Probabilities on photos, as findings of every class that is not good and of doubt, against their classes."""

    records: Sequence[Record]
    found: Sequence[Sequence[Finding]]
    classes: tuple[str, ...]

    title: ClassVar = "Classes"
    best_told: ClassVar = "an even chance"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The classes that are not good, and the good ones as one, last, where there are some."""
        bad = [name for name in self.classes if any(one.category == name for photo in self.found for one in photo)]
        good = " / ".join(name for name in self.classes if name not in bad)
        return (*bad, good) if good else tuple(bad)

    @cached_property
    def probabilities(self) -> Floats:
        """[photos, names]; a photo of which the network says what is no number is given nothing at all."""
        table = np.zeros((len(self.found), len(self.names)))
        for row, photo in zip(table, self.found, strict=True):
            for one in photo:
                if one.category == UNSURE:
                    row[-1] = 1 - one.score if self._has_good else row[-1]
                else:
                    row[self.names.index(one.category)] = one.score
        return np.where(np.isfinite(table).all(axis=1, keepdims=True), table, 0.0)

    @cached_property
    def truth(self) -> npt.NDArray[np.int64]:
        """[photos]: which of names each is."""
        last = len(self.names) - 1
        places = {name: place for place, name in enumerate(self.names)}
        return np.array([places.get(record.category, last) for record in self.records], np.int64)

    @cached_property
    def taken(self) -> npt.NDArray[np.int64]:
        """[photos]: which of names is the likeliest; of a photo that was given none, another than its own."""
        likeliest, another = self.probabilities.argmax(axis=1), (self.truth + 1) % len(self.names)
        return np.asarray(np.where(self.probabilities.any(axis=1), likeliest, another), np.int64)

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """[names, names]: how many of the first were taken for the second."""
        counts = np.zeros((len(self.names), len(self.names)), np.int64)
        np.add.at(counts, (self.truth, self.taken), 1)
        return counts

    @cached_property
    def calibration(self) -> Calibration:
        """How honest the likeliest class's probability is."""
        return calibrate(self.probabilities, self.truth)

    @property
    def metrics(self) -> Mapping[str, float]:
        """Figures in 0..1.

        `likelihood` is the geometric mean of what each photo's own class was given, which falls as the cross entropy
        rises, and `likelihood_error` its standard error (that of the mean logarithm, by the delta method). `auroc` and
        `ap` rank bad parts before good ones; they are -1 where one kind is missing.
        """
        seen = self.confusion.sum(axis=1)
        recalls = self.confusion.diagonal()[seen > 0] / seen[seen > 0]
        bad = np.array([bool(record.defects) for record in self.records])
        doubt = 1 - self.probabilities[:, -1] if self._has_good else np.ones(len(bad))
        doubt = np.where(self.probabilities.any(axis=1), doubt, ~bad)
        return {
            "likelihood": self.resampled(np.ones(len(self.found), np.int64)),
            "likelihood_error": self._likelihood_error,
            "accuracy": float((self.taken == self.truth).mean()) if len(self.truth) else -1.0,
            "balanced_accuracy": float(recalls.mean()) if len(recalls) else -1.0,
            "auroc": auroc(doubt, bad),
            "ap": average_precision(doubt, bad),
            "calibration_error": self.calibration.error,
        }

    @property
    def best_thresholds(self) -> Mapping[str, float]:
        """An even chance, for each category."""
        return dict.fromkeys([*(self.names[:-1] if self._has_good else self.names), UNSURE], EVEN)

    @property
    def by_category(self) -> Mapping[str, Mapping[str, float]]:
        """F1, precision, recall and photos of each class."""
        found = {}
        for place, name in enumerate(self.names):
            right, labelled, told = (
                int(one)
                for one in (self.confusion[place, place], self.confusion[place].sum(), self.confusion[:, place].sum())
            )
            precision, recall = right / max(1, told), right / max(1, labelled)
            f1 = 2 * right / max(1, labelled + told)
            if labelled or told:
                found[name] = {"f1": f1, "precision": precision, "recall": recall, "photos": float(labelled)}
        return found

    @property
    def lines(self) -> list[str]:
        """A row for each class."""
        return [
            f"  {name:<20} precision {row['precision']:.3f}  recall {row['recall']:.3f}  F1 {row['f1']:.3f}"
            f"  of {int(row['photos'])} photos"
            for name, row in self.by_category.items()
        ]

    @property
    def _likelihood_error(self) -> float:
        own = self.probabilities[np.arange(len(self.truth)), self.truth]
        if not len(own):
            return 0.0
        told = np.log(np.maximum(own, LEAST))
        return float(np.exp(told.mean()) * told.std() / np.sqrt(len(told)))

    def resampled(self, times: npt.NDArray[np.int64]) -> float:
        """The likelihood with each photo there so many `times` [photos]."""
        if not times.sum():
            return -1.0
        own = self.probabilities[np.arange(len(self.truth)), self.truth]
        return float(np.exp((times * np.log(np.maximum(own, LEAST))).sum() / times.sum()))

    def account(self, rule: Rule) -> "ClassAccount":
        """What counts by a rule."""
        return ClassAccount(self, rule)

    @property
    def _has_good(self) -> bool:
        return len(self.names) > 0 and self.names[-1] not in {one.category for photo in self.found for one in photo}


@dataclass(frozen=True)
class ClassAccount:
    """What the parts' verdicts say of each class, by a rule."""

    score: ClassifyScore
    rule: Rule

    @cached_property
    def rejected(self) -> Mapping[str, tuple[int, int]]:
        """Of each class, how many of its photos are not OK, and how many there are."""
        found = {}
        verdicts = [judge(photo, self.rule)[0] for photo in self.score.found]
        for place, name in enumerate(self.score.names):
            own = [verdict for verdict, truth in zip(verdicts, self.score.truth, strict=True) if truth == place]
            if own:
                found[name] = (sum(verdict is not Verdict.OK for verdict in own), len(own))
        return found

    @property
    def told(self) -> str:
        """What is rejected of each class, in a sentence."""
        return "rejects " + ", ".join(f"{count} of {all_} {name}" for name, (count, all_) in self.rejected.items())

    @property
    def lines(self) -> list[str]:
        """A row for each class."""
        return [f"  {name:<20} {count} of {all_} rejected" for name, (count, all_) in self.rejected.items()]

    def answer(self) -> dict[str, Any]:
        """What scripts are told of it."""
        return {"rejected": {name: list(counts) for name, counts in self.rejected.items()}}

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        return {
            **self.answer(),
            "confusion": {"labels": list(self.score.names), "counts": self.score.confusion.tolist()},
            "calibration": self.score.calibration.as_dict(),
        }

    def figures(self) -> list[str]:
        """Tables and charts."""
        return page.figures(
            self.score.metrics, self.score.by_category, self.score.names, self.score.confusion, self.score.calibration
        )

    def pictures(self, records: Sequence[Record]) -> list[str]:
        """The photos whose own class was given least."""
        own = self.score.probabilities[np.arange(len(self.score.truth)), self.score.truth]
        return page.pictures(records, own, self.score.names, self.score.truth, self.score.taken)


def auroc(scores: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """The chance that a positive scores more than a negative (Mann and Whitney 1947), ties a half; -1 without both."""
    count = int(positive.sum())
    others = len(positive) - count
    if not count or not others:
        return -1.0
    order, start = np.argsort(scores, kind="stable"), 0
    ranks, values = np.empty(len(scores)), np.sort(scores)
    ranks[order] = np.arange(1, len(scores) + 1)
    for end in np.append(np.flatnonzero(np.diff(values)) + 1, len(values)):
        ranks[order[start:end]] = (start + 1 + end) / 2
        start = end
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def average_precision(scores: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """The mean precision over the positives, those of one score together (scikit-learn's definition); -1 without."""
    if not positive.any() or positive.all():
        return -1.0
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.cumsum(positive[order])[ends]
    gained = np.diff(np.append(0, right))
    return float((gained * right / (ends + 1)).sum() / positive.sum())
