"""TFLite metadata and sealpin.json into a model file, so that it tells everything needed to use it.

`import tflite_support` fails where TensorFlow is loaded; its `tensorflow_lite_support` half works beside it.
"""

import ctypes
import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.model.card import CARD_NAME, ModelCard, read_card
from sealpin_edge.model.tflite_file import read_tflite

LABELS_NAME = "labels.txt"
# The earliest time that ZIP can say: exporting twice gives the same bytes
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def add_metadata(model: bytes, card: ModelCard) -> bytes:
    """The model with metadata (labels, normalisation, output meanings, threshold) and sealpin.json, read back.

    The graph takes a photo's bytes as they are, so the normalisation that other runtimes read is mean 0, deviation 1.
    They know one threshold: the lowest. Raises EnvironmentFault when the file does not say what it should.
    """
    _load_libusb()
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema
    from tensorflow_lite_support.metadata.python.metadata_writers import metadata_info, object_detector, writer_utils

    threshold = min(card.thresholds.values())

    class Score(metadata_info.ClassificationTensorMd):  # type: ignore[misc]
        """The writer's own has no place for a threshold."""

        def create_metadata(self) -> Any:
            found = super().create_metadata()
            unit = schema.ProcessUnitT()
            unit.optionsType = schema.ProcessUnitOptions.ScoreThresholdingOptions
            unit.options = schema.ScoreThresholdingOptionsT()
            unit.options.globalScoreThreshold = threshold
            found.processUnits = [unit]
            return found

    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, LABELS_NAME)
        labels.write_text("".join(f"{name}\n" for name in card.classes), encoding="utf-8")
        writer = object_detector.MetadataWriter.create_from_metadata_info(
            bytearray(model),
            metadata_info.GeneralMd(name=f"sealpin {card.run}", description=", ".join(card.classes)),
            metadata_info.InputImageTensorMd(
                name="image",
                description="A photo's bytes, RGB",
                norm_mean=[0.0],
                norm_std=[1.0],
                color_space_type=schema.ColorSpaceType.RGB,
                tensor_type=writer_utils.get_input_tensor_types(bytearray(model))[0],
            ),
            output_category_md=metadata_info.CategoryTensorMd(
                name="category",
                description="The class of each box",
                label_files=[metadata_info.LabelFileMd(file_path=str(labels))],
            ),
            output_score_md=Score(name="score", description="The score of each box"),
        )
        populated = bytes(writer.populate())
    files = {LABELS_NAME: "".join(f"{name}\n" for name in card.classes)}
    files[CARD_NAME] = json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n"
    data = _with_files(populated, {name: text.encode() for name, text in files.items()})
    _check(data, card, threshold)
    return data


def _check(data: bytes, card: ModelCard, threshold: float) -> None:
    """Read a finished file as the station and others do."""
    file = read_tflite(data, "the exported model")
    (photo,) = file.input_metadata
    told = {one.name: one for one in file.output_metadata}
    right = (
        read_card(file, "the exported model") == card
        and file.labels() == card.classes
        and (photo.mean, photo.std) == ((0.0,), (1.0,))
        and set(told) == {"location", "category", "score", "number of detections"}
        and told["score"].score_threshold is not None
        and abs(told["score"].score_threshold - threshold) < 1e-6  # it is kept as float32
    )
    if not right:
        raise EnvironmentFault("the metadata that was written reads otherwise", found=f"{file.input_metadata}, {told}")


def _load_libusb() -> None:
    """tflite-support's native part is linked to libusb-1.0, which a bare machine lacks: take PyPI's copy there."""
    try:
        ctypes.CDLL("libusb-1.0.so.0", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)


def with_labels(model: bytes, labels: Sequence[str], name: str) -> bytes:
    """A model of someone else's with these labels in it: where its metadata says that they are, or as its only text."""
    file = read_tflite(model, name)
    named = next((one.label_file for one in file.output_metadata if one.label_file), None)
    kept = {other: data for other, data in file.files.items() if named or not other.endswith(".txt")}
    return _with_files(model, {**kept, named or LABELS_NAME: "".join(f"{label}\n" for label in labels).encode()})


def _with_files(model: bytes, files: dict[str, bytes]) -> bytes:
    """Replace the ZIP at the end of a model by one with these files, uncompressed as the Task Library needs them."""
    start = len(model)
    if zipfile.is_zipfile(io.BytesIO(model)):
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            start = min((member.header_offset for member in archive.infolist()), default=start)
    buffer = io.BytesIO()
    buffer.write(model[:start])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _TIMESTAMP), content)
    return buffer.getvalue()
