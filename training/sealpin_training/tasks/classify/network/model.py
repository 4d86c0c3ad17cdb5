"""The whole network behind a few functions: built from a recipe, fed with photos, its scores and where it looked.

Photos are uint8 RGB, [batch, height, width, 3], already resized to the recipe's input by sealpin_edge.model.photo.
"""

from typing import Any

from ....tf import no_autograph, tf, tf_keras
from ..recipe import Recipe

HEAD, GAUGE = "head", "gauge"


@no_autograph  # type: ignore[untyped-decorator]
def build_network(recipe: Recipe, *, synchronized: bool = False) -> Any:
    """The recipe's network, randomly initialised: photos to `logits` and `maps`.

    Its backbone is TF-Vision's, and what follows is its head with the last layer applied to every place instead of to
    the mean of all, which is the same, since both are linear (Zhou et al., CVPR 2016): the means of the maps are the
    logits, as the Gauge shows them. A frozen backbone, and frozen normalisation, keep what they have.
    """
    from official.vision.modeling.backbones import factory

    config = recipe.model.replace(norm_activation=recipe.model.norm_activation.replace(use_sync_bn=synchronized))
    decay = recipe.experiment.task.losses.l2_weight_decay
    # Divided by 2, as TF-Vision's task has it: tf.nn.l2_loss
    regularizer = tf_keras.regularizers.l2(decay / 2.0) if decay else None
    shape = [None, recipe.height, recipe.width, 3]
    backbone = factory.build_backbone(
        tf_keras.layers.InputSpec(shape=shape), config.backbone, config.norm_activation, regularizer
    )
    inputs = tf_keras.Input(shape[1:])
    features = backbone(inputs)
    features = features[max(features)]
    if config.add_head_batch_norm:
        norm = config.norm_activation
        features = tf_keras.layers.BatchNormalization(
            momentum=norm.norm_momentum, epsilon=norm.norm_epsilon, synchronized=norm.use_sync_bn
        )(features)
    # Of whole channels, as dropout behind the pooling would be
    features = tf_keras.layers.SpatialDropout2D(config.dropout_rate)(features)
    head = tf_keras.layers.Conv2D(
        config.num_classes, 1, kernel_initializer=config.kernel_initializer, kernel_regularizer=regularizer, name=HEAD
    )
    maps = head(features)
    logits = Gauge(name=GAUGE)(tf_keras.layers.GlobalAveragePooling2D()(maps))
    model = tf_keras.Model(inputs, {"logits": logits, "maps": maps})
    model.backbone = backbone
    if recipe.experiment.task.freeze_backbone:
        backbone.trainable = False
    elif recipe.frozen_normalisation:
        for layer in backbone._flatten_layers(include_self=False, recursive=True):
            if isinstance(layer, tf_keras.layers.BatchNormalization):
                layer.trainable = False
    return model


def preprocess(photos: Any) -> Any:
    """uint8 or 0..255 float photos to the network's input, -1..1, float32."""
    return tf.cast(photos, tf.float32) * (2.0 / 255.0) - 1.0


class Gauge(tf_keras.layers.Layer):  # type: ignore[misc]
    """Logits moved and then scaled, by class: by 0 and 1 in training, and where it is judged, by what val says."""

    def build(self, shape: Any) -> None:
        """A number of each for every class."""
        self.shift = self.add_weight("shift", shape[-1:], initializer="zeros", trainable=False)
        self.factor = self.add_weight("factor", shape[-1:], initializer="ones", trainable=False)

    def call(self, logits: Any) -> Any:
        """Logits [B, classes]."""
        return (logits + self.shift) * self.factor


def class_maps(recipe: Recipe, model: Any, inputs: Any) -> Any:
    """Preprocessed photos to class activation maps [B, rows, columns, classes], float32, as when a part is judged.

    Their means over the places are the logits. One unit's map is that of the second class, and the first's is 0.
    """
    return head_maps(recipe, model, model.backbone(inputs, training=False))


def head_maps(recipe: Recipe, model: Any, endpoints: Any) -> Any:
    """What a backbone gives, by level, to class activation maps; see `class_maps`."""
    features, (head, gauge) = endpoints[max(endpoints)], head_layers(model)
    for layer in model.layers[model.layers.index(model.backbone) :]:
        if isinstance(layer, tf_keras.layers.BatchNormalization):  # add_head_batch_norm
            features = layer(features, training=False)
    kernel, bias = head.kernel * gauge.factor, (head.bias + gauge.shift) * gauge.factor
    return with_both(recipe, tf.nn.conv2d(features, kernel, 1, "VALID") + bias)


def with_both(recipe: Recipe, logits: Any) -> Any:
    """Logits of all classes [..., classes], float32; of one unit, that of the second class, beside 0 for the first."""
    logits = tf.cast(logits, tf.float32)
    return tf.concat([tf.zeros_like(logits), logits], axis=-1) if recipe.one_unit else logits


def head_layers(model: Any) -> list[Any]:
    """The 1x1 convolution that gives the maps, and the Gauge."""
    return [layer for layer in model.layers if layer.name in (HEAD, GAUGE)]


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
