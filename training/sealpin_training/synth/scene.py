"""What is random about one part before anything is drawn: its pose, roller, pin, weld, light and camera.

Lengths are units (pixels of a 1024 photo), angles radians, colours linear RGB. x runs right, y down, heights rise
towards the camera.
"""

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .canvas import UNITS, Field

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Where the part lies in the photo: part coordinates have their origin in the pin's centre."""

    x: float
    y: float
    turn: float
    scale: float  # 0.92..1.08
    tilt_axis: float
    foreshortening: float  # 0.97..1, across the tilt axis

    def to_part(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Part coordinates of points of the photo."""
        a, b, c, d = np.linalg.inv(self._matrix()).astype(np.float32).ravel()
        x, y = x - np.float32(self.x), y - np.float32(self.y)
        return a * x + b * y, c * x + d * y

    def to_photo(self, radius: float, angle: float) -> tuple[float, float]:
        """The point of the photo at part polar coordinates (radius, angle)."""
        dx, dy = self._matrix() @ (radius * cos(angle), radius * sin(angle))
        return self.x + float(dx), self.y + float(dy)

    def _matrix(self) -> NDArray[np.float64]:
        """Part to photo: turn and scale, then foreshorten across the tilt axis."""
        foreshorten = np.diag([1.0, self.foreshortening])
        turned = _rotation(self.tilt_axis) @ foreshorten @ _rotation(self.turn - self.tilt_axis)
        return np.asarray(self.scale * turned)


@dataclass(frozen=True)
class Clamp:
    """A rectangle of the fixture, in shares of the photo's size, `turn` in degrees."""

    x: float
    y: float
    width: float
    length: float
    turn: float
    tone: float  # -1 darker .. 1 brighter and higher than the plate


@dataclass(frozen=True)
class Fixture:
    """What the roller lies in."""

    gap: float  # between roller and bore
    seat: float  # width of the bore's slope
    colour: Colour
    clamps: tuple[Clamp, ...]


@dataclass(frozen=True)
class Notch:
    """A nick in the roller's outer edge."""

    angle: float
    width: float
    depth: float


@dataclass(frozen=True)
class Roller:
    """The roller's face, seen from above, with a shallow counterbore around the weld."""

    radius: float
    chamfer: float
    counterbore: float
    step: float
    brushing: Literal["concentric", "linear"]
    brush_angle: float
    grain: float  # depth of the brushing, about 1
    warp: float  # how far the face is from flat, over a third of the photo
    colour: Colour
    notches: tuple[Notch, ...]


@dataclass(frozen=True)
class Pin:
    """The pin's end face."""

    radius: float
    rise: float
    dome: float
    chamfer: float
    centre_hole: float  # radius of the lathe's centre mark, 0 for none
    brushing: Literal["concentric", "linear"]
    brush_angle: float
    colour: Colour


@dataclass(frozen=True)
class Weld:
    """The bead around the pin and what its heat left on the metal beside it."""

    inner: float
    outer: float
    height: float
    waviness: float
    ripples: int
    ripple_depth: float
    direction: Literal[-1, 1]
    seam: float  # angle where the bead starts and ends
    oxide: float  # 0..1, how dark and coloured the bead is
    heat: float  # 0..1, how strong the temper colours are
    heat_reach: float
    soot: float  # 0..1


@dataclass(frozen=True)
class Light:
    """A lamp to one side, a ring light around the lens, and the hall."""

    azimuth: float
    elevation: float
    spread: float  # size of the lamp as seen from the part, in slope
    falloff: float  # how much nearer the lamp is to one side of the photo
    side: float
    ring: float
    ring_slope: float  # slope of a facet that mirrors the ring light into the lens
    hall: float
    colour: Colour
    hall_colour: Colour
    hall_azimuth: float


@dataclass(frozen=True)
class Camera:
    """Lens and sensor."""

    exposure: float
    defocus: float
    vignette: float
    bloom: float
    noise: float
    warmth: float  # white balance error, about 0


@dataclass(frozen=True)
class Scene:
    """Everything random about one part but its burrs and distractors."""

    pose: Pose
    fixture: Fixture
    roller: Roller
    pin: Pin
    weld: Weld
    light: Light
    camera: Camera


def draw_scene(rng: np.random.Generator) -> Scene:
    """One random part under one random light."""
    pin = _draw_pin(rng)
    weld = _draw_weld(rng, pin)
    return Scene(
        pose=_draw_pose(rng),
        fixture=_draw_fixture(rng),
        roller=_draw_roller(rng, weld),
        pin=pin,
        weld=weld,
        light=_draw_light(rng),
        camera=_draw_camera(rng),
    )


def _rotation(angle: float) -> NDArray[np.float64]:
    """The 2 x 2 rotation by `angle`."""
    return np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])


def _steel(rng: np.random.Generator, low: float, high: float) -> Colour:
    """A steel between dark and bright, a little warm or cold."""
    grey, warmth = rng.uniform(low, high), rng.normal(0, 0.018)
    return (grey * (1 + warmth), grey, grey * (1 - warmth))


