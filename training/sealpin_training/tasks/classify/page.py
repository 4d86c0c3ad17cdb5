"""A classifier's part of an evaluation page: figures, what was taken for what, honesty, and the worst photos."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.model.photo import decode_photo

from ... import html
from ...dataset.records import Record
from .calibration import Calibration

GALLERY = 24
TILE = 300


def figures(
    metrics: Mapping[str, float],
    by_category: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    confusion: npt.NDArray[np.int64],
    calibration: Calibration,
) -> list[str]:
    """Tables, and the reliability plot."""
    return [
        html.table(tuple(metrics), [["-" if value < 0 else f"{value:.4f}" for value in metrics.values()]]),
        html.table(
            ("class", "photos", "precision", "recall", "F1"),
            [
                (name, int(row["photos"]), *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")))
                for name, row in by_category.items()
            ],
        ),
        html.heading("What was taken for what"),
        html.table(
            ("labelled / likeliest", *names),
            [(name, *map(int, row)) for name, row in zip(names, confusion, strict=True)],
        ),
        html.heading("Is it right as often as it is sure?"),
        html.paragraph(
            f"Expected calibration error {calibration.error:.3f}; most honest with logits divided by"
            f" {calibration.temperature:.2f}."
        ),
        html.picture(html.chart(lambda figure: _reliability(figure, calibration)), "how often right, by how sure"),
    ]


def pictures(
    records: Sequence[Record],
    own: npt.NDArray[np.float64],
    names: Sequence[str],
    truth: npt.NDArray[np.int64],
    taken: npt.NDArray[np.int64],
) -> list[str]:
    """The photos whose own class was given least, `own` [photos], with what they are and were taken for."""
    worst = [int(place) for place in np.argsort(own, kind="stable")[:GALLERY]]
    captions = [
        f"{records[place].name}: {names[truth[place]]} {own[place]:.0%}, taken for {names[taken[place]]}"
        for place in worst
    ]
    tiles = [_tile(records[place]) for place in worst]
    return [
        html.heading("The photos whose own class was thought least likely"),
        html.gallery(zip(tiles, captions, strict=True)),
    ]


def _tile(record: Record) -> bytes:
    """A photo as PNG, TILE pixels on its longer side."""
    import cv2

    photo = decode_photo(record.data, record.name)
    scale = TILE / max(photo.shape[:2])
    size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
    tile = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return bytes(cv2.imencode(".png", cv2.cvtColor(tile, cv2.COLOR_RGB2BGR))[1].tobytes())


def _reliability(figure: Any, calibration: Calibration) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#888888", linestyle="--", label="honest")
    axes.plot(calibration.sure, calibration.right, marker="o", label="this network")
    for x, y, count in zip(calibration.sure, calibration.right, calibration.photos, strict=True):
        axes.annotate(str(count), (x, y), xytext=(4, -12), textcoords="offset points", fontsize=8)
    axes.set(xlabel="how sure", ylabel="how often right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend()
