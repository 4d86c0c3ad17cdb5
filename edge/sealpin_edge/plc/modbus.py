"""Any PLC over Modbus TCP with pymodbus: coils and discrete inputs are bits, registers are words."""

import re
from typing import Any

from ..errors import PlcFault, PlcRefused
from ..extras import need
from . import Target
from .address import Address, no_address
from .tcp import Host, PlcSocket, Protocol, lost, open_connection
from .words import to_bytes, to_words

PORT = 502
SERIES: tuple[str, ...] = ()
# Of registers and coils
NUMBERS = 65536
READ_ONLY: tuple[str, ...] = ("DI", "IR")
_BIT_READS = {"C": "read_coils", "DI": "read_discrete_inputs"}
_WORD_READS = {"HR": "read_holding_registers", "IR": "read_input_registers"}

_AREA_NAMES = {"C": "coil", "DI": "discrete input", "HR": "holding register", "IR": "input register"}
# An answer begins with the number of its request, then two zeroes
_PROTOCOL = Protocol(
    "Modbus TCP",
    lambda heard: bytes(2).startswith(heard[2:4]),
    "check host, port, driver and unit in [plc], and that the PLC is a Modbus TCP server (not RTU over TCP)",
)
_ADDRESS = (
    "check the address in [plc] (counted from 0: HR0 is what some manuals call 40001), and what the server offers"
)
_UNIT = "check unit in [plc]; behind a gateway it is the device's number, else mostly 1, 0 or 255"
_LATER = "it is tried again; look at the PLC if it stays so"
# Exceptions of the Modbus application protocol, version 1.1b3, and what to do
_REFUSALS = {
    1: ("the server does not offer what reads or writes {asked}", _ADDRESS),
    2: ("the server has no {asked}", _ADDRESS),
    3: ("the server takes no request of this length or value for {asked}", _ADDRESS),
    4: ("the server failed at {asked}", "look at the PLC: its program or the device behind it has a fault"),
    5: ("the server has taken the request for {asked} and will be long at it", _LATER),
    6: ("the server is busy", _LATER),
    10: ("the gateway has no way to unit {unit}", _UNIT),
    11: ("nothing answers the gateway as unit {unit}", _UNIT),
}


def parse_address(text: str, where: str, *, bit: bool) -> Address:
    """Parse `C16` (coil) or `DI3` (discrete input) for a bit, `HR100` or `IR0` (holding, input register) for a word.

    The number is the one on the wire: HR0 is what some manuals call 40001. Raises InputError for anything else.
    """
    areas = _BIT_READS if bit else _WORD_READS
    found = re.fullmatch(r"([A-Z]{1,2})(\d{1,5})", text)
    if not found or found[1] not in areas or int(found[2]) > 65535:
        raise no_address(text, where, bit=bit, allowed=" or ".join(f"{area}0 to {area}65535" for area in areas))
    return Address(found[1], int(found[2]), 0 if bit else None, unit=1 if bit else 2, text=text)


class PlcDriver:
    """One connection to a Modbus server. A fault raises PlcFault and leaves it closed; a refusal leaves it open."""

    def __init__(self, target: Target) -> None:
        """Raises EnvironmentFault without pymodbus."""
        self._library = need("pymodbus.client", "modbus")
        self._error: type[Exception] = need("pymodbus.exceptions", "modbus").ModbusException
        self._target, self._host, self._port = target, Host(target.host), target.port or PORT
        self.name = f"{target.host}:{self._port} unit {target.unit}"
        self._client: Any = None
        self._socket: PlcSocket | None = None

    def connect(self) -> None:
        """Open the connection."""
        self.close()
        timeout_s = self._target.timeout_s
        self._socket = open_connection(self._host, self._port, timeout_s, _PROTOCOL, self.name)
        address = self._socket.getpeername()[0]
        self._client = self._library.ModbusTcpClient(address, port=self._port, timeout=timeout_s, retries=0)
        # It takes a connection that is there for its own
        self._client.socket = self._socket

    def close(self) -> None:
        """Drop the connection; does nothing when there is none."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def read(self, address: Address, count: int) -> bytes:
        """Read `count` bytes of registers."""
        words = -(-count // 2)
        answer = self._call(_WORD_READS[address.area], address, words, count=words)
        return to_bytes(self._whole(answer.registers, words, address), count)

    def write(self, address: Address, data: bytes) -> None:
        """Write an even number of bytes into registers, in one request."""
        words = to_words(data)
        self._call("write_registers", address, len(words), values=words)

    def read_bit(self, address: Address) -> bool:
        """Read a coil or discrete input."""
        answer = self._call(_BIT_READS[address.area], address, 1, count=1)
        return bool(self._whole(answer.bits, 1, address)[0])

    def write_bit(self, address: Address, value: bool) -> None:
        """Write a coil."""
        self._call("write_coil", address, 1, value=value)

    def read_text(self, address: Address, length: int) -> bytes:
        """Read characters, two a register, the first one high."""
        return self.read(address, length)

    def _whole(self, values: list[Any], count: int, address: Address) -> list[Any]:
        if len(values) < count:
            self.close()
            found = f"{len(values)} values instead of {count}"
            raise PlcFault("the PLC's answer is too short", where=f"{self.name}, {address}", found=found)
        return values

    def _call(self, operation: str, address: Address, points: int, **arguments: Any) -> Any:
        if self._client is None or self._socket is None:
            raise PlcFault("not connected to the PLC", where=self.name)
        try:
            answer = getattr(self._client, operation)(address.number, device_id=self._target.unit, **arguments)
        except (self._error, OSError) as error:
            self.close()
            raise lost(self._socket, _PROTOCOL, f"{self.name}, {address}", error) from None
        if answer.isError():
            raise self._refused(answer.exception_code, address, points)
        return answer

    def _refused(self, code: int, address: Address, points: int) -> PlcRefused:
        last = address.number + points - 1
        asked = f"{_AREA_NAMES[address.area]} {address.area}{address.number}" + (f" to {last}" if points > 1 else "")
        reason, advice = _REFUSALS.get(code, ("the PLC refuses", "look the exception up in the PLC's manual"))
        return PlcRefused(
            "the PLC did not do as asked",
            where=f"{self.name}, {address}",
            found=f"{reason.format(asked=asked, unit=self._target.unit)} (Modbus exception {code})",
            advice=advice,
        )
