"""Any PLC over Modbus TCP with pymodbus: coils and discrete inputs are bits, registers are words."""

import re
from typing import Any

from ..errors import PlcFault
from ..extras import need
from . import Target
from .address import Address, no_address
from .words import to_bytes, to_words

PORT = 502
SERIES: tuple[str, ...] = ()
READ_ONLY: tuple[str, ...] = ("DI", "IR")
_BIT_READS = {"C": "read_coils", "DI": "read_discrete_inputs"}
_WORD_READS = {"HR": "read_holding_registers", "IR": "read_input_registers"}


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
    """One connection to a Modbus server. Any failure raises PlcFault and leaves the connection closed."""

    def __init__(self, target: Target) -> None:
        """Raises EnvironmentFault without pymodbus."""
        client = need("pymodbus.client", "modbus")
        self._error: type[Exception] = need("pymodbus.exceptions", "modbus").ModbusException
        port = target.port or PORT
        self.name = f"{target.host}:{port} unit {target.unit}"
        self._unit = target.unit
        self._client = client.ModbusTcpClient(target.host, port=port, timeout=target.timeout_s, retries=0)
        self._connected = False

    def connect(self) -> None:
        """Open the connection."""
        self.close()
        try:
            self._connected = bool(self._client.connect())
            found = "" if self._connected else "no connection"
        except (self._error, OSError) as error:
            found = str(error)
        if not self._connected:
            raise PlcFault(
                "the PLC does not answer",
                where=self.name,
                found=found,
                hint="check host and port in [plc], the cable, and that the PLC is a Modbus TCP server",
            )

    def close(self) -> None:
        """Drop the connection; does nothing when there is none."""
        if self._connected:
            self._client.close()
            self._connected = False

    def read(self, address: Address, count: int) -> bytes:
        """Read `count` bytes of registers."""
        words = -(-count // 2)
        answer = self._call(_WORD_READS[address.area], address, count=words)
        return to_bytes(self._whole(answer.registers, words, address), count)

    def write(self, address: Address, data: bytes) -> None:
        """Write an even number of bytes into registers, in one request."""
        self._call("write_registers", address, values=to_words(data))

    def read_bit(self, address: Address) -> bool:
        """Read a coil or discrete input."""
        answer = self._call(_BIT_READS[address.area], address, count=1)
        return bool(self._whole(answer.bits, 1, address)[0])

    def write_bit(self, address: Address, value: bool) -> None:
        """Write a coil."""
        self._call("write_coil", address, value=value)

    def read_text(self, address: Address, length: int) -> bytes:
        """Read characters, two a register, the first one high."""
        return self.read(address, length)

    def _whole(self, values: list[Any], count: int, address: Address) -> list[Any]:
        if len(values) < count:
            self.close()
            found = f"{len(values)} values instead of {count}"
            raise PlcFault("the PLC's answer is too short", where=f"{self.name}, {address}", found=found)
        return values

    def _call(self, operation: str, address: Address, **arguments: Any) -> Any:
        if not self._connected:
            raise PlcFault("not connected to the PLC", where=self.name)
        try:
            answer = getattr(self._client, operation)(address.number, device_id=self._unit, **arguments)
        except (self._error, OSError) as error:
            self.close()
            raise PlcFault("the connection to the PLC broke", where=self.name, found=str(error)) from None
        if answer.isError():
            self.close()
            raise PlcFault("the PLC did not do as asked", where=f"{self.name}, {address}", found=str(answer))
        return answer
