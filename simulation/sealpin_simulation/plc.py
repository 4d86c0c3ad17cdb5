"""An emulated PLC: its memory, reached over the family's real protocol, and every write of the station reported.

One file and one line in this table for each family.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from sealpin_edge.errors import InputError
from sealpin_edge.plc.address import Address

PLCS = {
    "s7": "sealpin_simulation.plc_s7:S7Plc",
    "mc": "sealpin_simulation.plc_mc:MelsecPlc",
    "modbus": "sealpin_simulation.plc_modbus:ModbusPlc",
}
AREA_NUMBERS = 4096


class SimulatedPlc(ABC):
    """Memory areas that a station reaches over the network, and that this side's program reads and sets.

    `written` is called after each of the station's writes and `client_added` after each connect, on the server's
    thread. An area is bytes, words (high byte first) or devices of one bit (a byte each).
    """

    def __init__(self, host: str, port: int, places: list[Address]) -> None:
        self.address = (host, port)
        self.written: Callable[[], None] = lambda: None
        self.client_added: Callable[[], None] = lambda: None
        self.areas: dict[tuple[str, int], bytearray] = {}
        self._lock = threading.Lock()
        for place in places:
            if place.number + 32 > AREA_NUMBERS:
                raise InputError(
                    "this address is out of the emulator's memory",
                    where=str(place),
                    allowed=f"numbers up to {AREA_NUMBERS - 32}",
                )
            self.areas.setdefault((place.area, place.db), bytearray(AREA_NUMBERS * place.unit))

    @abstractmethod
    def start(self) -> None:
        """Listen. Raises EnvironmentFault when the port is taken."""

    @abstractmethod
    def stop(self) -> None:
        """Stop listening and drop the station's connection."""

    def read(self, place: Address, count: int) -> bytes:
        """Bytes of the PLC's memory."""
        begin = place.number * place.unit
        with self.lock(place):
            return bytes(self.areas[place.area, place.db][begin : begin + count])

    def write(self, place: Address, data: bytes) -> None:
        """Set bytes, as the PLC's program."""
        begin = place.number * place.unit
        with self.lock(place):
            self.areas[place.area, place.db][begin : begin + len(data)] = data

    def read_bit(self, place: Address) -> bool:
        """One bit of the PLC's memory."""
        return bool(self.read(place, 1)[0] >> (place.bit or 0) & 1)

    def write_bit(self, place: Address, value: bool) -> None:
        """Set one bit, as the PLC's program."""
        with self.lock(place):
            memory = self.areas[place.area, place.db]
            memory[place.number] = memory[place.number] & ~(1 << (place.bit or 0)) | value << (place.bit or 0)

    def lock(self, place: Address) -> Any:
        """What must be held to change an area."""
        return self._lock


def make_plc(kind: str, host: str, port: int, places: list[Address]) -> SimulatedPlc:
    """An emulated PLC of the family `kind` (a key of PLCS) with memory for `places`, not yet listening."""
    module, name = PLCS[kind].split(":")
    return cast(SimulatedPlc, getattr(import_module(module), name)(host, port, places))
