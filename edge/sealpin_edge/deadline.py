"""One deadline for a whole exchange with a server, however slowly its bytes come."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

from .errors import Unavailable

# A photo of 500 kB then has 25 s more than a single answer. What is slower keeps up with no line, while a lane that is
# held for longer cannot be told from one that hangs
SLOWEST_BYTES_S = 20_000
# What is connected when the time is over already is shut down too, this much later
AGAIN_S = 0.5


class Deadline:
    """`with Deadline(...)`: when the time is over, what is watched is shut down, so that whatever waits for it raises.

    A socket's own time-out begins anew with each byte, so a server that drips would hold its lane for ever. What
    leaves the block after the deadline is told as Unavailable, whatever it was.
    """

    def __init__(self, timeout_s: float, size: int, where: str) -> None:
        """`timeout_s` seconds, and what `size` bytes take at SLOWEST_BYTES_S; `where` is the server, for messages."""
        self._seconds = timeout_s + size / SLOWEST_BYTES_S
        self._where = where
        self._watched: list[Callable[[], socket.socket | None]] = []
        self._left = threading.Event()
        self._passed = False

    def watch(self, connection: Callable[[], socket.socket | None]) -> None:
        """Shut down the socket that this gives when the time is over; it is asked then, for sockets are replaced."""
        self._watched.append(connection)

    def __enter__(self) -> "Deadline":
        threading.Thread(target=self._run, name="deadline", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        # Without a fault too: an answer that was cut short may look like a whole one. A folder has nothing to be cut
        if self._passed and self._watched and (error is None or isinstance(error, Exception)):
            raise Unavailable(
                "the server is too slow",
                where=self._where,
                found=f"not done after {self._seconds:.1f} s",
                advice="look at the network and at the server's load; [timers] server_ms gives it more time",
            ) from None

    def _run(self) -> None:
        wait_s = self._seconds
        while not self._left.wait(wait_s):
            self._passed, wait_s = True, AGAIN_S
            for connection in list(self._watched):
                if found := connection():
                    # Not an SSLSocket's own method, which another thread's read would not survive
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(found, socket.SHUT_RDWR)
