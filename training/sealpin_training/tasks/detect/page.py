"""A detector's part of an evaluation page: figures, a curve, confusion, and a gallery of misses and false alarms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sealpin_edge.model.photo import decode_photo
from sealpin_edge.tasks.finding import Edges, Finding
from sealpin_edge.tasks.verdict import Rule, counted

from ... import html
from ...dataset.labels import Box
from ...dataset.records import Record
from .boxes import BoxCount
from .coco import CocoScore
from .confusion import Confusion

GALLERY = 12
TILE = 360
# In colours that a colour-blind eye tells apart (Okabe and Ito, 2008)
LABEL, FOUND, MEANT = (86, 180, 233), (213, 94, 0), (240, 228, 66)
LEGEND = (
    "Yellow with a black rim: the box that is meant. Blue: other labels. Orange: what counts as found, with its score."
)


def figures(
    coco: CocoScore, boxes: Mapping[str, BoxCount], taken: Confusion, rule: Rule, classes: Sequence[str]
) -> list[str]:
    """COCO's figures, what counts of each class, and what was taken for what."""
    return [
        html.table(("category", "labelled", "found", "right", "precision", "recall", "F1"), _box_rows(boxes, rule)),
        html.heading("COCO's figures"),
        html.table(tuple(coco.metrics), [[_figure(value) for value in coco.metrics.values()]]),
        html.table(
            ("category", "boxes", "AP", "AP50", "recall at an overlap of a half"),
            [
                (name, f"{int(row['boxes'])}", *(f"{row[key]:.3f}" for key in ("AP", "AP50", "recall50")))
                for name, row in coco.by_category.items()
            ],
        ),
        html.picture(html.chart(lambda figure: _precision_recall(figure, coco)), "precision against recall"),
        html.heading("What was taken for what"),
        html.table(
            ("labelled / found", *classes, "nothing"),
            [(name, *map(int, row)) for name, row in zip((*classes, "nothing"), taken.counts, strict=True)],
        ),
    ]


def pictures(records: Sequence[Record], found: Sequence[Sequence[Finding]], taken: Confusion, rule: Rule) -> list[str]:
    """The largest boxes that were missed, and the surest where nothing is labelled."""
    parts = []
    for title, told, cases in (
        ("The largest boxes that were missed", "missed", [(m.photo, m.box) for m in taken.misses]),
        (
            "The surest detections where nothing is labelled",
            "no label there",
            [(a.photo, a.found) for a in taken.alarms],
        ),
    ):
        parts.append(html.heading(f"{title} ({len(cases)})"))
        if cases:
            parts.append(html.paragraph(LEGEND))
            tiles = [_tile(records[photo], found[photo], about, rule) for photo, about in cases[:GALLERY]]
            captions = [f"{records[photo].name}: {_named(about)}, {told}" for photo, about in cases[:GALLERY]]
            parts.append(html.gallery(zip(tiles, captions, strict=True)))
    return parts


def _box_rows(boxes: Mapping[str, BoxCount], rule: Rule) -> list[tuple[str, ...]]:
    return [
        (
            name + (" (shown only)" if name in rule.notice else ""),
            *(f"{number}" for number in (count.labelled, count.detected, count.right)),
            *(f"{share:.3f}" for share in (count.precision, count.recall, count.f1)),
        )
        for name, count in boxes.items()
    ]


def _figure(value: float) -> str:
    return "-" if value < 0 else f"{value:.3f}"


def _precision_recall(figure: Any, coco: CocoScore) -> None:
    axes = figure.subplots()
    for name, curve in coco.precision.items():
        axes.plot(np.linspace(0, 1, len(curve)), curve, label=name)
    axes.set(xlabel="recall", ylabel="precision", title="Boxes, at an overlap of a half", xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend()


def _tile(record: Record, found: Sequence[Finding], about: Box | Finding, rule: Rule) -> bytes:
    """The part of a photo around `about`, with its labels and what was found there, as PNG."""
    import cv2

    photo = decode_photo(record.data, record.name)
    edges = about.edges
    side = max(2.0 * max(edges.xmax - edges.xmin, edges.ymax - edges.ymin), min(photo.shape[:2]) / 4)
    side = min(side, *photo.shape[:2])
    left = int(np.clip((edges.xmin + edges.xmax - side) / 2, 0, photo.shape[1] - side))
    top = int(np.clip((edges.ymin + edges.ymax - side) / 2, 0, photo.shape[0] - side))
    scale = TILE / side
    cut = photo[top : top + int(side), left : left + int(side)]
    tile = cv2.resize(cut, (TILE, TILE), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)

    shown = [one for one in counted(found, rule) if _in_view(one.edges, left, top, side)]

    def draw(box: Edges, colour: tuple[int, int, int], width: int) -> None:
        (x, y), (right, bottom) = (
            (round((x - left) * scale), round((y - top) * scale))
            for x, y in ((box.xmin, box.ymin), (box.xmax, box.ymax))
        )
        cv2.rectangle(tile, (x, y), (right, bottom), colour, width)

    for box in record.boxes:
        draw(box.edges, LABEL, 2)
    for one in shown:
        draw(one.edges, FOUND, 2)
    draw(edges, (0, 0, 0), 7)
    draw(edges, MEANT, 3)
    for one in shown:
        corner = round((one.edges.xmin - left) * scale), round((one.edges.ymin - top) * scale)
        _write(tile, _named(one), corner)
    return bytes(cv2.imencode(".png", cv2.cvtColor(tile, cv2.COLOR_RGB2BGR))[1].tobytes())


def _in_view(box: Edges, left: float, top: float, side: float) -> bool:
    return box.xmin < left + side and box.xmax > left and box.ymin < top + side and box.ymax > top


def _named(box: Box | Finding) -> str:
    return f"{box.category} {box.score:.0%}" if isinstance(box, Finding) else box.category


def _write(tile: Any, text: str, corner: tuple[int, int]) -> None:
    """Text above a box's corner, on a ground of its own, inside the tile."""
    import cv2

    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)
    x = int(np.clip(corner[0], 0, max(0, TILE - width - 6)))
    y = int(np.clip(corner[1] - below, height + 4, TILE - below - 2))
    cv2.rectangle(tile, (x, y - height - 4), (x + width + 6, y + below), (0, 0, 0), cv2.FILLED)
    cv2.putText(tile, text, (x + 3, y), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
