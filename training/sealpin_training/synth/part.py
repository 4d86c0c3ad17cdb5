"""One photo of one part: the scene is drawn, the part built and lit, the photo taken."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealpin_training.dataset.labels import Box

from .burr import draw_burrs, raise_burr
from .camera import expose
from .canvas import UNITS, rgb
from .distractors import add_dust, add_marker, add_oil, add_scratches, add_spatter, glare
from .light import shade
from .scene import draw_scene
from .surface import build_part
from .weld import lay_weld


@dataclass(frozen=True)
class RenderedPart:
    """A photo, (size, size, 3) uint8 RGB, and the burrs on it, boxes in its pixels."""

    photo: NDArray[np.uint8]
    burrs: tuple[Box, ...]


def render_part(seed: int, index: int, size: int = UNITS) -> RenderedPart:
    """Part `index` of the series `seed`, `size` pixels square (64 or more), whatever was rendered before it."""
    rng = np.random.default_rng([seed, index])
    scene = draw_scene(rng)
    burrs = draw_burrs(rng, scene)
    # A larger photo takes more random numbers for its textures: with a stream for each layer, the part stays the same.
    metal, bead, torn, clutter, paint, sensor = rng.spawn(6)

    surface = build_part(scene, metal, size)
    lay_weld(surface, scene, bead)
    add_scratches(surface, scene, clutter)
    add_spatter(surface, scene, clutter)
    add_marker(surface, clutter, paint)
    # Over the paint, which would hide a small burr that is labelled; oil and dust do not.
    boxes = tuple(raise_burr(surface, burr, torn) for burr in burrs)
    add_oil(surface, clutter)
    add_dust(surface, clutter)
    light = shade(surface, scene.light)
    light += surface.colour * rgb(glare(scene, clutter, size))
    return RenderedPart(expose(light, scene.camera, sensor), boxes)
