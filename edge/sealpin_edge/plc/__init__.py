"""PLC families: one file and one line in this table each.

A family's module has `PORT`, where its PLCs listen unless told otherwise, `SERIES`, the names of its kinds if that must
be told, `READ_ONLY`, the areas that nobody but the PLC writes, `NUMBERS`, how many an area has at most,
`parse_address(text, where, *, bit)`, which reads an address as the family's programmers write it or raises InputError,
and `PlcDriver(target)`.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from .address import Address

DRIVERS = {"s7": "sealpin_edge.plc.s7", "mc": "sealpin_edge.plc.mc", "modbus": "sealpin_edge.plc.modbus"}


@dataclass(frozen=True)
class Target:
    """Which PLC. `port` 0 is the family's own; rack and slot are an S7's, `series` a MELSEC's, `unit` Modbus's."""

    host: str
    port: int
    timeout_s: float
    rack: int = 0
    slot: int = 1
    series: str = ""
    unit: int = 1


class Driver(Protocol):
    """What a PLC family must do.

    Every call has a deadline. One that is not answered, or not in the family's protocol, raises PlcFault and leaves the
    connection closed; one that the PLC refuses raises PlcRefused, and the connection stays.
    """

    name: str

    def connect(self) -> None:
        """Open the connection."""

    def close(self) -> None:
        """Drop it."""

    def read(self, address: Address, count: int) -> bytes:
        """Read `count` bytes in one request; a word's high byte is the first."""

    def write(self, address: Address, data: bytes) -> None:
        """Write bytes in one request; a word's high byte is the first."""

    def read_bit(self, address: Address) -> bool:
        """Read one bit."""

    def write_bit(self, address: Address, value: bool) -> None:
        """Write one bit, leaving the rest of its byte alone."""

    def read_text(self, address: Address, length: int) -> bytes:
        """Read at most `length` characters, in the order in which the family keeps them."""


def family(kind: str) -> Any:
    """The module of the family `kind` (a key of DRIVERS)."""
    return import_module(DRIVERS[kind])


def make_driver(kind: str, target: Target) -> Driver:
    """The driver called `kind` (a key of DRIVERS), not yet connected. Raises EnvironmentFault without its package."""
    return cast(Driver, family(kind).PlcDriver(target))
