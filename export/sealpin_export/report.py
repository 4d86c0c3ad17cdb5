"""An export as one HTML page: what was made, how it compares with the network, and how fast it runs here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sealpin_edge.display.overlay import draw_overlay
from sealpin_edge.errors import quote
from sealpin_edge.files import write_whole
from sealpin_edge.model.photo import Photo, decode_photo
from sealpin_edge.tasks.benchmark import STAGES, Timing, benchmark, loaded, machine
from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.verdict import Rule, judge
from sealpin_training import html
from sealpin_training.dataset.records import Record
from sealpin_training.run import Run

from .gate import Judged, margin
from .sensitivity import LayerLoss

SHOWN = 6  # photos of each file
REASONS = 3  # in the first line of the page; the table has them all
TILE = 300
LAYERS = 15
THREADS = (1, 2)
TIMED = 40


@dataclass(frozen=True)
class ExportStep:
    """One step of an export, as told to the user."""

    what: str
    seconds: float
    path: Path
    bytes: int


def write_report(
    run: Run,
    path: Path,
    out: Path,
    steps: Sequence[ExportStep],
    records: Sequence[Record],
    network: Sequence[Sequence[Finding]],
    judged: Sequence[Judged],
    files: Sequence[Path],
    lost: Sequence[LayerLoss],
    warnings: Sequence[str],
) -> None:
    """Write the page to `path`; it needs nothing beside it.

    `lost` are the layers of an int8 file that was refused; `warnings` are about the network itself.
    """
    timings = benchmark(files, THREADS, TIMED, decode_photo(records[0].data, records[0].name))
    faults = [f"{one.gate.file}: {fault}" for one in judged for fault in one.gate.faults]
    more = f"; and {len(faults) - REASONS} reasons more" if len(faults) > REASONS else ""
    parts = [
        *([html.paragraph(f"REFUSED, no file was kept: {'; '.join(faults[:REASONS])}{more}.")] if faults else []),
        *map(html.warning, warnings),
        html.paragraph(
            f"Run {run.name} ({run.recipe_name}), {len(records)} val photos of {Path(run.dataset).name}. "
            + ("The files judge as the trained network does." if not faults else "")
        ),
        html.table(
            ("step", "seconds", "MB", "file"),
            [(step.what, f"{step.seconds:.1f}", f"{step.bytes / 1e6:.1f}", step.path.name) for step in steps],
        ),
        html.heading("Against the trained network"),
        html.table(("", *(one.gate.file for one in judged)), _comparison(judged)),
        html.heading("Speed"),
        html.paragraph(
            f"{machine()}; {records[0].name} {timings[0].photos} times for each, in turns. "
            + loaded(timings[0].others_load)
        ),
        html.table(
            ("file", "threads", "load ms", "ms a photo: p50", "p95", "p99", *STAGES, "memory MB"),
            [_timing(one) for one in timings],
        ),
    ]
    if lost:
        parts.append(html.heading("Where int8 loses"))
        parts.append(
            html.paragraph(
                "Root mean square error of each layer in steps of its int8 scale; rounding alone makes 0.29."
                f" The worst can stay in float: sealpin export {quote(run.name)} --out {quote(out)} --keep-float 5"
            )
        )
        rows = [(one.layer[-100:], one.operator, f"{one.error:.2f}") for one in lost[:LAYERS]]
        parts.append(html.table(("layer", "operator", "error"), rows))
    for one in judged:
        parts.append(html.heading(f"{one.gate.file}: the photos that differ most"))
        parts.append(html.paragraph("Left the trained network, right the file."))
        parts.append(html.picture(_pairs(records, network, one), f"network and {one.gate.file}"))
    if not faults:
        command = f"sealpin bundle make {quote(out / files[0].name)} --station STATION --out FILE"
        parts.append(html.paragraph(f"Next: {command}"))
    write_whole(path, html.page(f"Export of {run.name}" + (": refused" if faults else ""), parts))


def _comparison(judged: Sequence[Judged]) -> list[tuple[str, ...]]:
    gates = [one.gate for one in judged]
    metric = gates[0].metric
    rows = [
        ("verdict", *("refused" if gate.faults else "passed" for gate in gates)),
        (f"{metric} of the network, of the file", *("{:.4f}, {:.4f}".format(*gate.figures) for gate in gates)),
        (f"{metric} lost", *(f"{gate.drop:+.4f} (at most {gate.allowed_drop:.2g})" for gate in gates)),
        ("parts judged otherwise", *(f"{len(gate.flips)} of {gate.photos}" for gate in gates)),
        ("of them certain before", *(str(gate.certain_flips) for gate in gates)),
        ("largest, mean difference of a score", *(_pair(gate.score_difference, 3) for gate in gates)),
        ("largest, mean difference of an edge, pixels", *(_pair(gate.box_difference, 2) for gate in gates)),
        ("findings without counterpart", *(f"{gate.lost} of {gate.compared}" for gate in gates)),
        *(
            (f"{name}: what counts, lost", *("{}, {}".format(*gate.counting[name]) for gate in gates))
            for name in gates[0].counting
        ),
        ("bad parts rejected, of them OK by the file", *("{}, {}".format(*gate.rejected) for gate in gates)),
    ]
    for name in gates[0].by_category:
        rows.append((f"of {name}", *("{:.3f}, {:.3f}".format(*gate.by_category[name]) for gate in gates)))
    for gate in gates:
        rows += [
            (f"{flip.photo}{' (certain)' if flip.certain else ''}", f"{gate.file}: {flip.network} -> {flip.file}")
            for flip in gate.flips[:20]
        ]
    return rows


def _pair(values: tuple[float, float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


def _timing(one: Timing) -> tuple[str, ...]:
    figures = (one.load_ms, one.p50_ms, one.p95_ms, one.p99_ms, *(one.stages[stage] for stage in STAGES), one.rss_mb)
    return Path(one.model).name, str(one.threads), *(f"{value:.1f}" for value in figures)


def _pairs(records: Sequence[Record], network: Sequence[Sequence[Finding]], judged: Judged) -> bytes:
    """The photos whose verdicts moved most, marked by the network and by the file."""
    import cv2

    def moved(index: int) -> float:
        one, two = (margin(found[index], judged.rule) for found in (network, judged.found))
        return abs(one - two) if np.isfinite([one, two]).all() else float(one != two)

    flipped = {flip.photo for flip in judged.gate.flips}
    order = sorted(range(len(records)), key=lambda index: (records[index].name not in flipped, -moved(index)))
    tiles = []
    for index in order[:SHOWN]:
        photo = decode_photo(records[index].data, records[index].name)
        marked = [_marked(photo, found[index], judged.rule) for found in (network, judged.found)]
        tiles.append(np.hstack([*marked, np.full((TILE, 12, 3), 255, np.uint8)]))
    tiles += [np.full_like(tiles[0], 255)] * (len(tiles) % 2)
    rows = [np.hstack(tiles[start : start + 2]) for start in range(0, len(tiles), 2)]
    return bytes(cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))[1].tobytes())


def _marked(photo: Photo, found: Sequence[Finding], rule: Rule) -> Photo:
    import cv2

    marked = draw_overlay(photo, *judge(found, rule))
    return np.asarray(cv2.resize(marked, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)
