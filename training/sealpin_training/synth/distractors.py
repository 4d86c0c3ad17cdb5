"""What lies on good and bad parts alike and is no burr: scratches, spatter, oil, marker, dust, fibres, glare."""

from math import pi, tau

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import UNITS, Field, as_field, blur, cloud, pixel_grid, rgb, smooth
from .scene import Colour, Scene
from .surface import Surface, blend, polar

Layer = NDArray[np.uint8]

MARKER_COLOURS: tuple[Colour, ...] = (
    (0.75, 0.62, 0.05),
    (0.7, 0.7, 0.66),
    (0.55, 0.05, 0.05),
    (0.05, 0.16, 0.5),
    (0.05, 0.3, 0.12),
    (0.02, 0.02, 0.03),
)


def add_scratches(surface: Surface, scene: Scene, rng: np.random.Generator) -> None:
    """Grooves with bright lips, straight or curved, some in bundles; none in the counterbore, which lies too deep."""
    depth = _layer(surface.size)
    for _ in range(int(rng.integers(0, 7))):
        path = _path(rng, rng.uniform(60, 420), bend=rng.choice([0, 0, 1.2]))
        strength, width = rng.uniform(70, 255), rng.uniform(1.3, 2.4)
        for _ in range(int(rng.choice([1, 1, 1, 3]))):
            _draw(depth, path + rng.uniform(-14, 14, 2), width, strength)
    radius, _ = polar(scene.pose, *pixel_grid(surface.size))
    beside = np.maximum(scene.weld.inner - 30 - radius, radius - scene.roller.counterbore)
    groove = blur(_settle(depth), 0.9, surface.size) * smooth(0, 12, beside)
    surface.height -= np.float32(1.1) * groove
    surface.colour *= rgb(1 + np.float32(0.45) * groove)


def add_spatter(surface: Surface, scene: Scene, rng: np.random.Generator) -> None:
    """Round smooth balls of weld metal frozen on the roller, the pin and the bead, most of them near the bead."""
    for _ in range(int(rng.integers(0, 10))):
        far = rng.exponential(45)
        radius = scene.weld.outer + far if rng.random() < 0.75 else scene.weld.inner - 0.5 * far
        x, y = scene.pose.to_photo(max(radius, 15), rng.uniform(-pi, pi))
        ball = rng.uniform(2.5, 5) if rng.random() < 0.8 else rng.uniform(5, 10)
        _lay_ball(surface, x, y, ball, grey=rng.uniform(0.1, 0.26))


def add_oil(surface: Surface, rng: np.random.Generator) -> None:
    """Perhaps a thin film that darkens and smooths the metal, and a few drops."""
    if rng.random() < 0.3:
        window, inside = _puddle(surface, rng.uniform(200, 824, 2), rng.uniform(50, 130), rng)
        film = np.float32(0.8) * smooth(0, 0.35, inside)
        window.colour *= 1 - film[..., None] * np.array([0.3, 0.36, 0.48], np.float32)
        blend(window.height, blur(window.height, 2.5, surface.size), film)
    for _ in range(int(rng.integers(1, 5)) if rng.random() < 0.3 else 0):
        reach = rng.uniform(6, 20)
        window, inside = _puddle(surface, rng.uniform(120, 904, 2), reach, rng)
        cover = smooth(0, 0.12, inside)
        lens = blur(window.height, 4, surface.size) + np.float32(0.22 * reach) * np.sqrt(inside)
        blend(window.height, as_field(lens), cover)
        window.colour *= 1 - cover[..., None] * np.array([0.35, 0.4, 0.55], np.float32)
        blend(window.rough_along, 0.1, cover)
        blend(window.rough_across, 0.14, cover)


def add_marker(surface: Surface, rng: np.random.Generator, texture: np.random.Generator) -> None:
    """Perhaps a stroke or some dots of paint marker, worn thin in places."""
    if rng.random() > 0.4:
        return
    drawn = _layer(surface.size)
    colour = MARKER_COLOURS[int(rng.integers(len(MARKER_COLOURS)))]
    if rng.random() < 0.6:
        _draw(drawn, _path(rng, rng.uniform(60, 260), bend=1.0), rng.uniform(12, 26), 255)
    else:
        for _ in range(int(rng.integers(1, 4))):
            _draw(drawn, np.array([rng.uniform(160, 864, 2)] * 2), rng.uniform(18, 40), 255)
    worn = cloud(texture, surface.gloss.shape, surface.size / 40)
    edge = blur(_settle(drawn), 2.5, surface.size) + np.float32(0.09) * worn
    cover = smooth(0.35, 0.6, edge) * np.clip(np.float32(0.85) + np.float32(0.15) * worn, 0, 1)
    surface.paint(cover, colour, gloss=0.25, rough=0.25)


