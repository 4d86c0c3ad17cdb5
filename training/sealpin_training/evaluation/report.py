"""An evaluation as one HTML page: figures, curves, confusion, and a gallery of the worst misses and false alarms."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.files import write_whole
from sealpin_edge.model.photo import decode_photo
from sealpin_edge.tasks.finding import Edges, Finding
from sealpin_edge.tasks.verdict import Rule, counted

from .. import html
from ..dataset.labels import Box
from ..dataset.records import Record
from ..run import Run
from .evaluation import Evaluation

GALLERY = 12
TILE = 360
# In colours that a colour-blind eye tells apart (Okabe and Ito, 2008)
LABEL, FOUND, MEANT = (86, 180, 233), (213, 94, 0), (240, 228, 66)
LEGEND = (
    "Yellow with a black rim: the box that is meant. Blue: other labels. Orange: what counts as found, with its score."
)


def write_report(
    run: Run, evaluation: Evaluation, records: Sequence[Record], found: Sequence[Sequence[Finding]], path: Path
) -> None:
    """Write the page. It needs nothing beside it: the pictures are inside."""
    misses, alarms = evaluation.confusion.misses, evaluation.confusion.alarms
    parts = [
        *map(html.warning, evaluation.shortcomings),
        html.paragraph(
            f"Run {run.name} ({run.recipe_name}), {evaluation.weights}, on {evaluation.split} of"
            f" {Path(run.dataset).name}: {evaluation.parts} photos, {evaluation.bad_parts} of bad parts."
            f" What counts: {evaluation.rule} ({evaluation.threshold_chosen})."
        ),
        *_line(evaluation),
        html.heading("Boxes that count"),
        html.paragraph(f"It {evaluation.found}. {evaluation.caution}"),
        html.table(("category", "labelled", "found", "right", "precision", "recall", "F1"), _box_rows(evaluation)),
        html.heading("COCO's figures"),
        html.table(tuple(evaluation.metrics), [[_figure(value) for value in evaluation.metrics.values()]]),
        html.table(
            ("category", "boxes", "AP", "AP50", "recall at an overlap of a half"),
            [
                (name, f"{int(row['boxes'])}", *(f"{row[key]:.3f}" for key in ("AP", "AP50", "recall50")))
                for name, row in evaluation.coco.by_category.items()
            ],
        ),
        html.picture(_chart(lambda figure: _precision_recall(figure, evaluation)), "precision against recall"),
        html.heading("Escapes and false rejects over the threshold"),
        html.paragraph("With one threshold for all categories that reject; the dashed lines are those that hold."),
        html.picture(_chart(lambda figure: _over_thresholds(figure, evaluation)), "escapes and false rejects"),
        html.details("as a table", _threshold_table(evaluation)),
        html.heading("What was taken for what"),
        html.table(
            ("labelled / found", *run.classes, "nothing"),
            [
                (name, *map(int, row))
                for name, row in zip((*run.classes, "nothing"), evaluation.confusion.counts, strict=True)
            ],
        ),
    ]
    for title, told, cases in (
        ("The largest boxes that were missed", "missed", [(m.photo, m.box) for m in misses]),
        ("The surest detections where nothing is labelled", "no label there", [(a.photo, a.found) for a in alarms]),
    ):
        parts.append(html.heading(f"{title} ({len(cases)})"))
        if cases:
            parts.append(html.paragraph(LEGEND))
            tiles = [_tile(records[photo], found[photo], about, evaluation.rule) for photo, about in cases[:GALLERY]]
            captions = [f"{records[photo].name}: {_named(about)}, {told}" for photo, about in cases[:GALLERY]]
            parts.append(html.gallery(zip(tiles, captions, strict=True)))
    write_whole(path, html.page(f"Evaluation of {run.name}", parts))


def _line(evaluation: Evaluation) -> list[str]:
    """Escapes and false rejects, where there are parts of both kinds: else either is nothing to be glad of."""
    if not 0 < evaluation.bad_parts < evaluation.parts:
        return [html.paragraph(evaluation.line_told)]
    return [html.table(("", "per 1,000 (95 % interval)", "seen"), _line_rows(evaluation))]


def _box_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    return [
        (
            name + (" (shown only)" if name in evaluation.rule.notice else ""),
            *(f"{number}" for number in (count.labelled, count.detected, count.right)),
            *(f"{share:.3f}" for share in (count.precision, count.recall, count.f1)),
        )
        for name, count in evaluation.boxes.items()
    ]


def _line_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    return [
        (told, str(share), f"{share.count} of {share.parts} {kind} parts")
        for told, share, kind in (
            ("escapes", evaluation.escaped, "bad"),
            ("false rejects", evaluation.rejected, "good"),
        )
    ]


def _threshold_table(evaluation: Evaluation) -> str:
    return html.table(
        ("threshold", "escapes per 1,000 bad parts", "false rejects per 1,000 good parts"),
        [(f"{step:.2f}", str(escapes), str(rejects)) for step, escapes, rejects in evaluation.by_threshold],
    )


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
    steps, escapes, false_rejects = zip(*evaluation.curve, strict=True)
    for shares, told, colour in (
        (escapes, "escapes per 1,000 bad parts", "C3"),
        (false_rejects, "false rejects per 1,000 good parts", "C0"),
    ):
        if not shares[0].parts:
            continue
        # A share holds from the score before up to its own: "steps-pre", from 0 on
        seen = [share.per_1000 for share in (shares[0], *shares)]
        low, high = zip(*(share.bounds for share in (shares[0], *shares)), strict=True)
        axes.plot([0, *steps], seen, color=colour, label=told, drawstyle="steps-pre")
        axes.fill_between([0, *steps], low, high, color=colour, alpha=0.15, step="pre")
    reject = [name for name in evaluation.rule.thresholds if name not in evaluation.rule.notice]
    for score in sorted({evaluation.rule.thresholds[name] for name in reject}):
        names = ", ".join(name for name in reject if evaluation.rule.thresholds[name] == score)
        axes.axvline(score, color="#444444", linestyle="--")
        # Upright, since thresholds lie close together
        place = {"xycoords": ("data", "axes fraction"), "xytext": (2, 0), "textcoords": "offset points"}
        axes.annotate(names, (score, 0.98), rotation=90, va="top", fontsize=8, **place)
    axes.set(xlabel="threshold", ylabel="per 1,000", xlim=(0, 1), ylim=(0, None))
    axes.grid(alpha=0.3)
    if axes.lines:
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
