"""TF-Vision's classification task with the recipe's network, input and loss in place of its own."""

from typing import Any

from official.modeling import optimization, performance
from official.vision.tasks import image_classification

from ...input import TrainingPhotos
from ...loop import Loop
from ...tf import tf, tf_keras
from .examples import ClassifyExamples
from .network.model import build_network, with_both
from .recipe import Recipe


class ClassifyLoop(Loop, image_classification.ImageClassificationTask):  # type: ignore[misc]
    """What TF-Vision's trainer asks for: model, inputs, losses, optimiser."""

    def __init__(self, recipe: Recipe, photos: TrainingPhotos, seed: int, first_step: int) -> None:
        """The run begins at `first_step`."""
        config = recipe.experiment.task
        # Labels come as one weight for each class
        losses = config.losses.replace(one_hot=False, soft_labels=False, use_binary_cross_entropy=False)
        config = config.replace(losses=losses, init_checkpoint=None)
        counts = photos.counts if recipe.class_balance == "weights" else ()
        super().__init__(recipe, config, ClassifyExamples(recipe, counts), photos, seed, first_step)
        self._classify = recipe

    def build_model(self) -> Any:
        """The recipe's network."""
        return build_network(self._classify, synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1)

    def create_optimizer(self, optimizer_config: Any, runtime_config: Any = None, dp_config: Any = None) -> Any:
        """TF-Vision's own, with loss scaling where it computes in float16."""
        factory = optimization.OptimizerFactory(self._classify.experiment.trainer.optimizer_config)
        optimizer = factory.build_optimizer(factory.build_learning_rate())
        return performance.configure_optimizer(
            optimizer, use_float16=bool(runtime_config and runtime_config.mixed_precision_dtype == "float16")
        )

    def build_losses(self, labels: Any, model_outputs: Any, aux_losses: Any = None) -> Any:
        """Cross entropy of the photos' classes, each as its label weighs, of labelled places, and the regularisers.

        `labels` are of ClassifyExamples.finish: [B, classes], and [B, rows, columns].
        """
        classes, places = labels
        told = tf.nn.log_softmax(with_both(self._classify, model_outputs["logits"]))
        own = -tf.reduce_mean(tf.reduce_sum(classes * told, axis=-1))
        if self._classify.places_weight:
            maps = with_both(self._classify, model_outputs["maps"])
            own += self._classify.places_weight * places_loss(maps, places)
        self.watch(own)
        total = own + (tf.add_n(aux_losses) if aux_losses else 0.0)
        return total * self._classify.experiment.task.losses.loss_weight

    def build_metrics(self, training: bool = True) -> Any:
        """How many of a batch's photos are told rightly."""
        return [tf_keras.metrics.CategoricalAccuracy(name="accuracy")]

    def process_metrics(self, metrics: Any, labels: Any, model_outputs: Any, **_: Any) -> None:
        """By the likeliest class."""
        for metric in metrics:
            metric.update_state(labels[0], with_both(self._classify, model_outputs["logits"]))


def places_loss(maps: Any, places: Any) -> Any:
    """Cross entropy of each place's class by its map [B, rows, columns, classes]: the mean of the classes' own means.

    `places` [B, rows, columns] have a class's number, or UNKNOWN. A defect covers few places, and weighs as much as all
    that is good.
    """
    number = maps.shape[-1]
    of_class = tf.one_hot(places, number)  # UNKNOWN is of none
    found = -tf.reduce_sum(of_class * tf.nn.log_softmax(maps), axis=(0, 1, 2))
    counts = tf.reduce_sum(of_class, axis=(0, 1, 2))
    means = found / tf.maximum(counts, 1.0)
    return tf.reduce_sum(means) / tf.maximum(tf.reduce_sum(tf.cast(counts > 0, tf.float32)), 1.0)
