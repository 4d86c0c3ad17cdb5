"""The weight-shared predictor, as the Object Detection API builds it (object_detection/predictors).

One tower for boxes and classes or one each, its convolutions shared by all levels, its batch normalisation each
level's own; then a predictor for boxes and one for classes, shared by all levels. Channels are anchor-major: [anchor,
ty tx th tw] and [anchor, background, class 1, ...]. Layers are named as the API's checkpoints call them.
"""

from typing import Any

from ....tf import tf, tf_keras
from ..recipe import Recipe
from .layers import Layers

BOXES, SCORES = "box_encodings", "class_predictions_with_background"


def build_head(recipe: Recipe, features: dict[str, Any], *, synchronized: bool = False) -> Any:
    """The recipe's predictor over the pyramid's features; returns scores, boxes (both by level) and no attributes.

    Scores are logits [B, h, w, anchors * (classes + 1)], boxes [B, h, w, anchors * 4], float32.
    """
    head = recipe.head
    layers = Layers.of(recipe.head_hyperparams, frozen=recipe.ssd.freeze_batchnorm, synchronized=synchronized)
    # As the API has it: without batch normalisation there is a bias, whatever `center` says
    bias = layers.batch_norm is None

    def convolution(name: str) -> Any:
        if head.use_depthwise:
            return layers.separable(
                head.depth, head.kernel_size, name, bias=bias, pointwise=head.apply_conv_hyperparams_pointwise
            )
        return layers.conv(head.depth, head.kernel_size, name, bias=bias)

    def predictor(name: str, per_anchor: int, **more: Any) -> Any:
        filters = recipe.anchors_per_location * per_anchor
        if head.use_depthwise:
            styled = head.apply_conv_hyperparams_to_heads
            return layers.separable(
                filters, head.kernel_size, name, bias=True, depthwise=styled, pointwise=styled, **more
            )
        return layers.conv(filters, head.kernel_size, name, bias=True, **more)

    def tower(scope: str) -> list[Any]:
        return [convolution(f"head_scope_conv_layers/{scope}/{n}") for n in range(head.num_layers_before_predictor)]

    def apply(convolutions: list[Any], x: Any, name: str) -> Any:
        # The API counts convolution, normalisation and activation in one list
        step = 3 if layers.batch_norm else 2
        for number, conv in enumerate(convolutions):
            x = layers.activate(layers.normalise(conv(x), f"{name}/{step * number + 1}"))
        return x

    inputs = {level: tf_keras.Input(shape[1:]) for level, shape in features.items()}
    if head.share_prediction_tower:
        shared = tower("PredictionTower")
    else:
        box_tower, class_tower = tower("BoxPredictionTower"), tower("ClassPredictionTower")
    box_predictor = predictor("box_prediction_head/_box_encoder_layers/0", 4)
    number = 1 if head.use_dropout else 0
    class_predictor = predictor(
        f"prediction_heads/{SCORES}/_class_predictor_layers/{number}",
        recipe.ssd.num_classes + 1,
        bias_initializer=tf_keras.initializers.Constant(head.class_prediction_bias_init),
    )
    scores, boxes = {}, {}
    for index, (level, x) in enumerate(inputs.items()):
        norms = "base_tower_layers_for_heads"
        if head.share_prediction_tower:
            box_features = class_features = apply(shared, x, f"{norms}/{BOXES}/{index}")
        else:
            box_features = apply(box_tower, x, f"{norms}/{BOXES}/{index}")
            class_features = apply(class_tower, x, f"{norms}/{SCORES}/{index}")
        if head.use_dropout:
            class_features = tf_keras.layers.Dropout(1.0 - head.dropout_keep_probability)(class_features)
        encoded = box_predictor(box_features)
        if clip := head.box_encodings_clip_range:
            encoded = tf.clip_by_value(encoded, clip.min, clip.max)
        boxes[level] = tf.cast(encoded, tf.float32)
        scores[level] = tf.cast(class_predictor(class_features), tf.float32)
    return tf_keras.Model(inputs, [scores, boxes, {}], name="head")
