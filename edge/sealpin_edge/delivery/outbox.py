"""What the station has judged and not yet delivered, kept so that a power cut cannot lose it.

    data_dir/station.db     SQLite (WAL, synchronous=FULL): every inspection, and what is still to go out
    data_dir/photos/<id>..  photos that could not be uploaded at once; files, never blobs

Stored means: file written and synced, folder synced, then the row committed. Delivered means: the server confirmed,
then the row says so, then the file goes, then the row. The disk is bounded: when it is full, the oldest raw photos of
good parts go first, then other raw photos; results and `_defects` photos never.
"""

import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import EnvironmentFault
from ..files import write_whole
from ..ids import boot_id
from ..watch.events import Event
from .store_schema import begin_shift, open_store, recover_photos

log = logging.getLogger(__name__)

LANES = ("photos", "results")
DROPPED_AT_ONCE = 32
FORGOTTEN_AT_ONCE = 500
# Of what photos may take, for the database too: beyond it the oldest delivered parts and events are forgotten
DATABASE_SHARE = 0.5
LAST_TIME = "9999"
# Kept free of photos, for the database; a quarter of a smaller disk
RESERVED_BYTES = 100_000_000
BUSY_S = 15.0
# Of 4 kB each, after which the write-ahead log is folded into the database
LOG_PAGES = 64
# Trouble stays told for this long, so that a disk that fails now and then is not well in between
TROUBLE_S = 10.0
# The longest pause of one item; a later time can only come of a clock that was set back
LONGEST_PAUSE_S = 3600.0


@dataclass(frozen=True)
class Inspection:
    """One judged part: `id` is a UUIDv7, `name` its photo's without ending, `result` the JSON for the results API.

    `number` is its place in the station's sequence; with 0 it gets the next one.
    """

    id: str
    created_at: str
    serial: str
    verdict: str
    result: str
    name: str
    number: int = 0


@dataclass(frozen=True)
class Numbering:
    """How far a database has counted: its name, the last number on record, and how many are left out after it.

    `cut_off` says that the station before this one did not end well.
    """

    store: str
    recorded: int
    left_out: int
    cut_off: bool


@dataclass(frozen=True)
class Item:
    """Something to deliver: a result (its JSON in `result`) or a stored photo (its `file`, of `bytes` bytes)."""

    number: int
    lane: str
    id: str
    name: str
    file: Path
    result: str
    bytes: int
    attempts: int
    state: str
    reason: str
    stored_at: str


