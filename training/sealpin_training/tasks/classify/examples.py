"""A classifier's examples: photos augmented as the recipe's train_data says, and how much each class is theirs.

Augmentation is that of TF-Vision's classification input (official/vision/dataloaders/classification_input.py), equal in
distribution: a crop of random area and shape, a flip, colours shifted, a rectangle erased.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sealpin_edge.model.photo import Photo

from ...dataset.records import Record
from ...tf import tf
from ...view import PhotoView
from .network.model import preprocess
from .recipe import Recipe

Floats = npt.NDArray[np.float32]
# Width divided by height of a crop (tf.image.sample_distorted_bounding_box's own in TF-Vision)
_ASPECT = (0.75, 4 / 3)
_ATTEMPTS = 10
# What a crop leaves of a bad part's boxes: without its defect a photo would be taught as bad that shows a good part
KEPT = 0.5
# A place of the class activation map is the defect's from this share on that boxes cover of it, or where no place
# is, from this share of the most; below, nobody knows, unless next to nothing is covered
COVERED, SMALL_COVERED, LEAST_COVERED = 0.25, 0.7, 0.02
UNKNOWN = -1
# Pixels of the input, along each side, that a place of the map stands for
STRIDE = 32
_GRAY = np.array([0.2989, 0.587, 0.114], np.float32)


def labels(record: Record, classes: Sequence[str], good: Sequence[str]) -> tuple[Any, ...]:
    """A photo's class by its number, the class of its places outside of boxes, and its boxes in pixels [N, 4].

    Places without a defect are good, where there is such a class and the photo tells where its defects are; of others
    nothing is known.
    """
    own, boxes = classes.index(record.category), [box.edges for box in record.boxes]
    if record.is_good:
        return np.int32(own), np.int32(own), np.zeros((0, 4), np.float32)
    outside = classes.index(good[0]) if good and boxes else UNKNOWN
    return np.int32(own), np.int32(outside), np.array(boxes, np.float32).reshape(-1, 4)


class ClassifyExamples:
    """See input.Examples. `counts` are training photos by class, for weights of classes."""

    def __init__(self, recipe: Recipe, counts: Sequence[int]) -> None:
        """By the recipe's augmentation, smoothing and weights."""
        self._recipe, self._data = recipe, recipe.experiment.task.train_data
        self._places = -(-recipe.height // STRIDE), -(-recipe.width // STRIDE)
        self.types = (tf.float32, tf.int32, tf.int32)
        smoothing, classes = recipe.experiment.task.losses.label_smoothing, recipe.num_classes
        targets = np.eye(classes, dtype=np.float32) * (1 - smoothing) + smoothing / classes
        if recipe.class_balance == "weights":
            targets *= (sum(counts) / (classes * np.maximum(counts, 1)))[:, None]
        self._targets = targets.astype(np.float32)

    def make(self, photo: Any, *labels: Any, draw: Callable[[int], np.random.Generator]) -> Sequence[Any]:
        """Pixels float32 [height, width, 3] of 0..255, the class's number, and that of each place's class."""
        own, outside, boxes = labels
        view = self.view(photo, draw, boxes)
        pixels = view.render(self._recipe.height, self._recipe.width)
        return self.colour(pixels.astype(np.float32), draw), own, self._classes_of_places(view, own, outside, boxes)

    def finish(self, *arrays: Any) -> Any:
        """The photo preprocessed; and [classes], the weight with which it is each class's, and the places' classes."""
        photo, own, places = arrays
        photo = tf.ensure_shape(photo, [self._recipe.height, self._recipe.width, 3])
        targets = tf.gather(self._targets, tf.ensure_shape(own, []))
        return preprocess(photo), (targets, tf.ensure_shape(places, self._places))

    def _classes_of_places(self, view: PhotoView, own: Any, outside: Any, boxes: Any) -> npt.NDArray[np.int32]:
        found = np.full(self._places, outside, np.int32)
        if not self._recipe.places_weight or not len(boxes):
            return found
        height, width = self._recipe.height, self._recipe.width
        seen = np.zeros((height, width), np.uint8)
        for xmin, ymin, xmax, ymax in boxes:
            corners = view.seen([(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)], height, width)
            cv2.fillConvexPoly(seen, np.round(corners).astype(np.int32), 255)
        share = cv2.resize(seen, self._places[::-1], interpolation=cv2.INTER_AREA) / 255.0
        found[share > LEAST_COVERED] = UNKNOWN
        found[(share > 0) & (share >= min(COVERED, SMALL_COVERED * float(share.max())))] = own
        return found

    def view(self, photo: Any, draw: Callable[[int], np.random.Generator], boxes: Floats) -> PhotoView:
        """What of a photo is seen: of `boxes` [N, 4] with defects, where there are any, at least KEPT."""
        view, data = PhotoView(photo), self._data
        if data.aug_crop and data.crop_area_range:
            _crop(view, data.crop_area_range, draw(0), boxes)
        if data.aug_rand_hflip and draw(1).random() < 0.5:
            view.move([[-1, 0, view.width - 1], [0, 1, 0]], view.height, view.width)
        if self._recipe.vertical_flip and draw(4).random() < 0.5:
            view.move([[1, 0, 0], [0, -1, view.height - 1]], view.height, view.width)
        return view

    def colour(self, pixels: Floats, draw: Callable[[int], np.random.Generator]) -> Floats:
        """What is done to the pixels that are seen, float32 [height, width, 3] of 0..255."""
        if self._data.color_jitter:
            pixels = _jitter(pixels, self._data.color_jitter, draw(2))
        if self._data.random_erasing:
            pixels = _erase(pixels, self._data.random_erasing, draw(3))
        return pixels


def _crop(view: PhotoView, area_range: Sequence[float], random: np.random.Generator, boxes: Floats) -> None:
    """Look at a rectangle of so large a share of the photo, as far as one fits in it and has the defects in it."""
    for _ in range(_ATTEMPTS):
        area = random.uniform(area_range[0], area_range[1]) * view.height * view.width
        aspect = random.uniform(*_ASPECT)
        width, height = round(sqrt(area * aspect)), round(sqrt(area / aspect))
        if 0 < width <= view.width and 0 < height <= view.height:
            left, top = random.integers(0, view.width - width + 1), random.integers(0, view.height - height + 1)
            corners = np.array([left, top, left + width, top + height], np.float32)
            if _area(np.clip(boxes, corners[[0, 1, 0, 1]], corners[[2, 3, 2, 3]])) >= KEPT * _area(boxes):
                view.move([[1, 0, left], [0, 1, top]], int(height), int(width))
                return


def _area(boxes: Floats) -> float:
    """Of boxes [N, 4] together."""
    return float(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).sum())


