"""A recipe's data_augmentation_options, equal in distribution to the Object Detection API's (core/preprocessor.py).

Steps that move or cut only change which part of the photo is looked at, and from where: the pixels are fetched once, at
the end, at the network's size, by the rule that the station resizes with. Steps that change every pixel's colour alike
come after that, where they cost least; within each kind the recipe's order stands.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import cos, pi, sin, sqrt
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sealpin_edge.model.photo import Photo, encode_jpeg

from ...view import PhotoView
from .recipe import Recipe
from .recipe.schema import augment as schema

Floats = npt.NDArray[np.float32]
Random = np.random.Generator

_ATTEMPTS = 100  # of a crop, after which the whole photo is taken
_GRAY = np.array([0.2989, 0.587, 0.114], np.float32)  # tf.image.rgb_to_grayscale


@dataclass
class View(PhotoView):
    """A photo's view, and what is marked there.

    Boxes [N, 4] are ymin, xmin, ymax, xmax in 0..1 of the view, labels [N] count from 1.
    """

    boxes: Floats = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    labels: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    def keep(self, chosen: npt.NDArray[np.bool_]) -> None:
        """Forget the other boxes."""
        self.boxes, self.labels = self.boxes[chosen], self.labels[chosen]


def augmented(recipe: Recipe, view: View, random: Callable[[int], Random]) -> Floats:
    """The photo at the network's size, float32 0..255, after all steps; the view's boxes and labels are those left.

    `random` makes the generator of the recipe's n-th step: equal generators, equal photos.
    """
    colouring: list[tuple[Any, Any, Random]] = []
    for place, step in enumerate(recipe.train.data_augmentation_options):
        ((name, options),) = [
            (item.name, getattr(step, item.name)) for item in fields(step) if getattr(step, item.name)
        ]
        if name in _COLOURING:
            colouring.append((_COLOURING[name], options, random(place)))
            continue
        if colouring and name not in _KEEP_COLOURS:
            view.redraw(_coloured(view.render(view.height, view.width), colouring).round().astype(np.uint8))
            colouring = []
        _SHAPING[name](options, view, random(place))
    return _coloured(view.render(recipe.resizer.height, recipe.resizer.width), colouring)


def _coloured(photo: Photo, steps: list[tuple[Any, Any, Random]]) -> Floats:
    """A photo after these colour steps, float32 0..255."""
    pixels = photo.astype(np.float32)
    if steps:
        pixels /= 255.0
        for function, options, generator in steps:
            pixels = np.clip(function(options, pixels, generator), 0.0, 1.0)
        pixels *= 255.0
    return pixels


# Steps that move, cut or draw


def _horizontal_flip(options: schema.RandomHorizontalFlip, view: View, random: Random) -> None:
    if random.random() < options.probability:
        view.move([[-1, 0, view.width - 1], [0, 1, 0]], view.height, view.width)
        view.boxes = np.stack([view.boxes[:, 0], 1 - view.boxes[:, 3], view.boxes[:, 2], 1 - view.boxes[:, 1]], axis=1)


def _vertical_flip(options: schema.RandomVerticalFlip, view: View, random: Random) -> None:
    if random.random() < options.probability:
        view.move([[1, 0, 0], [0, -1, view.height - 1]], view.height, view.width)
        view.boxes = np.stack([1 - view.boxes[:, 2], view.boxes[:, 1], 1 - view.boxes[:, 0], view.boxes[:, 3]], axis=1)


def _rotation90(options: schema.RandomRotation90, view: View, random: Random) -> None:
    """A quarter turn counter-clockwise."""
    if random.random() < options.probability:
        view.move([[0, -1, view.width - 1], [1, 0, 0]], view.width, view.height)
        view.boxes = np.stack([1 - view.boxes[:, 3], view.boxes[:, 0], 1 - view.boxes[:, 1], view.boxes[:, 2]], axis=1)


def _rotation(options: schema.RandomRotation, view: View, random: Random) -> None:
    """A small turn about the middle. A box grows as if it held an ellipse, not a rectangle, and is clipped."""
    if random.random() >= options.probability:
        return
    angle = random.uniform(-options.max_degrees, options.max_degrees) * pi / 180
    c, s, height, width = cos(angle), sin(angle), view.height, view.width
    x0, y0 = (width - 1) / 2, (height - 1) / 2
    view.move([[c, -s, x0 - c * x0 + s * y0], [s, c, y0 - s * x0 - c * y0]], height, width)
    size = np.array([height, width, height, width], np.float32)
    ymin, xmin, ymax, xmax = (view.boxes * size).T
    x, y, across, down = (xmin + xmax - width) / 2, (ymin + ymax - height) / 2, (xmax - xmin) / 2, (ymax - ymin) / 2
    x, y = c * x + s * y + width / 2, c * y - s * x + height / 2
    across, down = np.hypot(across * c, down * s), np.hypot(across * s, down * c)
    view.boxes = np.clip(np.stack([y - down, x - across, y + down, x + across], axis=1) / size, 0, 1)
    view.keep((x > 0) & (x < width) & (y > 0) & (y < height))


def _crop(options: Any, view: View, random: Random) -> None:
    """random_crop_image: boxes that the window does not hold enough of are dropped."""
    if random.random() < options.random_coef:
        return
    top, left, height, width = _window(options, view, random)
    size = np.array([view.height, view.width, view.height, view.width], np.float32)
    edges = np.array([top, left, top + height, left + width], np.float32) / size
    view.move([[1, 0, left], [0, 1, top]], height, width)
    boxes = view.boxes
    inside = np.all((boxes[:, :2] < edges[2:]) & (boxes[:, 2:] > edges[:2]), axis=1)
    shared = np.prod(np.maximum(np.minimum(boxes[:, 2:], edges[2:]) - np.maximum(boxes[:, :2], edges[:2]), 0), axis=1)
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-12)
    origin, extent = np.tile(edges[:2], 2), np.tile(edges[2:] - edges[:2], 2)
    view.boxes = (boxes - origin) / extent
    if options.clip_boxes:
        view.boxes = np.clip(view.boxes, 0, 1)
    view.keep(inside & (shared / area >= options.overlap_thresh))


def _window(options: Any, view: View, random: Random) -> tuple[int, int, int, int]:
    """Top, left, height and width of a crop, distributed as TensorFlow's sample_distorted_bounding_box draws them."""
    size = np.array([view.height, view.width, view.height, view.width])
    boxes = (np.clip(view.boxes, 0, 1) * size).astype(int) if len(view.boxes) else size[None] * [0, 0, 1, 1]
    for _ in range(_ATTEMPTS):
        ratio = random.uniform(options.min_aspect_ratio, options.max_aspect_ratio)
        found = _rectangle(view.height, view.width, options.min_area, options.max_area, ratio, random)
        if found is None:
            continue
        top, left, height, width = found
        shared = np.maximum(
            np.minimum(boxes[:, 2:], [top + height, left + width]) - np.maximum(boxes[:, :2], [top, left]), 0
        )
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        covered = np.prod(shared, axis=1)[area >= 1] / area[area >= 1]
        if (covered >= options.min_object_covered).any():
            return found
    return 0, 0, view.height, view.width


