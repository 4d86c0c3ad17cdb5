"""TF-Vision's RetinaNet task with the recipe's network, input, losses and optimiser in place of its own."""

from typing import Any

from official.vision.configs import retinanet as configs
from official.vision.tasks import retinanet

from ...input import TrainingPhotos
from ...loop import Loop
from ...tf import tf
from .examples import DetectExamples
from .network.model import build_network
from .recipe import Recipe
from .schedule import build_optimizer
from .targets import losses


class DetectLoop(Loop, retinanet.RetinaNetTask):  # type: ignore[misc]
    """What TF-Vision's trainer asks for: model, inputs, losses, optimiser."""

    def __init__(self, recipe: Recipe, photos: TrainingPhotos, seed: int, first_step: int) -> None:
        """The run begins at `first_step`."""
        config = configs.RetinaNetTask(
            train_data=configs.DataConfig(is_training=True, global_batch_size=recipe.batch_size),
            validation_data=configs.DataConfig(is_training=False),
        )
        super().__init__(recipe, config, DetectExamples(recipe), photos, seed, first_step)
        self._detect = recipe

    def build_model(self) -> Any:
        """The recipe's network."""
        return build_network(self._detect, synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1)

    def create_optimizer(self, optimizer_config: Any, runtime_config: Any = None, dp_config: Any = None) -> Any:
        """The recipe's optimiser, with loss scaling where it computes in float16."""
        from official.modeling import performance

        optimizer = build_optimizer(self._detect)
        return performance.configure_optimizer(
            optimizer, use_float16=bool(runtime_config and runtime_config.mixed_precision_dtype == "float16")
        )

    def build_losses(self, outputs: Any, labels: Any, aux_losses: Any = None) -> Any:
        """Total, classification, localisation, and total without the regularisers."""
        classification, localisation = losses(self._detect, outputs, labels)
        model_loss = classification + localisation
        total = model_loss
        if aux_losses and self._detect.train.add_regularization_loss:
            total += tf.add_n([tf.cast(loss, tf.float32) for loss in aux_losses])
        self.watch(model_loss)
        return total, classification, localisation, model_loss
