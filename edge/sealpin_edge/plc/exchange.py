"""How a handshake's inputs and outputs lie in the PLC: two bits (simple mode) or one block (full mode)."""

from typing import Protocol

from . import Driver
from .address import Address
from .block import BLOCK_BYTES, STATION_OFFSET, Inputs, Outputs, decode_inputs, encode_outputs

# Simple mode's OK bit is looked at again every so many rounds: it costs a request of its own
OK_ROUNDS = 32


class Exchange(Protocol):
    """One round with the PLC is a read and a write. Both raise PlcFault.

    `disturbed` says of the last read that what the station had written was written over by somebody else.
    """

    disturbed: bool

    def read(self) -> Inputs:
        """Read what the PLC says."""

    def write(self, outputs: Outputs) -> None:
        """Write what the station says, the verdict in one request."""

    def clear(self) -> None:
        """Write zeroes: the first write after every connect."""


class FullExchange:
    """The 24 bytes of block.py."""

    def __init__(self, driver: Driver, block: Address) -> None:
        self._driver = driver
        self._block = block
        self._station = block.at(STATION_OFFSET)
        # What was read and written last: most rounds change neither, and an idle station should take little
        self._data, self._inputs = b"", Inputs()
        self._outputs: Outputs | None = None
        # The last two writes: a gateway may show the older one for a while
        self._own: tuple[bytes, bytes] = (b"", b"")
        self.disturbed = False

    def read(self) -> Inputs:
        """Read bytes 0 to 7, and see whether 8 to 23 are still the station's."""
        data = self._driver.read(self._block, BLOCK_BYTES)
        self.disturbed = data[STATION_OFFSET:] not in self._own
        if data[:STATION_OFFSET] != self._data:
            self._data = data[:STATION_OFFSET]
            self._inputs = decode_inputs(self._data)
        return self._inputs

    def write(self, outputs: Outputs) -> None:
        """Write bytes 8 to 23 in one request, when they change; the heartbeat sees to it that they do."""
        if outputs != self._outputs or self.disturbed:
            self._put(encode_outputs(outputs))
            self._outputs = outputs

    def clear(self) -> None:
        """Write zeroes to bytes 8 to 23."""
        self._outputs = None
        self._put(bytes(BLOCK_BYTES - STATION_OFFSET))

    def _put(self, data: bytes) -> None:
        self._driver.write(self._station, data)
        self._own = (self._own[1] or data, data)


class SimpleExchange:
    """A line with one marker and one lamp: the trigger bit is read, the OK bit is pulsed."""

    def __init__(self, driver: Driver, trigger: Address, ok: Address) -> None:
        self._driver = driver
        self._trigger = trigger
        self._ok = ok
        self._written: bool | None = None
        self._rounds = 0
        self.disturbed = False

    def read(self) -> Inputs:
        """Read the trigger; such a line is always enabled. An OK that the station did not say is somebody else's."""
        self._rounds += 1
        if self._rounds % OK_ROUNDS == 0 and not self._written:
            self.disturbed = self._driver.read_bit(self._ok)
        return Inputs(enable=True, trigger=self._driver.read_bit(self._trigger))

    def write(self, outputs: Outputs) -> None:
        """Write the OK bit when it changes, and over somebody else's OK."""
        if outputs.ok != self._written or self.disturbed:
            self._driver.write_bit(self._ok, outputs.ok)
            self._written, self.disturbed = outputs.ok, False

    def clear(self) -> None:
        """Clear the OK bit."""
        self._written = None
        self.write(Outputs())
