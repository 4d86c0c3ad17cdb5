"""Classification: one score for each class of the whole photo, and where the network looked, if the file tells it.

A part is good by a class that says so, and only as far as that class is sure: every other class is a finding, and what
is left to the good ones at 1 is the finding `unsure`.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..errors import NoJudgement
from ..model.card import ModelCard
from ..model.runtime import Tensor, model_refused
from ..model.tflite_file import TfliteFile
from .finding import Finding, HeatMap, Reading
from .verdict import UNSURE

# Flat, with its rows and columns in its name: other runtimes take every output of a classifier for scores of classes
_MAP = re.compile(r"class activation map ([1-9]\d{0,3})x([1-9]\d{0,3})")
# How far scores may be from adding up to 1, and each from what the map gives. int8 rounds scores to steps of 1/256, and
# maps to steps of up to a half, which no other class or network comes near
SUM_TOLERANCE, LOGIT_TOLERANCE = 0.02, 1.0
_STEP = 1 / 256
# BuiltinOperator of schema.fbs: LOGISTIC, and what leaves numbers as they are: DEQUANTIZE, RESHAPE, QUANTIZE
_LOGISTIC, _PASSING = 14, (6, 22, 114)


class Classify:
    """A network that ends in the probabilities of classes.

    It may have a class activation map beside them (Zhou et al., "Learning Deep Features for Discriminative
    Localization", CVPR 2016): [1, rows * columns * classes], whose mean over the places are the logits, so that the
    softmax of the mean must be the scores. The metadata call it by `map_name`.
    """

    takes: ClassVar = "a classifier that gives a score for each class, [1, classes]"
    operators: ClassVar = frozenset[str]()
    has_boxes: ClassVar = False
    has_good: ClassVar = True

    def __init__(self, file: TfliteFile, name: str) -> None:
        """Bind a file's outputs; `name` stands in messages. Raises InputError when they are not a classifier's."""
        self._name, self.least_score, self.keep_all = name, 0.0, False
        scores = _scores_outputs(file)
        if len(scores) != 1:
            raise model_refused(name, f"{len(scores)} outputs that may be scores", self.takes)
        self._scores = scores[0]
        if file.shapes[self._scores][-1] == 1 and not _is_sigmoid(file, self._scores):
            raise model_refused(name, "one unit without a sigmoid", "one that ends in a sigmoid, or a score a class")
        # One unit is a sigmoid: it tells the second of two classes
        self.classes = max(2, file.shapes[self._scores][-1])
        self._map: int | None = None
        for index, (rows, columns) in _maps(file).items():
            self._map, self._places = index, (rows, columns, self.classes)
            if file.shapes[index] != (1, rows * columns * self.classes):
                found = f"{map_name(rows, columns)} of shape {list(file.shapes[index])}"
                raise model_refused(name, found, f"{rows} x {columns} x {self.classes} numbers")

    @classmethod
    def fits(cls, file: TfliteFile) -> bool:
        """Whether a file that does not tell its task is a classifier."""
        return len(_scores_outputs(file)) == 1

    @staticmethod
    def categories(classes: Sequence[str], good: Sequence[str]) -> tuple[str, ...]:
        """Each class that is not good, and `unsure`."""
        return (*(one for one in classes if one not in good), UNSURE)

    @property
    def roles(self) -> dict[int, str]:
        """What each of the tensors that are read is, by its index."""
        return {self._scores: "scores"} | ({} if self._map is None else {self._map: map_name(*self._places[:2])})

    def threads(self, wanted: int) -> int:
        """As many as are wanted."""
        return wanted

    def read(self, tensor: Tensor, card: ModelCard, height: int, width: int) -> Reading:
        """What the last run says of a photo.

        Raises NoJudgement when its scores are no probabilities, or are not those that the map gives.
        """
        scores = _probabilities(tensor(self._scores).reshape(-1).astype(np.float64))
        rounding = SUM_TOLERANCE + scores.size * _STEP / 2
        if not np.isfinite(scores).all() or (scores < 0).any() or abs(float(scores.sum()) - 1) > rounding:
            told = ", ".join(f"{score:.3g}" for score in scores[:8])
            raise NoJudgement("the network's scores are no probabilities", where=self._name, found=told)
        good = [card.classes.index(one) for one in card.good]
        return Reading(reading(scores, card.classes, card.good), self._heat(tensor, scores, good))

    def _heat(self, tensor: Tensor, scores: npt.NDArray[np.float64], good: Sequence[int]) -> HeatMap | None:
        """How much each place speaks for the likeliest class that is not good, against the likeliest other."""
        if self._map is None:
            return None
        of_class = tensor(self._map).reshape(self._places).astype(np.float64)
        if not _belongs(of_class.mean(axis=(0, 1)), scores):
            raise NoJudgement("the network's map is not that of its scores", where=self._name)
        bad = [place for place in range(scores.size) if place not in good]
        first = max(bad, key=lambda place: scores[place])
        others = good or [place for place in bad if place != first]
        second = max(others, key=lambda place: scores[place])
        heat = np.maximum(0.0, of_class[..., first] - of_class[..., second])
        return np.asarray(heat / max(float(heat.max()), 1e-9) * max(0.0, 1 - scores[good].sum()), np.float32)


def reading(scores: npt.NDArray[Any], classes: Sequence[str], good: Sequence[str]) -> list[Finding]:
    """Probabilities [classes] as findings: each class that is not good, and what the good ones leave at 1."""
    sure = sum(float(score) for name, score in zip(classes, scores, strict=True) if name in good)
    findings = [Finding(name, float(score)) for name, score in zip(classes, scores, strict=True) if name not in good]
    # A sum of rounded numbers may be a little above 1; what is no number stays none
    return [*findings, Finding(UNSURE, 0.0 if sure > 1.0 else 1.0 - sure)]


def _probabilities(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The scores of all classes, where a sigmoid gives that of the second alone."""
    return np.array([1 - scores[0], scores[0]]) if scores.size == 1 else scores


def _is_sigmoid(file: TfliteFile, output: int) -> bool:
    """Whether an output is a logistic operator's, be it quantised behind that."""
    made = {index: one for one in file.operators for index in one.outputs}
    while (one := made.get(output)) and one.code in _PASSING and one.inputs:
        output = one.inputs[0]
    return bool(one and one.code == _LOGISTIC)


def _belongs(logits: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]) -> bool:
    """Whether scores are the softmax of logits that may each be LOGIT_TOLERANCE less or more."""
    against = np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits  # of the sum of all, by class
    others = np.expm1(np.minimum(against, 500.0))  # exp of the others' logits, in units of the class's own
    least, most = (1 / (1 + others * np.exp(2 * side * LOGIT_TOLERANCE)) for side in (1, -1))
    return bool(((scores >= least - SUM_TOLERANCE) & (scores <= most + SUM_TOLERANCE)).all())


def map_name(rows: int, columns: int) -> str:
    """What the metadata call a class activation map of so many places."""
    return f"class activation map {rows}x{columns}"


def _maps(file: TfliteFile) -> dict[int, tuple[int, int]]:
    """Outputs that the metadata call class activation maps, with their rows and columns."""
    named = zip(file.outputs, (_MAP.fullmatch(one.name) for one in file.output_metadata), strict=False)
    return {index: (int(found[1]), int(found[2])) for index, found in named if found}


def _scores_outputs(file: TfliteFile) -> list[int]:
    """Outputs of one number for each class: [1, classes], or [1, 1, 1, classes] as older networks have it."""
    return [
        one
        for one in file.outputs
        if len(file.shapes[one]) >= 2 and set(file.shapes[one][:-1]) == {1} and one not in _maps(file)
    ]
