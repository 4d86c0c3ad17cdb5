"""TF-Vision's RetinaNet task with the recipe's network, input, losses and optimiser in place of its own."""

from typing import Any

from official.vision.tasks import retinanet

from ...average import WeightAverage, replicas_own
from ...input import TrainingPhotos, batches
from ...tf import no_autograph, tf
from .network.model import build_network
from .recipe import Recipe
from .schedule import build_optimizer
from .targets import losses

# Times the loss that a run began with: from there none was seen to come back
EXPLODED = 1000.0


class DetectionTask(retinanet.RetinaNetTask):  # type: ignore[misc]
    """What TF-Vision's trainer asks for: model, inputs, losses, optimiser. Steps and replicas stay the trainer's."""

    def __init__(self, recipe: Recipe, config: Any, photos: TrainingPhotos, seed: int, first_step: int) -> None:
        """`config` is the task's part of `experiment_config(recipe, ...)`; the run begins at `first_step`."""
        super().__init__(config)
        self._recipe, self._photos, self._seed, self._first_step = recipe, photos, seed, first_step
        # The first step whose loss was no number or exploded, counted from 1; 0 while there was none
        self.broken_step = replicas_own(0, tf.int64, tf.VariableAggregation.SUM)
        self.steps_done = replicas_own(first_step, tf.int64, tf.VariableAggregation.SUM)
        self.first_loss = replicas_own(0.0, tf.float32, tf.VariableAggregation.SUM)
        self.average: WeightAverage | None = None

    def build_model(self) -> Any:
        """The recipe's network."""
        return build_network(self._recipe, synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1)

    def keep_average(self, trainer: Any, restored: str | None) -> None:
        """Keep a moving average of the weights from here on, in the trainer's state, unless the optimiser keeps one.

        `restored` is the checkpoint that the trainer goes on from; one that was written without averages has none.
        """
        holder = self._recipe.train.optimizer
        if holder and holder.use_moving_average:
            return
        self.average = trainer.checkpoint.average = WeightAverage(trainer.model)
        if not restored or not any(name.startswith("average/") for name, _ in tf.train.list_variables(restored)):
            self.average.begin(trainer.model)

    @no_autograph  # type: ignore[untyped-decorator]
    def train_step(self, inputs: Any, model: Any, optimizer: Any, metrics: Any = None) -> Any:
        """TF-Vision's step, and then the average's."""
        logs = super().train_step(inputs, model, optimizer, metrics)
        if self.average:
            self.average.update(model)
        return logs

    def create_optimizer(self, optimizer_config: Any, runtime_config: Any = None, dp_config: Any = None) -> Any:
        """The recipe's optimiser, with loss scaling where it computes in float16."""
        from official.modeling import performance

        optimizer = build_optimizer(self._recipe)
        return performance.configure_optimizer(
            optimizer, use_float16=bool(runtime_config and runtime_config.mixed_precision_dtype == "float16")
        )

    def initialize(self, model: Any) -> None:
        """Nothing: warm starts are the run's business, before the trainer begins."""

    def build_inputs(self, params: Any, input_context: Any = None) -> Any:
        """Batches of preprocessed photos and anchor targets, from the run's first step on."""
        return batches(self._recipe, self._photos, self._seed, self._first_step, input_context)

    def build_losses(self, outputs: Any, labels: Any, aux_losses: Any = None) -> Any:
        """Total, classification, localisation, and total without the regularisers."""
        classification, localisation = losses(self._recipe, outputs, labels)
        model_loss = classification + localisation
        total = model_loss
        if aux_losses and self._recipe.train.add_regularization_loss:
            total += tf.add_n([tf.cast(loss, tf.float32) for loss in aux_losses])
        step = self.steps_done + 1
        self.steps_done.assign(step)
        # Not `~(loss < EXPLODED)`: TensorFlow's optimiser turns that into `>=`, which no NaN fulfils
        self.first_loss.assign(tf.where(self.first_loss == 0.0, model_loss, self.first_loss))
        exploded = model_loss >= EXPLODED * tf.maximum(self.first_loss, 1.0)
        broken = tf.math.is_nan(model_loss) | tf.math.is_inf(model_loss) | exploded
        self.broken_step.assign(tf.where(broken & (self.broken_step == 0), step, self.broken_step))
        return total, classification, localisation, model_loss
