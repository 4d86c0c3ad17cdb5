"""A detector's examples: photos augmented by the recipe and preprocessed, and the anchors' targets."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...dataset.records import Record
from ...tf import tf
from .augment import View, augmented
from .network.model import preprocess
from .recipe import Recipe
from .targets import assigner


def labels(record: Record, classes: Sequence[str]) -> tuple[Any, Any]:
    """A photo's boxes, float32 [N, 4] (ymin, xmin, ymax, xmax in 0..1), and their classes, int32 [N] from 1."""
    size = np.array([record.height, record.width, record.height, record.width], np.float32)
    edges = np.array([(box.ymin, box.xmin, box.ymax, box.xmax) for box in record.boxes], np.float32).reshape(-1, 4)
    return edges / size, np.array([classes.index(box.category) + 1 for box in record.boxes], np.int32)


class DetectExamples:
    """See input.Examples."""

    def __init__(self, recipe: Recipe) -> None:
        """By the recipe's augmentation, preprocessing and matcher."""
        self._recipe, self._place = recipe, assigner(recipe)
        self.types = (tf.float32, tf.float32, tf.int32)

    def make(self, photo: Any, *labels: Any, draw: Callable[[int], np.random.Generator]) -> Sequence[Any]:
        """Pixels float32 [height, width, 3] of 0..255, boxes [N, 4] and classes [N]."""
        view = View(photo, boxes=labels[0], labels=labels[1])
        pixels = augmented(self._recipe, view, draw)
        most = self._recipe.train.max_number_of_boxes
        return pixels, view.boxes[:most].astype(np.float32), view.labels[:most]

    def finish(self, *arrays: Any) -> Any:
        """The photo preprocessed, and the anchors' targets."""
        photo, boxes, labels = arrays
        photo = tf.ensure_shape(photo, [self._recipe.height, self._recipe.width, 3])
        boxes, labels = tf.ensure_shape(boxes, [None, 4]), tf.ensure_shape(labels, [None])
        return preprocess(self._recipe, photo), self._place(boxes, labels)
