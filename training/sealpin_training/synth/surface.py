"""The part without its weld: a height field and the metals it is made of."""

from dataclasses import dataclass
from math import cos, pi, sin, tau
from typing import Literal

import cv2
import numpy as np

from .canvas import UNITS, Field, as_field, blur, cloud, coverage, noise, pixel_grid, rgb, sample, smooth
from .scene import Colour, Pose, Roller, Scene

FIXTURE_DEPTH = 60.0
BRUSH_REACH = 1.5 * UNITS  # the brushed square covers the photo in any turn
BRUSH_STRETCH = 4  # marks change so slowly along themselves that a quarter of the rows will do


@dataclass
class Surface:
    """What the light falls on. Every field is (size, size), `colour` (size, size, 3); drawn over by each layer."""

    size: int
    height: Field  # units above the roller's face
    colour: Field  # linear reflectance 0..1
    gloss: Field  # share of mirror-like reflection, 0 chalk .. 1 metal
    rough_along: Field  # spread of the micro-slopes along the brushing
    rough_across: Field
    brush_x: Field  # unit vector along the brushing
    brush_y: Field

    def paint(self, cover: Field, colour: Colour | Field, gloss: float, rough: float) -> None:
        """Cover with an unbrushed material; `cover` 0..1 is (size, size), a colour is RGB or (size, size, 3)."""
        blend(self.colour, np.asarray(colour, dtype=np.float32), rgb(cover))
        blend(self.gloss, gloss, cover)
        blend(self.rough_along, rough, cover)
        blend(self.rough_across, rough, cover)

    def window(self, xmin: float, ymin: float, xmax: float, ymax: float) -> tuple["Surface", Field, Field]:
        """The part of the surface within these units and a few more, to draw on, with its pixels' x and y."""
        scale = self.size / UNITS
        left, top = (min(max(0, int(edge * scale) - 3), self.size - 1) for edge in (xmin, ymin))
        right, bottom = (max(first + 1, int(edge * scale) + 4) for first, edge in ((left, xmax), (top, ymax)))
        cut = np.s_[top:bottom, left:right]
        view = Surface(self.size, *(field[cut] for field in self._fields()))
        x, y = pixel_grid(self.size)
        return view, x[cut], y[cut]

    def _fields(self) -> tuple[Field, ...]:
        """All fields, in the order they are declared."""
        return (self.height, self.colour, self.gloss, self.rough_along, self.rough_across, self.brush_x, self.brush_y)


def blend(under: Field, over: float | Field, cover: Field) -> None:
    """Lay `over` on `under`, in place."""
    under += cover * (over - under)


def build_part(scene: Scene, rng: np.random.Generator, size: int) -> Surface:
    """Fixture, roller and pin, as they are before welding."""
    surface = _lay_fixture(scene, rng, size)
    _lay_roller(surface, scene, rng)
    _lay_pin(surface, scene, rng)
    return surface


def polar(pose: Pose, x: Field, y: Field) -> tuple[Field, Field]:
    """Radius in units and angle 0..2 pi, in the part's own turn, of points of the photo."""
    radius, angle = cv2.cartToPolar(*pose.to_part(x, y))
    return as_field(radius), as_field(angle)


def _lay_fixture(scene: Scene, rng: np.random.Generator, size: int) -> Surface:
    """A dark nest below the roller: a conical seat, beyond it a plate with the edges of clamps, out of focus."""
    shape, fixture = (size, size), scene.fixture
    radius, _ = polar(scene.pose, *pixel_grid(size))
    clamps = np.zeros(shape, np.float32)
    for clamp in fixture.clamps:
        rectangle = (clamp.x * size, clamp.y * size), (clamp.width * size, clamp.length * size), clamp.turn
        cv2.fillConvexPoly(clamps, cv2.boxPoints(rectangle).astype(np.int32), clamp.tone)
    clamps = blur(clamps, 5, size)
    grain = blur(cloud(rng, shape, size / 6), 5, size)
    bore = scene.roller.radius + fixture.gap
    height = -FIXTURE_DEPTH + 30 * smooth(bore, bore + fixture.seat, radius) + 6 * clamps + 2 * grain
    tone = 1 + np.float32(0.3) * clamps + np.float32(0.16) * grain
    return Surface(
        size=size,
        height=as_field(height),
        colour=rgb(tone, fixture.colour),
        gloss=np.full(shape, 0.6, np.float32),
        rough_along=np.full(shape, 0.3, np.float32),
        rough_across=np.full(shape, 0.3, np.float32),
        brush_x=np.ones(shape, np.float32),
        brush_y=np.zeros(shape, np.float32),
    )