def _draw_pose(rng: np.random.Generator) -> Pose:
    """Anywhere within 60 units of the middle, turned anyhow."""
    return Pose(
        x=UNITS / 2 + rng.uniform(-60, 60),
        y=UNITS / 2 + rng.uniform(-60, 60),
        turn=rng.uniform(-pi, pi),
        scale=rng.uniform(0.92, 1.08),
        tilt_axis=rng.uniform(-pi, pi),
        foreshortening=rng.uniform(0.97, 1.0),
    )


def _draw_fixture(rng: np.random.Generator) -> Fixture:
    """A dark plate, now and then a lighter one, with three clamps or rails."""
    grey = 0.03 * 6 ** rng.random()
    return Fixture(
        gap=rng.uniform(4, 24),
        seat=rng.uniform(20, 60),
        colour=(grey * (1 + rng.normal(0, 0.07)), grey, grey * (1 + rng.normal(0.04, 0.1))),
        clamps=tuple(
            Clamp(*rng.uniform((-0.2, -0.2, 0.1, 0.1, 0, -1), (1, 1, 0.4, 0.4, 90, 1)).tolist()) for _ in range(3)
        ),
    )


def _draw_roller(rng: np.random.Generator, weld: Weld) -> Roller:
    """A turned, now and then a ground face; half of the rollers have a nick or two."""
    nicks = int(rng.integers(0, 4)) if rng.random() < 0.5 else 0
    return Roller(
        radius=rng.uniform(400, 490),
        chamfer=rng.uniform(10, 26),
        counterbore=weld.outer + rng.uniform(26, 80),
        step=rng.uniform(0, 7),
        brushing="concentric" if rng.random() < 0.8 else "linear",
        brush_angle=rng.uniform(-pi, pi),
        grain=rng.uniform(0.5, 1.2),
        warp=rng.uniform(0.5, 3.5),
        colour=_steel(rng, 0.44, 0.58),
        notches=tuple(
            Notch(rng.uniform(-pi, pi), width=rng.uniform(5, 16), depth=rng.uniform(4, 16)) for _ in range(nicks)
        ),
    )


def _draw_pin(rng: np.random.Generator) -> Pin:
    """A pin of about 140 units radius, standing a little proud."""
    return Pin(
        radius=rng.uniform(132, 150),
        rise=rng.uniform(4, 14),
        dome=rng.uniform(0, 9),
        chamfer=rng.uniform(5, 14),
        centre_hole=rng.uniform(9, 20) if rng.random() < 0.45 else 0.0,
        brushing="concentric" if rng.random() < 0.8 else "linear",
        brush_angle=rng.uniform(-pi, pi),
        colour=_steel(rng, 0.42, 0.58),
    )


def _draw_weld(rng: np.random.Generator, pin: Pin) -> Weld:
    """A bead that laps a few units onto the pin's chamfer."""
    inner = pin.radius - rng.uniform(0, 8)
    return Weld(
        inner=inner,
        outer=inner + rng.uniform(46, 66),
        height=rng.uniform(15, 25),
        waviness=rng.uniform(0.6, 2.2),
        ripples=int(rng.integers(54, 92)),
        ripple_depth=rng.uniform(0.4, 0.9),
        direction=1 if rng.random() < 0.5 else -1,
        seam=rng.uniform(-pi, pi),
        oxide=rng.uniform(0.75, 1.0),
        heat=rng.uniform(0.15, 0.95),
        heat_reach=rng.uniform(22, 60),
        soot=rng.uniform(0, 0.8),
    )


def _draw_light(rng: np.random.Generator) -> Light:
    """One station's lamps: a side lamp and a ring light that drift, and are moved a little now and then."""
    balance, warmth = rng.uniform(0.3, 0.8), rng.normal(0, 0.05)
    return Light(
        azimuth=rng.normal(-2.2, 0.4),
        elevation=rng.uniform(0.65, 0.9),
        spread=rng.uniform(0.08, 0.2),
        falloff=rng.uniform(0.08, 0.3),
        side=1.7 - 0.85 * balance,
        ring=0.05 + 0.6 * balance,
        ring_slope=rng.uniform(0.12, 0.3),
        hall=rng.uniform(0.1, 0.3),
        colour=(1 + warmth, 1.0, 1 - 1.3 * warmth),
        hall_colour=(1 - 0.6 * warmth, 1.0, 1 + warmth),
        hall_azimuth=rng.uniform(-pi, pi),
    )


def _draw_camera(rng: np.random.Generator) -> Camera:
    """A decent industrial camera, not always well set."""
    return Camera(
        exposure=0.9 * 1.35 ** rng.random(),
        defocus=rng.uniform(0.55, 1.15),
        vignette=rng.uniform(0.05, 0.4),
        bloom=rng.uniform(0.04, 0.14),
        noise=rng.uniform(0.006, 0.018),
        warmth=rng.normal(0, 0.035),
    )
