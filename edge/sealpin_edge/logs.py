"""Log lines that a person can follow: one part's id stands in each of its lines, from the trigger to the upload."""

import logging
import os

# sd-daemon(3): journald takes the level from these
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
# Their complaints reach the log as our own messages
_QUIET = ("snap7", "pymodbus", "pymodbus.logging", "paramiko", "smbprotocol", "spnego")


def set_up_logging() -> None:
    """Lines with time and level to standard error; for journald, which has the time, with its priorities instead."""
    handler = logging.StreamHandler()
    journal = bool(os.environ.get("JOURNAL_STREAM"))
    handler.setFormatter(
        _Journal("%(message)s") if journal else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Journal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())
