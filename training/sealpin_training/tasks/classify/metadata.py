"""TFLite metadata of a classifier's file, as the Task Library's ImageClassifier and MediaPipe read it."""

import re
from collections.abc import Mapping
from math import log
from pathlib import Path
from typing import Any

from sealpin_edge.model.tflite_file import TfliteFile, read_tflite
from sealpin_edge.tasks.classify import map_name

SCORES = "score"


def add_metadata(model: bytes, name: str, description: str, labels: Path) -> bytes:
    """The file with names, normalisation and output meanings; `labels` is a label file.

    The graph takes a photo's bytes as they are, so the normalisation that others read is mean 0, deviation 1.
    """
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema
    from tensorflow_lite_support.metadata.python.metadata_writers import metadata_info, metadata_writer, writer_utils

    file = read_tflite(model, name)
    kinds = writer_utils.get_output_tensor_types(bytearray(model))
    wide = max(file.shapes[index][-1] for index in file.outputs)
    places = _places(file)
    outputs = [
        metadata_info.TensorMd(name=map_name(*places), description="How much each place speaks for each class")
        if file.shapes[index][-1] == wide
        else metadata_info.ClassificationTensorMd(
            name=SCORES,
            description="The probability of each class",
            label_files=[metadata_info.LabelFileMd(file_path=str(labels))],
            tensor_type=kind,
        )
        for index, kind in zip(file.outputs, kinds, strict=True)
    ]
    writer = metadata_writer.MetadataWriter.create_from_metadata_info(
        bytearray(model),
        metadata_info.GeneralMd(name=name, description=description),
        [
            metadata_info.InputImageTensorMd(
                name="image",
                description="A photo's bytes, RGB",
                norm_mean=[0.0],
                norm_std=[1.0],
                color_space_type=schema.ColorSpaceType.RGB,
                tensor_type=writer_utils.get_input_tensor_types(bytearray(model))[0],
            )
        ],
        outputs,
        [str(labels)],
    )
    return bytes(writer.populate())


def _places(file: TfliteFile) -> tuple[int, int]:
    """Rows and columns of the flat map: of those that make up its length, the ones most like the photo's shape."""
    classes, length = sorted(file.shapes[index][-1] for index in file.outputs)
    height, width = file.shapes[file.inputs[0]][1:3]
    places = length // classes
    pairs = [(rows, places // rows) for rows in range(1, places + 1) if places % rows == 0]
    return min(pairs, key=lambda pair: abs(log(pair[0] / pair[1] * width / height)))


def described(told: Mapping[str, Any]) -> bool:
    """Whether outputs' metadata that were read back, by name, are what `add_metadata` writes."""
    maps = [name for name in told if re.fullmatch(r"class activation map \d+x\d+", name)]
    return set(told) == {SCORES, *maps} and len(maps) == 1
