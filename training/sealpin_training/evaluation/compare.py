"""Runs side by side: where their recipes differ, how good, how fast here, how large, how long they took.

Whether they differ by more than chance is asked of the photos that all of them judged (apart.py).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.errors import InputError
from sealpin_edge.files import write_whole
from sealpin_edge.tasks.benchmark import Load, loaded

from .. import html
from ..curves import draw_curves
from ..dataset.labels import Box
from ..dataset.records import Record, without_photos
from ..quiet import tensorflow
from ..run import STORE, Run, State
from ..standing import trained_run
from ..tasks.score import Score
from ..tasks.task import task_named
from .apart import Difference, difference
from .evaluate import found_on, judge_photos
from .evaluation import Evaluation
from .line import Share
from .predict import trained_predictor

_WARM_UP, _ROUNDS = 3, 15
SAME = "the recipes are the same"


@dataclass(frozen=True)
class Row:
    """One run's figures. `by_category` is the first figure of each category that is labelled, 0..1, by what it is.

    `headline` are the figures of its task that are shown. `ms_per_photo` is the float network's here, one photo at a
    time, the median.
    """

    run: Run
    state: State
    metrics: dict[str, float]
    headline: Sequence[str]
    by_category: dict[str, tuple[str, float]]
    escaped: Share
    rejected: Share
    parameters: int
    megabytes: float
    ms_per_photo: float

    def cells(self) -> dict[str, str]:
        """The figures as text, by what they are."""
        return {
            **{name: f"{self.metrics[name]:.3f}" for name in self.headline},
            **{f"{what} of {name}": f"{value:.3f}" for name, (what, value) in self.by_category.items()},
            "escapes per 1,000": str(self.escaped),
            "false rejects per 1,000": str(self.rejected),
            "best": f"{self.state.best}, of {self.state.step:,}",
            "training": f"{self.state.seconds / 60:.1f} min",
            "parameters": f"{self.parameters / 1e6:.2f} M",
            "float32": f"{self.megabytes:.1f} MB",
            "ms per photo": f"{self.ms_per_photo:.1f}",
        }


@dataclass(frozen=True)
class Comparison:
    """Runs on one split.

    `differences` are recipe fields with each run's value. `apart` says of each further run how it differs from the
    first, on the same photos; empty when their photos are others. `load` is how busy others kept the processors while
    speed was measured, 0..1.
    """

    split: str
    rows: tuple[Row, ...]
    differences: dict[str, tuple[str, ...]]
    apart: tuple[Difference, ...]
    load: float

    @property
    def told(self) -> list[str]:
        """What must be known of the figures, in sentences."""
        names = [row.run.name for row in self.rows]
        apart = [str(one) for one in self.apart]
        if len(names) > 1 and not apart:
            apart = [f"they judged other photos on {self.split}: no figure of one can be held against another's"]
        slow = loaded(self.load)
        return apart + ([f"speed: {slow}"] if slow else [])

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
                    "by_category": {name: value for name, (_, value) in row.by_category.items()},
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
            "apart": [one.as_dict() for one in self.apart],
            "others_load": round(self.load, 3),
        }

    @property
    def figures(self) -> list[tuple[str, ...]]:
        """A row for each figure: what it is, and each run's."""
        columns = [row.cells() for row in self.rows]
        mark = {"ms per photo": " (loaded)"} if loaded(self.load) else {}
        return [(name + mark.get(name, ""), *(column.get(name, "-") for column in columns)) for name in columns[0]]

    def __str__(self) -> str:
        """For a terminal: figures down, runs across."""
        nothing = ("" for _ in self.rows)
        lines = [("recipes differ in" if self.differences else SAME, *(row.run.name for row in self.rows))]
        lines += [(field, *values) for field, values in self.differences.items()]
        lines += [(f"on {self.split}", *nothing), *self.figures]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([*table, *self.told])


def _kind(run: Run) -> tuple[str, tuple[str, ...], frozenset[str]]:
    """What runs must have in common: the task, the classes, and which of them are good."""
    return run.task, run.classes, frozenset(run.good)


def _kind_told(run: Run) -> str:
    good = f", of which good: {', '.join(run.good)}" if run.good else ""
    return f"{run.task}, {', '.join(run.classes)}{good}"


