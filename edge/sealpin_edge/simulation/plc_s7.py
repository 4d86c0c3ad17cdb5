"""A PLC on snap7's server: its memory as a real S7 keeps it, and every write of the station reported."""

import threading
from collections.abc import Callable
from typing import Any

from snap7.datatypes import S7Area, S7WordLen
from snap7.server import EVC_CLIENT_ADDED, Server
from snap7.type import SrvArea

from ..errors import EnvironmentFault, InputError
from ..plc.address import Address

AREA_BYTES = 256
# An area as snap7's server registers it, and as the protocol numbers it
_AREAS = {
    "DB": (SrvArea.DB, S7Area.DB),
    "M": (SrvArea.MK, S7Area.MK),
    "I": (SrvArea.PE, S7Area.PE),
    "Q": (SrvArea.PA, S7Area.PA),
}


class _BitWrite(bytearray):
    """Data of a write of one bit: 0 or 1 in its only byte."""

    bit = 0


class _S7Server(Server):
    """snap7's server, made to write single bits as a PLC does: snap7 3.3 replaces the whole byte."""

    def __init__(self, written: Callable[[], None]) -> None:
        super().__init__(log=False)
        self._written = written

    def _parse_address_specification(self, addr_spec: bytes) -> dict[str, Any]:
        address = super()._parse_address_specification(addr_spec)
        if address and address["word_len"] == S7WordLen.BIT:
            address["bit"] = addr_spec[11] & 0b111
        return address

    def _parse_write_address(self, request: dict[str, Any]) -> Any:
        parsed = super()._parse_write_address(request)
        bit = request.get("parameters", {}).get("address_spec", {}).get("bit")
        if parsed is None or bit is None:
            return parsed
        data = _BitWrite(parsed[4])
        data.bit = bit
        return (*parsed[:4], data)

    def _write_to_memory_area(self, area: Any, db_number: int, start: int, write_data: bytearray) -> bool:
        if isinstance(write_data, _BitWrite):
            with self.area_locks[area, db_number]:
                memory = self.memory_areas[area, db_number]
                memory[start] = memory[start] & ~(1 << write_data.bit) | (write_data[0] & 1) << write_data.bit
            ok = True
        else:
            ok = super()._write_to_memory_area(area, db_number, start, write_data)
        self._written()
        return ok


class SimulatedPlc:
    """Memory areas that a station reaches over S7. `written` is called after each of its writes, on snap7's thread."""

    def __init__(self, host: str, port: int, places: list[Address]) -> None:
        self.address = (host, port)
        self.written: Callable[[], None] = lambda: None
        self.client_added: Callable[[], None] = lambda: None
        self._areas: dict[tuple[str, int], bytearray] = {}
        self._server = _S7Server(lambda: self.written())
        for place in places:
            if place.byte + 32 > AREA_BYTES:
                raise InputError(
                    "this address is out of the emulator's memory",
                    where=str(place),
                    allowed=f"bytes 0 to {AREA_BYTES - 32}",
                )
            key = (place.area, place.db)
            if key not in self._areas:
                self._areas[key] = bytearray(AREA_BYTES)
                self._server.register_area(_AREAS[place.area][0], place.db, self._areas[key])
        self._server.set_events_callback(
            lambda event: self.client_added() if event.EvtCode == EVC_CLIENT_ADDED else None
        )

    def start(self) -> None:
        """Listen. Raises EnvironmentFault when the port is taken."""
        try:
            self._server.start_to(*self.address)
        except Exception as error:
            raise EnvironmentFault(
                "the PLC emulator cannot listen", where="{}:{}".format(*self.address), found=str(error)
            ) from None

    def stop(self) -> None:
        """Stop listening and drop the station's connection."""
        self._server.stop()

    def read(self, place: Address, count: int) -> bytes:
        """Bytes of the PLC's memory."""
        with self._area_lock(place):
            return bytes(self._areas[place.area, place.db][place.byte : place.byte + count])

    def write(self, place: Address, data: bytes) -> None:
        """Set bytes, as the PLC's program."""
        with self._area_lock(place):
            self._areas[place.area, place.db][place.byte : place.byte + len(data)] = data

    def read_bit(self, place: Address) -> bool:
        """One bit of the PLC's memory."""
        return bool(self.read(place, 1)[0] >> (place.bit or 0) & 1)

    def write_bit(self, place: Address, value: bool) -> None:
        """Set one bit, as the PLC's program."""
        with self._area_lock(place):
            memory = self._areas[place.area, place.db]
            memory[place.byte] = memory[place.byte] & ~(1 << (place.bit or 0)) | value << (place.bit or 0)

    def _area_lock(self, place: Address) -> threading.Lock:
        return self._server.area_locks[_AREAS[place.area][1], place.db]
