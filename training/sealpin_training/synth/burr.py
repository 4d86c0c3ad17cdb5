"""Burrs: sharp slivers, flakes and spikes of metal that grow out of an edge of the weld bead.

PR is a large burr, QA a small one; which it is, is decided by the longest side of its box.
"""

from dataclasses import dataclass
from math import hypot, pi, tau
from typing import Literal

import cv2
import numpy as np

from sealpin_training.dataset.labels import Box

from .canvas import UNITS, Field, as_field, blur, noise, smooth
from .scene import Scene
from .surface import Surface, blend

PART_HAS_BURRS = 0.58
IS_LARGE = 0.6
LONGEST_SIDE = {"PR": (92.0, 132.0), "QA": (60.0, 76.0)}  # units: a box never reaches the other category's sizes
STATIONS = 40
MOST_SLENDER = 1.9  # long over short side of a burr's box; a detector's anchors know no thinner ones

Form = Literal["sliver", "flake", "spike"]


@dataclass(frozen=True)
class Burr:
    """One burr in the photo. Points are in units, `spine` runs from root to tip."""

    category: Literal["PR", "QA"]
    form: Form
    spine: Field  # (STATIONS, 2)
    left: Field  # outline on either side of the spine, (STATIONS, 2)
    right: Field
    root_height: float
    lift: float  # how far the tip stands above the root
    fold: float  # slope of the two facets that meet in the ridge
    lean: float  # slope of both facets together, to one side
    shine: float  # reflectance of its metal, relative to white, 1.25..1.6: torn metal is bare


def draw_burrs(rng: np.random.Generator, scene: Scene) -> tuple[Burr, ...]:
    """None on about half of the parts, else one to four, far enough apart around the weld."""
    if rng.random() >= PART_HAS_BURRS:
        return ()
    count = int(rng.choice([1, 2, 3, 4], p=[0.2, 0.3, 0.3, 0.2]))
    first = rng.uniform(-pi, pi)
    angles = [first + tau * k / count + rng.uniform(-0.35, 0.35) for k in range(count)]
    return tuple(_draw_burr(rng, scene, angle) for angle in angles)


def raise_burr(surface: Surface, burr: Burr, rng: np.random.Generator) -> Box:
    """Put the burr on the surface; the box is tight around its body, in pixels of the photo."""
    size = surface.size
    scale = size / UNITS
    outline = np.concatenate([burr.left, burr.right[::-1]])
    window, x, y = surface.window(*outline.min(axis=0), *outline.max(axis=0))
    corner = np.array([x[0, 0], y[0, 0]], np.float32)
    drawn = np.zeros(x.shape, np.uint8)
    vertices = np.round((outline - corner) * np.float32(scale * 16)).astype(np.int32)
    cv2.fillPoly(drawn, [vertices], 255, lineType=cv2.LINE_AA, shift=4)
    cover = as_field(drawn) / 255

    along, beside = (blur(coordinate, 2, size) for coordinate in _spine_coordinates(burr, x, y))
    inward = as_field(cv2.distanceTransform((drawn > 127).astype(np.uint8), cv2.DIST_L2, 5)) / np.float32(scale)
    crumple = noise(rng, x.shape, (9 * scale + 1, 9 * scale + 1))
    cover *= smooth(0.0, 0.1, along + np.float32(0.015) * crumple)  # the root runs into the bead without an edge
    height = burr.root_height + burr.lift * along ** np.float32(1.4) + burr.lean * beside
    height += np.float32(burr.fold) * (inward - np.float32(0.25) * np.abs(beside)) + np.float32(0.7) * crumple
    blend(window.height, blur(as_field(height), 1.0, size), cover)

    ridge = np.exp(-((beside / 3.2) ** 2)) * (0.35 + 0.65 * along)
    scorched = np.exp(-((along / 0.22) ** 2))[..., None] * np.array([0.25, 0.38, 0.45], np.float32)
    metal = np.float32(burr.shine) * (1 + np.float32(0.9) * ridge + np.float32(0.06) * crumple)
    window.paint(cover, as_field(metal[..., None] * (1 - scorched)), gloss=1, rough=0.3)

    rows, columns = np.nonzero(cover > 0.5)
    left, top = np.round(corner * scale).astype(int)
    return Box(
        burr.category,
        float(left + columns.min()),
        float(top + rows.min()),
        float(left + columns.max() + 1),
        float(top + rows.max() + 1),
    )


