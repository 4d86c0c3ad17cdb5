"""Runs side by side: how good, how fast here, how large, how long they took, and where their recipes differ."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.errors import InputError
from sealpin_edge.files import write_whole

from .. import html
from ..curves import draw_curves
from ..quiet import tensorflow
from ..recipe.settings import settings
from ..run import STORE, Run, State
from ..standing import trained_run
from .detect import trained_detector
from .evaluate import evaluate
from .line import Share

_WARM_UP, _ROUNDS = 3, 15


@dataclass(frozen=True)
class Row:
    """One run's figures. `ms_per_photo` is the float network's here, one photo at a time, the median."""

    run: Run
    state: State
    metrics: dict[str, float]
    escaped: Share
    rejected: Share
    parameters: int
    megabytes: float
    ms_per_photo: float

    def cells(self) -> dict[str, str]:
        """The figures as text, by what they are."""
        return {
            **{name: f"{self.metrics[name]:.3f}" for name in ("AP", "AP50", "AP75")},
            "escapes per 1,000": str(self.escaped),
            "false rejects per 1,000": str(self.rejected),
            "best at step": f"{self.state.best_step:,} of {self.state.step:,}",
            "training": f"{self.state.seconds / 60:.1f} min",
            "parameters": f"{self.parameters / 1e6:.2f} M",
            "float32": f"{self.megabytes:.1f} MB",
            "ms per photo": f"{self.ms_per_photo:.1f}",
        }


@dataclass(frozen=True)
class Comparison:
    """Runs on one split; `differences` are recipe fields with each run's value."""

    split: str
    rows: tuple[Row, ...]
    differences: dict[str, tuple[str, ...]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "split": self.split,
            "runs": [
                {
                    "run": row.run.name,
                    "recipe": row.run.recipe_name,
                    "dataset_digest": row.run.dataset_digest,
                    **row.metrics,
                    "escapes_per_1000": row.escaped.as_dict(),
                    "false_rejects_per_1000": row.rejected.as_dict(),
                    "parameters": row.parameters,
                    "float32_mb": row.megabytes,
                    "ms_per_photo": row.ms_per_photo,
                    "training_s": row.state.seconds,
                    "steps": row.state.step,
                }
                for row in self.rows
            ],
            "differences": {field: list(values) for field, values in self.differences.items()},
        }

    def __str__(self) -> str:
        """For a terminal: figures down, runs across."""
        columns = [row.cells() for row in self.rows]
        lines = [("", *(row.run.name for row in self.rows))]
        lines += [(name, *(column[name] for column in columns)) for name in columns[0]]
        lines += [("", *("" for _ in self.rows)), ("recipes differ in", *("" for _ in self.rows))]
        lines += [(field, *values) for field, values in self.differences.items()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


def compare_runs(names: Sequence[str], split: str, store: Path = STORE) -> Comparison:
    """Judge each run on the split and time them in turns. Raises InputError when they were not trained for one task."""
    runs = [trained_run(name, store) for name in dict.fromkeys(names)]
    odd = [run.name for run in runs if run.classes != runs[0].classes]
    if odd:
        raise InputError(
            "runs of other classes cannot be compared",
            where=", ".join(odd),
            found="; ".join(f"{run.name}: {', '.join(run.classes)}" for run in runs),
        )
    detectors = [trained_detector(run) for run in runs]
    rows = []
    for run, detect, ms in zip(runs, detectors, _time(detectors, runs), strict=True):
        evaluation = evaluate(run, split, detect=detect)
        parameters = _parameters(run)
        rows.append(
            Row(
                run,
                State.load(run),
                dict(evaluation.metrics),
                evaluation.escaped,
                evaluation.rejected,
                parameters,
                round(parameters * 4 / 1e6, 1),
                round(ms, 2),
            )
        )
    return Comparison(split, tuple(rows), _differences(runs))


def write_report(comparison: Comparison, path: Path) -> None:
    """One HTML page: the table, where the recipes differ, and all curves in the same charts."""
    columns = [row.cells() for row in comparison.rows]
    names = [row.run.name for row in comparison.rows]
    parts = [
        html.paragraph(f"On {comparison.split}. Speed: the float network on this machine, one photo at a time."),
        html.table(("", *names), [(name, *(column[name] for column in columns)) for name in columns[0]]),
        html.heading("Curves"),
        html.picture(draw_curves(*(row.run for row in comparison.rows)), "curves of all runs"),
        html.heading("Where the recipes differ"),
        html.table(("field", *names), [(field, *values) for field, values in comparison.differences.items()]),
    ]
    write_whole(path, html.page("Comparison of " + ", ".join(names), parts))


def _time(detectors: Sequence[Any], runs: Sequence[Run]) -> list[float]:
    """Median milliseconds a photo of each, in turns, so that what else the machine does hits all alike."""
    photos = []
    for run in runs:
        resizer = run.recipe().resizer
        photos.append(np.random.default_rng(0).integers(0, 256, (1, resizer.height, resizer.width, 3), np.uint8))
    taken: list[list[float]] = [[] for _ in detectors]
    for turn in range(_WARM_UP + _ROUNDS):
        for detect, photo, times in zip(detectors, photos, taken, strict=True):
            began = time.perf_counter()
            detect(photo)[0].numpy()
            if turn >= _WARM_UP:
                times.append((time.perf_counter() - began) * 1000)
    return [float(np.median(times)) for times in taken]


def _parameters(run: Run) -> int:
    shapes = tensorflow().train.load_checkpoint(str(run.weights())).get_variable_to_shape_map()
    return int(sum(np.prod(shape) for name, shape in shapes.items() if name.startswith("model/")))


def _differences(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    values = [
        {"(dataset's digest)": run.dataset_digest[:12], "(weights to start from)": run.start_from or "scratch"}
        | {one.field: one.shown for one in settings(run.recipe().pipeline)}
        for run in runs
    ]
    fields = dict.fromkeys(field for found in values for field in found)
    rows = {field: tuple(found.get(field, "-") for found in values) for field in fields}
    return {field: row for field, row in rows.items() if len(set(row)) > 1}
