"""A model file on its runtime: a photo in, detections out.

sealpin's own models and other people's SSD files run here alike. Input and outputs are bound by what the file tells:
the outputs are those of its detection operator, never a position, since exporters differ in their order.
"""

import hashlib
import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EnvironmentFault, InputError, NoJudgement, in_words, quote
from ..model.card import CARD_NAME, ModelCard, card_for_foreign, read_card
from ..model.photo import Photo, stretch
from ..model.tflite_file import Operator, TfliteFile, read_tflite
from .finding import Detection
from .verdict import Rule, Thresholds, check_rule, with_thresholds

# Threads beyond the cores cost: a photo took 10.1 ms with 6 on 2 cores, 7.5 with 2, 12.2 with 1
MOST_THREADS = 8
INPUT_TYPES = ("uint8", "int8", "float32")
DETECTION_OPERATOR = "TFLite_Detection_PostProcess"
# What the Object Detection API's exporters leave to the user of a float or int8 file: bytes to -1..1
DEFAULT_MEAN = DEFAULT_STD = 127.5
_NOTE = b"INFO: Created TensorFlow Lite "  # ... XNNPACK delegate for CPU
# What runtime, NumPy and our own look-ups raise on a file whose parts do not fit together
_UNUSABLE = (ValueError, RuntimeError, TypeError, KeyError, OverflowError, MemoryError, NoJudgement)


