"""Augmentations: a box stays on the thing that it marked, and the draws are distributed as the API's are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sealpin_edge.model.photo import stretch
from sealpin_training.tasks.detect.augment import View, augmented
from sealpin_training.tasks.detect.recipe import Recipe, load_recipe

from .conftest import small_recipe

SIDE = 60
BOX = np.array([[10, 30, 22, 48]], np.float32) / SIDE  # ymin, xmin, ymax, xmax
STEPS = """data_augmentation_options { random_horizontal_flip {} }
  data_augmentation_options { random_vertical_flip {} }
  data_augmentation_options { random_rotation90 {} }
  data_augmentation_options { random_adjust_brightness { max_delta: 0.15 } }
  data_augmentation_options { random_adjust_contrast { min_delta: 0.8 max_delta: 1.25 } }"""


def with_steps(folder: Path, *steps: str) -> Recipe:
    options = "\n".join(f"data_augmentation_options {{ {step} }}" for step in steps)
    return load_recipe(small_recipe(folder, (STEPS, options)))


def marked() -> Any:
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    photo[10:22, 30:48] = 200
    return photo


def runs(recipe: Recipe, times: int = 60, photo: Any = None, boxes: Any = BOX, seed: int = 7) -> list[Any]:
    """The recipe's steps on one photo, so many times: the view at its own size, boxes, labels, the network's photo."""
    found = []
    for number in range(times):
        view = View(marked() if photo is None else photo, boxes=boxes, labels=np.ones(len(boxes), np.int32))
        pixels = augmented(recipe, view, lambda step, number=number: np.random.default_rng([seed, number, step]))
        found.append((view.render(view.height, view.width).astype(np.float32), view.boxes, view.labels, pixels))
    return found


@pytest.mark.parametrize(
    ("step", "at_least"),
    [
        ("random_horizontal_flip {}", 15),
        ("random_vertical_flip { probability: 0.9 }", 40),
        ("random_rotation90 {}", 15),
        ("random_crop_image { min_object_covered: 1.0 min_area: 0.4 }", 40),
        ("ssd_random_crop {}", 20),
        ("random_pad_image {}", 40),
        ("random_image_scale {}", 0),
    ],
)
def test_the_box_goes_with_the_photo(tmp_path: Path, step: str, at_least: int) -> None:
    moved = 0
    for photo, boxes, labels, _ in runs(with_steps(tmp_path, step)):
        if not len(boxes):
            continue  # cropped away
        rows, columns = np.nonzero(photo[..., 0] > 100)
        height, width = photo.shape[:2]
        wanted = [rows.min() / height, columns.min() / width, (rows.max() + 1) / height, (columns.max() + 1) / width]
        np.testing.assert_allclose(boxes[0], wanted, atol=0.05)
        assert labels.tolist() == [1]
        moved += not np.allclose(boxes, BOX, atol=1e-3)
    assert moved >= at_least


def test_a_small_turn_keeps_the_middle_of_a_spot(tmp_path: Path) -> None:
    angles = set()
    for photo, boxes, _, _ in runs(with_steps(tmp_path, "random_rotation { max_degrees: 20 }")):
        rows, columns = np.nonzero(photo[..., 0] > 100)
        ymin, xmin, ymax, xmax = boxes[0] * SIDE
        assert abs((ymin + ymax) / 2 - (rows.mean() + 0.5)) < 0.7
        assert abs((xmin + xmax) / 2 - (columns.mean() + 0.5)) < 0.7
        assert ymin - 2.5 <= rows.min()
        assert rows.max() + 1 <= ymax + 2.5
        angles.add(round(float(boxes[0, 0]), 4))
    assert len(angles) > 30


@pytest.mark.parametrize(
    "step",
    [
        "random_adjust_brightness { max_delta: 0.2 }",
        "random_adjust_contrast {}",
        "random_adjust_hue {}",
        "random_adjust_saturation {}",
        "random_distort_color {}",
        "random_distort_color { color_ordering: 1 }",
        "random_rgb_to_gray { probability: 0.5 }",
        "random_pixel_value_scale {}",
        "random_black_patches {}",
        "random_jpeg_quality { min_jpeg_quality: 20 }",
        "adjust_gamma { gamma: 0.7 }",
        "rgb_to_gray {}",
    ],
)
def test_light_changes_and_boxes_stay(tmp_path: Path, step: str) -> None:
    photo = np.random.default_rng(1).integers(60, 200, (96, 96, 3), np.uint8)
    results = runs(with_steps(tmp_path, step), 20, photo)
    assert all(np.array_equal(boxes, BOX) for _, boxes, _, _ in results)
    assert all(found.min() >= 0 and found.max() <= 255 for _, _, _, found in results)
    different = len({found.tobytes() for _, _, _, found in results})
    assert (different == 1) if step.startswith(("adjust_gamma", "rgb_to_gray")) else different >= 2
    assert not np.array_equal(results[0][3], photo) or different > 1


def test_equal_keys_give_equal_photos_and_others_do_not(tmp_path: Path) -> None:
    recipe = with_steps(tmp_path, "random_crop_image { min_area: 0.3 }", "random_adjust_brightness {}")
    first, again, other = runs(recipe, 5), runs(recipe, 5), runs(recipe, 5, seed=8)
    assert all(np.array_equal(a[3], b[3]) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a[3], b[3]) for a, b in zip(first, other, strict=True))


def test_the_networks_photo_is_the_flipped_photo_resized_as_the_station_does(tmp_path: Path) -> None:
    """Pixels are fetched once: that must be what flipping first and resizing then would give."""
    photo = np.random.default_rng(2).integers(0, 256, (250, 250, 3), np.uint8)
    for step, turned in (
        ("random_horizontal_flip { probability: 1.0 }", photo[:, ::-1]),
        ("random_vertical_flip { probability: 1.0 }", photo[::-1]),
        ("random_rotation90 { probability: 1.0 }", np.rot90(photo)),
    ):
        ((_, _, _, found),) = runs(with_steps(tmp_path, step), 1, photo)
        assert np.abs(found - stretch(np.ascontiguousarray(turned), 96, 96)).max() <= 1


@pytest.mark.parametrize("name", ["hue", "saturation", "contrast", "brightness"])
def test_colours_change_as_tensorflow_changes_them(tmp_path: Path, name: str) -> None:
    import tensorflow as tf

    limits = "max_delta: 0.1" if name in {"hue", "brightness"} else "min_delta: 0.7 max_delta: 1.4"
    recipe = with_steps(tmp_path, f"random_adjust_{name} {{ {limits} }}")
    photo = np.random.default_rng(3).integers(40, 216, (96, 96, 3), np.uint8)
    for number, (_, _, _, found) in enumerate(runs(recipe, 5, photo)):
        low, high = (-0.1, 0.1) if name in {"hue", "brightness"} else (0.7, 1.4)
        drawn = np.random.default_rng([7, number, 0]).uniform(low, high)
        wanted = getattr(tf.image, f"adjust_{name}")(tf.constant(photo, tf.float32) / 255, drawn)
        np.testing.assert_allclose(found / 255, np.clip(wanted, 0, 1), atol=2e-3)


def test_the_originals_crop_is_distributed_as_the_apis(tmp_path: Path) -> None:
    """Area, aspect ratio and place of the windows against the op that the API calls itself."""
    import tensorflow as tf

    times, height, width = 1500, 240, 320
    step = "random_crop_image { min_object_covered: 0.0 min_aspect_ratio: 0.75 max_aspect_ratio: 3.0 min_area: 0.75 max_area: 1.0 overlap_thresh: 0.0 }"  # noqa: E501
    # Where a window lies is painted into the photo: rows in red, columns in green and blue
    photo = np.zeros((height, width, 3), np.uint8)
    photo[..., 0] = np.arange(height)[:, None]
    photo[..., 1] = (np.arange(width) // 2)[None]
    box = np.array([[0.4, 0.4, 0.5, 0.6]], np.float32)
    ours = []
    for found, boxes, _, _ in runs(with_steps(tmp_path, step), times, photo, box):
        ours.append((found.shape[0], found.shape[1], found[0, 0, 0], found[0, 0, 1] * 2))
        top, left = found[0, 0, 0], found[0, 0, 1] * 2
        wanted = (box[0] * [height, width, height, width] - [top, left, top, left]) / ([*found.shape[:2]] * 2)
        np.testing.assert_allclose(boxes[0], np.clip(wanted, 0, 1), atol=0.01)

    def api(_: Any) -> Any:
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            [height, width, 3], box[:, None], min_object_covered=0.0, aspect_ratio_range=(0.75, 3.0),
            area_range=(0.75, 1.0), max_attempts=100, use_image_if_no_bounding_boxes=True, seed=1,
        )  # fmt: skip
        return tf.concat([size[:2], begin[:2]], axis=0)

    theirs = np.array([row.numpy() for row in tf.data.Dataset.range(times).map(api)])
    for column in range(4):
        a, b = np.sort(np.array(ours)[:, column]), np.sort(theirs[:, column])
        both = np.concatenate([a, b])
        # Kolmogorov and Smirnov: 1.95 * sqrt(2 / n) is exceeded once in a thousand by equal distributions; the painted
        # places are known to 2 pixels
        distance = np.abs(
            np.searchsorted(a, both + 2, side="right") / times - np.searchsorted(b, both + 2, side="right") / times
        ).max()
        assert distance < 1.95 * (2 / times) ** 0.5 + 0.02


def test_boxes_are_clipped_and_dropped_by_the_apis_rules(tmp_path: Path) -> None:
    step = "random_crop_image { min_object_covered: 0.0 min_area: 0.2 max_area: 0.5 overlap_thresh: 0.6 }"
    boxes = np.array([[0.0, 0.0, 0.3, 0.3], [0.35, 0.35, 0.65, 0.65], [0.7, 0.7, 1.0, 1.0]], np.float32)
    counts = set()
    for _, found, labels, _ in runs(with_steps(tmp_path, step), 80, boxes=boxes):
        assert len(found) == len(labels)
        assert ((found >= 0) & (found <= 1)).all()
        counts.add(len(found))
    assert {0, 1} <= counts


def test_each_probability_is_kept(tmp_path: Path) -> None:
    for probability in (0.1, 0.5, 0.9):
        recipe = with_steps(tmp_path, f"random_horizontal_flip {{ probability: {probability} }}")
        flips = sum(not np.allclose(boxes, BOX) for _, boxes, _, _ in runs(recipe, 600))
        assert abs(flips / 600 - probability) < 4 * (probability * (1 - probability) / 600) ** 0.5


def test_steps_act_in_the_recipes_order(tmp_path: Path) -> None:
    """Colours that come before patches leave the patches black; those that come after make them lighter."""
    grey = np.full((SIDE, SIDE, 3), 60, np.uint8)
    brighter, patches = "random_adjust_brightness { max_delta: 0.2 }", "random_black_patches { probability: 1.0 }"
    first = runs(with_steps(tmp_path, brighter, patches), 20, grey)
    last = runs(with_steps(tmp_path, patches, brighter), 20, grey)
    assert all(pixels.min() < 1 for *_, pixels in first)
    assert any(pixels.min() > 5 for *_, pixels in last)


def test_the_contrast_before_a_crop_is_that_of_the_whole_photo(tmp_path: Path) -> None:
    halves = np.full((SIDE, SIDE, 3), 200, np.uint8)
    halves[:, : SIDE // 2] = 0
    contrast = "random_adjust_contrast { min_delta: 0.5 max_delta: 0.5 }"
    crop = "random_crop_image { min_object_covered: 1.0 min_aspect_ratio: 0.9 max_aspect_ratio: 1.1 max_area: 0.2 }"
    for *_, pixels in runs(with_steps(tmp_path, contrast, crop), 10, halves):
        np.testing.assert_allclose(np.unique(pixels.round()).max(), 150, atol=2)  # 100 + (200 - 100) / 2
