"""Log lines that a person can follow: one part's id stands in each of its lines, from the trigger to the upload.

A thread of their own writes them: a pipe that nobody reads, or a journal on a dying disk, must not hold up a verdict.
"""

import atexit
import contextlib
import logging
import os
import queue
import threading
from logging.handlers import QueueHandler

# sd-daemon(3): journald takes the level from these
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
# Their complaints reach the log as our own messages
_QUIET = ("snap7", "pymodbus", "pymodbus.logging", "paramiko", "smbprotocol", "spnego")


WAITING_LINES = 5000
LATE_S = 0.25
STOP_S = 2.0


def set_up_logging() -> "LogWriter":
    """Lines with time and level to standard error; for journald, which has the time, with its priorities instead.

    Returns the thread that writes them; its `stop` waits for the last line. The end of the program does that too.
    """
    writer = logging.StreamHandler()
    journal = bool(os.environ.get("JOURNAL_STREAM"))
    writer.setFormatter(
        _Journal("%(message)s") if journal else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    )
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_LINES)
    log_writer = LogWriter(waiting, writer)
    log_writer.start()
    atexit.register(log_writer.stop)
    handler = _Dropping(waiting)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return log_writer


class LogWriter(threading.Thread):
    """Writes a quarter of a second late: woken by each line it would want the processor when the verdict does."""

    def __init__(self, waiting: "queue.Queue[logging.LogRecord]", writer: logging.Handler) -> None:
        super().__init__(name="log", daemon=True)
        self._waiting, self._writer = waiting, writer
        self._ending = threading.Event()

    def run(self) -> None:
        """Write until `stop`, and then what is left."""
        while not self._ending.wait(LATE_S):
            self._write()
        self._write()

    def stop(self) -> None:
        """Write what waits, but do not wait for a reader that is not there."""
        self._ending.set()
        self.join(STOP_S)

    def _write(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._writer.handle(self._waiting.get_nowait())


class _Dropping(QueueHandler):
    """Never waits: lines that are too many are dropped, and counted in the next that is not."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self.dropped:
            record.msg = f"{record.msg} ({self.dropped} lines before this one were dropped)"
        try:
            self.queue.put_nowait(record)
            self.dropped = 0
        except queue.Full:
            self.dropped += 1


class _Journal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())