class Model:
    """A loaded detector. Not thread-safe: one thread calls `detect`.

    `card` tells what it is, `least_score` the score below which it tells no box, `warm_up_s` how long its first photo
    took.
    """

    def __init__(self, path: Path, threads: int | None = None, labels: Sequence[str] | None = None) -> None:
        """Load and warm a model file; `labels` name the classes of a file that does not.

        `threads` is the number of cores unless given, at most 4; see `_safe_threads`.

        Raises InputError when it is none that sealpin can run.
        """
        self._name = name = str(path)
        data = read_model(path)
        self.sha256 = hashlib.sha256(data).hexdigest()
        file = read_tflite(data, name)
        try:
            self._load(file, data, name, threads, labels)
        except _UNUSABLE as error:
            raise _refused(name, in_words(error)) from None

    def _load(
        self, file: TfliteFile, data: bytes, name: str, threads: int | None, labels: Sequence[str] | None
    ) -> None:
        operator = _detection_operator(file, name)
        classes = int(operator.options["num_classes"])
        self.least_score = float(operator.options.get("nms_score_threshold", 0.0))
        self.threads = _safe_threads(threads or min(4, os.cpu_count() or 1), classes, operator)
        # What the operator was given is looked at afterwards: operators behind it would write over that memory
        ends = file.operators[-1] is operator
        self._interpreter = load_interpreter(data, name, self.threads, keep_all=not ends)
        (entry,) = self._interpreter.get_input_details()
        shape, kind = tuple(int(side) for side in entry["shape"]), entry["dtype"].__name__
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or kind not in INPUT_TYPES:
            raise _refused(name, f"input {kind} {list(shape)}", "one RGB photo, [1, height, width, 3]")
        self._input, self._outputs, self._raw = entry["index"], operator.outputs, operator.inputs[:2]
        scale, zero_point = entry["quantization"]
        self._table = _byte_table(file, kind, scale, zero_point, name)
        own = read_card(file, name)
        if own and labels:
            raise InputError("this model carries its own labels", where=name, found=", ".join(own.classes))
        self.card: ModelCard = own or card_for_foreign(file, labels, classes, shape[1], shape[2], kind, name)
        if (self.card.input_height, self.card.input_width) != shape[1:3]:
            raise _refused(name, f"input {list(shape)}, and {CARD_NAME} tells another size")
        if len(self.card.classes) != classes:
            raise _refused(name, f"{classes} classes, and {CARD_NAME} tells {len(self.card.classes)}")
        began = time.perf_counter()
        self.detect(np.zeros((shape[1], shape[2], 3), np.uint8))
        self.warm_up_s = time.perf_counter() - began

    def rule(
        self, threshold: Thresholds | None = None, notice: Collection[str] | None = None, *, where: str = "{}"
    ) -> Rule:
        """By what its detections are judged: its own thresholds and notice, or what is given in their place.

        Raises InputError when a threshold is none, of no category, or below all that the model tells, or when `notice`
        leaves nothing to reject; `where` is how messages call a setting, with {} for its name.
        """
        thresholds, place = self.card.thresholds, where.format("threshold")
        if threshold is not None:
            thresholds = with_thresholds(thresholds, threshold, place)
            lowest = min(threshold.values(), default=1.0) if isinstance(threshold, Mapping) else threshold
            if lowest < self.least_score:
                raise InputError(
                    "the model tells no boxes of so low a score",
                    where=place,
                    found=f"{lowest:g}",
                    allowed=f"{self.least_score:g} to 1",
                )
        rule = Rule(thresholds, frozenset(self.card.notice if notice is None else notice))
        check_rule(rule, where.format("notice"))
        return rule

    def detect(self, photo: Photo) -> list[Detection]:
        """All detections on a photo [height, width, 3], best first, with boxes in its pixels and inside it.

        What lies wholly outside it is no less certain: its box is on the photo's edge. Raises NoJudgement when the
        network gave something that is no number.
        """
        self.invoke(self.prepare(photo))
        return self.read(*photo.shape[:2])

    def prepare(self, photo: Photo) -> npt.NDArray[Any]:
        """A photo as the model's input, [1, height, width, 3] of its type."""
        import cv2

        pixels = stretch(photo, self.card.input_height, self.card.input_width)
        # A table of 256 entries instead of arithmetic on every pixel
        return (pixels if self._table is None else np.asarray(cv2.LUT(pixels, self._table)))[None]

    def invoke(self, pixels: npt.NDArray[Any]) -> None:
        """Run the network on prepared pixels."""
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()

    def read(self, height: int, width: int) -> list[Detection]:
        """The detections of the last run, for a photo of that many pixels; see `detect`."""
        boxes, classes, scores, counted = (self._interpreter.get_tensor(index) for index in self._outputs)
        # Slots past the count are uninitialised memory
        count = int(counted.reshape(-1)[0])
        boxes, classes, scores = boxes[0, :count], classes[0, :count], scores[0, :count]
        # The operator leaves out in silence what is no number, so what it was given is looked at too
        given = [self._interpreter.get_tensor(index) for index in self._raw]
        if not all(np.isfinite(values).all() for values in (*given, boxes, classes, scores)):
            raise NoJudgement("the network gave something that is no number", where=self._name)
        if any(not 0 <= label < len(self.card.classes) for label in classes.tolist()):
            raise NoJudgement("the network found a class that there is not", where=self._name, found=str(classes))
        edges = np.clip(boxes, 0.0, 1.0) * np.array([height, width, height, width], np.float32)
        found = [
            Detection(self.card.classes[int(label)], score, *map(min, first, last), *map(max, first, last))
            for label, score, first, last in zip(
                classes.tolist(), scores.tolist(), edges[:, 1::-1].tolist(), edges[:, :1:-1].tolist(), strict=True
            )
        ]
        return sorted(found, key=lambda one: -one.score)


def _detection_operator(file: TfliteFile, name: str) -> Operator:
    """The operator that ends an SSD file; its outputs are boxes, classes, scores and count, in this order.

    The order is TensorFlow Lite's own (lite/kernels/detection_postprocess.cc), whatever the file's outputs are called.
    """
    if len(file.inputs) != 1:
        raise _refused(name, f"{len(file.inputs)} inputs (a recurrent model's states?)", "one photo as the only input")
    unknown = [operator for operator in file.custom_operators if operator != DETECTION_OPERATOR]
    if unknown:
        raise _refused(name, "custom operators " + ", ".join(unknown), f"built-in operators and {DETECTION_OPERATOR}")
    ends = [one for one in file.operators if one.custom == DETECTION_OPERATOR]
    if len(ends) != 1 or len(ends[0].outputs) != 4 or not set(ends[0].outputs) <= set(file.outputs):
        raise _refused(
            name,
            "no detections among its outputs" if not ends else f"outputs that are not those of {DETECTION_OPERATOR}",
            f"an SSD detector that ends in {DETECTION_OPERATOR}",
        )
    return ends[0]


