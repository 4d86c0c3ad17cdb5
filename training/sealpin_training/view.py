"""What of a photo is seen, and from where: steps of augmentation that move or cut only change this.

The pixels are fetched once, at the end, at the network's size, by the rule that the station resizes with.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sealpin_edge.model.photo import Photo


@dataclass
class PhotoView:
    """A photo, and what of it is seen.

    `matrix` [2, 3] takes a place in the view, x and y in its pixels, to the photo's; `height` and `width` are the
    view's. Outside of the photo is the edge's colour, or `border`.
    """

    photo: Photo
    height: int = field(default=0, kw_only=True)
    width: int = field(default=0, kw_only=True)
    matrix: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(2, 3), kw_only=True)
    border: tuple[float, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """At first all of the photo is seen."""
        self.height, self.width = self.photo.shape[:2]

    def move(self, rows: Any, height: int, width: int) -> None:
        """Look from somewhere else: `rows` [2, 3] take a place in the new view to the old one's."""
        whole = np.vstack([self.matrix, [0, 0, 1]]) @ np.vstack([rows, [0, 0, 1]])
        self.matrix, self.height, self.width = whole[:2], height, width

    def render(self, height: int, width: int) -> Photo:
        """The view at so many pixels, by photo.stretch's rule."""
        scale = np.array([[self.width / width, 0, 0], [0, self.height / height, 0], [0, 0, 1]])
        matrix = self.matrix @ scale
        if (height, width) == self.photo.shape[:2] and np.array_equal(matrix, np.eye(2, 3)):
            return self.photo
        mode = cv2.BORDER_REPLICATE if self.border is None else cv2.BORDER_CONSTANT
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        found = cv2.warpAffine(
            self.photo, matrix, (width, height), flags=flags, borderMode=mode, borderValue=self.border or 0
        )
        return np.asarray(found, np.uint8)

    def seen(self, places: Any, height: int, width: int) -> npt.NDArray[np.float64]:
        """Where places of the photo [N, 2], x and y in its pixels, are in the view at so many pixels."""
        moved = np.linalg.solve(self.matrix[:, :2], (np.asarray(places, np.float64) - self.matrix[:, 2]).T).T
        return np.asarray(moved * (width / self.width, height / self.height))

    def redraw(self, photo: Photo) -> None:
        """Take these pixels for the view."""
        self.photo, self.matrix, self.border = photo, np.eye(2, 3), None
        self.height, self.width = photo.shape[:2]