def _rectangle(
    height: int, width: int, min_area: float, max_area: float, ratio: float, random: Random
) -> tuple[int, int, int, int] | None:
    """One try: a rectangle of this aspect ratio, its height even between what the areas allow, its place even."""
    least, most = min_area * height * width, max_area * height * width
    low, high = round(sqrt(least / ratio)), round(sqrt(most / ratio))
    if round(high * ratio) > width:
        high = int((width + 0.5 - 1e-7) / ratio)
        high -= round(high * ratio) > width
    high = min(high, height)
    low = min(low, high)
    rows = int(random.integers(low, high + 1))
    columns = round(rows * ratio)
    if rows * columns < least:
        rows += 1
        columns = round(rows * ratio)
    if rows * columns > most:
        rows -= 1
        columns = round(rows * ratio)
    if not least <= rows * columns <= most or not 0 < rows <= height or not 0 < columns <= width:
        return None
    top = int(random.integers(height - rows)) if rows < height else 0
    left = int(random.integers(width - columns)) if columns < width else 0
    return top, left, rows, columns


def _ssd_crop(options: schema.SSDRandomCrop, view: View, random: Random) -> None:
    """One of several crops, each as likely; without operations, the API's own seven."""
    operations = options.operations or tuple(
        schema.SSDRandomCropOperation(covered, 0.5, 2.0, 0.1, 1.0, covered, True, 0.15)
        for covered in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    )
    _crop(operations[random.integers(len(operations))], view, random)


def _scale(options: schema.RandomImageScale, view: View, random: Random) -> None:
    """Other pixels for the same view: what is made smaller loses detail."""
    factor = random.uniform(options.min_scale_ratio, options.max_scale_ratio)
    view.redraw(view.render(max(1, int(view.height * factor)), max(1, int(view.width * factor))))


def _pad(options: schema.RandomPadImage, view: View, random: Random) -> None:
    """A larger view with this one somewhere in it; the rest has the photo's mean colour, or pad_color."""
    sides = []
    for side, least, most in (
        (view.height, options.min_image_height, options.max_image_height),
        (view.width, options.min_image_width, options.max_image_width),
    ):
        low, high = max(least or side, side), max(most or 2 * side, side)
        new = int(random.integers(low, high)) if high > low else high
        sides.append((new, int(random.integers(new - side)) if new > side else 0))
    (height, top), (width, left) = sides
    view.redraw(view.render(view.height, view.width))
    view.border = options.pad_color or cv2.mean(view.photo)[:3]
    old = np.array([view.height, view.width] * 2, np.float32)
    view.boxes = (view.boxes * old + np.array([top, left] * 2)) / np.array([height, width] * 2, np.float32)
    view.move([[1, 0, -left], [0, 1, -top]], height, width)
    view.redraw(view.render(height, width))


