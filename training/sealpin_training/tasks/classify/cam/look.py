"""A photo as it is shown to the network: as on the station, as a training sees it, or changed by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np

from sealpin_edge.model.photo import Photo, stretch
from sealpin_edge.tasks.finding import Edges

from ....view import PhotoView
from ..examples import ClassifyExamples
from ..recipe import Recipe


@dataclass(frozen=True)
class Look:
    """What is done to a photo; nothing at first.

    `seed` draws the recipe's augmentation. Then the photo is turned about its middle by degrees, mirrored, its grey
    values are multiplied by `brightness`, and their distance to the mean by `contrast`.
    """

    seed: int | None = None
    turned: float = 0.0
    mirrored: bool = False
    brightness: float = 1.0
    contrast: float = 1.0

    def at(self, photo: Photo, recipe: Recipe, boxes: Sequence[Edges] = ()) -> tuple[Photo, list[Edges]]:
        """The photo at the network's size, and where boxes in pixels of the photo are in it, as far as they are seen.

        Of a turned box that is the box around it.
        """
        examples = ClassifyExamples(recipe, [1] * recipe.num_classes)
        edges = np.array(boxes, np.float32).reshape(-1, 4)
        view = PhotoView(photo) if self.seed is None else examples.view(photo, self._draw, edges)
        self._turn(view)
        untouched = np.array_equal(view.matrix, np.eye(2, 3)) and (view.height, view.width) == photo.shape[:2]
        # As the station resizes, so that nothing done is nothing changed
        seen = stretch(photo, recipe.height, recipe.width) if untouched else view.render(recipe.height, recipe.width)
        pixels = seen.astype(np.float32)
        if self.seed is not None:
            pixels = examples.colour(pixels, self._draw)
        mean = pixels.mean() * self.brightness
        pixels = mean + (pixels * self.brightness - mean) * self.contrast
        moved = [_seen(view, box, recipe.height, recipe.width) for box in boxes]
        return np.clip(pixels.round(), 0, 255).astype(np.uint8), [box for box in moved if box is not None]

    def _draw(self, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.seed or 0, number]))

    def _turn(self, view: PhotoView) -> None:
        height, width = view.height, view.width
        if self.mirrored:
            view.move([[-1, 0, width - 1], [0, 1, 0]], height, width)
        if self.turned:
            c, s = cos(radians(self.turned)), sin(radians(self.turned))
            x, y = (width - 1) / 2, (height - 1) / 2
            view.move([[c, -s, x - c * x + s * y], [s, c, y - s * x - c * y]], height, width)


def _seen(view: PhotoView, box: Edges, height: int, width: int) -> Edges | None:
    """Where a box in the photo's pixels is in a view of this size; None where that is outside."""
    places = view.seen([(x, y) for x in (box.xmin, box.xmax) for y in (box.ymin, box.ymax)], height, width)
    (xmin, ymin), (xmax, ymax) = (np.clip(side, 0, (width, height)) for side in (places.min(0), places.max(0)))
    return Edges(float(xmin), float(ymin), float(xmax), float(ymax)) if xmin < xmax and ymin < ymax else None
