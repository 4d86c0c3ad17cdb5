"""A recipe's data_augmentation_options, equal in distribution to the Object Detection API's (core/preprocessor.py).

A step takes and returns photo [H, W, 3], boxes [N, 4] (ymin, xmin, ymax, xmax in 0..1) and labels [N], and draws from
the key that it gets alone: equal keys, equal photos. Steps that move, cut or draw on a photo come first, at its full
size; those that change every pixel's colour alike come after it was brought to the network's size, where they cost
least. Within each kind the recipe's order stands.
"""

from collections.abc import Callable
from dataclasses import fields
from math import pi
from typing import Any

from .recipe import Recipe
from .recipe.schema import augment as schema
from .tf import tf

Augment = Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]]
_ATTEMPTS = 100  # of a crop, after which the whole photo is taken


def augmentations(recipe: Recipe) -> tuple[list[tuple[int, Augment]], list[tuple[int, Augment]]]:
    """The recipe's steps with their places in it: those at the photo's full size, and those at the network's."""
    shaping, colouring = [], []
    for place, step in enumerate(recipe.train.data_augmentation_options):
        ((name, options),) = [
            (item.name, getattr(step, item.name)) for item in fields(step) if getattr(step, item.name)
        ]
        if name in _COLOURING:
            colouring.append((place, _on_pixels(_COLOURING[name], options)))
        else:
            shaping.append((place, _bound(_SHAPING[name], options)))
    return shaping, colouring


def key(seed: int, number: Any, place: int) -> Any:
    """The key of a recipe's step on the run's `number`-th photo."""
    start = tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
    return tf.random.experimental.stateless_fold_in(start, tf.constant(place, tf.int64))


def _bound(function: Any, options: Any) -> Augment:
    return lambda photo, boxes, labels, random: function(options, photo, boxes, labels, random)


def _on_pixels(function: Any, options: Any) -> Augment:
    """A step on colours in 0..1, whose result is clipped to the photo's range."""

    def augment(photo: Any, boxes: Any, labels: Any, random: Any) -> tuple[Any, Any, Any]:
        changed = function(options, tf.cast(photo, tf.float32) / 255.0, random) * 255.0
        return tf.clip_by_value(changed, 0.0, 255.0), boxes, labels

    return augment


def _uniform(random: Any, low: Any = 0.0, high: Any = 1.0, part: int = 0) -> Any:
    """One number in low..high; another for every `part` of a step."""
    return tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(random, part), low, high)


def _integer(random: Any, low: Any, high: Any, part: int) -> Any:
    """One of low..high-1, and `low` where there is no choice."""
    draw = tf.random.stateless_uniform(
        [], tf.random.experimental.stateless_fold_in(random, part), low, tf.maximum(high, low + 1), tf.int32
    )
    return tf.where(high > low, draw, low)


# Steps that move, cut or draw


def _horizontal_flip(options: schema.RandomHorizontalFlip, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    flip = _uniform(random) < options.probability
    mirrored = tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=-1)
    return tf.where(flip, photo[:, ::-1], photo), tf.where(flip, mirrored, boxes), labels


