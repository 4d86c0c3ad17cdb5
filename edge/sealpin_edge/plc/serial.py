"""The part's serial from the PLC: read beside the inspection, so that waiting for it delays no verdict."""

import logging
from collections.abc import Callable

from ..errors import PlcRefused
from . import Driver
from .address import Address

log = logging.getLogger(__name__)

# What barcode readers leave in place of a code that they could not read
BAD_READ = "ER"


class SerialReader:
    """Reads one part's serial at a time: `begin` at its trigger, `poll` every round until `pending` is over.

    A place that the PLC refuses is left alone until the next connection, and `trouble` says so: a wrong address must
    cost no part its verdict. A lost connection is the loop's affair.
    """

    def __init__(
        self,
        driver: Driver,
        address: Address | None,
        length: int,
        ready: Address | None,
        timeout_s: float,
        tell: Callable[[str], None],
    ) -> None:
        """`tell` is told of a place that cannot be read."""
        self._driver, self._address, self._length, self._ready = driver, address, length, ready
        self._timeout_s, self._tell = timeout_s, tell
        self._deadline = 0.0
        self.trouble = ""
        self.pending = False
        self.serial = ""

    def try_out(self) -> None:
        """Read once, on a new connection, before any part waits for it. Raises PlcFault when the connection is lost."""
        self.trouble = ""
        if self._address is None:
            return
        key = "serial_ready"
        try:
            if self._ready is not None:
                self._driver.read_bit(self._ready)
            key = "serial"
            self._driver.read_text(self._address, self._length)
        except PlcRefused as fault:
            self._refused(key, fault)

    def begin(self, now: float) -> None:
        """A new part is there (monotonic seconds)."""
        readable = self._address is not None and not self.trouble
        self.serial, self.pending, self._deadline = "", readable, now + self._timeout_s

    def poll(self, now: float) -> None:
        """Look whether the serial is there. Raises PlcFault when the connection is lost."""
        if not self.pending or self._address is None:
            return
        try:
            if self._ready is None or self._driver.read_bit(self._ready):
                raw = self._driver.read_text(self._address, self._length)
                self.serial, self.pending = clean_serial(raw), False
                if not self.serial:
                    log.warning("no serial: %r", raw)
            elif now >= self._deadline:
                self.pending = False
        except PlcRefused as fault:
            self._refused("serial", fault)

    def give_up(self) -> None:
        """The part goes on without a serial."""
        self.pending = False

    def _refused(self, key: str, fault: PlcRefused) -> None:
        self.pending = False
        self.trouble = f"[plc] {key}: {fault.where}: {fault.problem} ({fault.found})"
        self._tell(f"parts have no serials until the PLC is connected anew: {self.trouble}")


def clean_serial(raw: bytes) -> str:
    """The serial in the PLC's characters: up to the first NUL, plain text, and empty when it was a bad read."""
    text = raw.split(b"\0")[0].decode("ascii", "replace").strip()
    return text if text.isprintable() and "\ufffd" not in text and not text.startswith(BAD_READ) else ""