def _safe_threads(threads: int, classes: int, operator: Operator) -> int:
    """So many threads, or others with which the operator loses nothing.

    With per-class suppression and n threads, where n is more than 1 and less than the number of classes, TensorFlow
    Lite's operator loses the class of index n, in LiteRT 2.3 too (github.com/tensorflow/tensorflow/issues/56058).
    """
    if not operator.options.get("use_regular_nms", True) or not 1 < threads < classes:
        return threads
    return classes if classes <= MOST_THREADS else 1


def _byte_table(file: TfliteFile, kind: str, scale: float, zero_point: int, name: str) -> npt.NDArray[Any] | None:
    """What each of a channel's 256 byte values becomes at the input, [1, 256, 3]; None where bytes stay as they are.

    A uint8 input takes bytes as they are, as for TensorFlow Lite's Task Library (image_preprocessor.cc).
    """
    if kind == "uint8":
        return None
    said = file.input_metadata[0] if file.input_metadata else None
    mean = np.asarray(said.mean if said and said.mean else DEFAULT_MEAN, np.float64)
    std = np.asarray(said.std if said and said.std else DEFAULT_STD, np.float64)
    if mean.size not in (1, 3) or std.size not in (1, 3) or (std == 0).any():
        raise _refused(name, f"normalisation by mean {mean}, deviation {std}", "one number, or one for each channel")
    values = np.broadcast_to((np.arange(256)[:, None] - mean) / std, (256, 3))
    if kind == "float32":
        return np.ascontiguousarray(values[None], np.float32)
    if not scale > 0:
        raise _refused(name, "an int8 input without a scale")
    return np.ascontiguousarray(np.clip(np.round(values / scale + zero_point), -128, 127)[None], np.int8)


def _refused(name: str, found: str, allowed: str = "") -> InputError:
    return InputError(
        "this model cannot be run by a station",
        where=name,
        found=found,
        allowed=allowed,
        hint=f"sealpin model show {quote(name)}",
    )


def read_model(path: Path) -> bytes:
    """A model file's bytes. Raises InputError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            "this model cannot be read",
            where=str(path),
            found=in_words(error),
            hint="sealpin export RUN --out DIR",
        ) from None


def load_interpreter(data: bytes, name: str, threads: int = 1, *, keep_all: bool = False) -> Any:
    """The runtime with a model's bytes in it, ready to run; `name` stands in messages.

    With `keep_all` each tensor keeps memory of its own, so that it can be read after a run.

    Raises InputError when the runtime refuses the model.
    """
    kind = _interpreter_class()
    try:
        with _without_notes():
            interpreter = kind(model_content=data, num_threads=threads, experimental_preserve_all_tensors=keep_all)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise _refused(name, in_words(error)) from None
    return interpreter


@contextmanager
def _without_notes() -> Iterator[None]:
    """Keep the runtime's notes on how it computes from standard error; what else is said there is passed on."""
    if sys.stderr is None:  # it is closed, and its number may be another file's by now
        yield
        return
    kept = os.dup(2)
    with open(os.memfd_create("stderr"), "rb") as said:  # in memory: a full disk must not keep a model from loading
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            for line in said:
                if not line.startswith(_NOTE):
                    os.write(2, line)


def _interpreter_class() -> Any:
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return import_module(module).Interpreter
        except ImportError:
            continue
    raise EnvironmentFault("no TFLite runtime is installed", hint="pip install ai-edge-litert")
