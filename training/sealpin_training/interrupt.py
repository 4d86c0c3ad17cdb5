"""Ctrl-C and SIGTERM while a training runs: it ends with its state kept, and says how to go on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A training was asked to end. `told` is where it stands and how to go on, once that is known."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.told = number, ""

    @property
    def exit_code(self) -> int:
        """What a shell gives a program that this signal ended."""
        return 128 + self.number


class Interrupts:
    """What is to happen at a signal: at once, or for work that several machines share, when all of them can.

    While they are `held`, nothing happens at once: who holds them looks at `asked` and raises Interrupted.
    """

    def __init__(self, at_once: bool) -> None:
        self.asked = 0  # the signal that came, 0 while there was none
        self.held = False
        self._at_once = at_once

    def release(self) -> None:
        """Hold them no longer. Raises Interrupted for one that came meanwhile."""
        self.held = False
        if self.asked and self._at_once:
            raise Interrupted(self.asked)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Turn the signals into Interrupted for the block, the first of them: what then is saved is saved whole."""
        if threading.current_thread() is not threading.main_thread():  # Python gives signals to that one only
            yield
            return
        before = {number: signal.signal(number, self._take) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, _: FrameType | None) -> None:
        first, self.asked = not self.asked, self.asked or number
        if first and self._at_once and not self.held:
            raise Interrupted(number)
