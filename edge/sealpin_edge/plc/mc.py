"""Mitsubishi MELSEC over the MC protocol (SLMP, binary 3E and 4E frames) with plc-comm-slmp.

Its client holds every operation to one deadline and reads answers whole, which pymcprotocol does not.
"""

import re
from typing import Any

from ..errors import InputError, PlcFault, PlcRefused
from ..extras import need
from . import Target
from .address import Address, no_address
from .tcp import Host, PlcSocket, Protocol, lost, open_connection
from .words import to_bytes, to_words

PORT = 5007
# What the client calls them, so that their frames and device ranges are known
SERIES = ("iq-r", "iq-l", "iq-f", "qcpu", "qnu", "qnudv", "lcpu")
# One more than the last number: three bytes of it are sent
NUMBERS = 1 << 24
READ_ONLY: tuple[str, ...] = ()
BIT_DEVICES = ("M", "L", "SM", "B")
WORD_DEVICES = ("D", "R", "ZR", "SD", "W")
_HEXADECIMAL = ("B", "W")
# Answers begin with their subheader: D000 of a 3E frame, D400 of a 4E frame
_PROTOCOL = Protocol(
    "SLMP (MC protocol) in binary",
    lambda heard: heard[:1] in (b"\xd0", b"\xd4") and heard[1:2] in (b"", b"\0"),
    "check host, port, driver and series in [plc]; in GX Works, at the Ethernet port: a connection of the kind SLMP "
    "(MC protocol) over TCP at this port, communication data code binary",
)
_ETHERNET_PORT = "in GX Works, at the Ethernet port: "
_BINARY = _ETHERNET_PORT + "set the communication data code to binary, write it to the PLC and reset the PLC"
_RANGE = "check the address in [plc], and in GX Works the device settings: how far the device goes"
_SERIES = "check series in [plc]: an iQ-R is asked otherwise than a Q or L"
_WRITES = _ETHERNET_PORT + "enable writing in RUN (online change), write it to the PLC and reset the PLC"
# Why a MELSEC refuses, and what to do: its end codes, as Mitsubishi's "SLMP Reference Manual" (SH-080956ENG) has them,
# and "MELSEC-L CPU Module User's Manual (Built-In Ethernet Function)", error codes for MC protocol communication
_REFUSALS = {
    0x0055: ("the PLC takes no writes while it runs", _WRITES),
    0x4031: ("the PLC has no {asked}", _RANGE),
    0x4080: ("the PLC finds the request wrong", _SERIES),
    0xC035: ("the PLC does not find the module", _SERIES),
    0xC050: ("the PLC's communication data code is ASCII", _BINARY),
    0xC051: ("{asked} are more than the PLC takes at once", _SERIES),
    0xC052: ("{asked} are more than the PLC takes at once", _SERIES),
    0xC053: ("{asked} are more than the PLC takes at once", _SERIES),
    0xC054: ("{asked} are more than the PLC takes at once", _SERIES),
    0xC055: ("the PLC takes no writes while it runs", _WRITES),
    0xC056: ("the PLC has not all of {asked}", _RANGE),
    0xC058: ("the PLC's communication data code is ASCII", _BINARY),
    0xC059: ("the PLC does not know this request", _SERIES),
    0xC05B: ("the PLC cannot read or write {asked} this way", _RANGE),
    0xC05C: ("the PLC finds the request wrong", _SERIES),
    0xC05F: ("the PLC cannot do this for others", _SERIES),
    0xC060: ("the PLC finds the request wrong", _SERIES),
    0xC061: ("the PLC finds the request's length wrong", _SERIES),
    0xC06F: ("the PLC's communication data code is ASCII", _BINARY),
}
# By their first byte: whole groups
_OTHER_REFUSALS = {
    0xC2: ("the PLC's Ethernet port wants a password", _ETHERNET_PORT + "take the remote password off this connection"),
    0xC8: ("the PLC's Ethernet port wants a password", _ETHERNET_PORT + "take the remote password off this connection"),
}
_UNKNOWN_REFUSAL = ("the PLC refuses", "look the end code up in the manual of the PLC's Ethernet port")


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
    """One connection to a MELSEC. A fault raises PlcFault and leaves it closed; a refusal leaves it open."""

    def __init__(self, target: Target) -> None:
        """Raises InputError for a series that is not known, EnvironmentFault without plc-comm-slmp."""
        if target.series not in SERIES:
            raise InputError(
                "which MELSEC is it?", where="[plc] series", found=repr(target.series), allowed=", ".join(SERIES)
            )
        self._slmp = need("slmp", "mc")
        self._target, self._host, self._port = target, Host(target.host), target.port or PORT
        self.name = f"{target.host}:{self._port} ({target.series})"
        self._client: Any = None
        self._socket: PlcSocket | None = None

    def connect(self) -> None:
        """Open the connection."""
        self.close()
        self._socket = open_connection(self._host, self._port, self._target.timeout_s, _PROTOCOL, self.name)
        self._client = self._slmp.SlmpClient(
            "localhost",  # not used, and no place for an IPv6 address
            self._port,
            transport="tcp",
            plc_profile=f"melsec:{self._target.series}",
            # The station's own CPU, as the PLC's Ethernet port sees it
            default_target=self._slmp.SlmpTarget(network=0, station=0xFF, module_io=0x03FF, multidrop=0),
            timeout=self._target.timeout_s,
        )
        # It takes a connection that is there for its own
        self._client._sock = self._socket

    def close(self) -> None:
        """Drop the connection; does nothing when there is none."""
        if self._client is not None:
            self._client.close()
            self._client = None

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
        return self._call("read_devices", address, points, points)

    def _write(self, address: Address, values: list[Any]) -> None:
        self._call("write_devices", address, len(values), values)

    def _call(self, operation: str, address: Address, points: int, argument: Any) -> Any:
        if self._client is None or self._socket is None:
            raise PlcFault("not connected to the PLC", where=self.name)
        device = self._slmp.DeviceRef(address.area, address.number, self._client.plc_profile)
        try:
            return getattr(self._client, operation)(device, argument, bit_unit=address.bit is not None)
        except ValueError as error:  # nothing was sent
            raise PlcRefused(
                "a PLC of this series cannot be asked for that",
                where=f"{self.name}, {address}",
                found=str(error),
                advice=_SERIES,
            ) from None
        except (self._slmp.SlmpError, OSError) as error:
            code = getattr(error, "end_code", None)
            if code is not None:
                raise self._refused(code, address, points) from None
            self.close()
            raise lost(self._socket, _PROTOCOL, f"{self.name}, {address}", error) from None

    def _refused(self, code: int, address: Address, points: int) -> PlcRefused:
        last = address.number + points - 1
        number = "{:X}" if address.area in _HEXADECIMAL else "{}"
        asked = f"{address.area}{number.format(address.number)}"
        asked += f" to {address.area}{number.format(last)}" if points > 1 else ""
        reason, advice = _REFUSALS.get(code) or _OTHER_REFUSALS.get(code >> 8, _UNKNOWN_REFUSAL)
        return PlcRefused(
            "the PLC did not do as asked",
            where=f"{self.name}, {address}",
            found=f"{reason.format(asked=asked)} (end code 0x{code:04X})",
            advice=advice,
        )
