"""The values of a PLC's program and the places in its memory that it names, on an emulated S7."""

import re
from dataclasses import dataclass
from typing import Any

from sealpin_edge.plc.address import Address
from sealpin_edge.plc.block import STATION_OFFSET
from sealpin_simulation.plc import SimulatedPlc

INTEGERS = {"USInt": (0, 255), "UInt": (0, 65535)}
BYTES = {"USInt": 1, "UInt": 2}


class SclError(Exception):
    """The text is none that this interpreter runs, or a program does what no PLC would let it do."""


class Time(int):
    """Milliseconds."""


def of_type(kind: str, value: Any) -> Any:
    """The value, which must be of the type of the place that it goes to."""
    low, high = INTEGERS.get(kind, (0, 0))
    fits = {"Bool": type(value) is bool, "Time": type(value) is Time}
    if not fits.get(kind, type(value) is int and low <= value <= high):
        raise SclError(f"{value!r} is no {kind}")
    return value


@dataclass(frozen=True)
class Tag:
    """A place in the PLC's memory with its type, and whether the PLC's program may write there."""

    type: str
    address: Address
    writable: bool


def block_tags(text: str, number: int) -> dict[str, Tag]:
    """The members of a data block's source, where standard access puts them: bits one after another, words even."""
    name = re.search(r'DATA_BLOCK ("\w+")', text)
    if not name or "S7_Optimized_Access := 'FALSE'" not in text:
        raise SclError("no data block with standard access")
    tags, bits = {}, 0
    for member, kind in re.findall(r"^ +(\w+) : (\w+);", text, re.MULTILINE):
        if kind != "Bool":
            size = 8 * BYTES[kind]
            bits = -(-bits // size) * size
        place = Address("DB", bits // 8, bits % 8 if kind == "Bool" else None, number)
        tags[f"{name[1]}.{member}"] = Tag(kind, place, bits // 8 < STATION_OFFSET)
        bits += 1 if kind == "Bool" else 8 * BYTES[kind]
    return tags


class Memory:
    """An emulated S7's memory, by the names of its tags."""

    def __init__(self, plc: SimulatedPlc, tags: dict[str, Tag]) -> None:
        self._plc, self._tags = plc, tags

    def tag(self, name: str) -> Tag:
        if name not in self._tags:
            raise SclError(f"there is no {name}")
        return self._tags[name]

    def read(self, tag: Tag) -> Any:
        if tag.type == "Bool":
            return self._plc.read_bit(tag.address)
        return int.from_bytes(self._plc.read(tag.address, BYTES[tag.type]), "big")

    def write(self, tag: Tag, value: Any) -> None:
        if not tag.writable:
            raise SclError(f"the station writes {tag.address}")
        if of_type(tag.type, value) is value and tag.type == "Bool":
            self._plc.write_bit(tag.address, value)
        else:
            self._plc.write(tag.address, value.to_bytes(BYTES[tag.type], "big"))
