"""The TFLite runtime with a model file in it: a photo in as the file's input wants it, tensors out."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EnvironmentFault, InputError, in_words, quote
from .photo import Photo, stretch
from .tflite_file import TfliteFile

INPUT_TYPES = ("uint8", "int8", "float32")
# What the Object Detection API's exporters leave to the user of a float or int8 file: bytes to -1..1
DEFAULT_MEAN = DEFAULT_STD = 127.5
_NOTE = b"INFO: Created TensorFlow Lite "  # ... XNNPACK delegate for CPU

Tensor = Callable[[int], npt.NDArray[Any]]
"""What a tensor of a file holds after a run, by its index."""


class Runtime:
    """A loaded model file with one photo as its input. Not thread-safe.

    `height` and `width` are its input's, pixels; `input_type` is one of INPUT_TYPES; `assumes_range`: nothing in the
    file says how it wants its pixels, and it is given -1..1.
    """

    def __init__(self, data: bytes, file: TfliteFile, name: str, threads: int, *, keep_all: bool) -> None:
        """Load a file's `data`; `file` is what it tells of itself, `name` stands in messages.

        With `keep_all` each tensor keeps memory of its own, so that `tensor` gives any, not only outputs. Raises
        InputError for a file that takes no photo, or that the runtime refuses.
        """
        self._interpreter = load_interpreter(data, name, threads, keep_all=keep_all)
        (entry,) = self._interpreter.get_input_details()
        shape, self.input_type = tuple(int(side) for side in entry["shape"]), entry["dtype"].__name__
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or self.input_type not in INPUT_TYPES:
            found = f"input {self.input_type} {list(shape)}"
            raise model_refused(name, found, "one RGB photo, [1, height, width, 3]")
        self.height, self.width = shape[1:3]
        self._input = entry["index"]
        self._scales = {one["index"]: one["quantization"] for one in self._interpreter.get_output_details()}
        self._table = _byte_table(file, self.input_type, entry["quantization"], name)
        self.assumes_range = self._table is not None and not any(one.mean for one in file.input_metadata)

    def prepare(self, photo: Photo) -> npt.NDArray[Any]:
        """A photo as the input, [1, height, width, 3] of its type."""
        import cv2

        pixels = stretch(photo, self.height, self.width)
        # A table of 256 entries instead of arithmetic on every pixel
        return (pixels if self._table is None else np.asarray(cv2.LUT(pixels, self._table)))[None]

    def tensor(self, index: int) -> npt.NDArray[Any]:
        """What a tensor holds after a run; of an output with quantised numbers, what they stand for."""
        values: npt.NDArray[Any] = self._interpreter.get_tensor(index)
        scale, zero_point = self._scales.get(index, (0.0, 0))
        return (values.astype(np.float32) - zero_point) * np.float32(scale) if scale else values

    def invoke(self, pixels: npt.NDArray[Any]) -> None:
        """Run the network on prepared pixels."""
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()


def _byte_table(file: TfliteFile, kind: str, quantisation: tuple[float, int], name: str) -> npt.NDArray[Any] | None:
    """What each of a channel's 256 byte values becomes at the input, [1, 256, 3]; None where bytes stay as they are.

    A uint8 input takes bytes as they are, as for TensorFlow Lite's Task Library (image_preprocessor.cc).
    """
    if kind == "uint8":
        return None
    said = file.input_metadata[0] if file.input_metadata else None
    mean = np.asarray(said.mean if said and said.mean else DEFAULT_MEAN, np.float64)
    std = np.asarray(said.std if said and said.std else DEFAULT_STD, np.float64)
    if mean.size not in (1, 3) or std.size not in (1, 3) or (std == 0).any():
        raise model_refused(
            name, f"normalisation by mean {mean}, deviation {std}", "one number, or one for each channel"
        )
    values = np.broadcast_to((np.arange(256)[:, None] - mean) / std, (256, 3))
    if kind == "float32":
        return np.ascontiguousarray(values[None], np.float32)
    scale, zero_point = quantisation
    if not scale > 0:
        raise model_refused(name, "an int8 input without a scale")
    return np.ascontiguousarray(np.clip(np.round(values / scale + zero_point), -128, 127)[None], np.int8)


def model_refused(name: str, found: str, allowed: str = "") -> InputError:
    """The error for a model that no station can run."""
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
        raise model_refused(name, in_words(error)) from None
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
