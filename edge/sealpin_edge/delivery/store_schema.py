"""The store's tables, how an older or broken database becomes a good one, and photos left without a row by a crash."""

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ..errors import InputError

log = logging.getLogger(__name__)

VERSION = 3
# What may be kept of broken databases, and of photos that belong to no inspection: the newest
BROKEN_KEPT, ORPHANS_KEPT = 2, 200
# Larger ones are not read through at the start: the line would wait
CHECKED_BYTES = 200_000_000
ORPHANS = "orphans"

# What an earlier version's database lacks, by the version that brought it
_MIGRATIONS = {
    2: """
ALTER TABLE inspection ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE item ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE item ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE item ADD COLUMN not_before REAL NOT NULL DEFAULT 0;
CREATE INDEX inspection_name ON inspection (name);
CREATE INDEX inspection_created ON inspection (created_at);
CREATE TABLE station (sequence INTEGER NOT NULL, dropped INTEGER NOT NULL, clean INTEGER NOT NULL) STRICT;
INSERT INTO station SELECT coalesce(max(sequence), 0), 0, 1 FROM inspection;
""",
    3: """
ALTER TABLE station ADD COLUMN store TEXT NOT NULL DEFAULT '';
ALTER TABLE station ADD COLUMN boot TEXT NOT NULL DEFAULT '';
UPDATE station SET store = lower(hex(randomblob(8)));
CREATE INDEX inspection_sequence ON inspection (sequence);
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX event_at ON event (at);
""",
}
_FIRST = """
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


def open_store(database: Path, begin: Callable[[sqlite3.Connection], None]) -> None:
    """Create or migrate the database, and `begin` with it; one that is broken is set aside and a new one begun.

    Raises sqlite3.Error or OSError when the disk does not let it, InputError for a database of a newer sealpin.
    """
    try:
        _prepare(database, begin)
    except sqlite3.OperationalError:  # locked, read-only, full: not the database's fault
        raise
    except sqlite3.DatabaseError as error:
        stamp = time.strftime("%Y%m%dT%H%M%S")
        for ending in ("", "-wal", "-shm"):
            for older in sorted(database.parent.glob(f"{database.name}{ending}.broken-*"))[: -(BROKEN_KEPT - 1)]:
                older.unlink()
            old = database.with_name(database.name + ending)
            if old.exists():
                old.rename(old.with_name(f"{old.name}.broken-{stamp}"))
        log.error(
            "the store was broken (%s); it is kept as %s.broken-%s, and a new one is begun", error, database, stamp
        )
        _prepare(database, begin)


def _prepare(database: Path, begin: Callable[[sqlite3.Connection], None]) -> None:
    with closing(sqlite3.connect(database, timeout=5.0)) as db, db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise newer_database(database, version)
        if version < VERSION:
            steps = "".join(_MIGRATIONS[step] for step in range(max(version, 1) + 1, VERSION + 1))
            db.executescript(f"BEGIN; {_FIRST} {steps} PRAGMA user_version = {VERSION}; COMMIT;")
        begin(db)


def newer_database(database: Path, version: int) -> InputError:
    """What is said of a database that a newer sealpin has migrated."""
    return InputError(
        "the database is of a newer sealpin",
        where=str(database),
        found=f"version {version}",
        allowed=f"up to {VERSION}",
        advice="a bundle that is no older than what ran here last",
        hint="sealpin deploy BUNDLE NAME",
    )


def begin_shift(db: sqlite3.Connection, *, suspect: bool, boot: str) -> None:
    """Check the database, one that is `suspect` in any case, and go on with the station's sequence.

    After a power cut (an end that was not clean, in another `boot`) it leaves one number out: whatever was being judged
    then may be missing. Raises sqlite3.DatabaseError when the database is broken.
    """
    clean, before = db.execute("SELECT clean, boot FROM station").fetchone()
    cut_off = not clean
    pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    if suspect or (cut_off and pages * size <= CHECKED_BYTES):
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    power = cut_off and before != boot
    if power:
        log.warning("the power was cut while the station ran: one number of its sequence is left out")
    db.execute("UPDATE station SET sequence = sequence + ?, clean = 1, boot = ?", (power, boot))


def recover_photos(db: sqlite3.Connection, photos: Path) -> None:
    """Photos whose row a crash or a broken database has cost: taken up again, or kept as orphans."""
    known = {
        f"{id}_defects.jpg" if name.endswith("_defects.jpg") else f"{id}.jpg"
        for id, name in db.execute("SELECT id, name FROM item WHERE lane = 'photos'")
    }
    for file in sorted(photos.iterdir()):
        if file.name.endswith(".part"):
            file.unlink()
        elif file.is_file() and file.name not in known:
            _take_up(db, file)


def _take_up(db: sqlite3.Connection, file: Path) -> None:
    id, _, defects = file.stem.partition("_")
    row = db.execute("SELECT result, created_at FROM inspection WHERE id = ?", (id,)).fetchone()
    name = str(json.loads(row[0]).get("image_path", "")) if row else ""
    if not name:
        orphans = file.parent.parent / ORPHANS
        orphans.mkdir(exist_ok=True)
        file.rename(orphans / file.name)
        for older in sorted(orphans.iterdir())[:-ORPHANS_KEPT]:  # their names begin with the time
            older.unlink()
        log.warning("photo %s belongs to no inspection: kept in %s", file.name, ORPHANS)
        return
    db.execute(
        "INSERT INTO item (lane, id, name, stored_at, bytes) VALUES ('photos', ?, ?, ?, ?)",
        (id, name.removesuffix(".jpg") + "_defects.jpg" if defects else name, row[1], file.stat().st_size),
    )
    log.warning("photo %s was stored when the station was cut off: it will be sent", file.name)
