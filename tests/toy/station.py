"""The toy task on the station."""

from collections.abc import Sequence
from typing import ClassVar

from sealpin_edge.errors import NoJudgement
from sealpin_edge.model.card import ModelCard
from sealpin_edge.model.runtime import Tensor
from sealpin_edge.model.tflite_file import TfliteFile
from sealpin_edge.tasks.finding import Finding, Reading


class Redness:
    """One number, how likely a part is the second class."""

    takes: ClassVar = "one number"
    operators: ClassVar = frozenset[str]()
    has_boxes: ClassVar = False
    has_good: ClassVar = True
    classes, least_score, keep_all = 2, 0.0, False

    def __init__(self, file: TfliteFile, name: str) -> None:
        (self._output,), self._name = file.outputs, name

    @classmethod
    def fits(cls, file: TfliteFile) -> bool:
        return False

    @staticmethod
    def categories(classes: Sequence[str], good: Sequence[str]) -> tuple[str, ...]:
        return tuple(one for one in classes if one not in good)

    @property
    def roles(self) -> dict[int, str]:
        return {self._output: "redness"}

    def threads(self, wanted: int) -> int:
        return 1

    def read(self, tensor: Tensor, card: ModelCard, height: int, width: int) -> Reading:
        score = float(tensor(self._output).reshape(-1)[0])
        if not 0 <= score <= 1:
            raise NoJudgement("no share", where=self._name, found=str(score))
        return Reading(reading(score, card.classes, card.good), None)


def reading(score: float, classes: Sequence[str], good: Sequence[str]) -> list[Finding]:
    return [Finding(name, score) for name in classes if name not in good]
