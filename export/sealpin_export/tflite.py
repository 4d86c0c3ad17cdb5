"""A SavedModel into TFLite bytes: float32, float16 or dynamic, or int8 calibrated on training photos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.model.photo import decode_photo, stretch
from sealpin_edge.model.runtime import load_interpreter
from sealpin_training.dataset.records import RecordFile
from sealpin_training.progress import progress
from sealpin_training.quiet import quiet_stderr, tensorflow
from sealpin_training.run import Run

CALIBRATION_PHOTOS = 64
LEAST_CALIBRATION = 8  # with fewer, the ranges are those of single photos


def convert_float(saved_model: Path, quantise: str) -> bytes:
    """Float arithmetic. `quantise`: "float32"; "float16" keeps weights in 16 bits; "dynamic" in 8, and computes so."""
    tf = tensorflow()

    converter = _converter(saved_model)
    if quantise != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantise == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return _convert(converter)


def convert_int8(saved_model: Path, run: Run) -> bytes:
    """int8 weights and activations; uint8 photo in, its bytes as they are, float detections out.

    Raises EnvironmentFault when the converter chose another scale for the input.
    """
    tf = tensorflow()
    converter = int8_converter(saved_model, run)
    converter.inference_input_type = tf.uint8
    return with_bytes_in(_convert(converter))


def with_bytes_in(data: bytes) -> bytes:
    """The model, whose input takes a photo's bytes as they are. Raises EnvironmentFault when it does not."""
    (entry,) = load_interpreter(data, "the exported model").get_input_details()
    scale, zero_point = entry["quantization"]
    if entry["dtype"] is not np.uint8 or zero_point != 0 or abs(scale - 1.0) > 1e-6:
        raise EnvironmentFault(
            "the converter scales the photo",
            found=f"{entry['dtype'].__name__}, scale {scale}, zero point {zero_point}",
            allowed="uint8, scale 1, zero point 0",
        )
    return data


def int8_converter(saved_model: Path, run: Run) -> Any:
    """A converter that calibrates on the run's training photos; its input is still float."""
    tf = tensorflow()

    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: calibration(run)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter


def _converter(saved_model: Path) -> Any:
    tf = tensorflow()

    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=["serving_default"])
    converter.allow_custom_ops = True  # TFLite_Detection_PostProcess
    return converter


def _convert(converter: Any) -> bytes:
    with quiet_stderr():
        return bytes(converter.convert())


def calibration(run: Run) -> Iterator[dict[str, Any]]:
    """Training photos for the converter to learn the ranges of (see `model_inputs`)."""
    return model_inputs(run, "train", CALIBRATION_PHOTOS)


def model_inputs(run: Run, split: str, photos: int) -> Iterator[dict[str, Any]]:
    """Photos, evenly over a split, as the converter wants them: {"images": float32 [1, height, width, 3]}.

    Each gets a black and a white corner pixel, so that the input's range, and with it its scale, is that of bytes.
    """
    dataset, recipe = run.load_dataset(), run.recipe()
    records = RecordFile(dataset.folder, split, dataset.classes)
    chosen = np.unique(np.linspace(0, len(records) - 1, photos).round().astype(int))
    for index in progress(chosen.tolist(), "calibrate", "photo"):
        record = records[index]
        photo = stretch(decode_photo(record.data, record.name), recipe.height, recipe.width)
        image = photo.astype(np.float32)
        image[0, 0], image[0, -1] = 0.0, 255.0
        yield {"images": image[None]}
