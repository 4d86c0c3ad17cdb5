"""TFLite metadata and sealpin.json into a model file, so that it tells everything needed to use it.

`import tflite_support` fails where TensorFlow is loaded; its `tensorflow_lite_support` half works beside it.
"""

import ctypes
import io
import json
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path

from sealpin_edge.model import CARD_NAME, ModelCard

LABELS_NAME = "labels.txt"
# The earliest time that ZIP can say: exporting twice gives the same bytes
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def add_metadata(model: bytes, card: ModelCard) -> bytes:
    """The model with metadata (labels, normalisation, output meanings) and sealpin.json.

    The graph takes a photo's bytes as they are, so the normalisation that other runtimes read is mean 0, deviation 1.
    """
    _load_libusb()
    from tensorflow_lite_support.metadata.python.metadata_writers import object_detector

    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, LABELS_NAME)
        labels.write_text("".join(f"{name}\n" for name in card.classes), encoding="utf-8")
        writer = object_detector.MetadataWriter.create_for_inference(
            bytearray(model), input_norm_mean=[0.0], input_norm_std=[1.0], label_file_paths=[str(labels)]
        )
        populated = bytes(writer.populate())
    files = {LABELS_NAME: "".join(f"{name}\n" for name in card.classes)}
    files[CARD_NAME] = json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n"
    return _with_files(populated, files)


def _load_libusb() -> None:
    """tflite-support's native part is linked to libusb-1.0, which a bare machine lacks: take PyPI's copy there."""
    try:
        ctypes.CDLL("libusb-1.0.so.0", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)


def _with_files(model: bytes, files: dict[str, str]) -> bytes:
    """Replace the ZIP at the end of a model by one with these files, uncompressed as the Task Library needs them."""
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        start = min(member.header_offset for member in archive.infolist())
    buffer = io.BytesIO()
    buffer.write(model[:start])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _TIMESTAMP), text)
    return buffer.getvalue()
