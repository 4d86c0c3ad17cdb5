"""Which weights of a training are the best at a step: its own, or their moving average. val decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from official.modeling import optimization

from sealpin_edge.tasks.finding import Finding

from .dataset.records import Record, RecordFile, without_photos
from .evaluation.predict import predict_photos
from .loop import Loop
from .run import AVERAGED, RAW
from .statistics import Statistics
from .tasks.recipe import Recipe
from .tasks.task import Task
from .tf import tf

_STATISTICS_FROM = 200  # photos, or one batch


@dataclass(frozen=True)
class Judged:
    """The better weights at a step. `weights` is RAW or AVERAGED.

    `metrics` are theirs on val, and `each` has the task's key metric of each that was judged.
    """

    weights: str
    values: Sequence[Any]
    labels: Sequence[Record]
    found: Sequence[Sequence[Finding]]
    metrics: dict[str, float]
    each: dict[str, float]


class Judge:
    """Judges a network that is being trained. It leaves the network as it was."""

    def __init__(self, task: Task[Any], recipe: Recipe, loop: Loop, trainer: Any, strategy: Any) -> None:
        """`loop` is the training's: of its batches batch normalisation is estimated, where the recipe asks for it."""
        self._task, self._recipe, self._loop, self._trainer = task, recipe, loop, trainer
        self._variables = trainer.model.variables
        self._predictor = task.predictor(recipe, trainer.model)
        self._statistics = Statistics(trainer.model, strategy)

    def judge(self, records: RecordFile, classes: tuple[str, ...], good: tuple[str, ...]) -> Judged:
        """The better of the training's weights and their average; where they are equal, its own."""
        own, labels, each = self._values(), without_photos(records), {}
        key = self._task.headline[0]
        best: Judged | None = None
        for weights, values in self._candidates(own).items():
            self._assign(values)
            self._renew_statistics()
            self._task.calibrate(self._recipe, self._trainer.model, self._predictor, records, classes)
            found = predict_photos(self._task, self._recipe, self._predictor, records, classes, good)
            metrics = dict(self._task.score(labels, found, classes).metrics)
            each[weights] = metrics[key]
            if best is None or metrics[key] > best.metrics[key]:
                best = Judged(weights, self._values(), labels, found, metrics, each)
        self._assign(own)
        assert best
        return best

    def write(self, judged: Judged, path: str) -> None:
        """Write a checkpoint of the network with the weights that were judged."""
        own = self._values()
        self._assign(judged.values)
        tf.train.Checkpoint(model=self._trainer.model, global_step=self._trainer.global_step).write(path)
        self._assign(own)

    def _candidates(self, own: Sequence[Any]) -> dict[str, Sequence[Any]]:
        optimizer = self._trainer.optimizer
        if isinstance(optimizer, optimization.ExponentialMovingAverage):
            # The recipe's own rule (use_moving_average): its averages are the network, and of trained weights alone
            slots = {
                variable.ref(): optimizer.get_slot(variable, "average")
                for variable in self._trainer.model.trainable_variables
            }
            return {
                AVERAGED: [
                    slots[variable.ref()].numpy() if variable.ref() in slots else value
                    for variable, value in zip(self._variables, own, strict=True)
                ]
            }
        assert self._loop.average
        return {RAW: own, AVERAGED: [value.numpy() for value in self._loop.average.values]}

    def _renew_statistics(self) -> None:
        recipe = self._recipe
        if recipe.renews_norms(int(self._trainer.global_step.numpy())):
            # The same photos every time, so that weights alone decide
            count = max(1, _STATISTICS_FROM // recipe.batch_size)
            taken = self._loop.batches(seed=0, first_step=0)
            self._statistics.renew(photos for photos, _ in islice(taken, count))

    def _values(self) -> list[Any]:
        return [variable.numpy() for variable in self._variables]

    def _assign(self, values: Sequence[Any]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
