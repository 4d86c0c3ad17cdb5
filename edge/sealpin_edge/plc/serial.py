"""The part's serial from the PLC: read beside the inspection, so that waiting for it delays no verdict."""

from . import Driver
from .address import Address

# What barcode readers leave in place of a code that they could not read
BAD_READ = "ER"


class SerialReader:
    """Reads one part's serial at a time: `begin` at its trigger, `poll` every round until `pending` is over."""

    def __init__(
        self, driver: Driver, address: Address | None, length: int, ready: Address | None, timeout_s: float
    ) -> None:
        self._driver, self._address, self._length, self._ready = driver, address, length, ready
        self._timeout_s = timeout_s
        self._deadline = 0.0
        self.pending = False
        self.serial = ""

    def begin(self, now: float) -> None:
        """A new part is there (monotonic seconds)."""
        self.serial, self.pending, self._deadline = "", self._address is not None, now + self._timeout_s

    def poll(self, now: float) -> None:
        """Look whether the serial is there. Raises PlcFault."""
        if not self.pending or self._address is None:
            return
        if self._ready is None or self._driver.read_bit(self._ready):
            self.serial = clean_serial(self._driver.read_text(self._address, self._length))
            self.pending = False
        elif now >= self._deadline:
            self.pending = False

    def give_up(self) -> None:
        """The part goes on without a serial."""
        self.pending = False


def clean_serial(raw: bytes) -> str:
    """The serial in the PLC's characters: up to the first NUL, plain text, and empty when it was a bad read."""
    text = raw.split(b"\0")[0].decode("ascii", "replace").strip()
    return text if text.isprintable() and "\ufffd" not in text and not text.startswith(BAD_READ) else ""
