"""A trained network on a split's photos, through the very code that the station resizes photos with."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sealpin_edge.model.photo import decode_photo, stretch
from sealpin_edge.tasks.finding import Edges, Finding

from ...dataset.records import Record
from ...progress import progress
from ...run import Run
from .recipe import Recipe

BATCH = 8


def trained_detector(run: Run, which: str = "best") -> Any:
    """`network.model.detector`'s function for a run's best or last network, in float32, as it is exported.

    Raises InputError when there is none.
    """
    from ...tf import tf_keras
    from .network.model import build_network, detector, restore

    recipe = run.recipe()
    path = run.weights(which)
    tf_keras.mixed_precision.set_global_policy("float32")
    model = build_network(recipe)
    restore(model, path)
    return detector(recipe, model)


def detect_photos(
    recipe: Recipe, detect: Any, records: Sequence[Record], classes: Sequence[str]
) -> list[list[Finding]]:
    """Detections on each photo, in its own pixels; `detect` is network.model.detector's function."""
    found = []
    for start in progress(range(0, len(records), BATCH), f"evaluate {len(records)} photos", "batch"):
        batch = records[start : start + BATCH]
        photos = [
            stretch(decode_photo(record.data, record.name), recipe.resizer.height, recipe.resizer.width)
            for record in batch
        ]
        outputs = [tensor.numpy() for tensor in detect(np.stack(photos))]
        for record, boxes, scores, labels, count in zip(batch, *outputs, strict=True):
            found.append(list(_detections(record, boxes[:count], scores, labels, classes)))
    return found


def _detections(record: Record, boxes: Any, scores: Any, classes: Any, names: Sequence[str]) -> Iterable[Finding]:
    for (ymin, xmin, ymax, xmax), score, label in zip(boxes, scores, classes, strict=False):
        yield Finding(
            names[int(label)],
            float(score),
            Edges(
                float(xmin) * record.width,
                float(ymin) * record.height,
                float(xmax) * record.width,
                float(ymax) * record.height,
            ),
        )
