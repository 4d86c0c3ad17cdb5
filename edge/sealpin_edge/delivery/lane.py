"""Whether a server is worth trying now: a circuit breaker with growing, jittered pauses."""

import random
import time

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
LATELY_S = 600.0


def pause_s(failures: int) -> float:
    """How long to wait after so many failures in a row: twice as long after each, up to a limit."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 10))


class Lane:
    """Whether a server is worth trying now (a circuit breaker with growing, jittered pauses)."""

    def __init__(self) -> None:
        self.trouble = ""
        """Why the last attempt failed, in a line; empty when it did not."""
        self._failures = 0
        self._closed_until = 0.0
        self._worked_at = float("-inf")

    @property
    def open(self) -> bool:
        """True when nothing failed lately, or the pause is over."""
        return time.monotonic() >= self._closed_until

    @property
    def worked_lately(self) -> bool:
        """True when the server took something within LATELY_S."""
        return time.monotonic() - self._worked_at < LATELY_S

    def failed(self, trouble: str, retry_after_s: float = 0.0) -> None:
        """Pause: twice as long after each failure in a row, give or take a fifth; longer when the server says so."""
        pause = pause_s(self._failures) * random.uniform(0.8, 1.2)
        self.trouble = trouble
        self._failures += 1
        self._closed_until = time.monotonic() + max(pause, retry_after_s)

    def worked(self) -> None:
        """Back to normal."""
        self.trouble = ""
        self._failures, self._closed_until = 0, 0.0
        self._worked_at = time.monotonic()
