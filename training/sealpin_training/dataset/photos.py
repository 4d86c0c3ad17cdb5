"""Is a photo sound? Each is decoded to its last bit, on the way to a small fingerprint for finding near-duplicates."""

import hashlib
import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.model.jpeg import decode_jpeg
from sealpin_edge.model.photo_header import FORMATS, read_header

from .faults import Fault
from .files import read_whole

MAX_BYTES = 64 << 20
# A mask has a colour for each class; a photo with so few is of a camera that tells black from white alone
MASK_COLOURS = 16
FINGERPRINT = 32
ENCODINGS = {".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG"}
# What Pillow's decoders raise for bytes that they do not expect; its own error for unknown files is an OSError
UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
    struct.error, zlib.error,
)  # fmt: skip
ORIENTATION = 0x0112  # EXIF 2.3, table 4: 1 is upright, 5 to 8 are a quarter turn


@dataclass(slots=True)
class PhotoFacts:
    """What one photo is. Without a width it could not be decoded; the findings say why.

    `fingerprint`: FINGERPRINT x FINGERPRINT grey uint8. `orientation` is EXIF's, 1 to 8. `channels` as stored.
    `colours` are counted in a PNG, up to MASK_COLOURS; 0 where there are more, or they were not counted.
    """

    sha256: str = ""
    width: int = 0
    height: int = 0
    encoding: str = ""
    channels: int = 0
    orientation: int = 1
    colours: int = 0
    fingerprint: npt.NDArray[np.uint8] | None = None
    findings: list[Fault] = field(default_factory=list)


def inspect_photo(root: Path, name: str) -> PhotoFacts:
    """Decode one photo fully and say what it is and what is wrong with it."""
    facts = PhotoFacts()
    try:
        data = read_whole(os.path.join(root, name), MAX_BYTES)
    except PermissionError:
        facts.findings.append(Fault(name, "file-unreadable", "no permission"))
        return facts
    if isinstance(data, int):
        facts.findings.append(Fault(name, "photo-too-large", f"{data} bytes"))
        return facts
    facts.sha256 = hashlib.sha256(data).hexdigest()
    header = read_header(data)
    if not data:
        facts.findings.append(Fault(name, "photo-empty", "0 bytes"))
    elif header is None:
        facts.findings.append(Fault(name, "photo-unreadable", f"{len(data)} bytes that begin {data[:12]!r}"))
    elif header.too_large:
        facts.findings.append(Fault(name, "photo-too-large", f"{header.width}x{header.height}"))
    elif not (header.format == "JPEG" and _plain_jpeg(data, name, facts)):
        _any_photo(data, name, facts)
    ending = os.path.splitext(name)[1]
    if facts.width and ENCODINGS.get(ending.lower(), facts.encoding) != facts.encoding:
        facts.findings.append(Fault(name, "photo-ending", facts.encoding, allowed=f"a name that fits {ending}"))
    return facts


def _plain_jpeg(data: bytes, name: str, facts: PhotoFacts) -> bool:
    """Decode a JPEG without EXIF tags the fast way: every code of its stream, but the picture only at the least size.

    False when the photo needs a closer look.
    """
    import simplejpeg

    if b"Exif\0\0" in data[:65536]:
        return False
    try:
        grey = decode_jpeg(data, "GRAY", FINGERPRINT)
        if grey is None:
            return False
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except ValueError as error:
        if not str(error).startswith("Premature end"):
            return False
        facts.findings.append(Fault(name, "photo-truncated", f"{len(data)} bytes"))
        return True
    facts.width, facts.height, facts.encoding = width, height, "JPEG"
    facts.channels = 1 if colours == "Gray" else 3
    facts.fingerprint = _fingerprint(grey[..., 0])
    return True


def open_picture(data: bytes) -> Any:
    """A photo as Pillow opens it, of none but FORMATS. Raises what UNREADABLE names."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's bomb warning: the limit here is our own
        return Image.open(io.BytesIO(data), formats=FORMATS)


def _any_photo(data: bytes, name: str, facts: PhotoFacts) -> None:
    """Decode whatever Pillow knows of FORMATS."""
    from PIL import Image

    def fault(kind: str, found: str = "") -> None:
        facts.findings.append(Fault(name, kind, found))

    try:
        picture = open_picture(data)
    except Image.DecompressionBombError:
        fault("photo-too-large", "more pixels than Pillow opens")
        return
    except UNREADABLE:
        fault("photo-unreadable", f"{len(data)} bytes that begin {data[:12]!r}")
        return
    width, height = picture.size
    encoding = {"MPO": "JPEG"}.get(picture.format or "", picture.format or "")
    mode, deep = picture.mode, _is_deep_png(data) or picture.mode in ("I", "F") or picture.mode.startswith("I;16")
    alpha = "A" in mode or "transparency" in picture.info
    try:
        frames = 1 if encoding == "JPEG" else int(getattr(picture, "n_frames", 1))
        picture.seek(0)
        facts.orientation = int(picture.getexif().get(ORIENTATION, 1))
        picture.load()
        grey = np.asarray(picture.convert("L"), np.uint8)
        if encoding == "JPEG" and mode in ("L", "RGB"):
            decode_jpeg(data, "GRAY", FINGERPRINT)  # stricter than Pillow, which lets damaged streams pass
    except UNREADABLE as error:
        told = str(error)
        cut = "truncated" in told or "Premature end" in told or "not enough image data" in told
        fault("photo-truncated" if cut else "photo-corrupt", f"{len(data)} bytes; {told}")
        return
    if encoding == "PNG" and not deep:  # JPEG blurs the edges of a mask into many colours
        facts.colours = len(picture.getcolors(MASK_COLOURS) or ())
    facts.width, facts.height, facts.encoding = width, height, encoding
    facts.channels = {"L": 1, "1": 1, "LA": 2, "RGBA": 4, "CMYK": 4}.get(mode, 1 if mode.startswith("I") else 3)
    facts.fingerprint = _fingerprint(grey)
    if encoding not in ("JPEG", "PNG"):
        fault("photo-format", encoding)
    if frames > 1:
        fault("photo-animated", f"{frames} frames")
    if mode in ("CMYK", "YCCK"):
        fault("photo-cmyk", mode)
    if deep:
        fault("photo-16-bit", mode)
    if alpha:
        fault("photo-alpha", mode)
    if facts.orientation not in range(2, 9):
        facts.orientation = 1
    else:
        fault("photo-rotated", f"orientation {facts.orientation}")


def _is_deep_png(data: bytes) -> bool:
    """PNG specification, 11.2.2: the header's bit depth. Pillow opens 16-bit colour as if it were 8."""
    return data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 24 and data[24] == 16


def _fingerprint(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.resize(grey, (FINGERPRINT, FINGERPRINT), interpolation=cv2.INTER_AREA), np.uint8)