class Outbox:
    """The store. Every call opens what it needs, so any thread may call; SQLite serialises the writers.

    A disk that fails when the station starts does not keep it from starting: every call tries anew, and raises. The
    station `owns` its store; a program that looks into it meanwhile does not.
    """

    def __init__(self, data_dir: Path, max_bytes: int = 1 << 40, *, owns: bool = True) -> None:
        self._database = data_dir / "station.db"
        self._photos = data_dir / "photos"
        self._max_bytes = max_bytes
        self._owns = owns
        self._ready = self._suspect = False
        self._opening = threading.Lock()
        self._kept_open: sqlite3.Connection | None = None
        self._trouble_at: float | None = None
        self.numbering: Numbering | None = None

    @property
    def failing(self) -> bool:
        """The disk has failed or has been full lately; `check` ends it."""
        return self._trouble_at is not None

    def note_trouble(self) -> None:
        """Something could not be kept."""
        self._trouble_at = time.monotonic()

    def check(self) -> None:
        """After trouble: see whether the disk takes a file and a row again. Raises when it does not."""
        with self._open() as db:
            self._bound(db)
        if self._trouble_at is None or time.monotonic() - self._trouble_at < TROUBLE_S:
            return
        probe = self._photos / "probe.part"
        try:
            write_whole(probe, b"probe")
            probe.unlink()
            with self._open() as db:
                db.execute("UPDATE station SET clean = 0")
                self._clean_up_sent(db)
        except OSError:
            self.note_trouble()
            raise
        self._trouble_at = None

    def _bound(self, db: sqlite3.Connection) -> None:
        """Where no API takes the results, nobody else deletes them: they must not fill the disk."""
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > self._max_bytes * DATABASE_SHARE and _forget(db, LAST_TIME):
            log.warning("the database is full: the oldest parts are forgotten")

    def open(self) -> None:
        """Make the store ready: created, migrated, a broken one set aside, what a crash left finished.

        Every other call does it by itself. Raises EnvironmentFault when the disk does not let it.
        """
        with self._opening:
            if self._ready:
                return
            try:
                if not self._owns and not self._database.exists():
                    raise FileNotFoundError("no station has run here yet")
                if self._owns:
                    self._photos.mkdir(parents=True, exist_ok=True)
                    open_store(self._database, self._begin)
                    # Closing the last connection would fold the write-ahead log away after every call
                    if self._kept_open:
                        self._kept_open.close()
                    self._kept_open = sqlite3.connect(self._database, check_same_thread=False)
                    self._kept_open.execute("SELECT 1 FROM station").fetchall()
            except (OSError, sqlite3.Error) as error:
                self.note_trouble()
                raise EnvironmentFault(
                    "the station's store cannot be opened", where=str(self._database.parent), found=str(error)
                ) from None
            self._ready, self._suspect = True, False

    def _begin(self, db: sqlite3.Connection) -> None:
        """Finish what the last shift left: items that were sent or dropped and not yet taken out."""
        store, recorded, clean = db.execute("SELECT store, sequence, clean FROM station").fetchone()
        begin_shift(db, suspect=self._suspect, boot=boot_id())
        (sequence,) = db.execute("SELECT sequence FROM station").fetchone()
        self.numbering = Numbering(store, recorded, sequence - recorded, not clean)
        self._clean_up_sent(db)
        for item in [self._item(row) for row in db.execute(_SELECT + "WHERE lane = 'photos'")]:
            if not item.file.exists():
                log.warning("the stored photo %s is gone", item.name)
                db.execute("DELETE FROM item WHERE number = ?", (item.number,))
                db.execute("UPDATE station SET dropped = dropped + 1")
        recover_photos(db, self._photos)

    def close(self) -> None:
        """Note that the station ended well: the next start leaves no gap in the sequence."""
        with self._open() as db:
            db.execute("UPDATE station SET clean = 1")
        if self._kept_open:
            self._kept_open.close()

    def record(self, inspection: Inspection, *, send_result: bool) -> int:
        """Commit an inspection, and its result as an item to deliver; returns its number in the station's sequence."""
        row = inspection
        with self._open() as db:
            (sequence,) = db.execute(
                "UPDATE station SET sequence = max(sequence + (? = 0), ?), clean = 0 RETURNING sequence",
                (row.number, row.number),
            ).fetchone()
            sequence = row.number or sequence
            db.execute(
                "INSERT INTO inspection (id, sequence, created_at, serial, verdict, result, name) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (row.id, sequence, row.created_at, row.serial, row.verdict, row.result, row.name),
            )
            if send_result:
                db.execute(
                    "INSERT INTO item (lane, id, name, stored_at, bytes) VALUES ('results', ?, ?, ?, ?)",
                    (row.id, row.id, row.created_at, len(row.result)),
                )
        return int(sequence)

    def note(self, event: Event) -> None:
        """Keep an event."""
        with self._open() as db:
            db.execute("INSERT INTO event (at, kind, text) VALUES (?, ?, ?)", (event.at, event.kind, event.text))

    def store_photo(self, id: str, name: str, data: bytes, created_at: str) -> bool:
        """Keep a photo for later; `name` is what it will be called on the server. False when there is no room for it.

        Raises OSError or sqlite3.Error when the disk fails.
        """
        if not self._make_room(len(data), marked=name.endswith("_defects.jpg")):
            self.note_trouble()
            return False
        file = self._file(id, name)
        try:
            write_whole(file, data)
        except OSError:
            self.note_trouble()
            raise
        try:
            with self._open() as db:
                db.execute(
                    "INSERT INTO item (lane, id, name, stored_at, bytes) VALUES ('photos', ?, ?, ?, ?) "
                    "ON CONFLICT DO NOTHING",
                    (id, name, created_at, len(data)),
                )
        except sqlite3.Error:
            file.unlink(missing_ok=True)  # without a row it would only take the room that the row needs
            raise
        return True

    def oldest(self, lane: str) -> Item | None:
        """The next item of a lane to deliver: the oldest of those that were tried least, and may be tried now."""
        now = time.time()
        with self._open() as db:
            row = db.execute(
                _SELECT + "WHERE lane = ? AND state = 'pending' AND NOT (not_before BETWEEN ? AND ?) "
                "ORDER BY attempts, number LIMIT 1",
                (lane, now, now + LONGEST_PAUSE_S),
            ).fetchone()
        return self._item(row) if row else None

    def delivered(self, item: Item) -> None:
        """The server has confirmed the item."""
        with self._open() as db:
            db.execute("UPDATE item SET state = 'sent' WHERE number = ?", (item.number,))
        self._clean_up(item)

    def postpone(self, item: Item, pause_s: float) -> None:
        """The server did not take the item this time: the others first, and this one not before `pause_s` seconds."""
        until = time.time() + min(pause_s, LONGEST_PAUSE_S)
        with self._open() as db:
            db.execute("UPDATE item SET attempts = attempts + 1, not_before = ? WHERE number = ?", (until, item.number))

    def set_aside(self, item: Item, reason: str) -> None:
        """The server will never take the item: keep it, out of the way of the others."""
        with self._open() as db:
            db.execute("UPDATE item SET state = 'aside', reason = ? WHERE number = ?", (reason, item.number))

    def retry(self) -> tuple[int, int]:
        """What was set aside is to be delivered after all, and what waits may be tried at once; how much of each."""
        with self._open() as db:
            waiting = db.execute("UPDATE item SET not_before = 0 WHERE state = 'pending'").rowcount
            aside = db.execute(
                "UPDATE item SET state = 'pending', attempts = 0, not_before = 0, reason = '' WHERE state = 'aside'"
            ).rowcount
        return aside, waiting

    def backlog(self) -> dict[str, tuple[int, float]]:
        """Of each lane that holds anything: how many items were set aside, and the seconds that its oldest waits."""
        with self._open() as db:
            rows = db.execute(
                "SELECT lane, sum(state = 'aside'), min(CASE state WHEN 'pending' THEN stored_at END) "
                "FROM item WHERE state != 'sent' GROUP BY lane"
            ).fetchall()
        now = datetime.now(UTC)
        return {
            lane: (aside, (now - datetime.fromisoformat(since)).total_seconds() if since else 0.0)
            for lane, aside, since in rows
        }

    def items(self) -> Iterator[Item]:
        """Everything that waits or was set aside, oldest first."""
        with self._open() as db:
            yield from (self._item(row) for row in db.execute(_SELECT + "WHERE state != 'sent' ORDER BY number"))

    def depth(self) -> dict[str, int]:
        """How many items wait in each lane, and `aside` how many were refused."""
        with self._open() as db:
            found = dict(
                db.execute(
                    "SELECT CASE state WHEN 'aside' THEN state ELSE lane END, count(*) "
                    "FROM item WHERE state != 'sent' GROUP BY 1"
                )
            )
        return {key: int(found.get(key, 0)) for key in (*LANES, "aside")}

    def verdicts_since(self, moment: str) -> dict[str, int]:
        """How many parts of each verdict were judged since an ISO 8601 time in UTC."""
        with self._open() as db:
            return dict(
                db.execute("SELECT verdict, count(*) FROM inspection WHERE created_at >= ? GROUP BY 1", (moment,))
            )

    def stored_bytes(self) -> int:
        """Bytes of stored photos."""
        with self._open() as db:
            return int(db.execute("SELECT coalesce(sum(bytes), 0) FROM item WHERE lane = 'photos'").fetchone()[0])

    def dropped(self) -> int:
        """How many photos the bounded disk has cost, ever."""
        with self._open() as db:
            return int(db.execute("SELECT dropped FROM station").fetchone()[0])

    def oldest_age_s(self) -> float:
        """For how long the oldest waiting item waits, in seconds; 0 when nothing does."""
        with self._open() as db:
            (since,) = db.execute("SELECT min(stored_at) FROM item WHERE state = 'pending'").fetchone()
        return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() if since else 0.0

    def forget(self, before: str) -> int:
        """Delete inspections before an ISO 8601 time of which nothing is left to deliver; returns how many.

        A few at a time, for whoever else wants to write.
        """
        with self._open() as db:
            return _forget(db, before)

    def _make_room(self, wanted: int, *, marked: bool) -> bool:
        """Drop raw photos, good parts' first and the oldest first, until `wanted` bytes fit; whether they do.

        Marked photos are let in above the store's size too, and into half of what is kept free: the other half is for
        the results' rows alone, and for SQLite, which needs some room to delete anything at all.
        """
        stored, disk = self.stored_bytes(), shutil.disk_usage(self._photos)
        reserve = min(RESERVED_BYTES, disk.total // 4)
        excess = stored + wanted - min(self._max_bytes, stored + disk.free - reserve)
        fits_marked = marked and wanted <= disk.free - reserve // 2
        while excess > 0:
            with self._open() as db:
                rows = db.execute(
                    _SELECT + r"WHERE lane = 'photos' AND item.name NOT LIKE '%\_defects.jpg' ESCAPE '\' "
                    "ORDER BY coalesce(verdict, '') != 'OK', number LIMIT ?",
                    (DROPPED_AT_ONCE,),
                ).fetchall()
            if not rows:
                return fits_marked
            for item in map(self._item, rows):
                if excess > 0:
                    self._clean_up(item)
                    self._count_drops(1)
                    excess -= item.bytes
        return True

    def _count_drops(self, photos: int) -> None:
        self.note_trouble()
        log.warning("the store is full: %d photos dropped", photos)
        with self._open() as db:
            db.execute("UPDATE station SET dropped = dropped + ?", (photos,))

    def _clean_up(self, item: Item) -> None:
        if item.lane == "photos":
            item.file.unlink(missing_ok=True)
        with self._open() as db:
            db.execute("DELETE FROM item WHERE number = ?", (item.number,))

    def _clean_up_sent(self, db: sqlite3.Connection) -> None:
        for item in [self._item(row) for row in db.execute(_SELECT + "WHERE state = 'sent'")]:
            if item.lane == "photos":
                item.file.unlink(missing_ok=True)
        db.execute("DELETE FROM item WHERE state = 'sent'")

    def _file(self, id: str, name: str) -> Path:
        return self._photos / (f"{id}_defects.jpg" if name.endswith("_defects.jpg") else f"{id}.jpg")

    def _item(self, row: tuple[int, str, str, str, str, int, int, str, str, str]) -> Item:
        number, lane, id, name, result, size, attempts, state, reason, stored_at = row
        return Item(number, lane, id, name, self._file(id, name), result, size, attempts, state, reason, stored_at)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.open()
        try:
            with closing(sqlite3.connect(self._database, timeout=BUSY_S)) as db, db:
                db.execute("PRAGMA synchronous=FULL")
                db.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
                yield db
        except sqlite3.DatabaseError as error:
            self.note_trouble()
            if not isinstance(error, (sqlite3.OperationalError, sqlite3.IntegrityError)):
                # Malformed: checked, and set aside if it is broken, before the next call
                self._ready, self._suspect = False, True
            elif "no such table" in str(error):  # somebody has deleted the database
                self._ready = False
            raise


def _forget(db: sqlite3.Connection, before: str) -> int:
    """Delete some of the oldest inspections of which nothing is left to deliver, and events, before a time."""
    db.execute(
        "DELETE FROM event WHERE number IN (SELECT number FROM event WHERE at < ? ORDER BY at LIMIT ?)",
        (before, FORGOTTEN_AT_ONCE),
    )
    return db.execute(
        "DELETE FROM inspection WHERE id IN (SELECT id FROM inspection WHERE created_at < ? "
        "AND id NOT IN (SELECT id FROM item) ORDER BY created_at LIMIT ?)",
        (before, FORGOTTEN_AT_ONCE),
    ).rowcount


# A photo may be without its inspection: when the disk failed, the result went out from memory
_SELECT = (
    "SELECT number, lane, item.id, item.name, coalesce(result, ''), bytes, attempts, state, reason, stored_at "
    "FROM item LEFT JOIN inspection ON inspection.id = item.id "
)