def add_dust(surface: Surface, rng: np.random.Generator) -> None:
    """Specks and fibres, pale or dark, lying on top of everything."""
    for colour, specks, fibres in (((0.75, 0.73, 0.7), 30, 3), ((0.04, 0.04, 0.04), 30, 2)):
        drawn = _layer(surface.size)
        for _ in range(int(rng.integers(0, specks))):
            _draw(drawn, np.array([rng.uniform(0, UNITS, 2)] * 2), rng.uniform(1.2, 3.5), rng.uniform(90, 230))
        for _ in range(int(rng.integers(0, fibres))):
            _draw(drawn, _path(rng, rng.uniform(30, 120), bend=2.5), rng.uniform(1.2, 2.0), rng.uniform(130, 220))
        surface.paint(_settle(drawn), colour, gloss=0.05, rough=0.4)


def glare(scene: Scene, rng: np.random.Generator, size: int) -> Field:
    """Extra light of stray reflections, (size, size), 0 where there is none."""
    spots = np.zeros((size // 4, size // 4), np.float32)
    scale = spots.shape[0] / UNITS
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.5, 0.3, 0.15, 0.05]))):
        on_weld = rng.random() < 0.4
        radius = 0.5 * (scene.weld.inner + scene.weld.outer) if on_weld else rng.uniform(0, 420)
        x, y = scene.pose.to_photo(radius, rng.uniform(-pi, pi))
        axes = rng.uniform(10, 26, 2) if on_weld else rng.uniform(14, 60, 2)
        spot = np.zeros_like(spots)
        centre = (round(x * scale), round(y * scale))
        extent = (max(1, round(axes[0] * scale)), max(1, round(axes[1] * scale)))
        cv2.ellipse(spot, centre, extent, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0.6, 2.0)), -1)
        spots += blur(spot, 9, spots.shape[0])
    return as_field(cv2.resize(spots, (size, size), interpolation=cv2.INTER_LINEAR))


def _square(x: float, y: float, reach: float) -> tuple[float, float, float, float]:
    """The edges of a square around a point."""
    return x - reach, y - reach, x + reach, y + reach


def _path(rng: np.random.Generator, length: float, bend: float) -> Field:
    """A line of points across the part, heading anywhere, turning by up to about `bend` radians."""
    along = np.linspace(0, 1, 24)
    bearing = rng.uniform(-pi, pi) + bend * (rng.normal(0, 0.6) * along + rng.normal(0, 0.3) * np.sin(tau * along))
    steps = np.stack([np.cos(bearing), np.sin(bearing)], axis=1) * length / 23
    return as_field(rng.uniform(130, 894, 2) + np.cumsum(steps, axis=0))


def _layer(size: int) -> Layer:
    """An empty layer to draw lines on, twice as fine as the photo."""
    return np.zeros((2 * size, 2 * size), np.uint8)


def _draw(layer: Layer, path: Field, width: float, strength: float) -> None:
    """A line along points in units; strength 0..255."""
    scale = layer.shape[0] / UNITS
    points = np.round(path * np.float32(scale * 16)).astype(np.int32)
    # Without cv2's own anti-aliasing, which would show every joint of a faint line as a dot.
    cv2.polylines(layer, [points], False, strength, max(1, round(width * scale)), cv2.LINE_8, 4)


def _settle(layer: Layer) -> Field:
    """The layer at the photo's size, 0..1."""
    size = layer.shape[0] // 2
    return as_field(cv2.resize(layer, (size, size), interpolation=cv2.INTER_AREA)) * np.float32(1 / 255)


def _lay_ball(surface: Surface, x: float, y: float, ball: float, grey: float) -> None:
    """One spatter ball, sunk a third into what it fell on."""
    window, near_x, near_y = surface.window(*_square(x, y, ball + 2))
    off = np.hypot(near_x - np.float32(x), near_y - np.float32(y))
    cover = np.clip((np.float32(ball) - off) * np.float32(surface.size / UNITS) + np.float32(0.5), 0, 1)
    ground = np.float32(window.height.mean())
    dome = ground + np.sqrt(np.maximum(0, ball**2 - off * off)) - np.float32(0.3 * ball)
    blend(window.height, as_field(dome), cover)
    window.paint(cover, (grey, grey * 0.97, grey * 0.93), gloss=0.9, rough=0.16)


def _puddle(
    surface: Surface, centre: NDArray[np.float64], reach: float, rng: np.random.Generator
) -> tuple[Surface, Field]:
    """A window on the surface, and how deep inside a roundish puddle its pixels lie: 0 outside .. 1 in the middle."""
    x, y = centre
    window, near_x, near_y = surface.window(*_square(x, y, 1.5 * reach))
    off_x, off_y = near_x - np.float32(x), near_y - np.float32(y)
    bearing = np.arctan2(off_y, off_x)
    outline = np.full_like(bearing, reach)
    for lobes in (2, 3, 5, 8):
        outline += np.float32(reach * rng.normal(0, 0.18 / lobes)) * np.cos(lobes * bearing + rng.uniform(0, tau))
    return window, as_field(np.clip(1 - (off_x**2 + off_y**2) / outline**2, 0, 1))
