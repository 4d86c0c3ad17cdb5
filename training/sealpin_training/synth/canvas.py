"""The drawing table: pixel grids, smooth noise and the few image operations every other file here uses.

All lengths in this package are in pixels of a 1024 x 1024 photo ("units"), whatever size is rendered: a photo of
`size` pixels has size / 1024 pixels per unit, and only this file and the rasterising calls convert.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

UNITS = 1024


def as_field(values: Any) -> Field:
    """Any array as float32: cv2 is typed loosely, so its results pass through here."""
    return np.asarray(values, dtype=np.float32)


@lru_cache(maxsize=4)
def pixel_grid(size: int) -> tuple[Field, Field]:
    """X and y of every pixel centre in units, each (size, size); shared by all parts, so read-only."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(UNITS / size)
    x, y = (np.ascontiguousarray(grid) for grid in np.meshgrid(centres, centres))
    x.setflags(write=False)
    y.setflags(write=False)
    return x, y


def rgb(field: Field, colour: Sequence[float] = (1, 1, 1)) -> Field:
    """A (rows, columns) field as (rows, columns, 3), each channel times its share of the colour."""
    # Far quicker than numpy's broadcasting over a last axis of three.
    return as_field(cv2.merge([field * np.float32(share) for share in colour]))


def coverage(distance: Field, size: int) -> Field:
    """How much of each pixel, 0..1, lies inside an outline, given its signed distance in units (negative inside)."""
    return as_field(np.clip(0.5 - distance * np.float32(size / UNITS), 0, 1))


def smooth(low: float, high: float, values: Field) -> Field:
    """0 below `low`, 1 above `high`, a smooth S between."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return as_field(t * t * (3 - 2 * t))


def blur(field: Field, sigma: float, size: int) -> Field:
    """Gaussian blur by `sigma` units. Wide blurs run on a shrunken copy, where they cost little and look the same."""
    sigma *= size / UNITS
    if sigma < 0.3:
        return field
    if sigma < 5:
        return as_field(cv2.GaussianBlur(field, (0, 0), sigma))
    rows, columns = field.shape[:2]
    shrink = sigma / 2.5
    small = cv2.resize(field, (max(2, int(columns / shrink)), max(2, int(rows / shrink))), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 2.5)
    return as_field(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC))


def slopes(height: Field, size: int) -> tuple[Field, Field]:
    """dh/dx and dh/dy of a height field in units."""
    # Sobel's 3 x 3 kernel sums to 8; the plain central difference would sparkle along steep edges.
    scale = size / UNITS / 8
    return (
        as_field(cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=scale)),
        as_field(cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=scale)),
    )


def sample(image: Field, x: Field, y: Field) -> Field:
    """`image` looked up at pixel coordinates (x, y); beyond its edge the edge repeats."""
    return as_field(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: tuple[float, float], wrap: bool = False) -> Field:
    """Smooth noise, mean about 0, spread about 1; `cell` is the grain in (rows, columns) of pixels.

    With `wrap` the last row meets the first, as on a strip that will be rolled up into a ring.
    """
    rows, columns = shape
    coarse_rows, coarse_columns = max(2, round(rows / cell[0])), max(2, round(columns / cell[1]))
    coarse = rng.standard_normal((coarse_rows, coarse_columns), dtype=np.float32)
    first = 0
    if wrap:
        coarse = np.concatenate([coarse[-2:], coarse, coarse[:2]])
        first = round(2 * rows / coarse_rows)
        rows = round(rows * (coarse_rows + 4) / coarse_rows)
    fine = as_field(cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC))
    return fine[first : first + shape[0]] * np.float32(1.25)


def cloud(rng: np.random.Generator, shape: tuple[int, int], cell: float, wrap: bool = False) -> Field:
    """Noise of three grains (`cell`, a third and a ninth of it, in pixels), as dirt and oxide spread."""
    # Drawn no finer than its finest grain needs, then enlarged: most of the cost of a photo is in full-size passes.
    shrink = max(1.0, cell / 9 / 2.5)
    small = max(2, round(shape[0] / shrink)), max(2, round(shape[1] / shrink))
    total = np.zeros(small, np.float32)
    for octave, weight in enumerate((0.75, 0.5, 0.3)):
        grain = max(1.0, cell / shrink / 3**octave)
        total += np.float32(weight) * noise(rng, small, (grain, grain), wrap)
    return as_field(cv2.resize(total, shape[::-1], interpolation=cv2.INTER_CUBIC))
