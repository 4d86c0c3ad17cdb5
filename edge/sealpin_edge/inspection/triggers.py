"""Which parts the PLC has triggered, on the disk before anybody can take their verdict for one without a record.

A ring of small records in one file, each written in place when its part is triggered, beside the inspection and on a
thread of its own. From the moment of the write a killed process cannot take it back, after the sync that follows no
power cut. The write is done long before the verdict is there; where it is not, the verdict waits for it, but for no
disk that hangs (HOLD_S), and not again while that disk does. What has a record here and no row in the database was
being judged, or its row was not committed yet, when the station ended: the next start records it as such.
"""

import contextlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "triggers"
RECORD_BYTES = 256
# More than the parts that can wait to be recorded
RECORDS = 2048
HOLD_S = 0.05


@dataclass(frozen=True)
class Trigger:
    """A part: its number in the sequence of the database `store`, its id, the time, and its PartSeq.

    `settled` says that its result was sent without the database.
    """

    number: int
    id: str
    created_at: str
    part_seq: int
    store: str
    settled: bool = False


class TriggerLog:
    """The file, and the thread that writes it. `failed` is told of a disk that does not take a record."""

    def __init__(self, data_dir: Path, failed: Callable[[], None]) -> None:
        self._path, self._failed = data_dir / FILE, failed
        self._queue: queue.SimpleQueue[Trigger | int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="triggers", daemon=True)
        self._handle: int | None = None
        self._noted = self._written = 0
        self._noted_at = 0.0

    @property
    def written(self) -> bool:
        """The newest trigger is written, or the disk is so slow that no verdict shall wait for it."""
        behind = self._noted - self._written
        return behind != 1 or time.monotonic() - self._noted_at > HOLD_S

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Write what waits, or leave it after the time-out."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def note(self, trigger: Trigger) -> None:
        """A part was triggered. Never waits."""
        self._noted += 1
        self._noted_at = time.monotonic()
        self._queue.put(trigger)

    def settle(self, number: int) -> None:
        """A part's result was sent without the database. Never waits."""
        self._queue.put(number)

    def read(self) -> list[Trigger]:
        """The triggers on the disk, by number; a record that is no whole one is none."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return []
        found = (_decode(data[at : at + RECORD_BYTES]) for at in range(0, len(data), RECORD_BYTES))
        return sorted(filter(None, found), key=lambda one: one.number)

    def _run(self) -> None:
        last: dict[int, Trigger] = {}
        self._open()
        while (news := self._queue.get()) is not None:
            if isinstance(news, int):
                if news not in last:
                    continue
                trigger = replace(last[news], settled=True)
            else:
                trigger = news
            last[trigger.number] = trigger
            last.pop(trigger.number - RECORDS, None)
            handle = self._write(trigger)
            self._written += isinstance(news, Trigger)  # or given up, so that no verdict waits for it
            if handle is not None:
                try:
                    os.fdatasync(handle)
                except OSError as error:
                    self._fails(trigger, error)
        self._close()

    def _open(self) -> None:
        if self._handle is None:
            with contextlib.suppress(OSError):  # tried again, and told, with the next record
                self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                # Room for all of them now: a disk that gets full later takes the records still
                os.posix_fallocate(self._handle, 0, RECORDS * RECORD_BYTES)

    def _write(self, trigger: Trigger) -> int | None:
        """Write a record; the file, to be synced, or None when the disk does not take it."""
        self._open()
        try:
            if self._handle is None:
                raise OSError("the file cannot be opened")
            os.pwrite(self._handle, _encode(trigger), trigger.number % RECORDS * RECORD_BYTES)
        except OSError as error:
            self._fails(trigger, error)
        return self._handle

    def _fails(self, trigger: Trigger, error: OSError) -> None:
        log.error("part %d: its trigger is not on the disk: %s", trigger.number, error)
        self._close()
        self._failed()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _encode(trigger: Trigger) -> bytes:
    return (json.dumps(vars(trigger)) + "\n").encode().ljust(RECORD_BYTES)


def _decode(data: bytes) -> Trigger | None:
    try:
        found = Trigger(**json.loads(data))
        return found if isinstance(found.number, int) and len(found.id) == 36 else None
    except (ValueError, TypeError):
        return None
