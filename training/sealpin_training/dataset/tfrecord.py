"""TFRecord files of tf.train.Example, written without TensorFlow, whose import alone takes each process seconds.

Formats: tensorflow.org, "TFRecord and tf.train.Example" (lengths and data with masked CRC-32C), and the protocol
buffers' encoding of tensorflow/core/example/{example,feature}.proto.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import google_crc32c

from sealpin_edge.errors import InputError

_MASK_DELTA = 0xA282EAD8
_HEADER, _FOOTER = 12, 4  # bytes before and after a record's data


def frame(data: bytes) -> bytes:
    """One record as it stands in the file: length, its check sum, data, its check sum."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _masked_crc(length), data, _masked_crc(data)))


def check_sum(data: bytes) -> int:
    """The CRC-32C of a record's data, as a file beside the records keeps it: unmasked."""
    return int(google_crc32c.value(data))


def record_places(path: Path) -> Iterator[tuple[int, int]]:
    """Offset and length of each record's data in a file. Raises InputError when the file is cut off or no TFRecord."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = number = 0
        while start < size:
            file.seek(start)
            header = file.read(_HEADER)
            length = struct.unpack("<Q", header[:8])[0] if len(header) == _HEADER else 0
            whole = len(header) == _HEADER and header[8:] == _masked_crc(header[:8])
            end = start + _HEADER + length + _FOOTER
            if not whole or end > size:
                fault = "is cut off" if whole else "does not begin as one"
                raise damaged(str(path), f"record {number} {fault}, at byte {start} of {size}")
            yield start + _HEADER, length
            start, number = end, number + 1


def read_data(path: Path, start: int, length: int, where: str) -> bytes:
    """The data of the record at an offset that `record_places` told; `where` stands in messages.

    Raises InputError when its check sum is another: a bit that flipped on a disk or on the way could be a box's edge.
    """
    with open(path, "rb") as file:
        file.seek(start)
        data, footer = file.read(length), file.read(_FOOTER)
    if footer != _masked_crc(data):
        raise damaged(where, f"another check sum than was written, in {length} bytes from byte {start}")
    return data


def damaged(where: str, found: str, problem: str = "these records are damaged") -> InputError:
    """What is told of records that cannot be relied upon."""
    return InputError(
        problem,
        where=where,
        found=found,
        allowed="what `sealpin dataset convert` wrote",
        advice="copy the dataset again, or convert it again: the same photos and options give the same records",
        hint="sealpin dataset convert PHOTOS OUT",
    )


def example(features: Mapping[str, bytes]) -> bytes:
    """A serialized tf.train.Example of features made by `texts`, `floats` and `ints`, keys in order."""
    entries = (_field(1, _field(1, key.encode()) + _field(2, features[key])) for key in sorted(features))
    return _field(1, b"".join(entries))


def texts(values: Iterable[bytes]) -> bytes:
    """A tf.train.Feature with a bytes_list."""
    return _field(1, b"".join(_field(1, value) for value in values))


def floats(values: Sequence[float]) -> bytes:
    """A tf.train.Feature with a float_list."""
    return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)) if values else b"")


def ints(values: Sequence[int]) -> bytes:
    """A tf.train.Feature with an int64_list of numbers from 0."""
    return _field(3, _field(1, b"".join(map(_varint, values))) if values else b"")


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of a message."""
    return b"".join((_varint(number << 3 | 2), _varint(len(data)), data))


def _varint(value: int) -> bytes:
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _masked_crc(data: bytes) -> bytes:
    crc = check_sum(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)
