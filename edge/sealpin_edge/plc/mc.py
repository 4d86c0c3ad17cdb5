"""Mitsubishi MELSEC over the MC protocol (SLMP, binary 3E and 4E frames) with plc-comm-slmp.

Its client holds every operation to one deadline and reads answers whole, which pymcprotocol does not.
"""

import re
from typing import Any

from ..errors import InputError, PlcFault
from ..extras import need
from . import Target
from .address import Address, no_address
from .words import to_bytes, to_words

PORT = 5007
# What the client calls them, so that their frames and device ranges are known
SERIES = ("iq-r", "iq-l", "iq-f", "qcpu", "qnu", "qnudv", "lcpu")
READ_ONLY: tuple[str, ...] = ()
BIT_DEVICES = ("M", "L", "SM", "B")
WORD_DEVICES = ("D", "R", "ZR", "SD", "W")
_HEXADECIMAL = ("B", "W")


def parse_address(text: str, where: str, *, bit: bool) -> Address:
    """Parse a device as GX Works writes it, of a bit (`M766`) or of a word (`D654`); B and W count in hexadecimal.

    `where` names the key in messages. Raises InputError for anything else; X and Y, whose numbers are octal on some
    series, are none: let the PLC's program copy them to an M.
    """
    devices = BIT_DEVICES if bit else WORD_DEVICES
    for area in sorted(devices, key=len, reverse=True):
        digits = text.removeprefix(area)
        base = 16 if area in _HEXADECIMAL else 10
        if digits != text and re.fullmatch("[0-9A-F]{1,6}" if base == 16 else "[0-9]{1,6}", digits):
            return Address(area, int(digits, base), 0 if bit else None, unit=1 if bit else 2, text=text)
    raise no_address(text, where, bit=bit, allowed=", ".join(f"{area}100" for area in devices))


class PlcDriver:
    """One connection to a MELSEC. Any failure raises PlcFault and leaves the connection closed."""

    def __init__(self, target: Target) -> None:
        """Raises InputError for a series that is not known, EnvironmentFault without plc-comm-slmp."""
        if target.series not in SERIES:
            raise InputError(
                "which MELSEC is it?", where="[plc] series", found=repr(target.series), allowed=", ".join(SERIES)
            )
        self._slmp = need("slmp", "mc")
        port = target.port or PORT
        self.name = f"{target.host}:{port} ({target.series})"
        self._client = self._slmp.SlmpClient(
            target.host,
            port,
            transport="tcp",
            plc_profile=f"melsec:{target.series}",
            # The station's own CPU, as the PLC's Ethernet port sees it
            default_target=self._slmp.SlmpTarget(network=0, station=0xFF, module_io=0x03FF, multidrop=0),
            timeout=target.timeout_s,
        )
        self._connected = False

    def connect(self) -> None:
        """Open the connection."""
        self.close()
        try:
            self._client.connect()
        except (self._slmp.SlmpError, OSError) as error:
            raise PlcFault(
                "the PLC does not answer",
                where=self.name,
                found=str(error),
                hint="check host and port in [plc], the cable, and that the PLC has an MC protocol connection (TCP, "
                "binary, writes enabled during RUN)",
            ) from None
        self._connected = True

    def close(self) -> None:
        """Drop the connection; does nothing when there is none."""
        if self._connected:
            self._client.close()
            self._connected = False

    def read(self, address: Address, count: int) -> bytes:
        """Read `count` bytes of words."""
        return to_bytes(self._read(address, -(-count // 2)), count)

    def write(self, address: Address, data: bytes) -> None:
        """Write an even number of bytes into words, in one request."""
        self._write(address, to_words(data))

    def read_bit(self, address: Address) -> bool:
        """Read a bit device."""
        return bool(self._read(address, 1)[0])

    def write_bit(self, address: Address, value: bool) -> None:
        """Write a bit device."""
        self._write(address, [value])

    def read_text(self, address: Address, length: int) -> bytes:
        """Read characters as a MELSEC keeps them: two a word, the first one low."""
        raw = self.read(address, length + length % 2)
        return bytes(raw[place ^ 1] for place in range(len(raw)))[:length]

    def _read(self, address: Address, points: int) -> Any:
        return self._call("read_devices", address, points)

    def _write(self, address: Address, values: list[Any]) -> None:
        self._call("write_devices", address, values)

    def _call(self, operation: str, address: Address, argument: Any) -> Any:
        if not self._connected:
            raise PlcFault("not connected to the PLC", where=self.name)
        device = self._slmp.DeviceRef(address.area, address.number, self._client.plc_profile)
        try:
            return getattr(self._client, operation)(device, argument, bit_unit=address.bit is not None)
        except (self._slmp.SlmpError, OSError, ValueError) as error:
            self.close()
            raise PlcFault(
                "the PLC did not do as asked, or not in time", where=f"{self.name}, {address}", found=str(error)
            ) from None