def _vertical_flip(options: schema.RandomVerticalFlip, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    flip = _uniform(random) < options.probability
    mirrored = tf.stack([1.0 - ymax, xmin, 1.0 - ymin, xmax], axis=-1)
    return tf.where(flip, photo[::-1], photo), tf.where(flip, mirrored, boxes), labels


def _rotation90(options: schema.RandomRotation90, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    """A quarter turn counter-clockwise."""

    def turned() -> Any:
        ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
        return tf.image.rot90(photo), tf.stack([1.0 - xmax, ymin, 1.0 - xmin, ymax], axis=-1)

    photo, boxes = tf.cond(_uniform(random) < options.probability, turned, lambda: (photo, boxes))
    return photo, boxes, labels


def _rotation(options: schema.RandomRotation, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    """A small turn about the middle. A box grows as if it held an ellipse, not a rectangle, and is clipped."""
    limit = options.max_degrees * pi / 180
    angle = tf.where(_uniform(random) < options.probability, _uniform(random, -limit, limit, part=1), 0.0)
    height, width = (tf.cast(side, tf.float32) for side in (tf.shape(photo)[0], tf.shape(photo)[1]))
    cos, sin = tf.cos(angle), tf.sin(angle)
    x0, y0 = (width - 1) / 2, (height - 1) / 2
    # Where a pixel of the result is taken from
    transform = tf.stack([cos, -sin, x0 - cos * x0 + sin * y0, sin, cos, y0 - sin * x0 - cos * y0, 0.0, 0.0])
    turned = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(photo, tf.float32)[None],
        transforms=transform[None],
        output_shape=tf.shape(photo)[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )[0]
    ymin, xmin, ymax, xmax = tf.unstack(boxes * [height, width, height, width], axis=-1)
    x, y, half_width, half_height = (
        (xmin + xmax - width) / 2,
        (ymin + ymax - height) / 2,
        (xmax - xmin) / 2,
        (ymax - ymin) / 2,
    )
    x, y = cos * x + sin * y + width / 2, cos * y - sin * x + height / 2
    across = tf.sqrt((half_width * cos) ** 2 + (half_height * sin) ** 2)
    down = tf.sqrt((half_width * sin) ** 2 + (half_height * cos) ** 2)
    moved = tf.stack([y - down, x - across, y + down, x + across], axis=-1) / [height, width, height, width]
    inside = (x > 0) & (x < width) & (y > 0) & (y < height)
    return turned, tf.boolean_mask(tf.clip_by_value(moved, 0.0, 1.0), inside), tf.boolean_mask(labels, inside)


def _crop(options: Any, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    """random_crop_image: a window of TensorFlow's own choice; boxes that it does not hold enough of are dropped."""

    def cropped() -> Any:
        begin, size, window = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(photo),
            tf.clip_by_value(boxes, 0.0, 1.0)[:, None],
            seed=tf.random.experimental.stateless_fold_in(random, 1),
            min_object_covered=options.min_object_covered,
            aspect_ratio_range=(options.min_aspect_ratio, options.max_aspect_ratio),
            area_range=(options.min_area, options.max_area),
            max_attempts=_ATTEMPTS,
            use_image_if_no_bounding_boxes=True,
        )
        cut = tf.ensure_shape(tf.slice(photo, begin, size), [None, None, 3])
        kept, kept_labels = _in_window(options, boxes, labels, window[0, 0])
        return cut, kept, kept_labels

    return tf.cond(_uniform(random) >= options.random_coef, cropped, lambda: (photo, boxes, labels))


def _in_window(options: Any, boxes: Any, labels: Any, window: Any) -> Any:
    """Boxes as the window sees them, without those outside of it or less than overlap_thresh inside it."""
    top, left, bottom, right = tf.unstack(window)
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    inside = (ymin < bottom) & (xmin < right) & (ymax > top) & (xmax > left)
    height = tf.minimum(ymax, bottom) - tf.maximum(ymin, top)
    width = tf.minimum(xmax, right) - tf.maximum(xmin, left)
    share = tf.maximum(height, 0.0) * tf.maximum(width, 0.0) / ((ymax - ymin) * (xmax - xmin))
    keep = inside & (share >= options.overlap_thresh)
    seen = (boxes - [top, left, top, left]) / [bottom - top, right - left, bottom - top, right - left]
    if options.clip_boxes:
        seen = tf.clip_by_value(seen, 0.0, 1.0)
    return tf.boolean_mask(seen, keep), tf.boolean_mask(labels, keep)


def _ssd_crop(options: schema.SSDRandomCrop, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    """One of several crops, each as likely; without operations, the API's own seven."""
    operations = options.operations or tuple(
        schema.SSDRandomCropOperation(covered, 0.5, 2.0, 0.1, 1.0, covered, True, 0.15)
        for covered in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    )
    chosen = _integer(random, 0, len(operations), part=2)

    def branch(operation: schema.SSDRandomCropOperation) -> Any:
        return lambda: _crop(operation, photo, boxes, labels, random)

    return tf.switch_case(chosen, [branch(operation) for operation in operations])


def _scale(options: schema.RandomImageScale, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    factor = _uniform(random, options.min_scale_ratio, options.max_scale_ratio)
    size = tf.cast(tf.cast(tf.shape(photo)[:2], tf.float32) * factor, tf.int32)
    return tf.compat.v1.image.resize(photo[None], size, align_corners=True)[0], boxes, labels


def _pad(options: schema.RandomPadImage, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    """A larger photo with this one somewhere in it; the rest has the photo's mean colour, or pad_color."""
    pixels = tf.cast(photo, tf.float32)
    height, width = tf.shape(photo)[0], tf.shape(photo)[1]
    colour = tf.constant(options.pad_color) if options.pad_color else tf.reduce_mean(pixels, axis=[0, 1])
    sides = []
    for number, (side, least, most) in enumerate(
        (
            (height, options.min_image_height, options.max_image_height),
            (width, options.min_image_width, options.max_image_width),
        )
    ):
        low, high = tf.maximum(least or side, side), tf.maximum(most or 2 * side, side)
        new = tf.where(high > low, _integer(random, low, high, part=2 * number), high)
        sides.append((new, _integer(random, 0, new - side, part=2 * number + 1)))
    (new_height, top), (new_width, left) = sides
    padded = tf.image.pad_to_bounding_box(pixels - colour, top, left, new_height, new_width) + colour
    offset, old, new = (
        tf.cast(tf.stack([first, second] * 2), tf.float32)
        for first, second in ((top, left), (height, width), (new_height, new_width))
    )
    return padded, (boxes * old + offset) / new, labels


def _black_patches(options: schema.RandomBlackPatches, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    height, width = tf.shape(photo)[0], tf.shape(photo)[1]
    side = tf.cast(tf.cast(tf.minimum(height, width), tf.float32) * options.size_to_image_ratio, tf.int32)
    seen = tf.ones([height, width], tf.bool)
    for number in range(options.max_black_patches):
        top, left = (
            tf.cast(
                _uniform(random, 0.0, 1.0 - options.size_to_image_ratio, part) * tf.cast(edge, tf.float32), tf.int32
            )
            for part, edge in ((3 * number, height), (3 * number + 1, width))
        )
        rows, columns = tf.range(height)[:, None], tf.range(width)[None]
        patch = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
        seen &= ~(patch & (_uniform(random, part=3 * number + 2) <= options.probability))
    return photo * tf.cast(seen, photo.dtype)[..., None], boxes, labels


def _jpeg_quality(options: schema.RandomJpegQuality, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    quality = _integer(random, options.min_jpeg_quality, options.max_jpeg_quality, part=1)
    pixels = tf.cast(photo, tf.uint8)
    worse = tf.cond(
        _uniform(random) >= options.random_coef, lambda: tf.image.adjust_jpeg_quality(pixels, quality), lambda: pixels
    )
    return worse, boxes, labels


def _pixel_value_scale(options: schema.RandomPixelValueScale, photo: Any, boxes: Any, labels: Any, random: Any) -> Any:
    factors = tf.random.stateless_uniform(tf.shape(photo), random, options.minval, options.maxval)
    return tf.clip_by_value(tf.cast(photo, tf.float32) * factors, 0.0, 255.0), boxes, labels


# Steps that change every pixel's colour alike: photo in 0..1


def _brightness(options: schema.RandomAdjustBrightness, photo: Any, random: Any) -> Any:
    return photo + _uniform(random, -options.max_delta, options.max_delta)


def _contrast(options: schema.RandomAdjustContrast, photo: Any, random: Any) -> Any:
    return tf.image.adjust_contrast(photo, _uniform(random, options.min_delta, options.max_delta, part=1))


def _hue(options: schema.RandomAdjustHue, photo: Any, random: Any) -> Any:
    return tf.image.adjust_hue(photo, _uniform(random, -options.max_delta, options.max_delta, part=2))


def _saturation(options: schema.RandomAdjustSaturation, photo: Any, random: Any) -> Any:
    return tf.image.adjust_saturation(photo, _uniform(random, options.min_delta, options.max_delta, part=3))


def _distort_color(options: schema.RandomDistortColor, photo: Any, random: Any) -> Any:
    def clip(changed: Any) -> Any:
        return tf.clip_by_value(changed, 0.0, 1.0)

    def contrast(changed: Any) -> Any:
        return clip(_contrast(schema.RandomAdjustContrast(0.5, 1.5), changed, random))

    photo = clip(_brightness(schema.RandomAdjustBrightness(32 / 255), photo, random))
    if options.color_ordering == 1:
        photo = contrast(photo)
    photo = clip(_saturation(schema.RandomAdjustSaturation(0.5, 1.5), photo, random))
    photo = clip(_hue(schema.RandomAdjustHue(0.2), photo, random))
    return photo if options.color_ordering == 1 else contrast(photo)


def _gray(options: schema.RGBtoGray, photo: Any, random: Any) -> Any:
    return tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(photo))


def _random_gray(options: schema.RandomRGBtoGray, photo: Any, random: Any) -> Any:
    return tf.where(_uniform(random) <= options.probability, _gray(schema.RGBtoGray(), photo, random), photo)


def _gamma(options: schema.AdjustGamma, photo: Any, random: Any) -> Any:
    return tf.image.adjust_gamma(photo, options.gamma, options.gain)


_SHAPING = {
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
_COLOURING = {
    "random_adjust_brightness": _brightness,
    "random_adjust_contrast": _contrast,
    "random_adjust_hue": _hue,
    "random_adjust_saturation": _saturation,
    "random_distort_color": _distort_color,
    "rgb_to_gray": _gray,
    "random_rgb_to_gray": _random_gray,
    "adjust_gamma": _gamma,
}
