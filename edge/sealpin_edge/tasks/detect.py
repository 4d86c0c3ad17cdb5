"""Detection: boxes, as an SSD's file gives them, sealpin's own and other people's alike.

The outputs are those of the file's detection operator, never a position, since exporters differ in their order.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ..errors import NoJudgement
from ..model.card import ModelCard
from ..model.runtime import Tensor, model_refused
from ..model.tflite_file import Operator, TfliteFile
from .finding import Edges, Finding, Reading

DETECTION_OPERATOR = "TFLite_Detection_PostProcess"
# Threads beyond the cores cost: a photo took 10.1 ms with 6 on 2 cores, 7.5 with 2, 12.2 with 1
MOST_THREADS = 8


class Detect:
    """An SSD that ends in TFLite_Detection_PostProcess."""

    takes: ClassVar = f"an SSD detector that ends in {DETECTION_OPERATOR}"
    operators: ClassVar = frozenset({DETECTION_OPERATOR})
    has_boxes: ClassVar = True
    has_good: ClassVar = False
    outputs: ClassVar = ("boxes", "classes", "scores", "count")

    def __init__(self, file: TfliteFile, name: str) -> None:
        """Bind a file's outputs; `name` stands in messages. Raises InputError when they are not a detector's."""
        self._name = name
        self._operator = operator = _detection_operator(file, name)
        self.classes = int(operator.options["num_classes"])
        self.least_score = float(operator.options.get("nms_score_threshold", 0.0))
        # What the operator was given is looked at afterwards: operators behind it would write over that memory
        self.keep_all = file.operators[-1] is not operator

    @classmethod
    def fits(cls, file: TfliteFile) -> bool:
        """Whether a file that does not tell its task is a detector."""
        return DETECTION_OPERATOR in file.custom_operators

    @staticmethod
    def categories(classes: Sequence[str], good: Sequence[str]) -> tuple[str, ...]:
        """Each class: a part is good when nothing is found on it."""
        return tuple(classes)

    @property
    def roles(self) -> dict[int, str]:
        """What each of the tensors that are read is, by its index."""
        return dict(zip(self._operator.outputs, self.outputs, strict=True))

    def threads(self, wanted: int) -> int:
        """So many threads, or others with which the operator loses nothing.

        With per-class suppression and n threads, where n is more than 1 and less than the number of classes, TensorFlow
        Lite's operator loses the class of index n, in LiteRT 2.3 too (github.com/tensorflow/tensorflow/issues/56058).
        """
        if not self._operator.options.get("use_regular_nms", True) or not 1 < wanted < self.classes:
            return wanted
        return self.classes if self.classes <= MOST_THREADS else 1

    def read(self, tensor: Tensor, card: ModelCard, height: int, width: int) -> Reading:
        """The last run's boxes in a photo of `height` and `width` pixels, and inside it.

        What lies wholly outside it is no less certain: its box is on the photo's edge. Raises NoJudgement when the
        network gave something that is no number.
        """
        classes = card.classes
        boxes, labels, scores, counted = map(tensor, self._operator.outputs)
        # Slots past the count are uninitialised memory
        count = int(counted.reshape(-1)[0])
        boxes, labels, scores = boxes[0, :count], labels[0, :count], scores[0, :count]
        # The operator leaves out in silence what is no number, so what it was given is looked at too
        given = map(tensor, self._operator.inputs[:2])
        if not all(np.isfinite(values).all() for values in (*given, boxes, labels, scores)):
            raise NoJudgement("the network gave something that is no number", where=self._name)
        if any(not 0 <= label < len(classes) for label in labels.tolist()):
            raise NoJudgement("the network found a class that there is not", where=self._name, found=str(labels))
        edges = np.clip(boxes, 0.0, 1.0) * np.array([height, width, height, width], np.float32)
        return Reading(
            [
                Finding(classes[int(label)], score, Edges(*map(min, first, last), *map(max, first, last)))
                for label, score, first, last in zip(
                    labels.tolist(), scores.tolist(), edges[:, 1::-1].tolist(), edges[:, :1:-1].tolist(), strict=True
                )
            ]
        )


def _detection_operator(file: TfliteFile, name: str) -> Operator:
    """The operator that ends an SSD file; its outputs are boxes, classes, scores and count, in this order.

    The order is TensorFlow Lite's own (lite/kernels/detection_postprocess.cc), whatever the file's outputs are called.
    """
    ends = [one for one in file.operators if one.custom == DETECTION_OPERATOR]
    if len(ends) != 1 or len(ends[0].outputs) != 4 or not set(ends[0].outputs) <= set(file.outputs):
        found = "no detections among its outputs" if not ends else f"outputs that are not those of {DETECTION_OPERATOR}"
        raise model_refused(name, found, Detect.takes)
    return ends[0]
