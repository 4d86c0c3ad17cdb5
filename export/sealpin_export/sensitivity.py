"""Where an int8 model loses: the error of each layer, and a model that keeps the worst ones in float."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from sealpin_training.quiet import quiet_stderr, tensorflow
from sealpin_training.run import Run

from .tflite import int8_converter, model_inputs, with_bytes_in

PHOTOS = 8
NORMALISATION = ("MUL", "SUB")  # of the photo's bytes: what these lose is rounding, and the input must stay in bytes


@dataclass(frozen=True)
class LayerLoss:
    """How far a layer's int8 outputs are from the float ones on val: root mean square, in steps of their int8 scale.

    Rounding alone makes 0.29 (1 / sqrt(12)).
    """

    layer: str
    operator: str
    error: float


class Sensitivity:
    """A calibrated network, to be measured and quantised in part (TensorFlow Lite's QuantizationDebugger)."""

    def __init__(self, saved_model: Path, run: Run) -> None:
        """Convert, calibrate and measure; takes as long as an int8 export."""
        tf = tensorflow()

        def photos() -> Iterator[list[Any]]:  # others than those of calibration, or what it missed would not show
            return ([given["images"]] for given in model_inputs(run, "val", PHOTOS))

        with quiet_stderr():
            self._debugger: Any = tf.lite.experimental.QuantizationDebugger(
                converter=int8_converter(saved_model, run), debug_dataset=photos
            )
            self._debugger.run()
        table = io.StringIO()
        self._debugger.layer_statistics_dump(table)
        table.seek(0)
        losses = [
            LayerLoss(row["tensor_name"], row["op_name"], sqrt(float(row["mean_squared_error"])) / float(row["scale"]))
            for row in csv.DictReader(table)
            if row["op_name"] not in NORMALISATION
        ]
        self.losses = sorted(losses, key=lambda one: -one.error)

    def keep_float(self, count: int) -> bytes:
        """The model with its `count` worst layers in float; uint8 photo in, float detections out."""
        from tensorflow.lite.python.util import modify_model_io_type

        tf = tensorflow()
        names = [one.layer for one in self.losses[:count]]
        with quiet_stderr():
            self._debugger.options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=names)
            model = self._debugger.get_nondebug_quantized_model()
        return with_bytes_in(bytes(modify_model_io_type(model, tf.uint8, tf.float32)))
