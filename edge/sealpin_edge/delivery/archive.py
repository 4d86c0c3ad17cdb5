"""What the station's database says of parts and events: read beside the running station, and nothing is written."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EnvironmentFault, InputError
from ..watch.events import Event
from .store_schema import VERSION

# What happened this long before and after a part belongs to its story, as SQLite adds it to a time
LONGEST_NUMBER = 18
AROUND = ("-5 seconds", "+30 seconds")


@dataclass(frozen=True)
class PartRecord:
    """A part: its result as the API gets it, and what of it still waits for a server (or was refused), in words."""

    result: dict[str, Any]
    waiting: tuple[str, ...]
    events: tuple[Event, ...]


class Archive:
    """The database in a data_dir. Raises InputError when no station has run there, or a newer one has."""

    def __init__(self, data_dir: Path) -> None:
        self._database = data_dir / "station.db"
        if not self._database.is_file():
            raise InputError(
                "no station has run here yet", where=str(self._database), allowed="[station] data_dir of one that has"
            )
        with self._open() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise InputError(
                "this database is of another version",
                where=str(self._database),
                found=f"version {version}",
                allowed=f"version {VERSION}: a station's next start migrates an older one",
            )

    def results(self, begin: str, end: str) -> Iterator[dict[str, Any]]:
        """The results of parts triggered from `begin` until `end` (ISO 8601, UTC), in their order."""
        with self._open() as db:
            rows = db.execute(
                "SELECT sequence, result FROM inspection WHERE created_at >= ? AND created_at < ? ORDER BY sequence",
                (begin, end),
            )
            yield from (_result(*row) for row in rows)

    def events(self, begin: str, end: str) -> list[Event]:
        """What happened from `begin` until `end` (ISO 8601, UTC)."""
        with self._open() as db:
            rows = db.execute(
                "SELECT at, kind, text FROM event WHERE at >= ? AND at < ? ORDER BY number", (begin, end)
            ).fetchall()
        return [Event(*row) for row in rows]

    def part(self, name: str, most: int = 5) -> list[PartRecord]:
        """The newest parts with this id, serial, number, or PartSeq of the PLC, at most so many."""
        number = int(name) if name.isdecimal() and len(name) <= LONGEST_NUMBER else -1
        with self._open() as db:
            rows = db.execute(
                "SELECT id, sequence, created_at, result FROM inspection "
                "WHERE id = ? OR serial = ? OR sequence = ? OR json_extract(result, '$.part_seq') = ? "
                "ORDER BY sequence DESC LIMIT ?",
                (name, name, number, number, most),
            ).fetchall()
            return [self._record(db, *row) for row in rows]

    def _record(self, db: sqlite3.Connection, id: str, sequence: int, created_at: str, result: str) -> PartRecord:
        items = db.execute("SELECT lane, name, state, attempts, reason FROM item WHERE id = ?", (id,)).fetchall()
        waiting = tuple(
            f"{name if lane == 'photos' else 'the result'} "
            + (f"was refused: {reason.splitlines()[-1].strip()}" if state == "aside" else f"waits, {attempts} tries")
            for lane, name, state, attempts, reason in items
            if state != "sent"
        )
        around = db.execute(
            "SELECT at, kind, text FROM event WHERE julianday(at) BETWEEN julianday(?, ?) AND julianday(?, ?) "
            "ORDER BY number",
            (created_at, AROUND[0], created_at, AROUND[1]),
        ).fetchall()
        return PartRecord(_result(sequence, result), waiting, tuple(Event(*row) for row in around))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self._database.absolute().as_uri()}?mode=ro", uri=True, timeout=15)) as db:
                yield db
        except sqlite3.Error as error:
            raise EnvironmentFault("the database cannot be read", where=str(self._database), found=str(error)) from None


def _result(sequence: int, text: str) -> dict[str, Any]:
    return {"station_seq": sequence, **json.loads(text)}
