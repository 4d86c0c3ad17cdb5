"""How a handshake's inputs and outputs lie in the PLC: two bits (simple mode) or one block (full mode)."""

from typing import Protocol

from . import Driver
from .address import Address
from .block import STATION_OFFSET, Inputs, Outputs, decode_inputs, encode_outputs


class Exchange(Protocol):
    """One round with the PLC is a read and a write. Both raise PlcFault."""

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

    def read(self) -> Inputs:
        """Read bytes 0 to 7."""
        data = self._driver.read(self._block, STATION_OFFSET)
        if data != self._data:
            self._data, self._inputs = data, decode_inputs(data)
        return self._inputs

    def write(self, outputs: Outputs) -> None:
        """Write bytes 8 to 23 in one request, when they change; the heartbeat sees to it that they do."""
        if outputs != self._outputs:
            self._driver.write(self._station, encode_outputs(outputs))
            self._outputs = outputs

    def clear(self) -> None:
        """Write zeroes to bytes 8 to 23."""
        self._outputs = None
        self._driver.write(self._station, bytes(len(encode_outputs(Outputs()))))


class SimpleExchange:
    """A line with one marker and one lamp: the trigger bit is read, the OK bit is pulsed."""

    def __init__(self, driver: Driver, trigger: Address, ok: Address) -> None:
        self._driver = driver
        self._trigger = trigger
        self._ok = ok
        self._written: bool | None = None

    def read(self) -> Inputs:
        """Read the trigger; such a line is always enabled."""
        return Inputs(enable=True, trigger=self._driver.read_bit(self._trigger))

    def write(self, outputs: Outputs) -> None:
        """Write the OK bit when it changes."""
        if outputs.ok != self._written:
            self._driver.write_bit(self._ok, outputs.ok)
            self._written = outputs.ok

    def clear(self) -> None:
        """Clear the OK bit."""
        self._written = None
        self.write(Outputs())
