"""The network behind one function: built from a recipe, and wrapped so that raw photos go in and detections come out.

Photos are uint8 RGB, [batch, height, width, 3], already resized to the recipe's input by sealpin_edge.photo, so that
training's evaluation, every export and the station see the same pixels. Normalisation is part of the wrapped network.
"""

from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError

from .experiment import model_config
from .quiet import tensorflow
from .recipe import Recipe

# TF-Vision's parser normalises with ImageNet's mean and standard deviation (official.vision.ops.preprocess_ops)
MEAN_RGB = (0.485 * 255, 0.456 * 255, 0.406 * 255)
STDDEV_RGB = (0.229 * 255, 0.224 * 255, 0.225 * 255)


def build_network(recipe: Recipe, *, decoded: bool = True) -> Any:
    """The recipe's detection network, randomly initialised, as a tf_keras model (see `model_config` for `decoded`)."""
    tensorflow()
    import tf_keras
    from official.vision.modeling import factory

    return factory.build_retinanet(
        input_specs=tf_keras.layers.InputSpec(shape=[None, recipe.resizer.height, recipe.resizer.width, 3]),
        model_config=model_config(recipe, decoded=decoded),
    )


def restore(model: Any, checkpoints: Path) -> int:
    """Load the newest checkpoint of a folder into the network; returns its training step.

    Raises InputError when there is none, or when it holds another network.
    """
    tf = tensorflow()

    newest = tf.train.latest_checkpoint(str(checkpoints))
    if newest is None:
        raise InputError(
            "this run has no checkpoint", where=str(checkpoints), allowed="a run that was trained", hint="sealpin train"
        )
    step = tf.Variable(0, dtype=tf.int64)
    try:
        status = tf.train.Checkpoint(model=model, global_step=step).restore(newest)
        status.assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError) as error:
        raise InputError(
            "the checkpoint is of another network than the recipe's", where=newest, found=str(error).splitlines()[0]
        ) from None
    return int(step.numpy())


def detector(recipe: Recipe, model: Any) -> Any:
    """A tf.function from uint8 photos to detections; `model` must be built with `decoded=True`.

    It returns boxes [B, N, 4] (ymin, xmin, ymax, xmax in 0..1), scores [B, N], classes [B, N] counted from 0, and count
    [B]; N is the recipe's max_total_detections.
    """
    tf = tensorflow()

    height, width = recipe.resizer.height, recipe.resizer.width

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None, height, width, 3], tf.uint8)]
    )
    def detect(photos: Any) -> Any:
        batch = tf.shape(photos)[0]
        shape = tf.tile([[float(height), float(width)]], [batch, 1])
        outputs = model(normalise(photos), image_shape=shape, training=False)
        boxes = outputs["decoded_boxes"][:, :, 0, :] / [height, width, height, width]
        return _suppress(boxes, outputs["decoded_box_scores"], recipe)

    return detect


def normalise(photos: Any) -> Any:
    """uint8 or 0..255 float photos to the network's input, float32."""
    tf = tensorflow()

    return (tf.cast(photos, tf.float32) - MEAN_RGB) / STDDEV_RGB


def _suppress(boxes: Any, scores: Any, recipe: Recipe) -> Any:
    """Non-maximum suppression as the recipe's post_processing says: class-agnostic or per class."""
    tf = tensorflow()

    nms = recipe.nms
    if not nms.use_class_agnostic_nms:
        kept = tf.image.combined_non_max_suppression(
            boxes[:, :, None, :],
            scores,
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
        kept, count = tf.image.non_max_suppression_padded(
            photo_boxes,
            best,
            nms.max_total_detections,
            iou_threshold=nms.iou_threshold,
            score_threshold=nms.score_threshold,
            pad_to_max_output_size=True,
        )
        classes = tf.cast(tf.argmax(tf.gather(photo_scores, kept), axis=-1), tf.float32)
        valid = tf.cast(tf.range(nms.max_total_detections) < count, tf.float32)
        return tf.gather(photo_boxes, kept), tf.gather(best, kept) * valid, classes, count

    spec = (tf.float32, tf.float32, tf.float32, tf.int32)
    return tf.map_fn(one, (boxes, scores), fn_output_signature=spec)
