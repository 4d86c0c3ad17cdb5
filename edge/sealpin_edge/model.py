"""A model file that tells everything needed to use it, and its runtime.

`model.tflite` carries `sealpin.json` as an associated file (the ZIP that TFLite metadata appends to the file). Outputs
are bound by their names in the model's signature, never by position: exporters differ in their order.
"""

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .detection import Detection
from .errors import EnvironmentFault, InputError
from .photo import Photo, stretch

CARD_NAME = "sealpin.json"
CARD_FORMAT = 1
MAX_CARD_BYTES = 1 << 20
SIGNATURE = "serving_default"
OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")


@dataclass(frozen=True)
class ModelCard:
    """sealpin.json. `thresholds` are scores in 0..1 by class; sizes are pixels; `resize` is "stretch": photo.py."""

    format: int
    task: str
    classes: tuple[str, ...]
    input_height: int
    input_width: int
    colour: str
    resize: str
    interpolation: str
    thresholds: Mapping[str, float]
    threshold_chosen: str
    run: str
    run_id: str
    dataset_digest: str
    metrics: Mapping[str, float]
    quantisation: str
    sealpin_version: str


class Model:
    """A loaded detector. Not thread-safe: one thread calls `detect`."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """Load and warm a model file. Raises InputError when it is none that sealpin can run."""
        data = _read(path)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.card = read_card(data, str(path))
        try:
            interpreter = _interpreter_class()(model_content=data, num_threads=threads or min(4, os.cpu_count() or 1))
            interpreter.allocate_tensors()
            self._run = interpreter.get_signature_runner(SIGNATURE)
            (self._input,) = self._run.get_input_details()
            missing = set(OUTPUTS) - set(self._run.get_output_details())
        except ValueError as error:
            raise InputError("this model cannot be run", where=str(path), found=str(error).splitlines()[0]) from None
        if missing:
            raise InputError(
                "this model lacks outputs of a detector",
                where=str(path),
                found="no " + ", ".join(sorted(missing)),
                allowed=", ".join(OUTPUTS),
                hint="sealpin export RUN --out DIR",
            )
        self.detect(np.zeros((self.card.input_height, self.card.input_width, 3), np.uint8))

    def detect(self, photo: Photo) -> list[Detection]:
        """All detections on a photo [height, width, 3], best first, with boxes in its pixels and inside it."""
        height, width = photo.shape[:2]
        pixels = stretch(photo, self.card.input_height, self.card.input_width)
        outputs = self._run(**{self._input: pixels[None]})
        # Slots past the count are uninitialised memory
        count = int(outputs["num_detections"].reshape(-1)[0])
        boxes, classes, scores = (outputs[name][0][:count] for name in OUTPUTS[:3])
        if not np.isfinite(scores).all():
            raise ValueError("the model gave a score that is no number")
        found = []
        for box, label, score in zip(boxes, classes, scores, strict=True):
            ymin, xmin, ymax, xmax = (float(edge) for edge in np.clip(box, 0.0, 1.0))
            found.append(
                Detection(
                    self.card.classes[int(label)],
                    float(score),
                    xmin * width,
                    ymin * height,
                    xmax * width,
                    ymax * height,
                )
            )
        return sorted(found, key=lambda one: -one.score)


def read_card(data: bytes, name: str) -> ModelCard:
    """Read sealpin.json out of a model file's bytes; `name` stands in messages. Raises InputError without one."""

    def refuse(found: str) -> InputError:
        return InputError(
            "this is not a model file from sealpin",
            where=name,
            found=found,
            allowed=f"a .tflite file with {CARD_NAME} inside",
            hint="sealpin export RUN --out DIR",
        )

    if data[4:8] != b"TFL3":
        raise refuse("no TFLite file")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo(CARD_NAME).file_size > MAX_CARD_BYTES:
                raise refuse(f"{CARD_NAME} is too large")
            content: dict[str, Any] = json.loads(archive.read(CARD_NAME))
    except (zipfile.BadZipFile, KeyError):
        raise refuse(f"no {CARD_NAME} in it") from None
    except (ValueError, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise refuse(f"a broken {CARD_NAME}") from None
    names = {item.name for item in fields(ModelCard)}
    if not isinstance(content, dict) or not names <= set(content):
        raise refuse(f"{CARD_NAME} without " + ", ".join(sorted(names - set(content))))
    card = ModelCard(**{**{key: content[key] for key in names}, "classes": tuple(content["classes"])})
    if (card.format, card.task, card.colour, card.resize) != (CARD_FORMAT, "detect", "RGB", "stretch"):
        raise refuse(f"format {card.format}, task {card.task}, {card.colour}, {card.resize}: made by a newer sealpin?")
    return card


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            "this model cannot be read",
            where=str(path),
            found=type(error).__name__,
            hint="sealpin export RUN --out DIR writes one",
        ) from None


def _interpreter_class() -> Any:
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return import_module(module).Interpreter
        except ImportError:
            continue
    raise EnvironmentFault("no TFLite runtime is installed", hint="pip install ai-edge-litert")
