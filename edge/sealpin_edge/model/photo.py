"""Photos: bytes to pixels, and pixels to the model's input.

This is sealpin's only pre-processing. Training's evaluation, calibration and the station all call it, so a model is
judged on the very pixels that it will see on the line.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError, in_words
from .jpeg import decode_jpeg
from .photo_header import MAX_PIXELS, read_header

Photo = npt.NDArray[np.uint8]
"""RGB, uint8, [height, width, 3]."""
# What a photo of so many pixels takes as a BMP with four channels
MAX_BYTES = 4 * MAX_PIXELS


def decode_photo(data: bytes, name: str = "photo") -> Photo:
    """Decode a photo of one of FORMATS as stored: an EXIF rotation is not applied, since labels count stored pixels.

    Raises InputError when the bytes are no photo, or one of more than MAX_PIXELS, or a JPEG that is not whole.
    """
    header = read_header(data)
    if header and header.too_large:
        raise InputError(
            "this photo is too large to open",
            where=name,
            found=f"{header.width} x {header.height} pixels",
            allowed=f"{MAX_PIXELS:,} pixels",
            advice="make it smaller, or take it out of the folder",
        )
    photo, told = None, "no photo"
    if header:
        try:
            photo = decode_jpeg(data) if header.format == "JPEG" else None
            photo = _decode_any(data) if photo is None else photo
        except ValueError as error:
            told = f"a damaged JPEG: {error}"
    if photo is None:
        raise InputError(
            "this photo cannot be read",
            where=name,
            found=f"{len(data)} bytes that are {told}",
            allowed="a whole JPEG or PNG file",
            advice="copy it again from the camera, or take it out of the folder",
        )
    return photo


def _decode_any(data: bytes) -> Photo | None:
    """What OpenCV makes of a photo; None when it is none."""
    import cv2

    with contextlib.suppress(cv2.error):
        photo = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        return None if photo is None else np.asarray(photo, dtype=np.uint8)
    return None


def read_photo(path: Path) -> Photo:
    """Read and decode a photo's file. Raises InputError when it cannot be read, or is no whole photo."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(min(size, MAX_BYTES) + 1)
    except (OSError, ValueError) as error:  # the latter of a name that comes from a file, and that none can have
        told = in_words(error) if isinstance(error, OSError) else "no file can have this name"
        raise InputError("this photo cannot be read", where=str(path), found=told) from None
    if len(data) > MAX_BYTES:
        raise InputError(
            "this photo is too large to open", where=str(path), found=f"{size} bytes", allowed=f"{MAX_BYTES:,} bytes"
        )
    return decode_photo(data, str(path))


def encode_jpeg(photo: Photo, quality: int = 95) -> bytes:
    """Encode RGB pixels as JPEG; `quality` from 1 to 100."""
    import cv2

    ok, data = cv2.imencode(".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"OpenCV could not encode a photo of shape {photo.shape}")
    return data.tobytes()


def stretch(photo: Photo, height: int, width: int) -> Photo:
    """Resize to the model's input, bilinear, aspect ratio not kept, by the Object Detection API's rule.

    That is TensorFlow 1's: pixel i of the result is taken at i * old / new, without half-pixel centres
    (tf.compat.v1.image.resize). Within 1 of TensorFlow's values, since OpenCV counts in 32nds of a pixel.
    """
    import cv2

    if photo.shape[:2] == (height, width):
        return photo
    scale = np.array([[photo.shape[1] / width, 0, 0], [0, photo.shape[0] / height, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(photo, scale, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


@dataclass(frozen=True)
class Frame:
    """A photo, when its exposure began (monotonic seconds), and where it is from."""

    photo: Photo
    exposed_at: float
    source: str
