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

from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.model.card import CARD_NAME, ModelCard, read_card
from sealpin_edge.model.tflite_file import read_tflite
from sealpin_training.tasks.task import task_named

LABELS_NAME = "labels.txt"
# The earliest time that ZIP can say: exporting twice gives the same bytes
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def add_metadata(model: bytes, card: ModelCard) -> bytes:
    """The model with metadata (labels, normalisation, output meanings, threshold) and sealpin.json, read back.

    Other runtimes know one threshold: the lowest. Raises EnvironmentFault when the file does not say what it should.
    """
    _load_libusb()
    task, threshold = task_named(card.task), min(card.thresholds.values())
    names = "".join(f"{name}\n" for name in card.classes)
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, LABELS_NAME)
        labels.write_text(names, encoding="utf-8")
        described = task.add_metadata(model, f"sealpin {card.run}", ", ".join(card.classes), labels, threshold)
    files = {LABELS_NAME: names, CARD_NAME: json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n"}
    data = _with_files(described, {name: text.encode() for name, text in files.items()})
    file = read_tflite(data, "the exported model")
    (photo,) = file.input_metadata
    told = {one.name: one for one in file.output_metadata}
    right = (
        read_card(file, "the exported model") == card
        and file.labels() == card.classes
        and (photo.mean, photo.std) == ((0.0,), (1.0,))
        and task.outputs_described(told, threshold)
    )
    if not right:
        raise EnvironmentFault("the metadata that was written reads otherwise", found=f"{file.input_metadata}, {told}")
    return data


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
