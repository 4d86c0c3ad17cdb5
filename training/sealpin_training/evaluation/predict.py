"""A trained network on a split's photos, through the very code that the station resizes photos with."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sealpin_edge.model.photo import decode_photo, stretch
from sealpin_edge.tasks.finding import Finding

from ..dataset.records import Record
from ..progress import progress
from ..run import Run
from ..tasks.recipe import Recipe
from ..tasks.task import Task, task_named

BATCH = 8


def trained_predictor(run: Run, which: str = "best") -> Any:
    """The predictor (Task.predictor) of a run's best or last network, in float32, as it is exported.

    Raises InputError when there is none.
    """
    task, recipe = task_named(run.task), run.recipe()
    return task.predictor(recipe, task.network(recipe, run.weights(which)))


def predict_photos(
    task: Task[Any],
    recipe: Recipe,
    predictor: Any,
    records: Sequence[Record],
    classes: Sequence[str],
    good: Sequence[str],
) -> list[list[Finding]]:
    """What a predictor finds on each photo, in its own pixels."""
    return [task.findings(own, record, classes, good) for record, own in predicted(recipe, predictor, records)]


def predicted(recipe: Recipe, predictor: Any, records: Sequence[Record]) -> Iterator[tuple[Record, list[Any]]]:
    """Each photo with a predictor's outputs for it, NumPy arrays."""
    for start in progress(range(0, len(records), BATCH), f"evaluate {len(records)} photos", "batch"):
        batch = records[start : start + BATCH]
        photos = [stretch(decode_photo(record.data, record.name), recipe.height, recipe.width) for record in batch]
        outputs = [tensor.numpy() for tensor in predictor(np.stack(photos))]
        for record, *own in zip(batch, *outputs, strict=True):
            yield record, own
