"""The part's serial from the PLC: read beside the inspection, so that waiting for it delays no verdict."""

import logging

from ..errors import PlcFault
from . import Driver
from .address import Address

log = logging.getLogger(__name__)

# What barcode readers leave in place of a code that they could not read
BAD_READ = "ER"
ENOUGH = 2


class SerialReader:
    """Reads one part's serial at a time: `begin` at its trigger, `poll` every round until `pending` is over."""

    def __init__(
        self, driver: Driver, address: Address | None, length: int, ready: Address | None, timeout_s: float
    ) -> None:
        self._driver, self._address, self._length, self._ready = driver, address, length, ready
        self._timeout_s = timeout_s
        self._deadline = 0.0
        self._failures = 0
        self.pending = False
        self.serial = ""

    def begin(self, now: float) -> None:
        """A new part is there (monotonic seconds)."""
        readable = self._address is not None and self._failures < ENOUGH
        self.serial, self.pending, self._deadline = "", readable, now + self._timeout_s

    def poll(self, now: float) -> None:
        """Look whether the serial is there. Raises PlcFault; after ENOUGH of them in a row serials are no longer read.

        A wrong address must not cost every part its verdict.
        """
        if not self.pending or self._address is None:
            return
        try:
            self._look(self._address, now)
        except PlcFault:
            self._failures += 1
            if self._failures == ENOUGH:
                log.error("serials at %s cannot be read; parts go on without until a restart", self._address)
            raise

    def _look(self, address: Address, now: float) -> None:
        if self._ready is None or self._driver.read_bit(self._ready):
            raw = self._driver.read_text(address, self._length)
            self.serial, self.pending, self._failures = clean_serial(raw), False, 0
            if not self.serial:
                log.warning("no serial: %r", raw)
        elif now >= self._deadline:
            self.pending = False

    def give_up(self) -> None:
        """The part goes on without a serial."""
        self.pending = False


def clean_serial(raw: bytes) -> str:
    """The serial in the PLC's characters: up to the first NUL, plain text, and empty when it was a bad read."""
    text = raw.split(b"\0")[0].decode("ascii", "replace").strip()
    return text if text.isprintable() and "\ufffd" not in text and not text.startswith(BAD_READ) else ""
