"""What a TFLite file tells about itself, read from its bytes: tensors, operators, metadata, files packed with it.

The numbers below are the places of fields in TensorFlow's `lite/schema/schema.fbs` and in TFLite Support's
`metadata_schema.fbs`. The runtime tells nothing of metadata, and neither schema's generated code comes with it.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flatbuffers import flexbuffers
from flatbuffers import number_types as numbers
from flatbuffers.table import Table

from ..errors import InputError
from .label_file import parse_labels

MAX_PACKED_BYTES = 1 << 20
IDENTIFIER = b"TFL3"
METADATA_IDENTIFIER = b"M001"
METADATA_NAME = "TFLITE_METADATA"
NORMALIZATION, SCORE_THRESHOLDING = 1, 3  # of the union ProcessUnitOptions
LABEL_FILES = (2, 3)  # AssociatedFileType: TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS
# What flatbuffers, zipfile and our own look-ups raise on bytes that are damaged
DAMAGED = (
    struct.error,
    KeyError,
    RecursionError,
    UnicodeDecodeError,
    IndexError,
    TypeError,
    ValueError,
    AssertionError,
    OverflowError,
)
_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    KeyError,
    RuntimeError,
    ValueError,
)
_PLAIN_ZIP = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class TensorMetadata:
    """What the metadata says of one input or output; `mean` and `std` are one number, or one for each channel."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    score_threshold: float | None
    label_file: str | None


@dataclass(frozen=True)
class Operator:
    """One operator of the graph: `code` is its number in schema.fbs's BuiltinOperator; tensors by index.

    `custom` is its name when it is no built-in, `options` are a custom operator's.
    """

    code: int
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class TfliteFile:
    """A TFLite file's own account of itself. Tensors by index, in the graph's order; `shapes` has one for each."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    operators: tuple[Operator, ...]
    input_metadata: tuple[TensorMetadata, ...]
    output_metadata: tuple[TensorMetadata, ...]
    files: dict[str, bytes]

    @property
    def custom_operators(self) -> tuple[str, ...]:
        """Names of the operators that are no built-ins, each once."""
        return tuple(sorted({operator.custom for operator in self.operators if operator.custom}))

    def labels(self) -> tuple[str, ...] | None:
        """The label file that an output names, else the only text file packed with the model; None without."""
        named = [tensor.label_file for tensor in self.output_metadata if tensor.label_file in self.files]
        texts = named or [name for name in self.files if name.endswith(".txt")]
        if not named and len(texts) != 1:
            return None
        return parse_labels(self.files[str(texts[0])].decode("utf-8-sig", "replace"), str(texts[0]))


def read_tflite(data: bytes, name: str) -> TfliteFile:
    """Read a TFLite file's bytes; `name` stands in messages. Raises InputError when it is none, or damaged."""

    def refuse(found: str) -> InputError:
        return InputError(
            "this is not a whole TFLite file",
            where=name,
            found=found,
            allowed="a .tflite file",
            advice="copy it again, or export it anew",
            hint="sealpin export RUN --out DIR",
        )

    if data[4:8] != IDENTIFIER:
        raise refuse(f"{len(data)} bytes that do not begin as a TFLite file")
    try:
        model = _Record.root(data)
        graph = model.records(2)[0]
        codes = [(max(one.octet(0), one.number(3, numbers.Int32Flags)), one.text(1)) for one in model.records(1)]
        metadata = _metadata(model)
        return TfliteFile(
            inputs=graph.integers(1),
            outputs=graph.integers(2),
            shapes=tuple(tensor.integers(0) for tensor in graph.records(0)),
            operators=tuple(
                Operator(
                    *codes[one.number(0, numbers.Uint32Flags)],
                    one.integers(1),
                    one.integers(2),
                    _options(one.octets(5)),
                )
                for one in graph.records(3)
            ),
            input_metadata=tuple(_tensor(one) for one in metadata.records(2)) if metadata else (),
            output_metadata=tuple(_tensor(one) for one in metadata.records(3)) if metadata else (),
            files=_packed(data),
        )
    except DAMAGED as error:
        raise refuse(f"damaged: {error}") from None


