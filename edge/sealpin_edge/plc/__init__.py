"""PLC families: one file and one line in this table each."""

from importlib import import_module
from typing import Protocol, cast

from .address import Address

DRIVERS = {"s7": "sealpin_edge.plc.s7:S7Driver"}


class Driver(Protocol):
    """What a PLC family must do. Every call has a deadline and raises PlcFault when the PLC does not answer."""

    name: str

    def connect(self) -> None:
        """Open the connection."""

    def close(self) -> None:
        """Drop it."""

    def read(self, address: Address, count: int) -> bytes:
        """Read `count` bytes in one request."""

    def write(self, address: Address, data: bytes) -> None:
        """Write bytes in one request."""

    def read_bit(self, address: Address) -> bool:
        """Read one bit."""

    def write_bit(self, address: Address, value: bool) -> None:
        """Write one bit, leaving the rest of its byte alone."""


def make_driver(kind: str, host: str, port: int, rack: int, slot: int, timeout_s: float) -> Driver:
    """The driver called `kind` (a key of DRIVERS), not yet connected."""
    module, name = DRIVERS[kind].split(":")
    return cast(Driver, getattr(import_module(module), name)(host, port, rack, slot, timeout_s))
