"""Siemens S7 over python-snap7: bits and bytes, every operation with a deadline.

python-snap7 3.3 connects with a fixed 5 s and ignores its own time-out parameters, so the connection class gets the
time-out here. `auto_reconnect` stays off: it can block for many seconds. One thread owns a driver.
"""

from typing import Any

from snap7.client import Client
from snap7.connection import ISOTCPConnection
from snap7.error import S7ConnectionError, S7Error, S7TimeoutError
from snap7.type import Area, WordLen

from ..errors import PlcFault
from .address import Address

_AREAS = {"DB": Area.DB, "M": Area.MK, "I": Area.PE, "Q": Area.PA}


class S7Driver:
    """One connection to an S7 PLC. Any failure raises PlcFault and leaves the connection closed."""

    def __init__(self, host: str, port: int, rack: int, slot: int, timeout_s: float) -> None:
        self.name = f"{host}:{port} rack {rack} slot {slot}"
        self._target = (host, rack, slot, port)
        self._timeout_s = timeout_s
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
        return bytes(self._call("read_area", address, address.byte, count))

    def write(self, address: Address, data: bytes) -> None:
        """Write bytes in one request."""
        self._call("write_area", address, address.byte, bytearray(data))

    def read_bit(self, address: Address) -> bool:
        """Read one bit."""
        return bool(self.read(address, 1)[0] >> (address.bit or 0) & 1)

    def write_bit(self, address: Address, value: bool) -> None:
        """Write one bit and nothing else of its byte, by S7's own bit access."""
        self._call("write_area", address, address.byte * 8 + (address.bit or 0), bytearray([value]), WordLen.Bit)

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
