"""What the station has judged and not yet delivered, kept so that a power cut cannot lose it.

    data_dir/station.db     SQLite (WAL, synchronous=FULL): every inspection, and what is still to go out
    data_dir/photos/<id>..  photos that could not be uploaded at once; files, never blobs

Stored means: file written and synced, folder synced, then the row committed. Delivered means: the server confirmed,
then the row says so, then the file goes, then the row.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import EnvironmentFault
from .files import write_whole

LANES = ("photos", "results")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS inspection (
    id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, created_at TEXT NOT NULL, serial TEXT NOT NULL,
    verdict TEXT NOT NULL, result TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS inspection_serial ON inspection (serial);
CREATE TABLE IF NOT EXISTS item (
    number INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending', reason TEXT NOT NULL DEFAULT '', stored_at TEXT NOT NULL,
    UNIQUE (lane, id, name)
) STRICT;
CREATE INDEX IF NOT EXISTS item_state ON item (lane, state, number);
"""


@dataclass(frozen=True)
class Inspection:
    """One judged part: `id` is a UUIDv7, `serial` the part's or empty, `result` the JSON for the results API."""

    id: str
    sequence: int
    created_at: str
    serial: str
    verdict: str
    result: str


@dataclass(frozen=True)
class Item:
    """Something to deliver: a result (its JSON in `result`) or a stored photo (its `file`)."""

    number: int
    lane: str
    id: str
    name: str
    file: Path
    result: str


class Outbox:
    """The store. Every call opens what it needs, so any thread may call; SQLite serialises the writers."""

    def __init__(self, data_dir: Path) -> None:
        """Open or create the store, and finish what a crash left between confirmation and clean-up."""
        self._database = data_dir / "station.db"
        self._photos = data_dir / "photos"
        try:
            self._photos.mkdir(parents=True, exist_ok=True)
            with self._open() as db:
                db.execute("PRAGMA journal_mode=WAL")
                db.executescript(_SCHEMA)
                sent = [self._item(row) for row in db.execute(_SELECT + "WHERE item.state = 'sent'")]
        except (OSError, sqlite3.Error) as error:
            raise EnvironmentFault(
                "the station's store cannot be opened", where=str(data_dir), found=str(error)
            ) from None
        for item in sent:
            self._clean_up(item)

    def next_sequence(self) -> int:
        """The station's own count: one more than the newest inspection's."""
        with self._open() as db:
            return int(db.execute("SELECT coalesce(max(sequence), 0) + 1 FROM inspection").fetchone()[0])

    def times_judged(self, serial: str) -> int:
        """How often a part of this serial has been judged before."""
        with self._open() as db:
            return int(db.execute("SELECT count(*) FROM inspection WHERE serial = ?", (serial,)).fetchone()[0])

    def record(self, inspection: Inspection, *, send_result: bool) -> None:
        """Commit an inspection, and its result as an item to deliver."""
        row = inspection
        with self._open() as db:
            db.execute(
                "INSERT INTO inspection VALUES (?, ?, ?, ?, ?, ?)",
                (row.id, row.sequence, row.created_at, row.serial, row.verdict, row.result),
            )
            if send_result:
                db.execute(
                    "INSERT INTO item (lane, id, name, stored_at) VALUES ('results', ?, ?, ?)",
                    (row.id, row.id, row.created_at),
                )

    def store_photo(self, id: str, name: str, data: bytes, created_at: str) -> None:
        """Keep a photo for later; `name` is what it will be called on the server."""
        write_whole(self._file(id, name), data)
        with self._open() as db:
            db.execute(
                "INSERT INTO item (lane, id, name, stored_at) VALUES ('photos', ?, ?, ?) ON CONFLICT DO NOTHING",
                (id, name, created_at),
            )

    def oldest(self, lane: str) -> Item | None:
        """The next item of a lane to deliver."""
        with self._open() as db:
            row = db.execute(
                _SELECT + "WHERE lane = ? AND state = 'pending' ORDER BY number LIMIT 1", (lane,)
            ).fetchone()
        return self._item(row) if row else None

    def delivered(self, item: Item) -> None:
        """The server has confirmed the item."""
        with self._open() as db:
            db.execute("UPDATE item SET state = 'sent' WHERE number = ?", (item.number,))
        self._clean_up(item)

    def set_aside(self, item: Item, reason: str) -> None:
        """The server will never take the item: keep it, out of the way of the others."""
        with self._open() as db:
            db.execute("UPDATE item SET state = 'aside', reason = ? WHERE number = ?", (reason, item.number))

    def depth(self) -> dict[str, int]:
        """How many items wait in each lane, and `aside` how many were refused."""
        with self._open() as db:
            found = dict(
                db.execute("SELECT CASE state WHEN 'aside' THEN state ELSE lane END, count(*) FROM item GROUP BY 1")
            )
        return {key: int(found.get(key, 0)) for key in (*LANES, "aside")}

    def oldest_stored_at(self) -> str | None:
        """Since when the oldest waiting item waits, ISO 8601."""
        with self._open() as db:
            row = db.execute("SELECT min(stored_at) FROM item WHERE state = 'pending'").fetchone()
        return str(row[0]) if row[0] else None

    def _clean_up(self, item: Item) -> None:
        if item.lane == "photos":
            item.file.unlink(missing_ok=True)
        with self._open() as db:
            db.execute("DELETE FROM item WHERE number = ?", (item.number,))

    def _file(self, id: str, name: str) -> Path:
        return self._photos / (f"{id}_defects.jpg" if name.endswith("_defects.jpg") else f"{id}.jpg")

    def _item(self, row: tuple[int, str, str, str, str]) -> Item:
        number, lane, id, name, result = row
        return Item(number, lane, id, name, self._file(id, name), result)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._database, timeout=5.0)) as db, db:
            db.execute("PRAGMA synchronous=FULL")
            yield db


_SELECT = "SELECT number, lane, item.id, name, result FROM item JOIN inspection ON inspection.id = item.id "
