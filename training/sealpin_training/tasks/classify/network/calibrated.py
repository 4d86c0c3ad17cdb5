"""A trained network's Gauge, set by what it says of val."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....dataset.records import Record
from ....evaluation.predict import predicted
from ..calibration import fit_gauge
from ..recipe import Recipe
from .model import head_layers


def calibrate(recipe: Recipe, model: Any, predictor: Any, records: Sequence[Record], classes: Sequence[str]) -> None:
    """Set it by calibration.fit_gauge: what is to be added where places are learned, whose mean is beside 0.

    A defect covers few places, so that the mean of a map whose places are right is nearly that of a good part.
    """
    _, gauge = head_layers(model)
    gauge.shift.assign(np.zeros(gauge.shift.shape, np.float32))
    gauge.factor.assign(np.ones(gauge.factor.shape, np.float32))
    told = [
        (classes.index(record.category), maps.mean(axis=(0, 1)))
        for record, (_, maps) in predicted(recipe, predictor, records)
    ]
    if not told:
        return
    truth, logits = np.array([one for one, _ in told]), np.array([one for _, one in told], np.float64)
    shift, factor = fit_gauge(
        logits, truth, balanced=recipe.class_balance != "none", shifted=bool(recipe.places_weight)
    )
    gauge.shift.assign(shift[-gauge.shift.shape[0] :])
    gauge.factor.assign(np.full(gauge.factor.shape, factor))
