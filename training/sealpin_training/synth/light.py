"""Light on the surface: a side lamp, a ring light around the lens and the hall's dim surroundings.

The camera looks straight down, so a facet mirrors a lamp into the lens when its slope equals the slope of the half
vector between lamp and lens: every highlight here is a bell curve around such a slope (Ward's model in slope space).
"""

from dataclasses import dataclass
from math import cos, sin, tan

import cv2
import numpy as np

from .canvas import UNITS, Field, as_field, blur, pixel_grid, rgb, slopes, smooth
from .scene import Light
from .surface import Surface

SHADOW_STEPS = 14
SHADOW_REACH = 78.0


@dataclass(frozen=True)
class Facets:
    """How the surface is inclined at every pixel, and how much its micro-slopes spread (squared) about that."""

    slope_x: Field
    slope_y: Field
    along_2: Field  # along the brushing
    across_2: Field


def shade(surface: Surface, light: Light) -> Field:
    """Linear light arriving at the lens, (size, size, 3), about 1 for bright metal."""
    size = surface.size
    facets = _facets(surface)
    lit = _cast_shadow(surface.height, light, size)
    open_sky = _openness(surface.height, size)
    flatness = 1 / np.sqrt(1 + facets.slope_x**2 + facets.slope_y**2)
    towards_lamp = np.float32(cos(light.azimuth)) * facets.slope_x + np.float32(sin(light.azimuth)) * facets.slope_y
    diffuse = np.maximum(0, sin(light.elevation) - cos(light.elevation) * towards_lamp) * flatness

    lamp = np.float32(0.22) * diffuse + surface.gloss * _lamp(facets, surface, light)
    ring = np.float32(0.25) * flatness + surface.gloss * _ring(facets, light)
    lamps = np.float32(light.side) * lit * lamp + np.float32(light.ring) * open_sky * ring
    # What hides the lamp hides a part of the hall as well.
    hall = np.float32(light.hall) * open_sky * (np.float32(0.55) + np.float32(0.45) * lit) * _hall(facets, light)
    return surface.colour * (rgb(lamps, light.colour) + rgb(hall, light.hall_colour))


def _facets(surface: Surface) -> Facets:
    """The slopes of the height field, and its roughness."""
    slope_x, slope_y = slopes(surface.height, surface.size)
    # A pixel on a sharp edge holds many slopes at once: it mirrors like a rough one, or edges would sparkle.
    pixel = UNITS / surface.size
    mixed = (slope_x - blur(slope_x, 1.2 * pixel, surface.size)) ** 2
    mixed += (slope_y - blur(slope_y, 1.2 * pixel, surface.size)) ** 2
    return Facets(slope_x, slope_y, surface.rough_along**2 + mixed, surface.rough_across**2 + mixed)


def _lamp(facets: Facets, surface: Surface, light: Light) -> Field:
    """Highlight of the side lamp; it stands near, so its mirror slope drifts across the photo."""
    x, y = pixel_grid(surface.size)
    mirror = cos(light.elevation) / (1 + sin(light.elevation))
    drift = np.float32(light.falloff / (UNITS / 2))
    off_x = drift * (x - UNITS / 2) - np.float32(mirror * cos(light.azimuth)) - facets.slope_x
    off_y = drift * (y - UNITS / 2) - np.float32(mirror * sin(light.azimuth)) - facets.slope_y
    along = off_x * surface.brush_x + off_y * surface.brush_y
    across = off_y * surface.brush_x - off_x * surface.brush_y
    spread = np.float32(light.spread**2)
    along_2, across_2 = facets.along_2 + spread, facets.across_2 + spread
    peak = np.float32(0.15) / np.sqrt(along_2 * across_2)
    return as_field(peak * np.exp(-along * along / along_2 - across * across / across_2))


def _ring(facets: Facets, light: Light) -> Field:
    """Highlight of the ring light: all facets of one steepness, whichever way they face."""
    steepness = np.sqrt(facets.slope_x**2 + facets.slope_y**2)
    rough = np.float32(0.85) * np.sqrt(facets.along_2 + facets.across_2)
    off = (steepness - np.float32(light.ring_slope)) / rough
    return as_field(np.float32(0.2) / rough * np.exp(-off * off))


def _hall(facets: Facets, light: Light) -> Field:
    """What the metal mirrors of its surroundings: bright towards one side, dark towards the other."""
    x, y = pixel_grid(facets.slope_x.shape[0])
    drift = np.float32(1.6 * light.falloff / (UNITS / 2))
    towards = np.float32(cos(light.hall_azimuth)) * (drift * (x - UNITS / 2) - facets.slope_x)
    towards += np.float32(sin(light.hall_azimuth)) * (drift * (y - UNITS / 2) - facets.slope_y)
    return np.float32(0.2) + np.float32(1.4) * smooth(-0.8, 0.8, towards)


def _cast_shadow(height: Field, light: Light, size: int) -> Field:
    """1 where the side lamp reaches, 0 in full shadow: the height field is walked towards the lamp.

    Half the resolution is enough, since the lamp is not a point and its shadows are soft.
    """
    half = as_field(cv2.resize(height, (size // 2, size // 2), interpolation=cv2.INTER_AREA))
    blocker = np.full_like(half, -1e3)
    for step in range(1, SHADOW_STEPS + 1):
        distance = SHADOW_REACH * step / SHADOW_STEPS
        move = distance * half.shape[0] / UNITS
        shift = np.array([[1, 0, -move * cos(light.azimuth)], [0, 1, -move * sin(light.azimuth)]], np.float32)
        moved = cv2.warpAffine(half, shift, half.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        np.maximum(blocker, as_field(moved) - np.float32(distance * tan(light.elevation)), out=blocker)
    shadow = blur(smooth(0.5, 7.0, blocker - half), 1.5 + 5 * light.spread, size // 2)
    return 1 - np.float32(0.93) * as_field(cv2.resize(shadow, (size, size), interpolation=cv2.INTER_LINEAR))


def _openness(height: Field, size: int) -> Field:
    """How much of the surroundings a point sees, 0.25..1: hollows and the foot of steep walls are dark."""
    near = blur(height, 5, size) - height
    wide = blur(height, 22, size) - height
    return as_field(np.clip(1 - 0.05 * np.maximum(near, 0) - 0.022 * np.maximum(wide, 0), 0.25, 1))
