"""What every task's training has in common: steps that are watched, weights that are averaged, batches in order."""

from typing import Any

from .average import WeightAverage, replicas_own
from .input import Examples, TrainingPhotos, batches
from .tasks.recipe import Recipe
from .tf import no_autograph, tf

# Times the loss that a run began with: from there none was seen to come back
EXPLODED = 1000.0


class Loop:
    """Goes before a TF-Vision task among a class's bases, and does what the task would leave to its own readers.

    Steps and replicas stay the trainer's.
    """

    def __init__(
        self, recipe: Recipe, config: Any, examples: Examples, photos: TrainingPhotos, seed: int, first_step: int
    ) -> None:
        """`config` is TF-Vision's for its task; `examples` are made of `photos`; the run begins at `first_step`."""
        super().__init__(config)  # type: ignore[call-arg]
        self._recipe, self._examples, self._photos = recipe, examples, photos
        self._seed, self._first_step = seed, first_step
        # The first step whose loss was no number or exploded, counted from 1; 0 while there was none
        self.broken_step = replicas_own(0, tf.int64, tf.VariableAggregation.SUM)
        self.steps_done = replicas_own(first_step, tf.int64, tf.VariableAggregation.SUM)
        self.first_loss = replicas_own(0.0, tf.float32, tf.VariableAggregation.SUM)
        self.average: WeightAverage | None = None

    def keep_average(self, trainer: Any, restored: str | None) -> None:
        """Keep a moving average of the weights from here on, in the trainer's state, unless the optimiser keeps one.

        `restored` is the checkpoint that the trainer goes on from; one that was written without averages has none.
        """
        if self._recipe.own_average:
            return
        self.average = trainer.checkpoint.average = WeightAverage(trainer.model)
        if not restored or not any(name.startswith("average/") for name, _ in tf.train.list_variables(restored)):
            self.average.begin(trainer.model)

    @no_autograph  # type: ignore[untyped-decorator]
    def train_step(self, inputs: Any, model: Any, optimizer: Any, metrics: Any = None) -> Any:
        """TF-Vision's step, and then the average's."""
        logs = super().train_step(inputs, model, optimizer, metrics)  # type: ignore[misc]
        if self.average:
            self.average.update(model)
        return logs

    def initialize(self, model: Any) -> None:
        """Nothing: warm starts are the run's business, before the trainer begins."""

    def build_inputs(self, params: Any, input_context: Any = None) -> Any:
        """Batches of preprocessed photos and targets, from the run's first step on."""
        return self.batches(self._seed, self._first_step, input_context)

    def batches(self, seed: int, first_step: int, context: Any = None) -> Any:
        """The batches of a run with this seed, from a step on; see input.batches."""
        return batches(self._recipe, self._photos, self._examples, seed, first_step, context)

    def watch(self, loss: Any) -> None:
        """Count a step, and note its `loss` where that is no number or exploded; part of the step's graph."""
        step = self.steps_done + 1
        self.steps_done.assign(step)
        # Not `~(loss < EXPLODED)`: TensorFlow's optimiser turns that into `>=`, which no NaN fulfils
        self.first_loss.assign(tf.where(self.first_loss == 0.0, loss, self.first_loss))
        exploded = loss >= EXPLODED * tf.maximum(self.first_loss, 1.0)
        broken = tf.math.is_nan(loss) | tf.math.is_inf(loss) | exploded
        self.broken_step.assign(tf.where(broken & (self.broken_step == 0), step, self.broken_step))