def _jitter(pixels: Floats, most: float, random: np.random.Generator) -> Floats:
    """Brightness, contrast and saturation, each times up to `most` more or less (augment.color_jitter)."""
    brightness, contrast, saturation = random.uniform(max(0.0, 1 - most), 1 + most, 3).astype(np.float32)
    pixels = np.clip(pixels * brightness, 0.0, 255.0)
    mean = (pixels @ _GRAY).mean()
    pixels = np.clip(mean + (pixels - mean) * contrast, 0.0, 255.0)
    grey = (pixels @ _GRAY)[..., None]
    return np.asarray(np.clip(grey + (pixels - grey) * saturation, 0.0, 255.0), np.float32)


def _erase(pixels: Photo | Floats, config: Any, random: np.random.Generator) -> Floats:
    """Rectangles of noise (augment.RandomErasing; Zhong et al., "Random Erasing Data Augmentation", AAAI 2020)."""
    found = np.array(pixels, np.float32)
    if random.random() >= config.probability:
        return found
    height, width = found.shape[:2]
    for _ in range(random.integers(config.min_count, config.max_count + 1)):
        for _ in range(config.trials):
            area = random.uniform(config.min_area, config.max_area) * height * width
            aspect = np.exp(
                random.uniform(np.log(config.min_aspect), np.log(config.max_aspect or 1 / config.min_aspect))
            )
            down, across = round(sqrt(area * aspect)), round(sqrt(area / aspect))
            if 0 < down < height and 0 < across < width:
                top, left = random.integers(0, height - down + 1), random.integers(0, width - across + 1)
                found[top : top + down, left : left + across] = random.normal(127.5, 60.0, (down, across, 3))
                break
    return np.clip(found, 0.0, 255.0)
