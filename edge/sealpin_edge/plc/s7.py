"""Siemens S7 over python-snap7: bits and bytes, every operation with a deadline.

python-snap7 3.3 connects with a fixed 5 s and ignores its own time-out parameters, so it gets a connection of ours.
`auto_reconnect` stays off: it can block for many seconds. One thread owns a driver.
"""

import re
import time
from typing import Any

from snap7.client import Client
from snap7.connection import ISOTCPConnection
from snap7.error import S7Error, S7ProtocolError
from snap7.type import Area, WordLen

from ..errors import PlcFault, PlcRefused
from . import Target
from .address import Address, no_address
from .tcp import Host, PlcSocket, Protocol, lost, open_connection

PORT = 102
SERIES: tuple[str, ...] = ()
# How many bytes an area has at most
NUMBERS = 65536
READ_ONLY: tuple[str, ...] = ("I",)
_AREAS = {"DB": Area.DB, "M": Area.MK, "I": Area.PE, "Q": Area.PA}
_AREA_NAMES = {"M": "the marker memory", "I": "the input image", "Q": "the output image"}
# Every packet of ISO on TCP (RFC 1006) begins with its version, 3, and a reserved zero
_PROTOCOL = Protocol(
    "S7 (ISO on TCP)",
    lambda heard: b"\3\0".startswith(heard[:2]),
    "check host, port and driver in [plc], and the cable; rack and slot: an S7-300 has slot 2, an S7-1200 or "
    "1500 slot 1",
)
SUCCESS = 0xFF
# Why an S7 refuses: codes of an item (below 0x100) and of a whole request, as snap7's s7_types.h and Wireshark's
# packet-s7comm.c have them. `{place}` is what was asked for, `{needed}` how long it would have to be.
_MISSING = "{place} is missing, optimised, or shorter than {needed} bytes"
_PROTECTED = "the PLC lets nobody reach {place} from outside"
_REFUSALS = {
    0x01: "the PLC reports a hardware fault",
    0x03: _PROTECTED,
    0x05: _MISSING,
    0x06: "the PLC does not know this kind of data",
    0x07: "the PLC has another kind of data there",
    0x0A: _MISSING,
    0x8104: _PROTECTED,
    0x8402: "the PLC cannot do this in its present state",
    0x8404: _MISSING,
    0x8500: "the request is longer than the PLC takes",
    0x8701: _MISSING,
    0x8703: _PROTECTED,
    0xD209: _MISSING,
    0xD241: "the PLC wants a password",
}
_IN_TIA_PORTAL = {
    _MISSING: "in TIA Portal: is there a block of this number, with all its bytes, and loaded into the PLC? In its "
    "properties, Attributes: take away 'Optimized block access', compile, and load it",
    _PROTECTED: "in TIA Portal, the CPU's properties, Protection & Security, Connection mechanisms: tick 'Permit "
    "access with PUT/GET communication from remote partner'; Access level: full access, or read and write",
}
_DB = re.compile(r"DB(\d{1,5})(?:\.(DBX|DBB|STRING)(\d{1,5})(?:\.([0-7]))?)?")
_AREA = re.compile(r"([MIQ])(B?)(\d{1,5})(?:\.([0-7]))?")


def parse_address(text: str, where: str, *, bit: bool) -> Address:
    """Parse an address as TIA Portal writes it, of a bit (`bit=True`) or of a byte; a bare `DB100` is its byte 0.

    `DB100.STRING32` is an S7 STRING there. `where` names the key in messages. Raises InputError for anything else.
    """
    if found := _DB.fullmatch(text):
        number, kind, byte, position = found.groups()
        is_bit, string = kind == "DBX", kind == "STRING"
        address = Address("DB", int(byte or 0), _position(position), int(number), string=string, text=text)
        good = is_bit == (position is not None) and address.db > 0
    elif found := _AREA.fullmatch(text):
        area, kind, byte, position = found.groups()
        address = Address(area, int(byte), _position(position), text=text)
        good = (kind == "B") == (position is None)
    else:
        good = False
    if not good or (address.bit is not None) != bit or address.number > 65535:
        allowed = "DB100.DBX0.1, M76.6, I0.0 or Q0.0" if bit else "DB100, DB100.DBB32, DB100.STRING32, MB10, IB0 or QB0"
        raise no_address(text, where, bit=bit, allowed=allowed)
    return address


