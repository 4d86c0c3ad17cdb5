"""Small classifiers as model files: how red a photo is says PR, how blue QA, and neither ok."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.model.card import CARD_NAME
from sealpin_export.metadata import LABELS_NAME, _load_libusb, _with_files
from sealpin_training.tasks.classify.metadata import add_metadata
from tests.conftest import CELL, GRID, SIDE, part_photo, toy_card

CLASSES = ("ok", "PR", "QA")


def network(*, mapped: bool = True, wrong_map: bool = False, units: int = 3, logits: bool = False) -> Any:
    """A tf.function from a photo's bytes to scores and a map; with one unit, a sigmoid that says PR."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, name="images")])
    def classify(photo: Any) -> Any:
        cells = tf.nn.avg_pool2d(photo / 255.0, CELL, CELL, "VALID")
        red, green, blue = tf.split(cells, 3, axis=-1)
        scale = 16.0 * GRID
        places = tf.concat(
            [
                tf.zeros_like(red) + 2.5,
                tf.nn.relu(red - tf.maximum(green, blue)) * scale,
                tf.nn.relu(blue - tf.maximum(red, green)) * scale,
            ],
            axis=-1,
        )
        summed = tf.reduce_mean(places, axis=(1, 2)) + tf.reduce_mean(photo) * 1e-6  # which loses no NaN, as ReLU does
        if units == 1:
            difference = summed[:, 1:2] - summed[:, :1]
            return difference if logits else tf.sigmoid(difference)
        scores = summed if logits else tf.nn.softmax(summed)
        flat = tf.reshape(places[..., ::-1] if wrong_map else places, [1, -1])
        return {"a_scores": scores, "b_map": flat} if mapped else scores

    return classify


def converted(function: Any, *, int8: bool = False) -> bytes:
    """TFLite bytes; with `int8` quantised as a whole, and the input a photo's bytes."""
    import tensorflow as tf

    holder = tf.Module()
    holder.function = function
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], holder)
    if int8:
        shown = [part_photo(*[("PR", seed, 3)] * (seed % 2), ("QA", 1, seed), seed=seed) for seed in range(8)]
        shown += [part_photo(), *(part_photo(*[(kind, at, 3) for at in (2, 4, 5)]) for kind in CLASSES[1:])]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([photo[None].astype(np.float32)] for photo in shown)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def own(model: bytes, folder: Path, **card: object) -> Path:
    """The file with metadata and sealpin.json, as sealpin exports it."""
    _load_libusb()
    labels = folder / LABELS_NAME
    labels.write_text("".join(f"{name}\n" for name in CLASSES))
    described = add_metadata(model, "toy", "toy", labels)
    thresholds = {"PR": 0.5, "QA": 0.5, "unsure": 0.5}
    made = toy_card(**{"task": "classify", "classes": CLASSES, "good": ("ok",), "thresholds": thresholds, **card})
    files = {LABELS_NAME: labels.read_bytes(), CARD_NAME: json.dumps(asdict(made)).encode()}
    path = folder / "classifier.tflite"
    path.write_bytes(_with_files(described, files))
    return path
