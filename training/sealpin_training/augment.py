"""A recipe's data_augmentation_options on one photo, in the recipe's order.

Photos are uint8 [height, width, 3]; boxes float [N, 4] as ymin, xmin, ymax, xmax in 0..1. A box that a crop leaves out
becomes all zeros, which TF-Vision's parser drops together with its class.
"""

from collections.abc import Callable
from typing import Any

from .quiet import tensorflow
from .recipe import Recipe
from .recipe.schema import PreprocessingStep, RandomAdjustBrightness, RandomAdjustContrast, RandomCropImage

Augment = Callable[[Any, Any], tuple[Any, Any]]


def augmentations(recipe: Recipe) -> list[Augment]:
    """One function of (photo, boxes) for each step of the recipe."""
    return [_augmentation(step) for step in recipe.train.data_augmentation_options]


def crops(recipe: Recipe) -> bool:
    """Whether a step needs the photo in its full size."""
    return any(step.random_crop_image for step in recipe.train.data_augmentation_options)


def _augmentation(step: PreprocessingStep) -> Augment:
    from official.vision.ops import preprocess_ops

    if step.random_horizontal_flip:
        chance = step.random_horizontal_flip.probability
        return lambda photo, boxes: preprocess_ops.random_horizontal_flip(photo, boxes, prob=chance)[:2]
    if step.random_vertical_flip:
        likelihood = step.random_vertical_flip.probability
        return lambda photo, boxes: preprocess_ops.random_vertical_flip(photo, boxes, prob=likelihood)[:2]
    if step.random_rotation90:
        return _random_rotation90
    if step.random_crop_image:
        return _random_crop(step.random_crop_image)
    if step.random_adjust_brightness:
        return _random_brightness(step.random_adjust_brightness)
    if step.random_adjust_contrast:
        return _random_contrast(step.random_adjust_contrast)
    raise ValueError(f"no augmentation for {step}")


def _random_rotation90(photo: Any, boxes: Any) -> tuple[Any, Any]:
    """Half of the photos turn counter-clockwise."""
    tf = tensorflow()

    def turned() -> tuple[Any, Any]:
        ymin, xmin, ymax, xmax = tf.unstack(boxes, num=4, axis=-1)
        return tf.image.rot90(photo), tf.stack([1.0 - xmax, ymin, 1.0 - xmin, ymax], axis=-1)

    return tf.cond(tf.random.uniform([]) < 0.5, turned, lambda: (photo, boxes))  # type: ignore[no-any-return]


def _random_crop(crop: RandomCropImage) -> Augment:
    """TF-Vision's SSDRandomCrop with one case: it is the API's random_crop_image with the names changed."""
    from official.vision.configs import common
    from official.vision.ops import augment

    cropper = augment.SSDRandomCrop(
        params=[
            common.SSDRandomCropParam(
                min_object_covered=crop.min_object_covered,
                min_box_overlap=crop.overlap_thresh,
                prob_to_apply=1.0 - crop.random_coef,
            )
        ],
        aspect_ratio_range=(crop.min_aspect_ratio, crop.max_aspect_ratio),
        area_range=(crop.min_area, crop.max_area),
    )
    return cropper.distort_with_boxes  # type: ignore[no-any-return]


def _random_brightness(step: RandomAdjustBrightness) -> Augment:
    tf = tensorflow()

    return lambda photo, boxes: (tf.image.random_brightness(photo, step.max_delta), boxes)


def _random_contrast(step: RandomAdjustContrast) -> Augment:
    tf = tensorflow()

    return lambda photo, boxes: (tf.image.random_contrast(photo, step.min_delta, step.max_delta), boxes)
