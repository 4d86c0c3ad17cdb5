"""The trained network as TensorFlow functions to export: for TensorFlow Serving, and for TFLite."""

from typing import Any

from sealpin_training.network import build_network, detector, normalise, restore
from sealpin_training.quiet import tensorflow
from sealpin_training.recipe import Recipe
from sealpin_training.run import Run


def serving_module(run: Run) -> Any:
    """A tf.Module with the signature of the Object Detection API's exported models.

    `input_tensor`, uint8 RGB [1, height, width, 3] of any size, to `detection_boxes` [1, N, 4] (ymin, xmin, ymax,
    xmax in 0..1), `detection_scores`, `detection_classes` (counted from 1) and `num_detections`, all float32.
    """
    tf = tensorflow()

    recipe = run.recipe()
    model = build_network(recipe)
    restore(model, run.checkpoints)
    detect = detector(recipe, model)
    size = (recipe.resizer.height, recipe.resizer.width)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")])  # type: ignore[untyped-decorator]
    def serve(input_tensor: Any) -> dict[str, Any]:
        stretched = tf.cast(tf.round(tf.image.resize(input_tensor, size)), tf.uint8)
        boxes, scores, classes, count = detect(stretched)
        return {
            "detection_boxes": boxes,
            "detection_scores": scores,
            "detection_classes": tf.cast(classes, tf.float32) + 1.0,
            "num_detections": tf.cast(count, tf.float32),
        }

    return _module(model, serve)


def tflite_module(run: Run, *, float_input: bool) -> Any:
    """A tf.Module for the TFLite converter: one photo of the model's size in, TFLite_Detection_PostProcess at the end.

    The photo is uint8, or float32 of 0..255 for a converter that makes the input uint8 itself. Classes count from 0.
    """
    tf = tensorflow()

    recipe = run.recipe()
    model = build_network(recipe, decoded=False)
    restore(model, run.checkpoints)
    shape = [1, recipe.resizer.height, recipe.resizer.width, 3]
    kind = tf.float32 if float_input else tf.uint8

    @tf.function(input_signature=[tf.TensorSpec(shape, kind, name="images")])  # type: ignore[untyped-decorator]
    def detect(images: Any) -> dict[str, Any]:
        features = model.decoder(model.backbone(normalise(images), training=False), training=False)
        scores, boxes, _ = model.head(features, training=False)
        scores = {level: _without_background(logits, recipe) for level, logits in scores.items()}
        found = model.detection_generator(boxes, scores, _anchors(recipe), None)
        return {
            "detection_boxes": found["detection_boxes"],
            "detection_classes": found["detection_classes"],
            "detection_scores": found["detection_scores"],
            "num_detections": found["num_detections"],
        }

    return _module(model, detect)


def _module(model: Any, function: Any) -> Any:
    tf = tensorflow()

    module = tf.Module()
    module.model, module.function = model, function
    return module


def _without_background(logits: Any, recipe: Recipe) -> Any:
    """[1, h, w, anchors * (classes + 1)] to [1, h, w, anchors * classes]: TF-Vision's column 0 is never trained."""
    tf = tensorflow()

    _, height, width, channels = logits.shape
    classes = recipe.ssd.num_classes
    anchors = channels // (classes + 1)
    return tf.reshape(
        tf.reshape(logits, [1, height * width * anchors, classes + 1])[:, :, 1:], [1, height, width, anchors * classes]
    )


def _anchors(recipe: Recipe) -> Any:
    from official.vision.ops import anchor

    found = anchor.Anchor(
        min_level=recipe.fpn.min_level,
        max_level=recipe.fpn.max_level,
        num_scales=recipe.anchors.scales_per_octave,
        aspect_ratios=list(recipe.anchors.aspect_ratios),
        anchor_size=recipe.anchors.anchor_scale,
        image_size=(recipe.resizer.height, recipe.resizer.width),
    )
    return {level: boxes[None] for level, boxes in found.multilevel_boxes.items()}