def _draw_burr(rng: np.random.Generator, scene: Scene, angle: float) -> Burr:
    """A burr at an angle of the weld, grown from its outer edge over the roller."""
    category: Literal["PR", "QA"] = "PR" if rng.random() < IS_LARGE else "QA"
    form: Form = rng.choice(["sliver", "flake", "spike"], p=[0.4, 0.45, 0.15])
    # Rooted a little inside the bead's edge, where the metal still is thick
    root = np.array(scene.pose.to_photo(scene.weld.outer - 12, angle))
    beyond = np.array(scene.pose.to_photo(1000.0, angle))
    away = (beyond - root) / hypot(*(beyond - root))
    heading = float(np.arctan2(away[1], away[0])) + rng.uniform(-0.75, 0.75)
    while True:
        spine, left, right = _outline(rng, form, heading)
        points = np.concatenate([left, right])
        extent = points.max(axis=0) - points.min(axis=0)
        if extent.max() <= MOST_SLENDER * extent.min():
            break
        form, heading = "flake", heading + rng.uniform(-0.3, 0.3)
    side = rng.uniform(*LONGEST_SIDE[category])
    grow = side / float(extent.max())
    return Burr(
        category=category,
        form=form,
        spine=as_field(root + grow * spine),
        left=as_field(root + grow * left),
        right=as_field(root + grow * right),
        root_height=scene.weld.height * rng.uniform(0.55, 0.8),
        lift=10 + side * rng.uniform(0.26, 0.42),
        fold=rng.uniform(0.45, 1.0),
        lean=rng.uniform(-0.35, 0.35),
        shine=rng.uniform(1.25, 1.6),
    )


def _outline(rng: np.random.Generator, form: Form, heading: float) -> tuple[Field, Field, Field]:
    """Spine, left and right outline of a burr of length 1 rooted at the origin."""
    along = np.linspace(0, 1, STATIONS)
    curl = rng.uniform(-1.3, 1.3) if form != "spike" else rng.uniform(-0.4, 0.4)
    bearing = heading + curl * along**1.5
    step = np.stack([np.cos(bearing), np.sin(bearing)], axis=1) / (STATIONS - 1)
    spine = np.cumsum(step, axis=0) - step[0]
    if form == "sliver":
        half_width = rng.uniform(0.15, 0.23) * (1 - along) ** 0.75
    elif form == "flake":
        half_width = rng.uniform(0.26, 0.36) * np.sqrt(1 - along**1.6)
    else:
        half_width = rng.uniform(0.13, 0.17) * (1 - along)
    across = np.stack([-np.sin(bearing), np.cos(bearing)], axis=1)
    left, right = (spine + sign * (half_width * _jags(rng))[:, None] * across for sign in (-1, 1))
    return as_field(spine), as_field(left), as_field(right)


def _jags(rng: np.random.Generator) -> Field:
    """Torn edge: straight runs between random teeth beyond an even root, as factors on the half width."""
    teeth = int(rng.integers(7, 15))
    at = np.sort(rng.uniform(0.2, 1, teeth))
    factors = rng.uniform(0.4, 1.35, teeth)
    return as_field(np.interp(np.linspace(0, 1, STATIONS), [0.15, *at], [1.0, *factors]))


def _spine_coordinates(burr: Burr, x: Field, y: Field) -> tuple[Field, Field]:
    """For every pixel: how far along the spine it lies (0 root .. 1 tip), and how far beside it in units."""
    off_x = x[..., None] - burr.spine[:, 0]
    off_y = y[..., None] - burr.spine[:, 1]
    nearest = np.argmin(off_x * off_x + off_y * off_y, axis=-1)
    tangent = np.gradient(burr.spine, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    at = burr.spine[nearest]
    beside = (y - at[..., 1]) * tangent[nearest, 0] - (x - at[..., 0]) * tangent[nearest, 1]
    return as_field(nearest / (STATIONS - 1)), as_field(beside)