class _Record(Table):  # type: ignore[misc]
    """A flatbuffers table whose fields are asked for by their place in the schema."""

    @staticmethod
    def root(data: bytes) -> "_Record":
        return _Record(data, struct.unpack_from("<I", data)[0])

    def text(self, field: int) -> str:
        place = self._place(field)
        return bytes(self.String(self.Pos + place)).decode("utf-8", "replace") if place else ""

    def number(self, field: int, kind: Any) -> int:
        place = self._place(field)
        return int(self.Get(kind, self.Pos + place)) if place else 0

    def octet(self, field: int) -> int:
        place = self._place(field)
        return int(self.Get(numbers.Int8Flags, self.Pos + place)) if place else 0

    def real(self, field: int) -> float:
        place = self._place(field)
        return float(self.Get(numbers.Float32Flags, self.Pos + place)) if place else 0.0

    def integers(self, field: int) -> tuple[int, ...]:
        return tuple(int(one) for one in self._vector(field, numbers.Int32Flags))

    def floats(self, field: int) -> tuple[float, ...]:
        return tuple(float(one) for one in self._vector(field, numbers.Float32Flags))

    def octets(self, field: int) -> bytes:
        return bytes(self._vector(field, numbers.Uint8Flags))

    def record(self, field: int) -> "_Record":
        return _Record(self.Bytes, self.Indirect(self.Pos + self._place(field)))

    def records(self, field: int) -> "list[_Record]":
        place = self._place(field)
        if not place:
            return []
        first = self.Vector(place)
        return [_Record(self.Bytes, self.Indirect(first + 4 * one)) for one in range(self.VectorLen(place))]

    def _vector(self, field: int, kind: Any) -> Any:
        place = self._place(field)
        return self.GetVectorAsNumpy(kind, place) if place else ()

    def _place(self, field: int) -> int:
        return int(self.Offset(4 + 2 * field))


def _options(data: bytes) -> Mapping[str, Any]:
    """A custom operator's options, where they are flexbuffers, as TensorFlow Lite's own are; else none."""
    try:
        found = flexbuffers.Loads(data) if data else {}
    except DAMAGED:
        return {}
    return found if isinstance(found, dict) else {}


def _metadata(model: _Record) -> _Record | None:
    """The first graph's metadata; None when there is none, or of another identifier."""
    buffers = model.records(4)
    for entry in model.records(6):
        if entry.text(0) == METADATA_NAME:
            data = buffers[entry.number(1, numbers.Uint32Flags)].octets(0)
            graphs = _Record.root(data).records(3) if data[4:8] == METADATA_IDENTIFIER else []
            return graphs[0] if graphs else None
    return None


def _tensor(record: _Record) -> TensorMetadata:
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    threshold = None
    for unit in record.records(4):
        kind = unit.number(0, numbers.Uint8Flags)
        if kind == NORMALIZATION:
            mean, std = unit.record(1).floats(0), unit.record(1).floats(1)
        if kind == SCORE_THRESHOLDING:
            threshold = unit.record(1).real(0)
    labels = [file.text(0) for file in record.records(6) if file.number(2, numbers.Int8Flags) in LABEL_FILES]
    return TensorMetadata(record.text(0), mean, std, threshold, labels[0] if labels else None)


def _packed(data: bytes) -> dict[str, bytes]:
    """The files in the ZIP archive at the end; none when there is no archive. Raises ValueError when it is damaged."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files: dict[str, bytes] = {}
            for member in archive.infolist():
                room = MAX_PACKED_BYTES - sum(map(len, files.values()))
                files[member.filename] = _unpacked(archive, member, room)
            return files
    except _DAMAGED_ZIP as error:
        raise ValueError(f"the files packed with it: {error}") from None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, room: int) -> bytes:
    """A member's bytes, at most `room`; what it says of its own size is not relied upon."""
    if member.compress_type not in _PLAIN_ZIP:
        raise ValueError(f"{member.filename} is packed in an unusual way")
    with archive.open(member) as file:
        data = file.read(room + 1)
    if len(data) > room:
        raise ValueError("they are too large")
    return data
