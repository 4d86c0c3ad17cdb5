"""From linear light to the pixels of a photo: bloom, defocus, vignette, sensor noise, tone curve."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import UNITS, Field, as_field, blur, pixel_grid, rgb
from .scene import Camera


def expose(light: Field, camera: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photo, (size, size, 3) uint8 RGB, of linear `light` of the same shape."""
    size = light.shape[0]
    light = light * np.float32(camera.exposure)
    light += np.float32(camera.bloom) * blur(np.maximum(light - np.float32(0.8), 0), 14, size)
    light = blur(light, camera.defocus, size)
    x, y = pixel_grid(size)
    off_axis = ((x - UNITS / 2) ** 2 + (y - UNITS / 2) ** 2) * np.float32(2 / UNITS**2)
    balance = (1 + camera.warmth, 1.0, 1 - camera.warmth)
    light *= rgb(1 - np.float32(camera.vignette) * off_axis, balance)
    # Photon noise grows with the root of the light; the Bayer mosaic makes its colour coarser than its brightness.
    grain = rng.standard_normal((size, size), dtype=np.float32) * np.float32(0.75 * camera.noise)
    coarse = rng.standard_normal((size // 2, size // 2, 3), dtype=np.float32) * np.float32(0.6 * camera.noise)
    colour_grain = as_field(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR))
    light += np.sqrt(np.maximum(light, 0) + np.float32(0.02)) * (rgb(grain) + colour_grain)
    return _develop(light)


def _develop(light: Field) -> NDArray[np.uint8]:
    """The camera's tone curve: linear in the dark, rolling off towards white, then gamma."""
    light = np.maximum(light, 0)
    film = as_field(light * (1 + light * np.float32(0.16)) / (1 + light * np.float32(0.6)))
    return np.asarray(np.sqrt(np.minimum(film, 1)) * np.float32(255) + np.float32(0.5), dtype=np.uint8)
