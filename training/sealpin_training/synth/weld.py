"""The weld bead, drawn unrolled (rows are angles, columns radii) and then rolled up around the pin."""

from math import tau

import cv2
import numpy as np

from .canvas import UNITS, Field, as_field, blur, cloud, noise, sample, smooth
from .scene import Scene, Weld
from .surface import Surface, blend, polar

# Temper colours of steel, from cold to hot, as factors on its own colour.
TEMPER = np.array(
    [
        (1.00, 1.00, 1.00),
        (0.98, 0.92, 0.76),
        (0.88, 0.70, 0.44),
        (0.66, 0.44, 0.34),
        (0.46, 0.36, 0.50),
        (0.38, 0.47, 0.68),
        (0.50, 0.56, 0.64),
        (0.48, 0.48, 0.48),
    ],
    np.float32,
)


def lay_weld(surface: Surface, scene: Scene, rng: np.random.Generator) -> None:
    """Heat the metal around the bead, then lay the bead on it."""
    weld, size = scene.weld, surface.size
    inside, outside = weld.inner - 60, weld.outer + 110
    scale = size / UNITS
    rows, columns = round(1400 * scale), max(8, round((outside - inside) * scale))
    radius = np.linspace(inside, outside, columns, dtype=np.float32)[None, :]
    inner, outer = _bead_edges(weld, rows, rng)
    height, cover = _bead(weld, scene.pin.rise, radius, inner, outer, rng, (rows, columns))
    temper, soot = _heat_marks(weld, radius, inner, outer, rng, (rows, columns))
    bead = _bead_colour(weld, rng, (rows, columns))

    x, y, reach = scene.pose.x, scene.pose.y, outside * scene.pose.scale
    view, photo_x, photo_y = surface.window(x - reach, y - reach, x + reach, y + reach)
    photo_radius, photo_angle = polar(scene.pose, photo_x, photo_y)
    column = (photo_radius - np.float32(inside)) * np.float32((columns - 1) / (outside - inside))
    row = photo_angle * np.float32(rows / tau)

    def roll_up(strip: Field) -> Field:
        return sample(np.concatenate([strip, strip[:1]]), column, row)

    shape_of_bead = roll_up(np.dstack([height, cover, soot]))
    height, cover, soot = (np.ascontiguousarray(shape_of_bead[..., channel]) for channel in range(3))
    view.colour *= roll_up(temper)
    view.gloss *= 1 - np.float32(0.6) * soot
    blend(view.height, blur(height, 1.5, size), cover)
    view.paint(cover, roll_up(bead), gloss=1 - 0.3 * weld.oxide, rough=0.17 + 0.1 * weld.oxide)


def _bead_edges(weld: Weld, rows: int, rng: np.random.Generator) -> tuple[Field, Field]:
    """Inner and outer radius of the bead at every angle, each (rows, 1); thicker where start and end overlap."""
    turn = np.linspace(0, tau, rows, endpoint=False)
    seam = np.exp(-((np.angle(np.exp(1j * (turn - weld.seam))) / 0.16) ** 2)).astype(np.float32)[:, None]
    slow, quick = (noise(rng, (rows, 2), (rows / count, 2), wrap=True)[:, :1] for count in (14, 70))
    inner = weld.inner - weld.waviness * (0.9 * slow + 0.7 * quick) - 3 * seam
    slow, quick = (noise(rng, (rows, 2), (rows / count, 2), wrap=True)[:, :1] for count in (16, 80))
    outer = weld.outer + weld.waviness * (1.5 * slow + 0.9 * quick) + 5 * seam
    return as_field(inner), as_field(outer)


def _bead(
    weld: Weld,
    pin_rise: float,
    radius: Field,
    inner: Field,
    outer: Field,
    rng: np.random.Generator,
    shape: tuple[int, int],
) -> tuple[Field, Field]:
    """Height and cover of the bead: a rounded back with crescent ripples, each frozen on the one before."""
    rows, columns = shape
    q = (2 * radius - inner - outer) / (outer - inner)  # -1 at the inner toe, +1 at the outer
    back = np.maximum(0, 1 - q * q) ** np.float32(0.8)
    turn = np.linspace(0, tau, rows, endpoint=False, dtype=np.float32)[:, None]
    pace = noise(rng, (rows, 2), (rows / 24, 2), wrap=True)[:, :1]
    phase = weld.direction * weld.ripples * turn + np.float32(0.8) * pace
    phase = phase + np.float32(3.6) * q * q + np.float32(0.35) * cloud(rng, shape, columns / 5, wrap=True)
    ripple = np.sin(phase) + np.float32(0.35) * np.sin(2 * phase + np.float32(0.9))
    strength = 1 + np.float32(0.4) * noise(rng, (rows, 2), (rows / 18, 2), wrap=True)[:, :1]
    lumps = cloud(rng, shape, columns / 4, wrap=True)
    ground = np.float32(0.7 * pin_rise) * smooth(0.6, -1.0, q)
    height = ground + weld.height * back * (1 + np.float32(0.05) * lumps)
    height = height + weld.ripple_depth * strength * ripple * back
    toe = (outer - inner) * np.float32(0.5)
    cover = smooth(0, 2.0, (1 - np.abs(q)) * toe)
    return as_field(height), as_field(cover)


def _heat_marks(
    weld: Weld, radius: Field, inner: Field, outer: Field, rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[Field, Field]:
    """Colour factors of the heated metal on both sides of the bead, and how much soot lies on it (0..1)."""
    away = np.maximum(np.maximum(inner - radius, radius - outer), 0)
    drift = cloud(rng, shape, shape[0] / 12, wrap=True)
    reach = weld.heat_reach * (1 + np.float32(0.22) * drift)
    heat = np.clip(np.exp(-away / np.maximum(reach, 6)) * np.float32(1.15) - np.float32(0.15), 0, 1)
    # The strip ends where its marks must have faded, or its edge would show as a circle.
    heat *= smooth(100, 60, away) * smooth(58, 40, inner - radius)
    temper = _gradient(TEMPER, heat)
    temper = 1 + np.float32(weld.heat) * (temper - 1)
    smudge = cloud(rng, shape, shape[0] / 20, wrap=True)
    soot = np.clip(weld.soot * np.exp(-away / np.float32(20)) * (np.float32(0.55) + np.float32(0.4) * smudge), 0, 1)
    soot *= smooth(100, 60, away) * smooth(58, 40, inner - radius)
    return as_field(temper * (1 - np.float32(0.75) * soot)[..., None]), as_field(soot)


def _bead_colour(weld: Weld, rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Bead metal under patches of oxide: bare grey, straw, brown to blue, with islands of dark slag."""
    patches = cloud(rng, shape, shape[0] / 18, wrap=True)
    stage = np.clip(np.float32(0.35 * weld.oxide) + np.float32(0.22 * weld.oxide) * patches, 0, 0.85)
    bare = np.float32(0.5 - 0.2 * weld.oxide)
    colour = bare * (1 + np.float32(0.7) * (_gradient(TEMPER, stage) - 1))
    grain = cloud(rng, shape, shape[0] / 110, wrap=True)
    slag = smooth(1.5, 2.2, patches * np.float32(0.6) + grain)
    return as_field(colour * (1 + np.float32(0.08) * grain - np.float32(0.5) * slag)[..., None])


def _gradient(stops: Field, at: Field) -> Field:
    """Colours along evenly spaced stops; `at` runs 0..1, the result gains a last axis of 3."""
    fine = cv2.resize(stops[None], (256, 1), interpolation=cv2.INTER_LINEAR)[0]
    return as_field(fine[(at * np.float32(255)).astype(np.uint8)])
