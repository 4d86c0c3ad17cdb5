"""A training run into files: SavedModel for servers, TFLite for the station, proven equal to what was trained."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

from sealpin_edge.errors import InputError
from sealpin_edge.files import new_folder
from sealpin_edge.model.card import CARD_FORMAT, ModelCard
from sealpin_training.dataset.records import RecordFile
from sealpin_training.evaluation.choice import kept_rule
from sealpin_training.quiet import tensorflow
from sealpin_training.run import AVERAGED, Run, State, write_json

from .gate import GATE, Gate, judge_file, network_findings
from .metadata import add_metadata
from .report import ExportStep, write_report
from .sensitivity import Sensitivity
from .tflite import LEAST_CALIBRATION, convert_float, convert_int8

QUANTISATIONS = ("float32", "float16", "dynamic", "int8")
# Recipes keep boxes down to 1e-8 for COCO's curves. On the line they only cost time: suppression sorts every one
LEAST_SCORE = 0.01
MODEL, REPORT = "model.tflite", "report.html"
DEFAULT = "serving_default"
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Exported:
    """What an export wrote: the steps, how each model file did at the gate, and the report.

    With `faults`, no file was kept but the report. `warnings` are about the network itself: equal to it, a file is no
    better.
    """

    steps: tuple[ExportStep, ...]
    gates: tuple[Gate, ...]
    report: Path
    warnings: tuple[str, ...]

    @property
    def papers(self) -> tuple[Path, ...]:
        """What was written beside the models."""
        return (self.report, self.report.with_name(GATE))

    @property
    def faults(self) -> list[str]:
        """Why the files were refused; empty when they were not."""
        return [f"{gate.file}: {fault}" for gate in self.gates for fault in gate.faults]


class _Steps:
    """Does one step after the other, and tells how long it took and how large what it wrote is."""

    def __init__(self, out: Path, tell: Callable[[ExportStep], None]) -> None:
        self.done: list[ExportStep] = []
        self._out, self._tell = out, tell

    def do(self, what: str, path: Path, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        began = time.monotonic()
        result = work(*arguments, **options)
        size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        self.done.append(ExportStep(what, time.monotonic() - began, self._out / path.name, size))
        self._tell(self.done[-1])
        return result


def export(
    run: Run,
    out: Path,
    quantise: Sequence[str],
    tell: Callable[[ExportStep], None],
    max_drop: float | None = None,
    keep_float: int = 0,
    force: bool = False,
) -> Exported:
    """Write a SavedModel, model files and a report into the new folder `out`, if the files pass the gate.

    `quantise` are some of QUANTISATIONS: the first makes `model.tflite`, any other `model_<which>.tflite`. An int8 file
    keeps its `keep_float` worst layers in float; `max_drop` is judge_file's. With `force`, an earlier export at `out`
    makes way. Raises InputError when the run has no checkpoint or was not evaluated on val, there is nothing to judge
    or to calibrate with, or `out` is taken.
    """
    cards = {which: model_card(run, which) for which in quantise}
    dataset = run.load_dataset()
    if not dataset.counts["val"]:
        raise InputError("there are no val photos to prove an export with", where=str(dataset.folder))
    if "int8" in quantise and dataset.counts["train"] < LEAST_CALIBRATION:
        raise InputError(
            "there are too few training photos to calibrate int8 with",
            where=str(dataset.folder),
            found=f"{dataset.counts['train']} photos",
            allowed=f"{LEAST_CALIBRATION} at least",
            advice="leave the arithmetic in float: --quantize float16",
        )
    records = RecordFile(dataset.folder, "val", dataset.classes)
    refused = out.parent / f"{out.resolve().name}_refused.html"
    with (
        suppress(_Refused),
        new_folder(out, run.folder, dataset.folder, over=GATE if force else "") as folder,
        TemporaryDirectory(dir=out.parent, prefix=".export.") as work,
    ):
        steps, saved_model, model = _Steps(out, tell), folder / "saved_model", trained_network(run)
        steps.do("SavedModel", saved_model, _save, *run.kind.serving(run.recipe(), model), saved_model)
        files: dict[str, Path] = {}
        for which, card in cards.items():
            files[which] = path = folder / (f"model_{which}.tflite" if files else MODEL)
            read = Path(work, "int8" if which == "int8" else "float")
            steps.do(f"TFLite, {which}", path, write_model, run, model, card, read, path, keep_float)
        network = steps.do(
            "network on val", saved_model, network_findings, run.kind, saved_model, records, run.classes, run.good
        )
        judged = [
            steps.do(f"{path.name} on val", path, judge_file, path, records, network, max_drop)
            for path in files.values()
        ]
        warnings = tuple(run.kind.shortcomings(run.evaluation("val")))
        done = Exported(tuple(steps.done), tuple(one.gate for one in judged), out / REPORT, warnings)
        if done.faults:
            done = replace(done, report=refused)
        failed = {one.gate.file for one in judged if one.gate.faults}
        lost = Sensitivity(Path(work, "int8"), run).losses if "int8" in files and files["int8"].name in failed else []
        page = refused if done.faults else folder / REPORT
        write_report(run, page, out, steps.done, records, network, judged, list(files.values()), lost, warnings)
        if done.faults:
            raise _Refused
        write_json(folder / GATE, [gate.as_dict() for gate in done.gates])
        refused.unlink(missing_ok=True)  # of an earlier attempt
    return done


class _Refused(Exception):
    """Leaves nothing in the new folder's place."""


