"""The statistics of a dataset for people: a table on the terminal, and one HTML page with charts."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.files import write_whole
from sealpin_edge.model.photo import decode_photo

from .. import html
from .labels import LabelledPhoto
from .preview import COLOURS, COLUMNS, ROWS, sheet
from .stats import HEAT_CELLS, ClassStats, Stats
from .survey import LEAST_BOX_PX, Survey

HEAD = ("class", "boxes", "photos", "width px", "height px", "width/height", "anchor overlap", "unmatched")
MOST_SIZES = 10
MEAN_PHOTOS = 64
MOST_LABELS = 16  # of bars side by side: more would lie on each other
DOT, LINE = "#444444", "#bbbbbb"


def table(inputs: Sequence[Stats]) -> str:
    """The figures as plain text, for each of some inputs of a model."""
    tables = [(HEAD, *_rows(stats)) for stats in inputs]
    widths = [max(len(row[column]) for rows in tables for row in rows) for column in range(len(HEAD))]
    first = inputs[0]
    lines = [_summary(first), *(f"  {name}: {count} photos" for name, count in first.whole.items())]
    if first.whole and not first.classes:
        return "\n".join(lines)
    lines.append(_MEANING)
    for stats, rows in zip(inputs, tables, strict=True):
        lines += ["", _input(stats)]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
    return "\n".join(lines)


def write_report(found: Survey, inputs: Sequence[Stats], path: Path) -> None:
    """Write the page; charts are of the first input. It needs nothing beside it: the pictures are PNGs inside."""
    stats = inputs[0]
    if not stats.classes:
        parts = [html.paragraph(_summary(stats)), html.paragraph("There are no boxes to draw.")]
        write_whole(path, html.page(f"Dataset {found.source.root.name}", parts))
        return
    counts = _counts(stats)
    charts: Sequence[tuple[str, str, Callable[[Any], None]]] = (
        *([("How many", "photos and boxes by kind", lambda figure: _bars(figure, counts))] if counts else []),
        (f"Sizes {_input(stats)}", "boxes and anchors", lambda figure: _sizes(figure, stats)),
        ("Aspect ratios and anchors", "histograms of both", lambda figure: _fit(figure, stats)),
        ("Where boxes sit", "heat map over the mean photo", lambda figure: _heat_map(figure, found, stats)),
    )
    parts = [html.paragraph(_summary(stats)), html.paragraph(_photo_sizes(stats)), html.paragraph(_MEANING)]
    for one in inputs:
        parts += [html.paragraph(f"{_input(one)[0].upper()}{_input(one)[1:]}:"), html.table(HEAD, _rows(one))]
    for title, alt, draw in charts:
        parts += [html.heading(title), html.picture(_chart(draw), alt)]
    chosen = _examples(found)
    parts += [html.heading("Examples"), html.picture(sheet(found.source.root, chosen, list(stats.classes)), "examples")]
    write_whole(path, html.page(f"Dataset {found.source.root.name}", parts))


def _summary(stats: Stats) -> str:
    bad = "of bad ones" if stats.whole else "with boxes"
    return (
        f"{stats.photos} photos: {stats.good} of good parts, {stats.bad} {bad}, {stats.unlabelled} without "
        f"labels; {sum(len(one.edges) for one in stats.classes.values())} boxes"
    )


_MEANING = (
    "Widths, heights and overlaps: the median of all boxes, and from where to where nine of ten lie. Unmatched: boxes"
    " that overlap no anchor enough to be learned from it."
)


def _input(stats: Stats) -> str:
    return f"at a model's input of {stats.anchors.width}x{stats.anchors.height}"


def _photo_sizes(stats: Stats) -> str:
    sizes = [f"{count} of {width} x {height}" for (width, height), count in stats.photo_sizes.items()]
    more = [f"{len(sizes) - MOST_SIZES} sizes more"] if len(sizes) > MOST_SIZES else []
    return f"Photos by their size in pixels: {', '.join(sizes[:MOST_SIZES] + more)}."


def _rows(stats: Stats) -> list[tuple[str, ...]]:
    def spread(values: Sequence[float]) -> str:
        low, middle, high = values
        return f"{middle:.3g} ({low:.3g} to {high:.3g})"

    figures = stats.as_dict()["classes"]
    columns = ("width_px", "height_px", "aspect_ratio", "anchor_overlap")
    return [
        (name, str(one["boxes"]), str(one["photos"]), *(spread(one[key]) for key in columns), str(one["unmatched"]))
        for name, one in figures.items()
    ]


def _chart(draw: Callable[[Any], None]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _colour(stats: Stats, name: str) -> tuple[float, float, float]:
    red, green, blue = COLOURS[list(stats.classes).index(name) % len(COLOURS)]
    return red / 255, green / 255, blue / 255


@dataclass(frozen=True)
class _Counts:
    """One chart of bars: what is counted, how many there are of each, and colours; numbers stand side by side."""

    what: str
    bars: Mapping[str, int]
    colours: Sequence[Any]
    of_numbers: bool = False


def _counts(stats: Stats) -> list[_Counts]:
    """The charts in which there is something to compare: a single bar says less than the summary does."""
    kinds = {"good": (stats.good, "#00aa3c"), "bad": (stats.bad, "#dc141e"), "unlabelled": (stats.unlabelled, LINE)}
    there = {kind: one for kind, one in kinds.items() if one[0]}
    classes = {name: len(one.edges) for name, one in stats.classes.items()}
    boxes = {str(count): stats.boxes_per_photo.get(count, 0) for count in range(max(stats.boxes_per_photo) + 1)}
    charts = [
        _Counts(
            "photos", {kind: count for kind, (count, _) in there.items()}, [colour for _, colour in there.values()]
        ),
        _Counts("boxes of each class", classes, [_colour(stats, name) for name in classes]),
        _Counts("photos with so many boxes", boxes if len(stats.boxes_per_photo) > 1 else {}, [DOT], of_numbers=True),
    ]
    return [chart for chart in charts if len(chart.bars) > 1]


def _bars(figure: Any, charts: Sequence[_Counts]) -> None:
    for axes, chart in zip(np.atleast_1d(figure.subplots(1, len(charts))), charts, strict=True):
        names, counts = list(chart.bars), list(chart.bars.values())
        axes.set_title(chart.what)
        if chart.of_numbers:
            drawn = axes.bar(names, counts, color=chart.colours)
            axes.set_xticks(range(0, len(names), -(-len(names) // MOST_LABELS)))
        else:
            drawn = axes.barh(names, counts, color=chart.colours)
            axes.invert_yaxis()
            axes.margins(x=0.15)  # for the figures at their ends
        if len(names) <= MOST_LABELS:
            axes.bar_label(drawn)


def _sizes(figure: Any, stats: Stats) -> None:
    axes = figure.subplots()
    for name, one in stats.classes.items():
        axes.scatter(*one.sides.T, s=9, alpha=0.6, color=_colour(stats, name), label=name)
    _, widths, heights = stats.anchors.shapes().T
    axes.scatter(widths, heights, s=70, marker="s", facecolors="none", edgecolors=DOT, label="anchors")
    least = LEAST_BOX_PX / 2
    axes.axvspan(least, LEAST_BOX_PX, color=LINE, alpha=0.4)
    axes.axhspan(least, LEAST_BOX_PX, color=LINE, alpha=0.4, label=f"under {LEAST_BOX_PX} px")
    axes.set(xscale="log", yscale="log", xlabel="width, px at the input", ylabel="height, px at the input")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _fit(figure: Any, stats: Stats) -> None:
    left, right = figure.subplots(1, 2)

    def histogram(axes: Any, bins: Any, values: Callable[[ClassStats], Any]) -> None:
        columns = [values(one) for one in stats.classes.values()]
        axes.hist(columns, bins, stacked=True, color=[_colour(stats, name) for name in stats.classes])

    histogram(left, np.geomspace(0.1, 10, 41), lambda one: one.sides[:, 0] / one.sides[:, 1])
    for ratio in stats.anchors.aspect_ratios:
        left.axvline(ratio, color=DOT, linestyle="--")
    left.set(xscale="log", xlabel="width / height of boxes; dashed: the anchors'", ylabel="boxes")
    histogram(right, np.linspace(0, 1, 41), lambda one: one.overlaps)
    right.axvline(stats.anchors.matched, color=DOT, linestyle="--")
    right.set(xlabel="overlap with the best anchor; dashed: what counts as a match", ylabel="boxes")


def _heat_map(figure: Any, found: Survey, stats: Stats) -> None:
    figure.set_figwidth(1.3 * figure.get_figheight())  # a square and its scale
    axes = figure.subplots()
    axes.imshow(_mean_photo(found), cmap="gray", extent=(0, 1, 1, 0))
    heat = np.where(stats.heat > 0, stats.heat, np.nan)
    drawn = axes.imshow(heat, cmap="inferno", alpha=0.65, extent=(0, 1, 1, 0))
    figure.colorbar(drawn, label="boxes over this place")
    axes.set(xticks=[], yticks=[], xlabel=f"mean of up to {MEAN_PHOTOS} photos, stretched to a square")


def _mean_photo(found: Survey) -> Any:
    import cv2

    side = 4 * HEAT_CELLS
    total = np.zeros((side, side), np.float64)
    chosen = _spread(found.photos, MEAN_PHOTOS)
    for photo in chosen:
        pixels = decode_photo((found.source.root / photo.name).read_bytes(), photo.name)
        grey = cv2.cvtColor(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        total += np.asarray(grey, np.float64)
    return total / max(1, len(chosen))


def _examples(found: Survey) -> list[LabelledPhoto]:
    """A sheet of photos, bad and good, spread over the folder."""
    bad = [photo for photo in found.photos if photo.boxes]
    not_good = found.unlabelled | found.unplaced
    good = [photo for photo in found.photos if not photo.boxes and photo.name not in not_good]
    some_good = _spread(good, COLUMNS)
    return _spread(bad, COLUMNS * ROWS - len(some_good)) + some_good


def _spread(photos: Sequence[LabelledPhoto], most: int) -> list[LabelledPhoto]:
    count = min(most, len(photos))
    return [photos[len(photos) * number // count] for number in range(count)]
