"""What a photo's first bytes say, before any decoder sees it: whether to decode it at all.

Only FORMATS are decoded, whatever a file is called, and no more than MAX_PIXELS. OpenCV and Pillow know many more, some
of which start another program (EPS starts Ghostscript), and a file of some kilobytes can fill the memory.
"""

import re
import struct
from typing import NamedTuple

MAX_PIXELS = 100_000_000
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
"""By Pillow's names."""
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP", b"GIF8": "GIF", b"II*\0": "TIFF",
    b"MM\0*": "TIFF", b"RIFF": "WEBP",
}  # fmt: skip
# ITU-T T.81, table B.1: the segments that tell a JPEG's size, those without a length, and those behind all of them
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = {0x01, *range(0xD0, 0xD9)}
_JPEG_END = {0xD9, 0xDA}
_JPEG_SEGMENTS = 1000  # more than any camera writes: a colour profile has up to 255
_JPEG_MARKER = re.compile(rb"\xff([\x01-\xfe])")


class Header(NamedTuple):
    """What a photo's first bytes say of it."""

    format: str
    width: int
    height: int

    @property
    def too_large(self) -> bool:
        """Whether it would have more than MAX_PIXELS."""
        return self.width * self.height > MAX_PIXELS


def read_header(data: bytes) -> Header | None:
    """A photo's format and size in pixels, not decoded; None when it is of none of FORMATS, or tells no size."""
    kind = next((name for signature, name in _SIGNATURES.items() if data.startswith(signature)), "")
    try:
        width, height = _SIZES[kind](data)
    except (KeyError, struct.error, ValueError):
        return None
    return Header(kind, width, height)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Of the first frame header, the segment that a decoder goes by (ITU-T T.81, B.2.2); it skips stray bytes too."""
    place = 2
    for _ in range(_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(data, place)
        marker = found[1][0] if found else 0xD9
        place = found.end() if found else place
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, place + 3)
            return width, height
        if marker in _JPEG_END:
            break
        place += 0 if marker in _JPEG_BARE else struct.unpack_from(">H", data, place)[0]
    raise ValueError("no frame header")


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    """Of OS/2's header or of Windows' newer ones, where a height below 0 means that the rows begin at the top."""
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return abs(width), abs(height)


def _gif_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Of the first directory (TIFF 6.0, section 2): ImageWidth is tag 256, ImageLength 257, SHORT or LONG."""
    order = "<" if data.startswith(b"II") else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    found: dict[int, int] = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (256, 257):
            found.setdefault(tag, struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)[0])
    return found[256], found[257]


def _webp_size(data: bytes) -> tuple[int, int]:
    """Of the first chunk: lossy (RFC 6386, 9.1), lossless or extended (RFC 9649, 3.4 and 2.7)."""
    kind = data[8:16]
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"WEBPVP8X":
        width, height = (int.from_bytes(data[place : place + 3], "little") + 1 for place in (24, 27))
        return width, height
    raise ValueError("no picture")


_SIZES = {
    "JPEG": _jpeg_size, "PNG": _png_size, "BMP": _bmp_size, "GIF": _gif_size, "TIFF": _tiff_size, "WEBP": _webp_size,
}  # fmt: skip