def write_model(run: Run, model: Any, card: ModelCard, saved_model: Path, path: Path, keep_float: int = 0) -> None:
    """Write one file of the run's network `model`, unproven.

    `saved_model` is the folder of what the converter reads, made unless it is there: all float kinds read the same,
    int8 its own.
    """
    int8 = card.quantisation == "int8"
    least = min(LEAST_SCORE, min(card.thresholds.values()) / 4)
    if not saved_model.exists():
        module = run.kind.tflite(run.recipe(), model, float_input=int8, least_score=least)
        _save(module, {DEFAULT: module.function}, saved_model)
    if int8 and keep_float:
        data = Sensitivity(saved_model, run).keep_float(keep_float)
    else:
        data = convert_int8(saved_model, run) if int8 else convert_float(saved_model, card.quantisation)
    path.write_bytes(add_metadata(data, card))


def trained_network(run: Run) -> Any:
    """The run's best network. Keras counts its layers' names anew, so that they are the same every time."""
    from sealpin_training.tf import tf_keras

    tf_keras.backend.clear_session()
    return run.kind.network(run.recipe(), run.weights())


def _save(module: Any, signatures: Mapping[str, Any], path: Path) -> None:
    tf = tensorflow()

    tf.saved_model.save(module, str(path), signatures=signatures)
    shutil.rmtree(path / "assets", ignore_errors=True)


def _training_metrics(run: Run) -> dict[str, float]:
    """The figures on val, of the network at which step, and whether it has the weights' moving average."""
    state, judged = State.load(run), run.evaluation("val")["metrics"]
    of = {"step": float(state.best_step), "averaged": float(state.best_weights == AVERAGED)}
    return of | {f"val/{name}": round(value, 4) for name, value in judged.items()}


def model_card(run: Run, quantise: str) -> ModelCard:
    """The card of the run's model file. Raises InputError when the run's best network was not evaluated on val."""
    recipe = run.recipe()
    rule, chosen = kept_rule(run)
    return ModelCard(
        format=CARD_FORMAT,
        task=run.task,
        classes=run.classes,
        good=run.good,
        input_height=recipe.height,
        input_width=recipe.width,
        colour="RGB",
        resize="stretch",
        interpolation="bilinear_tf1",
        thresholds=rule.thresholds,
        threshold_chosen=chosen,
        run=run.name,
        run_id=run.run_id,
        dataset_digest=run.dataset_digest,
        metrics=_training_metrics(run),
        quantisation=quantise,
        sealpin_version=version("sealpin"),
        notice=tuple(sorted(rule.notice)),
    )
