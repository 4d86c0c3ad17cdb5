"""What the courier meets in these tests: a clock that stands still, servers that fail as told, a disk that breaks."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sealpin_edge.delivery.courier import Courier, Shipment
from sealpin_edge.delivery.outbox import Inspection, Outbox

NEVER_S = 60.0
SOON_S = 5.0
# Long enough for a lane that is awake to do something that it should not
MOMENT_S = 0.1
ASIDE = "1 {0} refused and set aside: sealpin-edge outbox list"
Make = Callable[..., Courier]


class Clock:
    """Stands still until a test or a sleeper moves it; in place of `time` and `random`."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 0.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def sleep(self, seconds: float) -> None:
        self.steady += seconds

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class Looks:
    """How often a lane has looked into the store: each time it asks first whether a part is judged."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> bool:
        self.number += 1
        return False


class Server:
    """A photo server and a results API in memory, which fail as they are told, and hang while `free` is not set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.has: dict[str, object] = {}
        self.fault: Exception | None = None
        self.faults: dict[str, Exception] = {}
        self.free, self.hangs = threading.Event(), threading.Event()
        self.free.set()
        self.closed = False
        self.then: Callable[[], None] = lambda: None

    def put(self, name: str, content: object) -> None:
        self.asked.append(name)
        if not self.free.is_set():
            self.hangs.set()
            self.free.wait(SOON_S)
        if fault := self.faults.get(name, self.fault):
            raise fault
        self.has[name] = content
        self.then()

    upload = put

    def close(self) -> None:
        self.closed = True


def wait_until(done: Callable[[], object]) -> None:
    end = time.monotonic() + SOON_S
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.002)


def time_passes_until(done: Callable[[], object], clock: Clock, courier: Courier) -> None:
    """A second and a nudge at a time."""

    def another_second() -> object:
        clock.steady += 1.0
        courier.nudge()
        return done()

    wait_until(another_second)


def stays(true: Callable[[], object]) -> bool:
    """Whether it is true for a moment."""
    end = time.monotonic() + MOMENT_S
    while held := true():
        if time.monotonic() > end:
            break
        threading.Event().wait(0.005)
    return bool(held)


def troubled(courier: Courier, told: str) -> bool:
    return courier.troubles == {"results": told}


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def part(id: str, *, at: str = "", number: int = 0) -> Inspection:
    return Inspection(id, at or ago(0), "", "OK", "{}", f"day/{id}", number)


def shipment(id: str, *photos: str) -> Shipment:
    return Shipment(id, ago(0), tuple((name, name.encode()) for name in photos or (f"{id}.jpg",)))


def set_aside_oldest(outbox: Outbox, name: str) -> None:
    item = outbox.oldest(name)
    assert item
    outbox.set_aside(item, "never")


def alter(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "station.db")) as db, db:
        db.execute(sql)


def breaks(folder: Path, at: str) -> None:
    """The disk takes no more of this, as "INSERT ON item", until `mends`."""
    alter(folder, f"CREATE TRIGGER broken BEFORE {at} BEGIN SELECT RAISE(ABORT, 'no room'); END")


def mends(folder: Path) -> None:
    alter(folder, "DROP TRIGGER broken")
