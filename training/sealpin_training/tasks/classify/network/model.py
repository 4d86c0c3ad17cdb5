"""The whole network behind a few functions: built from a recipe, fed with photos, its scores and where it looked.

Photos are uint8 RGB, [batch, height, width, 3], already resized to the recipe's input by sealpin_edge.model.photo.
"""

from typing import Any

from ....tf import no_autograph, tf, tf_keras
from ..recipe import Recipe


@no_autograph  # type: ignore[untyped-decorator]
def build_network(recipe: Recipe, *, synchronized: bool = False) -> Any:
    """The recipe's network, randomly initialised; with a frozen backbone, whose normalisation keeps its statistics."""
    from official.vision.modeling import factory

    config = recipe.model.replace(
        norm_activation=recipe.model.norm_activation.replace(use_sync_bn=synchronized), output_softmax=False
    )
    decay = recipe.experiment.task.losses.l2_weight_decay
    # Divided by 2, as TF-Vision's task has it: tf.nn.l2_loss
    regularizer = tf_keras.regularizers.l2(decay / 2.0) if decay else None
    shape = [None, recipe.height, recipe.width, 3]
    model = factory.build_classification_model(
        input_specs=tf_keras.layers.InputSpec(shape=shape), model_config=config, l2_regularizer=regularizer
    )
    model(tf_keras.Input(shape[1:]), training=False)
    if recipe.experiment.task.freeze_backbone:
        model.backbone.trainable = False
    return model


def preprocess(photos: Any) -> Any:
    """uint8 or 0..255 float photos to the network's input, -1..1, float32."""
    return tf.cast(photos, tf.float32) * (2.0 / 255.0) - 1.0


def class_maps(recipe: Recipe, model: Any, inputs: Any) -> Any:
    """Preprocessed photos to class activation maps [B, rows, columns, classes], float32, as when a part is judged.

    Their mean over the places are the logits: the last layer is applied to every place instead of to the mean of all,
    which is the same, since both are linear (Zhou et al., CVPR 2016). One unit's map is that of the second class, and
    the first's is 0.
    """
    endpoints = model.backbone(inputs, training=False)
    return head_maps(recipe, model, endpoints[max(endpoints)])


def head_maps(recipe: Recipe, model: Any, features: Any) -> Any:
    """The backbone's last features to class activation maps; see `class_maps`."""
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):  # add_head_batch_norm
            features = layer(features, training=False)
    kernel, bias = last_layer(model).weights
    maps = tf.nn.conv2d(features, kernel[None, None], 1, "VALID") + bias
    maps = tf.cast(maps, tf.float32)
    return tf.concat([tf.zeros_like(maps), maps], axis=-1) if recipe.one_unit else maps


def last_layer(model: Any) -> Any:
    """The dense layer that gives the logits."""
    return next(layer for layer in reversed(model.layers) if isinstance(layer, tf_keras.layers.Dense))


def scores(maps: Any) -> Any:
    """Class activation maps to probabilities [B, classes]."""
    return tf.nn.softmax(tf.reduce_mean(maps, axis=(1, 2)))


def classifier(recipe: Recipe, model: Any) -> Any:
    """A tf.function from uint8 photos of the network's size to probabilities [B, classes] and maps."""

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None, recipe.height, recipe.width, 3], tf.uint8)], autograph=False
    )
    def classify(photos: Any) -> Any:
        maps = class_maps(recipe, model, preprocess(photos))
        return scores(maps), maps

    return classify