def _lay_roller(surface: Surface, scene: Scene, rng: np.random.Generator) -> None:
    """The face, its counterbore and its outer chamfer, nicks and all."""
    size, roller = surface.size, scene.roller
    x, y = pixel_grid(size)
    radius, angle = polar(scene.pose, x, y)
    inside = _nicked_edge(roller, angle) - radius
    cover = coverage(-inside, size)
    on_chamfer = coverage(inside - roller.chamfer, size)
    marks = _brush(surface, roller.brushing, roller.brush_angle, scene.pose, x, y, cover, rng)
    marks *= 1 - np.float32(0.75) * on_chamfer
    waves, stain = noise(rng, x.shape, (size / 4, size / 4)), cloud(rng, x.shape, size / 5)
    height = marks * np.float32(0.24 * roller.grain) + np.float32(roller.warp) * waves
    height -= np.float32(0.75) * np.maximum(0, roller.chamfer - inside)
    height -= np.clip(np.float32(0.5) * (roller.counterbore - radius), 0, roller.step)
    blend(surface.height, height, cover)
    tone = 1 + np.float32(0.05) * stain + np.float32(0.05) * marks
    blend(surface.colour, rgb(tone, roller.colour), rgb(cover))
    blend(surface.gloss, 1, cover)
    blend(surface.rough_along, 0.12 + np.float32(0.1) * on_chamfer + np.float32(0.015) * stain, cover)
    blend(surface.rough_across, 0.34 - np.float32(0.1) * on_chamfer, cover)


def _lay_pin(surface: Surface, scene: Scene, rng: np.random.Generator) -> None:
    """The gap of the hole, then the pin's domed end face with its rim chamfer and perhaps a centre mark."""
    size, pin, pose = surface.size, scene.pin, scene.pose
    reach = 1.1 * pose.scale * pin.radius
    view, x, y = surface.window(pose.x - reach, pose.y - reach, pose.x + reach, pose.y + reach)
    radius, _ = polar(pose, x, y)
    blend(view.height, -30, coverage(radius - (pin.radius + 5), size))
    cover = coverage(radius - pin.radius, size)
    marks = _brush(view, pin.brushing, pin.brush_angle, pose, x, y, cover, rng)
    in_mark = coverage(radius - pin.centre_hole, size) if pin.centre_hole else np.float32(0)
    height = pin.rise + pin.dome * (1 - (radius / pin.radius) ** 2) + np.float32(0.18) * marks
    height -= np.float32(0.7) * np.maximum(0, radius - (pin.radius - pin.chamfer))
    height -= np.float32(1.1) * np.maximum(0, pin.centre_hole - radius)
    blend(view.height, as_field(height), cover)
    tone = 1 + np.float32(0.06) * cloud(rng, x.shape, size / 9) + np.float32(0.04) * marks
    tone = tone * (1 - np.float32(0.55) * in_mark)
    blend(view.colour, rgb(tone, pin.colour), rgb(cover))
    blend(view.gloss, 1, cover)
    blend(view.rough_along, 0.14, cover)
    blend(view.rough_across, 0.3, cover)


def _nicked_edge(roller: Roller, angle: Field) -> Field:
    """The roller's outer radius at every angle."""
    turn = np.linspace(-pi, pi, 4096, endpoint=False)
    profile = np.full(4096, roller.radius)
    for notch in roller.notches:
        away = (turn - notch.angle + pi) % tau - pi
        profile -= notch.depth * np.exp(-((away * roller.radius / notch.width) ** 4))
    shifted = np.roll(profile, 2048).astype(np.float32)  # cartToPolar counts from 0 to 2 pi
    return as_field(shifted[(angle * np.float32(4096 / tau)).astype(np.int32) % 4096])


def _brush(
    surface: Surface,
    brushing: Literal["concentric", "linear"],
    brush_angle: float,
    pose: Pose,
    x: Field,
    y: Field,
    cover: Field,
    rng: np.random.Generator,
) -> Field:
    """Set the brushing's direction where `cover` is, and give its marks: height noise, spread about 1."""
    if brushing == "concentric":
        radius, angle = polar(pose, x, y)
        off_x, off_y = x - np.float32(pose.x), y - np.float32(pose.y)
        near = 1 / np.maximum(np.hypot(off_x, off_y), 1)
        direction_x, direction_y = -off_y * near, off_x * near
        along, across = angle * np.float32(BRUSH_REACH / tau), radius
    else:
        bearing = brush_angle + pose.turn
        c, s = np.float32(cos(bearing)), np.float32(sin(bearing))
        direction_x, direction_y = np.full_like(x, c), np.full_like(x, s)
        middle = np.float32(UNITS / 2)
        along = c * (x - middle) + s * (y - middle) + np.float32(BRUSH_REACH / 2)
        across = c * (y - middle) - s * (x - middle) + np.float32(BRUSH_REACH / 2)
    # Not blended: halfway between two directions is no direction at all, and would mirror every lamp.
    np.copyto(surface.brush_x, direction_x, where=cover > 0.5)
    np.copyto(surface.brush_y, direction_y, where=cover > 0.5)
    scale = np.float32(surface.size / UNITS)
    return sample(_streaks(rng, round(BRUSH_REACH * scale)), across * scale, along * (scale / BRUSH_STRETCH))


def _streaks(rng: np.random.Generator, columns: int) -> Field:
    """Brush marks, fine short ones over coarse long ones; they run down the rows and wrap around."""
    shape = rows, _ = columns // BRUSH_STRETCH, columns
    marks = 0.75 * noise(rng, shape, (rows / 18, 2.0), wrap=True)
    marks += 0.5 * noise(rng, shape, (rows / 8, 3.5), wrap=True)
    marks += 0.35 * noise(rng, shape, (rows / 4, 9.0), wrap=True)
    return as_field(marks)