class PlcDriver:
    """One connection to an S7 PLC. A fault raises PlcFault and leaves it closed; a refusal leaves it open."""

    def __init__(self, target: Target) -> None:
        port = target.port or PORT
        self.name = f"{target.host}:{port} rack {target.rack} slot {target.slot}"
        self._host, self._port, self._rack, self._slot = Host(target.host), port, target.rack, target.slot
        self._timeout_s = target.timeout_s
        self._client: Client | None = None
        self._socket: PlcSocket | None = None

    def connect(self) -> None:
        """Open the connection."""
        self.close()
        connected_by = time.monotonic() + self._timeout_s
        self._socket = open_connection(self._host, self._port, self._timeout_s, _PROTOCOL, self.name)
        client = _Client(self._socket)
        self._socket.connected_by = connected_by
        try:
            client.connect(self.name, self._rack, self._slot, self._port)
        except (S7Error, OSError) as error:
            raise self._lost(error) from None
        self._socket.connected_by = float("inf")
        self._client = client

    def close(self) -> None:
        """Drop the connection; does nothing when there is none."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def read(self, address: Address, count: int) -> bytes:
        """Read `count` bytes."""
        return bytes(self._call("read_area", address, count, address.number, count))

    def write(self, address: Address, data: bytes) -> None:
        """Write bytes in one request."""
        self._call("write_area", address, len(data), address.number, bytearray(data))

    def read_bit(self, address: Address) -> bool:
        """Read one bit."""
        return bool(self.read(address, 1)[0] >> (address.bit or 0) & 1)

    def write_bit(self, address: Address, value: bool) -> None:
        """Write one bit and nothing else of its byte, by S7's own bit access."""
        start = address.number * 8 + (address.bit or 0)
        self._call("write_area", address, 1, start, bytearray([value]), WordLen.Bit)

    def read_text(self, address: Address, length: int) -> bytes:
        """Read an array of characters, or a STRING: its longest and its present length come first, a byte each."""
        if not address.string:
            return self.read(address, length)
        raw = self.read(address, length + 2)
        return raw[2 : 2 + raw[1]]

    def _call(self, operation: str, address: Address, size: int, start: int, *arguments: Any) -> Any:
        if self._client is None:
            raise PlcFault("not connected to the PLC", where=self.name)
        try:
            return getattr(self._client, operation)(_AREAS[address.area], address.db, start, *arguments)
        except (S7Error, OSError) as error:
            code = getattr(error, "error_code", None)
            if code is not None:
                raise self._refused(code, address, address.number + size) from None
            raise self._lost(error) from None

    def _refused(self, code: int, address: Address, needed: int) -> PlcRefused:
        reason = _REFUSALS.get(code, "the PLC refuses, for a reason of its own")
        place = f"DB{address.db}" if address.area == "DB" else _AREA_NAMES[address.area]
        return PlcRefused(
            "the PLC did not do as asked",
            where=f"{self.name}, {address}",
            found=f"{reason.format(place=place, needed=needed)} (S7 code 0x{code:02X})",
            advice=_IN_TIA_PORTAL.get(reason, "look at the PLC's diagnostics buffer"),
        )

    def _lost(self, error: Exception) -> PlcFault:
        """Close, since a late answer could be taken for the next one's, and say what broke."""
        connection = self._socket
        self.close()
        assert connection is not None
        return lost(connection, _PROTOCOL, self.name, error)


def _position(text: str | None) -> int | None:
    return None if text is None else int(text)


class _Client(Client):
    """snap7's client on a connection that is open already, and with the code of every refusal."""

    def __init__(self, connection: PlcSocket) -> None:
        super().__init__()
        self._socket = connection

    def _connect(self, address: str, rack: int, slot: int, tcp_port: int) -> Client:
        self.connection = _Connection(address, tcp_port, self.local_tsap, self.remote_tsap)
        self.connection.socket = self._socket
        self.connection.connect()
        self._setup_communication()
        self.connected = True
        return self

    def _send_receive(self, request: bytes, max_stale_retries: int = 3) -> dict[str, Any]:
        answer = super()._send_receive(request, max_stale_retries)
        code = (answer.get("data") or {}).get("return_code", SUCCESS)
        if code != SUCCESS:
            raise S7ProtocolError("the item was refused", error_code=code)
        return answer


class _Connection(ISOTCPConnection):
    """snap7's connection, which does not connect a second time."""

    def _tcp_connect(self) -> None:
        pass
