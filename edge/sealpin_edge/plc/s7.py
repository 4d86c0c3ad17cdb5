"""Siemens S7 over python-snap7: bits and bytes, every operation with a deadline.

python-snap7 3.3 connects with a fixed 5 s and ignores its own time-out parameters, so the connection class gets the
time-out here. `auto_reconnect` stays off: it can block for many seconds. One thread owns a driver.
"""

import re
from typing import Any

from snap7.client import Client
from snap7.connection import ISOTCPConnection
from snap7.error import S7ConnectionError, S7Error, S7TimeoutError
from snap7.type import Area, WordLen

from ..errors import PlcFault
from . import Target
from .address import Address, no_address

PORT = 102
SERIES: tuple[str, ...] = ()
READ_ONLY: tuple[str, ...] = ("I",)
_AREAS = {"DB": Area.DB, "M": Area.MK, "I": Area.PE, "Q": Area.PA}
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
    """One connection to an S7 PLC. Any failure raises PlcFault and leaves the connection closed."""

    def __init__(self, target: Target) -> None:
        port = target.port or PORT
        self.name = f"{target.host}:{port} rack {target.rack} slot {target.slot}"
        self._target = (target.host, target.rack, target.slot, port)
        self._timeout_s = target.timeout_s
        self._client: Client | None = None

    def connect(self) -> None:
        """Open the connection."""
        self.close()
        client = _TimedClient(self._timeout_s)
        try:
            client.connect(*self._target[:3], tcp_port=self._target[3])
        except (S7Error, OSError) as error:
            raise PlcFault(
                "the PLC does not answer",
                where=self.name,
                found=str(error),
                hint="check host, rack and slot in [plc], the cable, and that the PLC permits PUT/GET access",
            ) from None
        self._client = client

    def close(self) -> None:
        """Drop the connection; does nothing when there is none."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None

    def read(self, address: Address, count: int) -> bytes:
        """Read `count` bytes."""
        return bytes(self._call("read_area", address, address.number, count))

    def write(self, address: Address, data: bytes) -> None:
        """Write bytes in one request."""
        self._call("write_area", address, address.number, bytearray(data))

    def read_bit(self, address: Address) -> bool:
        """Read one bit."""
        return bool(self.read(address, 1)[0] >> (address.bit or 0) & 1)

    def write_bit(self, address: Address, value: bool) -> None:
        """Write one bit and nothing else of its byte, by S7's own bit access."""
        self._call("write_area", address, address.number * 8 + (address.bit or 0), bytearray([value]), WordLen.Bit)

    def read_text(self, address: Address, length: int) -> bytes:
        """Read an array of characters, or a STRING: its longest and its present length come first, a byte each."""
        if not address.string:
            return self.read(address, length)
        raw = self.read(address, length + 2)
        return raw[2 : 2 + raw[1]]

    def _call(self, operation: str, address: Address, start: int, *arguments: Any) -> Any:
        if self._client is None:
            raise PlcFault("not connected to the PLC", where=self.name)
        try:
            return getattr(self._client, operation)(_AREAS[address.area], address.db, start, *arguments)
        except (S7Error, OSError) as error:
            # After a time-out the late answer could be taken for the next one's, so the socket goes
            self.close()
            if isinstance(error, S7ConnectionError | S7TimeoutError | OSError):
                raise PlcFault("the connection to the PLC broke", where=self.name, found=str(error)) from None
            raise PlcFault(
                "the PLC did not do as asked",
                where=f"{self.name}, {address}",
                found=str(error),
                hint="check that the block exists, is not optimised, and that PUT/GET access is permitted",
            ) from None


def _position(text: str | None) -> int | None:
    return None if text is None else int(text)


class _TimedClient(Client):
    """snap7's client on a connection whose time-out is really used."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s

    def _connect(self, address: str, rack: int, slot: int, tcp_port: int) -> Client:
        self.connection = ISOTCPConnection(
            host=address, port=tcp_port, local_tsap=self.local_tsap, remote_tsap=self.remote_tsap
        )
        self.connection.connect(timeout=self._timeout_s)
        self._setup_communication()
        self.connected = True
        return self
