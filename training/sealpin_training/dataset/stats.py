"""What is in a dataset: how many of what, how large, where on the part, and whether a network's anchors fit."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .labels import LabelledPhoto
from .survey import Survey

Floats = npt.NDArray[np.float64]

HEAT_CELLS = 64
PERCENTILES = (5, 50, 95)


class Anchors(Protocol):
    """The boxes that a network learns from: at an input of `width` and `height` pixels."""

    @property
    def width(self) -> int:
        """Of the input."""

    @property
    def height(self) -> int:
        """Of the input."""

    @property
    def matched(self) -> float:
        """The overlap, 0..1, from which a box is learned from an anchor."""

    @property
    def aspect_ratios(self) -> Sequence[float]:
        """Widths divided by heights."""

    def shapes(self) -> Floats:
        """[kinds, 3], of which the last two are width and height, pixels."""

    def best_overlap(self, edges: Floats) -> Floats:
        """[boxes]: how much the best anchor overlaps each of boxes [boxes, 4], 0..1."""


@dataclass(frozen=True)
class ClassStats:
    """One class. `edges`: [boxes, 4] at the model's input, pixels; `overlaps`: [boxes] best anchor's, 0..1."""

    photos: int
    edges: Floats
    overlaps: Floats

    @property
    def sides(self) -> Floats:
        """[boxes, 2]: width and height at the model's input, pixels."""
        return self.edges[:, 2:] - self.edges[:, :2]


@dataclass(frozen=True)
class Stats:
    """A dataset in figures.

    `photo_sizes`: how many photos of each width and height. `heat`: [HEAT_CELLS, HEAT_CELLS], how many boxes cover each
    place of the photo. `whole`: photos by their class as a whole, where they have one.
    """

    photos: int
    good: int
    unlabelled: int
    photo_sizes: dict[tuple[int, int], int]
    boxes_per_photo: dict[int, int]
    classes: dict[str, ClassStats]
    heat: npt.NDArray[np.int64]
    anchors: Anchors
    whole: dict[str, int]

    @property
    def bad(self) -> int:
        """Photos with a box, be it one that is not counted."""
        return self.photos - self.good - self.unlabelled

    def as_dict(self) -> dict[str, Any]:
        """The figures for a script: percentiles 5, 50 and 95 of sizes in pixels at the model's input."""
        return {
            "photos": {
                "all": self.photos, "good": self.good, "bad": self.bad, "unlabelled": self.unlabelled,
                "sizes": {f"{width}x{height}": count for (width, height), count in self.photo_sizes.items()},
            },
            "boxes_per_photo": {str(count): photos for count, photos in self.boxes_per_photo.items()},
            "input": [self.anchors.width, self.anchors.height],
            "classes": {
                name: {
                    "boxes": len(one.edges),
                    "photos": one.photos,
                    "width_px": _percentiles(one.sides[:, 0]),
                    "height_px": _percentiles(one.sides[:, 1]),
                    "aspect_ratio": _percentiles(one.sides[:, 0] / one.sides[:, 1]),
                    "anchor_overlap": _percentiles(one.overlaps),
                    "unmatched": int((one.overlaps < self.anchors.matched).sum()),
                }
                for name, one in self.classes.items()
            },
            "heat_map": self.heat.tolist(),
            **({"whole": self.whole} if self.whole else {}),
        }  # fmt: skip


def statistics(found: Survey, anchors: Anchors) -> Stats:
    """The figures of a surveyed folder; boxes with errors are not in them."""
    edges: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    photos_of: Counter[str] = Counter()
    heat = np.zeros((HEAT_CELLS, HEAT_CELLS), np.int64)
    for photo in found.photos:
        for category, box in zip((box.category for box in photo.boxes), _relative(photo), strict=True):
            edges[category].append(tuple(box * ([anchors.width, anchors.height] * 2)))
            left, top = np.floor(box[:2] * HEAT_CELLS).astype(int)
            right, bottom = np.ceil(box[2:] * HEAT_CELLS).astype(int)
            heat[top:bottom, left:right] += 1
        photos_of.update({box.category for box in photo.boxes})
    arrays = {name: np.array(rows, np.float64) for name, rows in sorted(edges.items())}
    labelled = [photo for photo in found.photos if photo.name not in found.unlabelled]
    return Stats(
        photos=len(found.photos),
        good=sum(_is_good(photo, found) for photo in labelled),
        unlabelled=len(found.unlabelled),
        photo_sizes=dict(Counter((photo.width, photo.height) for photo in found.photos).most_common()),
        boxes_per_photo=dict(sorted(Counter(len(photo.boxes) for photo in labelled).items())),
        classes={name: ClassStats(photos_of[name], rows, anchors.best_overlap(rows)) for name, rows in arrays.items()},
        heat=heat,
        anchors=anchors,
        whole=_whole(labelled, found.good),
    )


def _whole(labelled: Sequence[LabelledPhoto], good: Sequence[str]) -> dict[str, int]:
    """Photos by their class as a whole, those of none by the first good one; empty where they have none."""
    if not good and not any(photo.category for photo in labelled):
        return {}
    classes = Counter(photo.category or next(iter(good), "") for photo in labelled)
    return {name: count for name, count in sorted(classes.items()) if name}


def _is_good(photo: LabelledPhoto, found: Survey) -> bool:
    if photo.category:
        return photo.category in found.good
    return not photo.boxes and photo.name not in found.unplaced


def _relative(photo: LabelledPhoto) -> Floats:
    """[boxes, 4]: edges as shares of the photo."""
    edges = np.array([box.edges for box in photo.boxes], np.float64).reshape(-1, 4)
    return np.asarray(np.clip(edges / ([photo.width, photo.height] * 2), 0, 1))


def _percentiles(values: Floats) -> list[float]:
    return [round(float(value), 3) for value in np.percentile(values, PERCENTILES)]
