"""A training run into files: SavedModel for servers, model.tflite for the station."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sealpin_edge.files import new_folder
from sealpin_edge.model import CARD_FORMAT, Model, ModelCard
from sealpin_training.quiet import tensorflow
from sealpin_training.run import Run

from .graph import serving_module, tflite_module
from .metadata import add_metadata
from .tflite import convert_float, convert_int8

QUANTISATIONS = ("none", "int8")


@dataclass(frozen=True)
class ExportStep:
    """One step of an export, as told to the user."""

    what: str
    seconds: float
    path: Path
    bytes: int


def export(run: Run, out: Path, quantise: str, report: Callable[[ExportStep], None]) -> Path:
    """Write `saved_model/` and `model.tflite` into the new folder `out`; returns the model file's path.

    `quantise` is one of QUANTISATIONS. Raises InputError when the run has no checkpoint or was not evaluated on val, or
    `out` is taken. The model file is loaded and run once before it is handed over.
    """
    card = _card(run, quantise)
    run.load_dataset()
    with new_folder(out) as folder:

        def step(what: str, work: Callable[[], Path]) -> None:
            began = time.monotonic()
            path = work()
            size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
            report(ExportStep(what, time.monotonic() - began, out / path.name, size))

        def write_saved_model() -> Path:
            _save(serving_module(run), folder / "saved_model")
            return folder / "saved_model"

        def write_model() -> Path:
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                source = Path(temporary, "for_tflite")
                _save(tflite_module(run, float_input=quantise == "int8"), source)
                data = convert_int8(source, run) if quantise == "int8" else convert_float(source)
            path = folder / "model.tflite"
            path.write_bytes(add_metadata(data, card))
            return path

        def check_model() -> Path:
            Model(folder / "model.tflite")
            return folder / "model.tflite"

        step("SavedModel", write_saved_model)
        step(f"TFLite ({quantise}) with metadata", write_model)
        step("loaded and run", check_model)
    return out / "model.tflite"


def _save(module: Any, path: Path) -> None:
    tf = tensorflow()

    tf.saved_model.save(module, str(path), signatures={"serving_default": module.function})
    shutil.rmtree(path / "assets", ignore_errors=True)


def _card(run: Run, quantise: str) -> ModelCard:
    recipe, evaluation = run.recipe(), run.evaluation("val")
    return ModelCard(
        format=CARD_FORMAT,
        task="detect",
        classes=run.classes,
        input_height=recipe.resizer.height,
        input_width=recipe.resizer.width,
        colour="RGB",
        resize="stretch",
        interpolation="bilinear_tf1",
        thresholds=dict.fromkeys(run.classes, float(evaluation["threshold"])),
        threshold_chosen=str(evaluation["threshold_chosen"]),
        run=run.name,
        run_id=run.run_id,
        dataset_digest=run.dataset_digest,
        metrics={f"val/{name}": round(value, 4) for name, value in evaluation["metrics"].items()},
        quantisation=quantise,
        sealpin_version=version("sealpin"),
    )
