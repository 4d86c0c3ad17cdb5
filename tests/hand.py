"""A PLC whose bits a test moves by hand: an S7 with the station's block in DB100, and a serial's place behind it."""

import threading
import time
from collections.abc import Callable
from typing import Any

from sealpin_edge.plc import family
from sealpin_edge.plc.block import STATION_OFFSET, Inputs, Outputs, decode_outputs, encode_inputs
from sealpin_simulation.plc import make_plc

SERIAL_AT, SERIAL_LENGTH = 40, 40
# For station.toml's [plc]
SERIAL = f'serial = "DB100.DBB{SERIAL_AT}"\nserial_length = {SERIAL_LENGTH}\n'


class HandPlc:
    """It has no heartbeat until it has shown two: then it is silent when no other follows."""

    def __init__(self, port: int) -> None:
        self._block = family("s7").parse_address("DB100", "", bit=False)
        self._plc = make_plc("s7", "127.0.0.1", port, [self._block])
        self._inputs = Inputs()
        self.stop = self._plc.stop

    def start(self) -> None:
        """Switch it on: what a station wrote before is not true any more."""
        self._plc.write(self._block.at(STATION_OFFSET), bytes(16))
        self._plc.start()

    def set(self, **changes: Any) -> None:
        """Set bits or words of the PLC's own bytes."""
        self._inputs = Inputs(**{**vars(self._inputs), **changes})
        self._plc.write(self._block, encode_inputs(self._inputs))

    def write_serial(self, text: str) -> None:
        """The serial that the next parts have."""
        self._plc.write(self._block.at(SERIAL_AT), text.encode().ljust(SERIAL_LENGTH, b"\0"))

    def beat(self) -> None:
        """Two beats of its heart: a PLC that has shown them must go on."""
        for _ in range(2):
            self.set(heartbeat=(self._inputs.heartbeat + 1) % 256)
            threading.Event().wait(0.1)

    def disturb(self) -> None:
        """Write the station's own bytes, as a second station would."""
        self._plc.write(self._block.at(STATION_OFFSET + 8), b"\xff")

    @property
    def outputs(self) -> Outputs:
        """What the station says."""
        return decode_outputs(self._plc.read(self._block.at(STATION_OFFSET), 16))

    def wait(self, done: Callable[[Outputs], bool], timeout_s: float = 20.0) -> None:
        """Wait for something that the station says."""
        end = time.monotonic() + timeout_s
        while not done(self.outputs):
            assert time.monotonic() < end, f"it did not come: {self.outputs}"
            threading.Event().wait(0.005)

    def trigger(self) -> None:
        """A part is there."""
        self.wait(lambda outputs: outputs.ready)
        self.set(trigger=True, part_seq=self._inputs.part_seq + 1)

    def part(self) -> str:
        """A part, from its trigger to its acknowledged verdict."""
        self.trigger()
        self.wait(lambda outputs: outputs.result_valid)
        said = self.outputs
        self.set(ack=True, trigger=False)
        self.wait(lambda outputs: not outputs.result_valid)
        self.set(ack=False)
        return "OK" if said.ok else "NG" if said.ng else "NOT INSPECTED"
