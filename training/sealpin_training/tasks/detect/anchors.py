"""A recipe's anchors, and how well they fit the boxes: one that no anchor matches is learned badly."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from .recipe import Recipe

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Anchors:
    """The anchors of a multiscale_anchor_generator at an input of `width` x `height` pixels.

    As object_detection/anchor_generators/multiscale_grid_anchor_generator.py makes them: on level n a grid of 2**n
    pixels, each cell's anchors in its middle, of sides scale * 2**n * 2**(i / per_octave). The defaults are those of
    the 640x640 recipes.
    """

    width: int = 640
    height: int = 640
    min_level: int = 3
    max_level: int = 7
    scale: float = 4.0
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5)
    per_octave: int = 2
    matched: float = 0.5

    @classmethod
    def of(cls, recipe: Recipe) -> "Anchors":
        """The anchors of a recipe."""
        made = recipe.anchors
        return cls(
            recipe.resizer.width,
            recipe.resizer.height,
            made.min_level,
            made.max_level,
            made.anchor_scale,
            tuple(made.aspect_ratios),
            made.scales_per_octave,
            recipe.matcher.matched_threshold,
        )

    def shapes(self) -> Floats:
        """[anchors, 3]: grid, width and height in pixels."""
        return np.array(
            [
                (2.0**level, size * sqrt(ratio), size / sqrt(ratio))
                for level in range(self.min_level, self.max_level + 1)
                for ratio in self.aspect_ratios
                for size in (self.scale * 2 ** (level + step / self.per_octave) for step in range(self.per_octave))
            ]
        )

    def boxes(self) -> dict[int, npt.NDArray[np.float32]]:
        """By level, [rows, columns, anchors, 4]: ymin, xmin, ymax, xmax in pixels of the input, not clipped to it.

        At a place the aspect ratio is the outer loop and the scale the inner one. Cells have their anchors in the
        middle, but at their top left where the input's side is no multiple of the grid, as the API has it.
        """
        found, per_level = {}, len(self.aspect_ratios) * self.per_octave
        for level in range(self.min_level, self.max_level + 1):
            grid = 2**level
            sides = self.shapes()[(level - self.min_level) * per_level :][:per_level, 1:] / 2
            x, y = (
                (np.arange(-(-side // grid)) + (0.5 if side % grid == 0 else 0.0)) * grid
                for side in (self.width, self.height)
            )
            middle = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)[:, :, None]
            half = sides[:, ::-1]
            found[level] = np.concatenate([middle - half, middle + half], axis=-1).astype(np.float32)
        return found

    def best_overlap(self, edges: Floats) -> Floats:
        """[boxes]: the intersection over union, 0..1, of each box [boxes, 4] at the input with its best anchor."""
        grid, width, height = (column[None] for column in self.shapes().T)
        middle = (edges[:, 2:] + edges[:, :2])[..., None] / 2
        sides = (edges[:, 2:] - edges[:, :2])[..., None]
        off = np.abs(middle - (np.floor(middle / grid[:, None]) + 0.5) * grid[:, None])
        across, down = (
            np.clip((mine[None] + sides[:, axis]) / 2 - off[:, axis], 0, np.minimum(mine[None], sides[:, axis]))
            for axis, mine in enumerate((width[0], height[0]))
        )
        shared = across * down
        return np.asarray((shared / (sides[:, 0] * sides[:, 1] + width * height - shared)).max(axis=1))
