"""An emulated S7 on snap7's server, whose memory behaves as a real S7's."""

from collections.abc import Callable
from typing import Any

from snap7.datatypes import S7Area, S7WordLen
from snap7.server import EVC_CLIENT_ADDED, Server
from snap7.type import SrvArea

from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.plc.address import Address

from .plc import SimulatedPlc

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
        if isinstance(write_data, _BitWrite) and (area, db_number) in self.memory_areas:
            with self.area_locks[area, db_number]:
                memory = self.memory_areas[area, db_number]
                memory[start] = memory[start] & ~(1 << write_data.bit) | (write_data[0] & 1) << write_data.bit
            ok = True
        else:
            ok = super()._write_to_memory_area(area, db_number, start, write_data)
        self._written()
        return ok


class S7Plc(SimulatedPlc):
    """An S7's data blocks, markers, inputs and outputs."""

    def __init__(self, host: str, port: int, places: list[Address]) -> None:
        super().__init__(host, port, places)
        self._server = _S7Server(lambda: self.written())
        for (area, db), memory in self.areas.items():
            self._server.register_area(_AREAS[area][0], db, memory)
        self._server.set_events_callback(
            lambda event: self.client_added() if event.EvtCode == EVC_CLIENT_ADDED else None
        )

    def start(self) -> None:
        """Listen (see SimulatedPlc)."""
        try:
            self._server.start_to(*self.address)
        except Exception as error:
            raise EnvironmentFault(
                "the PLC emulator cannot listen", where="{}:{}".format(*self.address), found=str(error)
            ) from None

    def stop(self) -> None:
        """Stop listening and drop the station's connection."""
        self._server.stop()

    def lock(self, place: Address) -> Any:
        """The lock that snap7's server holds when the station writes."""
        return self._server.area_locks[_AREAS[place.area][1], place.db]
