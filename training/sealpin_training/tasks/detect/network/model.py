"""The whole network behind a few functions: built from a recipe, fed with photos, its outputs turned into detections.

Photos are uint8 RGB, [batch, height, width, 3], already resized to the recipe's input by sealpin_edge.model.photo, so
that training's evaluation, every export and the station see the same pixels.
"""

from typing import Any

import numpy as np

from ....tf import no_autograph, tf, tf_keras
from ..anchors import Anchors
from ..recipe import Recipe
from .backbones import build_backbone
from .fpn import build_fpn
from .head import build_head

# What the extractors subtract (object_detection/models/ssd_resnet_v1_fpn_keras_feature_extractor.py)
RESNET_MEANS = (123.68, 116.779, 103.939)


@no_autograph  # type: ignore[untyped-decorator]
def build_network(recipe: Recipe, *, synchronized: bool = False) -> Any:
    """The recipe's network, randomly initialised: TF-Vision's RetinaNetModel of the API's backbone, FPN and head.

    With `synchronized`, batch normalisation takes its statistics over all replicas of a distributed batch. Called with
    preprocessed photos and `training=True`, it returns `cls_outputs` and `box_outputs` by level.
    """
    from official.vision.modeling import retinanet_model

    with tf.variable_creator_scope(_read_of_one_replica):
        backbone = build_backbone(recipe, synchronized=synchronized)
        fpn = build_fpn(recipe, backbone.output_specs, synchronized=synchronized)
        shapes = {level: tensor.shape for level, tensor in fpn.output.items()}
        head = build_head(recipe, shapes, synchronized=synchronized)
        model = retinanet_model.RetinaNetModel(backbone, fpn, head, detection_generator=None)
        model(tf_keras.Input([recipe.resizer.height, recipe.resizer.width, 3]), training=True)
    return model


def _read_of_one_replica(create: Any, **asked: Any) -> Any:
    """Make a variable; of means and variances one replica's are read, since every replica's are the same.

    Keras would read their mean over the replicas: among workers a message for each of a hundred, whenever the network
    is judged or saved.
    """
    if asked.get("synchronization") is tf.VariableSynchronization.ON_READ:
        asked["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return create(**asked)


def named_variables(model: Any) -> dict[str, Any]:
    """The network's variables by the names that they have in the API's checkpoints, below `model/`."""
    parts = {
        **{
            f"_feature_extractor/classification_backbone/layer_with_weights-{number}": layer
            for number, layer in enumerate(layer for layer in model.backbone.layers if layer.weights)
        },
        **{f"_feature_extractor/_{layer.name}": layer for layer in model.decoder.layers},
        **{f"_box_predictor/_{layer.name}": layer for layer in model.head.layers},
    }
    return {
        f"{name}/{variable.name.rpartition('/')[2].removesuffix(':0')}": variable
        for name, layer in parts.items()
        for variable in layer.weights
    }


def preprocess(recipe: Recipe, photos: Any) -> Any:
    """uint8 or 0..255 float photos to the network's input, float32."""
    pixels = tf.cast(photos, tf.float32)
    if recipe.backbone == "ResNet50":
        return pixels - RESNET_MEANS
    return pixels * (2.0 / 255.0) - 1.0


def anchors(recipe: Recipe) -> Any:
    """All anchors [A, 4] in the order of the raw outputs: ymin, xmin, ymax, xmax in pixels of the input, float32."""
    return np.concatenate([boxes.reshape(-1, 4) for boxes in Anchors.of(recipe).boxes().values()])


def raw_outputs(recipe: Recipe, outputs: Any) -> tuple[Any, Any]:
    """The network's outputs of all levels in one: box encodings [B, A, 4] and logits [B, A, classes + 1]."""

    def flat(levels: Any, last: int) -> Any:
        return tf.concat([tf.reshape(tensor, [tf.shape(tensor)[0], -1, last]) for tensor in levels.values()], axis=1)

    return flat(outputs["box_outputs"], 4), flat(outputs["cls_outputs"], recipe.ssd.num_classes + 1)


def decode(recipe: Recipe, encoded: Any, boxes: Any) -> Any:
    """Box encodings [..., A, 4] on anchors [A, 4] to boxes of the anchors' unit (faster_rcnn_box_coder.py)."""
    coder = recipe.coder
    ty, tx, th, tw = tf.unstack(
        encoded / [coder.y_scale, coder.x_scale, coder.height_scale, coder.width_scale], axis=-1
    )
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    height, width = ymax - ymin, xmax - xmin
    y, x = ty * height + ymin + height / 2, tx * width + xmin + width / 2
    half_height, half_width = tf.exp(th) * height / 2, tf.exp(tw) * width / 2
    return tf.stack([y - half_height, x - half_width, y + half_height, x + half_width], axis=-1)


def detector(recipe: Recipe, model: Any) -> Any:
    """A tf.function from uint8 photos of the network's size to detections.

    It returns boxes [B, N, 4] (ymin, xmin, ymax, xmax, clipped to 0..1), scores [B, N], classes [B, N] counted from 0,
    and count [B]; N is the recipe's max_total_detections.
    """

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None, recipe.resizer.height, recipe.resizer.width, 3], tf.uint8)],
        autograph=False,
    )
    def detect(photos: Any) -> Any:
        return detections(recipe, model, preprocess(recipe, photos))

    return detect


