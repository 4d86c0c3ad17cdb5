"""Augmentations: a box stays on the thing that it marked."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sealpin_training.augment import _augmentation
from sealpin_training.recipe.schema import (
    PreprocessingStep,
    RandomAdjustBrightness,
    RandomAdjustContrast,
    RandomCropImage,
    RandomHorizontalFlip,
    RandomRotation90,
    RandomVerticalFlip,
)

SIDE = 60
BOX = np.array([[10, 30, 22, 48]], np.float32) / SIDE  # ymin, xmin, ymax, xmax


def marked() -> Any:
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    photo[10:22, 30:48] = 200
    return photo


def runs(step: PreprocessingStep, times: int = 40) -> list[tuple[Any, Any]]:
    import tensorflow as tf

    augment: Callable[[Any, Any], Any] = _augmentation(step)
    photos = tf.data.Dataset.from_tensors((marked(), BOX)).repeat(times)
    return [(photo.numpy(), boxes.numpy()) for photo, boxes in photos.map(augment)]


@pytest.mark.parametrize(
    "step",
    [
        PreprocessingStep(random_horizontal_flip=RandomHorizontalFlip()),
        PreprocessingStep(random_vertical_flip=RandomVerticalFlip()),
        PreprocessingStep(random_rotation90=RandomRotation90()),
        PreprocessingStep(random_crop_image=RandomCropImage(min_object_covered=1.0, min_area=0.4)),
    ],
)
def test_the_box_goes_with_the_photo(step: PreprocessingStep) -> None:
    moved = 0
    for photo, boxes in runs(step):
        rows, columns = np.nonzero(photo[..., 0] > 100)
        height, width = photo.shape[:2]
        wanted = [rows.min() / height, columns.min() / width, (rows.max() + 1) / height, (columns.max() + 1) / width]
        np.testing.assert_allclose(boxes[0], wanted, atol=0.02)
        moved += not np.allclose(boxes, BOX)
    assert 8 <= moved <= 40, "about half of the photos change, or all of them for a crop"


@pytest.mark.parametrize(
    "step",
    [
        PreprocessingStep(random_adjust_brightness=RandomAdjustBrightness(max_delta=0.2)),
        PreprocessingStep(random_adjust_contrast=RandomAdjustContrast()),
    ],
)
def test_light_changes_and_boxes_stay(step: PreprocessingStep) -> None:
    results = runs(step)
    assert all(np.array_equal(boxes, BOX) for _, boxes in results)
    assert len({photo.tobytes() for photo, _ in results}) > 10


def test_a_box_outside_the_crop_becomes_empty() -> None:
    step = PreprocessingStep(
        random_crop_image=RandomCropImage(min_object_covered=0.0, min_area=0.05, max_area=0.1, overlap_thresh=0.9)
    )
    assert any(not boxes.any() for _, boxes in runs(step))
