"""An evaluation as one HTML page: figures, curves, confusion, and a gallery of the worst misses and false alarms."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.detection import Detection
from sealpin_edge.files import write_whole
from sealpin_edge.photo import Photo, decode_photo
from sealpin_edge.verdict import Rule, counted

from .. import html
from ..dataset.labels import Box
from ..dataset.records import Record
from ..run import Run
from .evaluate import Evaluation

GALLERY = 12
TILE = 240
COLUMNS = 4
# Labels and detections, in colours that a colour-blind eye tells apart (Okabe and Ito, 2008)
LABEL, FOUND = (86, 180, 233), (213, 94, 0)


def write_report(
    run: Run, evaluation: Evaluation, records: Sequence[Record], found: Sequence[Sequence[Detection]], path: Path
) -> None:
    """Write the page. It needs nothing beside it: the pictures are inside."""
    categories = [
        (name, f"{int(row['boxes'])}", *(f"{row[key]:.3f}" for key in ("AP", "AP50", "recall50")))
        for name, row in evaluation.coco.by_category.items()
    ]
    parts = [
        html.paragraph(
            f"Run {run.name} ({run.recipe_name}) on {evaluation.split} of {Path(run.dataset).name}:"
            f" {evaluation.parts} photos, {evaluation.bad_parts} of bad parts. Threshold {evaluation.threshold:.3f}"
            f" ({evaluation.threshold_chosen})."
        ),
        html.table(("", "per 1,000 (95 % interval)", "seen"), _line_rows(evaluation)),
        html.heading("COCO's figures"),
        html.table(tuple(evaluation.metrics), [[_figure(value) for value in evaluation.metrics.values()]]),
        html.table(("category", "boxes", "AP", "AP50", "recall at an overlap of a half"), categories),
        html.picture(_chart(lambda figure: _precision_recall(figure, evaluation)), "precision against recall"),
        html.heading("Escapes and false rejects over the threshold"),
        html.picture(_chart(lambda figure: _over_thresholds(figure, evaluation)), "escapes and false rejects"),
        html.table(
            ("threshold", "escapes per 1,000 bad parts", "false rejects per 1,000 good parts"),
            [(f"{step:.2f}", str(escapes), str(rejects)) for step, escapes, rejects in evaluation.by_threshold],
        ),
        html.heading("What was taken for what"),
        html.table(
            ("labelled / found", *run.classes, "nothing"),
            [
                (name, *map(int, row))
                for name, row in zip((*run.classes, "nothing"), evaluation.confusion.counts, strict=True)
            ],
        ),
    ]
    shown = (
        ("The largest boxes that were missed", [(m.photo, m.box) for m in evaluation.confusion.misses]),
        ("The surest detections where nothing is labelled", [(a.photo, a.found) for a in evaluation.confusion.alarms]),
    )
    for title, cases in shown:
        parts.append(html.heading(f"{title} ({len(cases)})"))
        if cases:
            parts.append(html.paragraph("Blue: labelled. Orange: found, with its score."))
            tiles = [_tile(records[photo], found[photo], about, evaluation.rule) for photo, about in cases[:GALLERY]]
            parts.append(html.picture(_sheet(tiles), title))
    write_whole(path, html.page(f"Evaluation of {run.name}", parts))


def _line_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    return [
        (told, str(share) if share.parts else "no such parts", f"{share.count} of {share.parts} {kind} parts")
        for told, share, kind in (
            ("escapes", evaluation.escaped, "bad"),
            ("false rejects", evaluation.rejected, "good"),
        )
    ]


def _figure(value: float) -> str:
    return "-" if value < 0 else f"{value:.3f}"


def _chart(draw: Callable[[Any], None]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    draw(figure)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    return data.getvalue()


def _precision_recall(figure: Any, evaluation: Evaluation) -> None:
    axes = figure.subplots()
    for name, curve in evaluation.coco.precision.items():
        axes.plot(np.linspace(0, 1, len(curve)), curve, label=name)
    axes.set(xlabel="recall", ylabel="precision", title="Boxes, at an overlap of a half", xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend()


def _over_thresholds(figure: Any, evaluation: Evaluation) -> None:
    axes = figure.subplots()
    steps, escapes, false_rejects = zip(*evaluation.by_threshold, strict=True)
    for shares, told, colour in (
        (escapes, "escapes per 1,000 bad parts", "C3"),
        (false_rejects, "false rejects per 1,000 good parts", "C0"),
    ):
        if not shares[0].parts:
            continue
        axes.plot(steps, [share.per_1000 for share in shares], color=colour, label=told)
        bounds = [share.bounds for share in shares]
        axes.fill_between(steps, [low for low, _ in bounds], [high for _, high in bounds], color=colour, alpha=0.15)
    axes.axvline(evaluation.threshold, color="#444444", linestyle="--", label="the threshold")
    axes.set(xlabel="threshold", ylabel="per 1,000", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()


def _tile(record: Record, found: Sequence[Detection], about: Box | Detection, rule: Rule) -> Photo:
    """The part of a photo around `about`, with its labels and what was found there."""
    import cv2

    photo = decode_photo(record.data, record.name)
    side = max(2.0 * max(about.xmax - about.xmin, about.ymax - about.ymin), min(photo.shape[:2]) / 4)
    side = min(side, *photo.shape[:2])
    left = int(np.clip((about.xmin + about.xmax - side) / 2, 0, photo.shape[1] - side))
    top = int(np.clip((about.ymin + about.ymax - side) / 2, 0, photo.shape[0] - side))
    scale = TILE / side
    cut = photo[top : top + int(side), left : left + int(side)]
    tile = cv2.resize(cut, (TILE, TILE), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)

    def place(x: float, y: float) -> tuple[int, int]:
        return round((x - left) * scale), round((y - top) * scale)

    for box in record.boxes:
        cv2.rectangle(tile, place(box.xmin, box.ymin), place(box.xmax, box.ymax), LABEL, 2)
    for one in counted(found, rule):
        corner = place(one.xmin, one.ymin)
        cv2.rectangle(tile, corner, place(one.xmax, one.ymax), FOUND, 2)
        at = (int(np.clip(corner[0], 2, TILE - 90)), int(np.clip(corner[1] - 4, 12, TILE - 20)))
        _write(tile, f"{one.category} {one.score:.0%}", at)
    _write(tile, record.name[-36:], (4, TILE - 6))
    return np.asarray(tile, np.uint8)


def _write(tile: Any, text: str, at: tuple[int, int]) -> None:
    import cv2

    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA)


def _sheet(tiles: Sequence[Photo]) -> bytes:
    import cv2

    rows = [list(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    blank = np.full((TILE, TILE, 3), 255, np.uint8)
    sheet = np.vstack([np.hstack(row + [blank] * (COLUMNS - len(row))) for row in rows])
    return bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())