def detections(recipe: Recipe, model: Any, inputs: Any) -> Any:
    """Detections on preprocessed photos [B, height, width, 3], as `detector` returns them."""
    height, width = recipe.resizer.height, recipe.resizer.width
    encoded, logits = raw_outputs(recipe, forward(model, inputs))
    boxes = decode(recipe, encoded, anchors(recipe) / np.array([height, width, height, width], np.float32))
    return _clipped(*_suppress(boxes, scores(recipe, logits), recipe))


def forward(model: Any, inputs: Any) -> dict[str, Any]:
    """Preprocessed photos to raw outputs by level, as when a part is judged."""
    logits, boxes, _ = model.head(model.decoder(model.backbone(inputs, training=False), training=False), training=False)
    return {"cls_outputs": logits, "box_outputs": boxes}


def scores(recipe: Recipe, logits: Any) -> Any:
    """Logits [..., classes + 1] to scores [..., classes]: the background's column is never trained to tell anything."""
    return tf.sigmoid(logits[..., 1:] / recipe.logit_scale)


def _clipped(boxes: Any, scored: Any, classes: Any, count: Any) -> Any:
    """Detections cut at the photo's edge, those wholly outside left out, best first (the API's post_processing.py)."""
    boxes = tf.clip_by_value(boxes, 0.0, 1.0)
    valid = tf.range(tf.shape(boxes)[1])[None] < count[:, None]
    valid &= (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])
    scored = tf.where(valid, scored, 0.0)
    order = tf.argsort(tf.where(valid, scored, -1.0), direction="DESCENDING", stable=True)
    boxes, scored, classes = (tf.gather(found, order, batch_dims=1) for found in (boxes, scored, classes))
    return boxes, scored, classes, tf.reduce_sum(tf.cast(valid, tf.int32), axis=1)


def _suppress(boxes: Any, scored: Any, recipe: Recipe) -> Any:
    """Non-maximum suppression as the recipe's post_processing says: class-agnostic or per class."""
    nms = recipe.nms
    if not nms.use_class_agnostic_nms:
        kept = tf.image.combined_non_max_suppression(
            boxes[:, :, None, :],
            scored,
            max_output_size_per_class=nms.max_detections_per_class,
            max_total_size=nms.max_total_detections,
            iou_threshold=nms.iou_threshold,
            score_threshold=nms.score_threshold,
            clip_boxes=False,
        )
        return kept.nmsed_boxes, kept.nmsed_scores, kept.nmsed_classes, kept.valid_detections

    def one(pair: Any) -> Any:
        photo_boxes, photo_scores = pair
        best = tf.reduce_max(photo_scores, axis=-1)
        # tf.image's function finds the same by a loop in the graph, which takes seconds to trace
        kept, count = tf.raw_ops.NonMaxSuppressionV4(
            boxes=photo_boxes,
            scores=best,
            max_output_size=nms.max_total_detections,
            iou_threshold=nms.iou_threshold,
            score_threshold=nms.score_threshold,
            pad_to_max_output_size=True,
        )
        classes = tf.cast(tf.argmax(tf.gather(photo_scores, kept), axis=-1), tf.float32)
        valid = tf.cast(tf.range(nms.max_total_detections) < count, tf.float32)
        return tf.gather(photo_boxes, kept), tf.gather(best, kept) * valid, classes, count

    spec = (tf.float32, tf.float32, tf.float32, tf.int32)
    return tf.map_fn(one, (boxes, scored), fn_output_signature=spec)
