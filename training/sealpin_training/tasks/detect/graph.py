"""The trained network as TensorFlow functions to export: for TensorFlow Serving, and for TFLite."""

from typing import Any

import numpy as np

from ...quiet import tensorflow
from ...serving import with_decoders
from .anchors import Anchors
from .network.model import (
    detections,
    forward,
    preprocess,
    raw_outputs,
)
from .recipe import Recipe

# So many anchors of each class, the best ones, are decoded and suppressed, so that no photo takes longer for what is on
# it. Of each class, since a crowd of one must not hide another
SUPPRESSED = 300


def serving_module(recipe: Recipe, model: Any) -> tuple[Any, dict[str, Any]]:
    """The network as a tf.Module that is called as the Object Detection API's exported models are, and its signatures.

    Input `input_tensor`: uint8 RGB [1, height, width, 3] of any size (`serving_default`), or photos as files or as
    tf.Example [B]. Out: `detection_boxes` [B, N, 4] (ymin, xmin, ymax, xmax in 0..1), `detection_scores`,
    `detection_classes` (counted from 1) and `num_detections`, all float32.
    """
    tf = tensorflow()

    def detect(photos: Any) -> dict[str, Any]:
        boxes, scores, classes, count = detections(recipe, model, preprocess(recipe, photos))
        return {
            "detection_boxes": boxes,
            "detection_scores": scores,
            "detection_classes": tf.cast(classes, tf.float32) + 1.0,
            "num_detections": tf.cast(count, tf.float32),
        }

    return with_decoders(model, detect, recipe.height, recipe.width)


def tflite_module(recipe: Recipe, model: Any, *, float_input: bool, least_score: float) -> Any:
    """The network as a tf.Module for the TFLite converter, with TFLite_Detection_PostProcess at the end.

    One photo of the model's size goes in: uint8, or float32 of 0..255 for a converter that makes the input uint8
    itself. Classes count from 0. Boxes below `least_score` are left out, or below the recipe's score_threshold, where
    that is higher.
    """
    tf = tensorflow()

    shape = [1, recipe.resizer.height, recipe.resizer.width, 3]
    kind = tf.float32 if float_input else tf.uint8
    post_process = _post_processing(recipe, max(recipe.nms.score_threshold, least_score))
    anchors = _AnchorTable(recipe)
    count = min(SUPPRESSED, anchors.count)

    @tf.function(input_signature=[tf.TensorSpec(shape, kind, name="images")], autograph=False)  # type: ignore[untyped-decorator]
    def detect(images: Any) -> dict[str, Any]:
        encoded, logits = raw_outputs(recipe, forward(model, preprocess(recipe, images)))
        logits = logits[..., 1:] / recipe.logit_scale
        by_class = tf.transpose(tf.squeeze(logits, 0))
        best = tf.reshape(tf.math.top_k(by_class, count).indices, [-1])
        boxes, classes, scores, found = post_process(
            tf.gather(encoded, best, axis=1),
            tf.sigmoid(tf.gather(logits, best, axis=1)),
            anchors.look_up(best),
        )
        return {
            "detection_boxes": boxes,
            "detection_classes": classes,
            "detection_scores": scores,
            "num_detections": found,
        }

    return _module(model, detect)


def _module(model: Any, function: Any) -> Any:
    tf = tensorflow()

    module = tf.Module()
    # The variables alone: were the Keras models kept, saving would trace each of them once more
    module.weights, module.function = model.variables, function
    return module


class _AnchorTable:
    """The anchors as the detection operator wants them: y, x of the middle, height, width, in 0..1 of the input.

    The middles of all places and the sides of each level's anchors, since the anchors themselves would be a third of
    an int8 file at 640x640. All are held as integers, bit for bit: an int8 model would hold floats in 8 bits.
    """

    def __init__(self, recipe: Recipe) -> None:
        height, width = recipe.resizer.height, recipe.resizer.width
        middles, sides = [], []
        for level, boxes in enumerate(Anchors.of(recipe).boxes().values()):
            self._kinds = boxes.shape[2]
            boxes = boxes.reshape(-1, self._kinds, 4) / np.array([height, width, height, width])
            first = boxes[:, 0]
            middle = ((first[:, :2] + first[:, 2:]) / 2).astype(np.float32).view(np.int32)
            middles.append(np.column_stack([middle, np.full(len(boxes), level * self._kinds)]))
            sides.append((boxes[0, :, 2:] - boxes[0, :, :2]).astype(np.float32).view(np.int32))
        self._middles, self._sides = np.concatenate(middles).astype(np.int32), np.concatenate(sides)
        self.count = len(self._middles) * self._kinds

    def look_up(self, index: Any) -> Any:
        """Anchors [N, 4] by their place in the network's raw outputs, [N]."""
        tf = tensorflow()

        place = index // self._kinds
        middle = tf.gather(self._middles, place)
        side = tf.gather(self._sides, middle[:, 2] + index - place * self._kinds)
        return tf.bitcast(tf.concat([middle[:, :2], side], axis=-1), tf.float32)


def _post_processing(recipe: Recipe, least_score: float) -> Any:
    """A tf.function that the converter turns into TFLite_Detection_PostProcess.

    It takes box encodings [1, N, 4], scores [1, N, classes] and anchors [N, 4]. What it computes is nothing: the
    attributes are all that counts (tensorflow/compiler/mlir/lite/utils/nms_utils.cc).
    """
    tf = tensorflow()

    coder, nms = recipe.coder, recipe.nms
    attributes = {
        "max_detections": nms.max_total_detections,
        "max_classes_per_detection": nms.max_classes_per_detection,
        "detections_per_class": nms.max_detections_per_class,
        "use_regular_nms": not nms.use_class_agnostic_nms,
        "nms_score_threshold": least_score,
        "nms_iou_threshold": nms.iou_threshold,
        "y_scale": coder.y_scale,
        "x_scale": coder.x_scale,
        "h_scale": coder.height_scale,
        "w_scale": coder.width_scale,
        "num_classes": recipe.ssd.num_classes,
    }
    fields = {bool: "b", int: "i", float: "f"}
    words = ['name: "TFLite_Detection_PostProcess"']
    for key, value in attributes.items():
        words.append(f'attr {{ key: "{key}" value {{ {fields[type(value)]}: {str(value).lower()} }} }}')

    @tf.function(experimental_implements=" ".join(words), autograph=False)  # type: ignore[untyped-decorator]
    def post_process(encoded: Any, scores: Any, anchors: Any) -> Any:
        return tuple(tf.constant(0.0, name=name) for name in ("boxes", "classes", "scores", "count"))

    return post_process
