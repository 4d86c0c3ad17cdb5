"""The store's database as a start finds it: new, older, newer, broken, left behind by a crash or a power cut."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sealpin_edge.delivery import store_schema
from sealpin_edge.delivery.store_schema import VERSION, begin_shift, open_store, recover_photos
from sealpin_edge.errors import InputError

ID = "019df0a1-0000-7000-8000-000000000001"
NOW = "2026-05-04T03:02:01.000+00:00"


def nothing(db: sqlite3.Connection) -> None:
    """A station that begins with the database as it is."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An empty database of this version."""
    path = tmp_path / "station.db"
    open_store(path, nothing)
    return path


def ask(database: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db, db:
        return list(db.execute(sql, values))


def begin(database: Path, *, suspect: bool = False, boot: str = "this") -> int:
    """Begin a shift; the sequence that it goes on from."""
    with closing(sqlite3.connect(database)) as db, db:
        begin_shift(db, suspect=suspect, boot=boot)
    ((sequence, clean, kept),) = ask(database, "SELECT sequence, clean, boot FROM station")
    assert (clean, kept) == (1, boot)
    assert isinstance(sequence, int)
    return sequence


def spoil(database: Path) -> None:
    """Break what only a look at all pages finds: an index has entries that its table has not."""
    with closing(sqlite3.connect(database)) as db, db:
        for number in range(500):
            row = (f"{number:036d}", number, NOW, "serial", "OK", "{}", f"{number}")
            db.execute("INSERT INTO inspection VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'inspection_sequence'")
        ((size,),) = db.execute("PRAGMA page_size")
    with open(database, "r+b") as file:
        file.seek((root - 1) * size + 8)
        file.write(b"\xa5" * 200)


def test_a_new_database_writes_ahead_and_begins_once(tmp_path: Path) -> None:
    begun: list[int] = []

    def count(db: sqlite3.Connection) -> None:
        begun.append(db.execute("SELECT sequence FROM station").fetchone()[0])

    for _ in range(2):
        open_store(tmp_path / "station.db", count)
    assert begun == [0, 0]
    assert ask(tmp_path / "station.db", "PRAGMA journal_mode") == [("wal",)]
    assert ask(tmp_path / "station.db", "PRAGMA user_version") == [(VERSION,)]


def test_a_newer_sealpins_database_is_refused_and_left_alone(database: Path) -> None:
    ask(database, f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(InputError, match=rf"newer sealpin(.|\n)*found: +version {VERSION + 1}(.|\n)*up to {VERSION}"):
        open_store(database, nothing)
    assert ask(database, "PRAGMA user_version") == [(VERSION + 1,)]
    assert not list(database.parent.glob("*.broken-*"))


def test_what_is_the_disks_fault_is_not_laid_on_the_database(tmp_path: Path) -> None:
    (tmp_path / "station.db").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        open_store(tmp_path / "station.db", nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["station.db"]


def test_a_broken_database_is_kept_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "station.db").write_bytes(b"no database" * 1000)
    open_store(tmp_path / "station.db", nothing)
    (kept,) = tmp_path.glob("station.db.broken-*")
    assert kept.read_bytes() == b"no database" * 1000
    assert "the store was broken (file is not a database); it is kept" in caplog.text
    assert begin(tmp_path / "station.db") == 0


@pytest.mark.parametrize(
    ("clean", "suspect", "looked_at"), [(1, False, False), (1, True, True), (0, False, True), (0, True, True)]
)
def test_a_database_is_read_through_after_an_end_that_was_not_clean(
    database: Path, clean: int, suspect: bool, looked_at: bool
) -> None:
    spoil(database)
    ask(database, "UPDATE station SET clean = ?, boot = 'this'", clean)
    if looked_at:
        with pytest.raises(sqlite3.DatabaseError, match=r"."):
            begin(database, suspect=suspect)
    else:
        begin(database, suspect=suspect)


def test_a_large_database_is_not_read_through_unless_it_is_suspect(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(database)
    ask(database, "UPDATE station SET clean = 0, boot = 'this'")
    size = database.stat().st_size
    monkeypatch.setattr(store_schema, "CHECKED_BYTES", size)
    with pytest.raises(sqlite3.DatabaseError):
        begin(database)
    monkeypatch.setattr(store_schema, "CHECKED_BYTES", size - 1)
    with pytest.raises(sqlite3.DatabaseError):
        begin(database, suspect=True)
    assert begin(database) == 0


@pytest.mark.parametrize(
    ("clean", "boot", "left_out"), [(1, "this", 0), (1, "before", 0), (0, "this", 0), (0, "before", 1)]
)
def test_after_a_power_cut_one_number_is_left_out_and_that_is_told(
    database: Path, clean: int, boot: str, left_out: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    ask(database, "UPDATE station SET sequence = 41, clean = ?, boot = ?", clean, boot)
    assert begin(database) == 41 + left_out
    assert ("the power was cut" in caplog.text) == bool(left_out)


def with_photos(database: Path, *names: str) -> Path:
    folder = database.parent / "photos"
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"photo")
    with closing(sqlite3.connect(database)) as db, db:
        recover_photos(db, folder)
    return folder


@pytest.mark.parametrize(("ending", "sent_as"), [(".jpg", "day/a.jpg"), ("_defects.jpg", "day/a_defects.jpg")])
def test_a_photo_whose_row_a_crash_has_cost_is_sent(
    database: Path, ending: str, sent_as: str, caplog: pytest.LogCaptureFixture
) -> None:
    row = (ID, 1, NOW, "", "NG", '{"image_path": "day/a.jpg"}', "day/a")
    ask(database, "INSERT INTO inspection VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
    for _ in range(2):
        folder = with_photos(database, ID + ending)
    assert ask(database, "SELECT lane, id, name, stored_at, bytes, state FROM item") == [
        ("photos", ID, sent_as, NOW, 5, "pending")
    ]
    assert (folder / (ID + ending)).exists()
    assert caplog.text.count("it will be sent") == 1


def test_a_photo_of_no_inspection_is_kept_apart_and_half_a_one_is_gone(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nameless = (ID, 1, NOW, "", "NG", "{}", "day/a")
    ask(database, "INSERT INTO inspection VALUES (?, ?, ?, ?, ?, ?, ?)", *nameless)
    folder = with_photos(database, f"{ID}.jpg", "unknown.jpg", "half.jpg.part")
    assert not list(folder.iterdir())
    orphans = folder.parent / store_schema.ORPHANS
    assert {path.name for path in orphans.iterdir()} == {f"{ID}.jpg", "unknown.jpg"}
    assert ask(database, "SELECT * FROM item") == []
    assert caplog.text.count("belongs to no inspection") == 2


def test_folders_among_the_photos_are_left_alone(database: Path) -> None:
    (database.parent / "photos/more").mkdir(parents=True)
    assert [path.name for path in with_photos(database).iterdir()] == ["more"]


def test_an_older_database_begins_where_it_ended(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "station.db")) as db, db:
        db.executescript(store_schema._FIRST)
        db.execute("INSERT INTO inspection VALUES (?, 7, ?, '', 'OK', '{}')", (ID, NOW))
        db.execute("PRAGMA user_version = 1")
    open_store(tmp_path / "station.db", nothing)
    assert ask(tmp_path / "station.db", "SELECT sequence, clean FROM station") == [(7, 1)]
    assert begin(tmp_path / "station.db") == 7