def compare_runs(names: Sequence[str], split: str, store: Path = STORE) -> Comparison:
    """Judge each run on the split and time them in turns. Raises InputError when they were not trained for one task."""
    runs = [trained_run(name, store) for name in dict.fromkeys(names)]
    odd = [run.name for run in runs if _kind(run) != _kind(runs[0])]
    if odd:
        raise InputError(
            "runs of other tasks or classes cannot be compared",
            where=", ".join(odd),
            found="; ".join(f"{run.name}: {_kind_told(run)}" for run in runs),
        )
    task = task_named(runs[0].task)
    predictors = [trained_predictor(run) for run in runs]
    load = Load()
    times = _time(predictors, runs)
    others = load.share()
    rows, judged = [], []
    for run, predictor, ms in zip(runs, predictors, times, strict=True):
        records, found = found_on(run, split, predictor)
        evaluation = judge_photos(run, split, without_photos(records), found)
        judged.append(_Judged.of(run, evaluation, records))
        parameters = _parameters(run)
        rows.append(
            Row(
                run,
                State.load(run),
                dict(evaluation.metrics),
                task.headline,
                {name: next(iter(values.items())) for name, values in evaluation.score.by_category.items()},
                evaluation.escaped,
                evaluation.rejected,
                parameters,
                round(parameters * 4 / 1e6, 1),
                round(ms, 2),
            )
        )
    first = judged[0]
    apart = [
        difference((first.name, one.name), task.headline[0], (first.score, one.score), (first.wrong, one.wrong))
        for one in judged[1:]
        if one.truth == first.truth
    ]
    return Comparison(split, tuple(rows), _differences(runs), tuple(apart), others)


def write_report(comparison: Comparison, path: Path) -> None:
    """One HTML page: the table, where the recipes differ, and all curves in the same charts."""
    names = [row.run.name for row in comparison.rows]
    differences = [(field, *values) for field, values in comparison.differences.items()]
    parts = [
        html.heading("Where the recipes differ"),
        html.table(("field", *names), differences) if differences else html.paragraph(f"Nowhere: {SAME}."),
        html.heading(f"Figures on {comparison.split}"),
        *map(html.paragraph, comparison.told),
        html.table(("", *names), comparison.figures),
        html.paragraph("Speed: the float network on this machine, one photo at a time."),
        html.heading("Curves"),
        html.picture(draw_curves(*(row.run for row in comparison.rows)), "curves of all runs"),
    ]
    write_whole(path, html.page("Comparison of " + ", ".join(names), parts))


@dataclass(frozen=True)
class _Judged:
    """What a run makes of each photo. `truth` tells whether another run judged the same ones."""

    name: str
    score: Score
    wrong: list[bool]
    truth: list[tuple[str, str, tuple[Box, ...]]]

    @classmethod
    def of(cls, run: Run, evaluation: Evaluation, records: Sequence[Record]) -> "_Judged":
        mistaken = {*evaluation.escapes, *evaluation.false_rejects}
        return cls(
            run.name,
            evaluation.score,
            [record.name in mistaken for record in records],
            [(record.name, record.category, record.boxes) for record in records],
        )


def _time(predictors: Sequence[Any], runs: Sequence[Run]) -> list[float]:
    """Median milliseconds a photo of each, in turns, so that what else the machine does hits all alike."""
    photos = []
    for run in runs:
        recipe = run.recipe()
        photos.append(np.random.default_rng(0).integers(0, 256, (1, recipe.height, recipe.width, 3), np.uint8))
    taken: list[list[float]] = [[] for _ in predictors]
    for turn in range(_WARM_UP + _ROUNDS):
        for predictor, photo, times in zip(predictors, photos, taken, strict=True):
            began = time.perf_counter()
            predictor(photo)[0].numpy()
            if turn >= _WARM_UP:
                times.append((time.perf_counter() - began) * 1000)
    return [float(np.median(times)) for times in taken]


def _parameters(run: Run) -> int:
    shapes = tensorflow().train.load_checkpoint(str(run.weights())).get_variable_to_shape_map()
    return int(sum(np.prod(shape) for name, shape in shapes.items() if name.startswith("model/")))


def _differences(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    values = [
        {"(dataset's digest)": run.dataset_digest[:12], "(weights to start from)": run.start_from or "scratch"}
        | {one.field: one.shown for one in run.recipe().settings()}
        for run in runs
    ]
    fields = dict.fromkeys(field for found in values for field in found)
    rows = {field: tuple(found.get(field, "-") for found in values) for field in fields}
    return {field: row for field, row in rows.items() if len(set(row)) > 1}