def _black_patches(options: schema.RandomBlackPatches, view: View, random: Random) -> None:
    photo = view.render(view.height, view.width).copy()
    side = int(min(photo.shape[:2]) * options.size_to_image_ratio)
    for _ in range(options.max_black_patches):
        if random.random() <= options.probability:
            place = random.uniform(0, 1 - options.size_to_image_ratio, 2)
            top, left = (place * photo.shape[:2]).astype(int)
            photo[top : top + side, left : left + side] = 0
    view.redraw(photo)


def _jpeg_quality(options: schema.RandomJpegQuality, view: View, random: Random) -> None:
    if random.random() >= options.random_coef:
        quality = int(
            random.integers(options.min_jpeg_quality, max(options.max_jpeg_quality, options.min_jpeg_quality + 1))
        )
        data = encode_jpeg(view.render(view.height, view.width), max(1, quality))
        view.redraw(np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8))


def _pixel_value_scale(options: schema.RandomPixelValueScale, view: View, random: Random) -> None:
    photo = view.render(view.height, view.width)
    factors = random.uniform(options.minval, options.maxval, photo.shape)
    view.redraw(np.clip(np.rint(photo * factors), 0, 255).astype(np.uint8))


# Steps that change every pixel's colour alike: photo in 0..1


def _brightness(options: schema.RandomAdjustBrightness, photo: Floats, random: Random) -> Floats:
    return photo + np.float32(random.uniform(-options.max_delta, options.max_delta))


def _contrast(options: schema.RandomAdjustContrast, photo: Floats, random: Random) -> Floats:
    mean = photo.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    factor = np.float32(random.uniform(options.min_delta, options.max_delta))
    return np.asarray((photo - mean) * factor + mean, np.float32)


def _hue(options: schema.RandomAdjustHue, photo: Floats, random: Random) -> Floats:
    hsv = cv2.cvtColor(photo, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * random.uniform(-options.max_delta, options.max_delta)) % 360
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)


def _saturation(options: schema.RandomAdjustSaturation, photo: Floats, random: Random) -> Floats:
    hsv = cv2.cvtColor(photo, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.clip(hsv[..., 1] * random.uniform(options.min_delta, options.max_delta), 0, 1)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)


def _distort_color(options: schema.RandomDistortColor, photo: Floats, random: Random) -> Floats:
    brightness = (_brightness, schema.RandomAdjustBrightness(32 / 255))
    contrast = (_contrast, schema.RandomAdjustContrast(0.5, 1.5))
    colours = ((_saturation, schema.RandomAdjustSaturation(0.5, 1.5)), (_hue, schema.RandomAdjustHue(0.2)))
    steps: Any = (brightness, *colours, contrast) if options.color_ordering == 0 else (brightness, contrast, *colours)
    for function, chosen in steps:
        photo = np.clip(function(chosen, photo, random), 0, 1)
    return photo


def _gray(options: schema.RGBtoGray, photo: Floats, random: Random) -> Floats:
    return np.repeat((photo @ _GRAY)[..., None], 3, axis=2)


def _random_gray(options: schema.RandomRGBtoGray, photo: Floats, random: Random) -> Floats:
    return _gray(schema.RGBtoGray(), photo, random) if random.random() <= options.probability else photo


def _gamma(options: schema.AdjustGamma, photo: Floats, random: Random) -> Floats:
    return np.asarray(options.gain * photo**options.gamma, np.float32)


_SHAPING: dict[str, Any] = {
    "random_horizontal_flip": _horizontal_flip,
    "random_vertical_flip": _vertical_flip,
    "random_rotation90": _rotation90,
    "random_rotation": _rotation,
    "random_crop_image": _crop,
    "ssd_random_crop": _ssd_crop,
    "random_image_scale": _scale,
    "random_pad_image": _pad,
    "random_black_patches": _black_patches,
    "random_jpeg_quality": _jpeg_quality,
    "random_pixel_value_scale": _pixel_value_scale,
}
# Steps after which colours may be changed as well as before: every pixel is still there
_KEEP_COLOURS = {"random_horizontal_flip", "random_vertical_flip", "random_rotation90"}
_COLOURING: dict[str, Any] = {
    "random_adjust_brightness": _brightness,
    "random_adjust_contrast": _contrast,
    "random_adjust_hue": _hue,
    "random_adjust_saturation": _saturation,
    "random_distort_color": _distort_color,
    "rgb_to_gray": _gray,
    "random_rgb_to_gray": _random_gray,
    "adjust_gamma": _gamma,
}
