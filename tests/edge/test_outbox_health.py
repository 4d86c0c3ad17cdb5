"""What the store tells of itself, what it makes room for, and what it does when the disk fails."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sealpin_edge.delivery import outbox as module
from sealpin_edge.delivery.outbox import Inspection, Item, Numbering, Outbox
from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.watch.events import Event

NOW = "2026-05-04T03:02:01.000+00:00"
GB = 1_000_000_000


class Clock:
    """Both clocks, standing still until a test moves them; in place of `time`."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 100.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def record(outbox: Outbox, id: str, *, at: str = NOW, verdict: str = "OK", send: bool = True) -> int:
    return outbox.record(Inspection(id, at, "", verdict, "{}", f"day/{id}"), send_result=send)


def first(outbox: Outbox, lane: str = "results") -> Item:
    item = outbox.oldest(lane)
    assert item
    return item


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def ask(folder: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "station.db")) as db, db:
        return db.execute(sql).fetchall()


def photos(folder: Path) -> set[str]:
    return {path.name for path in (folder / "photos").iterdir()}


def test_how_long_each_lane_waits_and_what_was_set_aside(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert (outbox.backlog(), outbox.oldest_age_s()) == ({}, 0.0)
    record(outbox, "old", at=ago(600))
    outbox.set_aside(first(outbox), "never")
    assert outbox.backlog() == {"results": (1, 0.0)}
    assert outbox.oldest_age_s() == 0.0, "what was set aside does not wait"
    record(outbox, "late", at=ago(60))
    record(outbox, "new", at=ago(5))
    outbox.store_photo("new", "day/new.jpg", b"raw", ago(30))
    told = outbox.backlog()
    assert {lane: aside for lane, (aside, _) in told.items()} == {"results": 1, "photos": 0}
    assert told["results"][1] == pytest.approx(60, abs=4)
    assert told["photos"][1] == pytest.approx(30, abs=4)
    assert outbox.oldest_age_s() == pytest.approx(60, abs=4)


def test_verdicts_are_counted_from_a_moment_on_and_its_own_counts(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for number, verdict in enumerate(("OK", "NG", "OK", "OK")):
        record(outbox, str(number), at=NOW.replace(":01.", f":0{number}."), verdict=verdict)
    assert outbox.verdicts_since(NOW) == {"NG": 1, "OK": 2}
    assert outbox.verdicts_since("2027") == {}


def test_parts_and_events_are_forgotten_before_a_moment_and_not_at_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for number in range(3):
        at = NOW.replace(":01.", f":0{number}.")
        record(outbox, str(number), at=at, send=False)
        outbox.note(Event(at, "plc", f"event {number}"))
    assert outbox.forget(NOW) == 1
    assert ask(tmp_path, "SELECT id FROM inspection ORDER BY id") == [("1",), ("2",)]
    assert ask(tmp_path, "SELECT kind, text FROM event ORDER BY text") == [("plc", "event 1"), ("plc", "event 2")]


def test_an_item_waits_for_its_pause_but_no_longer_than_an_hour_and_not_for_a_clock_that_was_set_back(
    tmp_path: Path, clock: Clock
) -> None:
    outbox = Outbox(tmp_path)
    record(outbox, "a")

    def offered_after(seconds: float) -> bool:
        clock.wall += seconds
        found = outbox.oldest("results") is not None
        clock.wall -= seconds
        return found

    outbox.postpone(first(outbox), 10.0)
    assert [offered_after(seconds) for seconds in (0, 9, 11)] == [False, False, True]
    outbox.retry()
    outbox.postpone(first(outbox), 100_000.0)
    assert [offered_after(seconds) for seconds in (0, 3590, 3610)] == [False, False, True]
    assert offered_after(-7200)


def test_what_a_database_has_counted_is_told_to_the_next_shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened() -> Outbox:
        outbox = Outbox(tmp_path)
        outbox.open()
        return outbox

    outbox = opened()
    assert outbox.numbering is not None
    store = outbox.numbering.store
    assert outbox.numbering == Numbering(store, 0, 0, False)
    for id in "abc":
        record(outbox, id)
    outbox.close()
    assert opened().numbering == Numbering(store, 3, 0, False)
    record(opened(), "d")
    assert opened().numbering == Numbering(store, 4, 0, True), "killed"
    record(opened(), "e")
    monkeypatch.setattr(module, "boot_id", lambda: "another boot")
    assert opened().numbering == Numbering(store, 5, 1, True), "the power was cut"


def test_a_stored_photo_that_is_gone_is_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(tmp_path)
    for id in "ab":
        outbox.store_photo(id, f"day/{id}.jpg", b"raw", NOW)
    (tmp_path / "photos/a.jpg").unlink()
    outbox = Outbox(tmp_path)
    assert [item.id for item in outbox.items()] == ["b"]
    assert outbox.dropped() == 1
    assert "day/a.jpg is gone" in caplog.text


def test_a_photo_whose_file_is_gone_is_delivered_all_the_same(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for id in "ab":
        outbox.store_photo(id, f"day/{id}.jpg", b"raw", NOW)
        (tmp_path / f"photos/{id}.jpg").unlink()
    outbox.delivered(first(outbox, "photos"))
    with closing(sqlite3.connect(tmp_path / "station.db")) as db, db:
        db.execute("UPDATE item SET state = 'sent'")
    assert Outbox(tmp_path).depth()["photos"] == 0
    assert ask(tmp_path, "SELECT count(*) FROM item") == [(0,)]


def test_trouble_stays_told_for_ten_seconds_and_ends_when_the_disk_takes_a_file_and_a_row(
    tmp_path: Path, clock: Clock
) -> None:
    outbox = Outbox(tmp_path)
    outbox.store_photo("a", "day/a.jpg", b"raw", NOW)
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "station.db")) as db, db:
        db.execute("UPDATE item SET state = 'sent'")  # its file could not be deleted when it was sent
    outbox.note_trouble()
    clock.steady += 9.9
    outbox.check()
    assert outbox.failing
    assert photos(tmp_path) == {"a.jpg"}
    clock.steady += 0.2
    outbox.check()
    assert not outbox.failing
    assert photos(tmp_path) == set(), "neither what was sent nor what was tried"
    assert ask(tmp_path, "SELECT count(*) FROM item") == [(0,)]
    assert ask(tmp_path, "SELECT clean FROM station") == [(0,)], "a row was written"
    outbox.check()
    assert not outbox.failing


def test_a_disk_that_still_fails_is_told_again_and_begins_to_wait_anew(tmp_path: Path, clock: Clock) -> None:
    outbox = Outbox(tmp_path)
    outbox.open()
    (tmp_path / "photos").rmdir()
    (tmp_path / "photos").write_text("in the way")
    outbox.note_trouble()
    clock.steady += 11
    with pytest.raises(NotADirectoryError):
        outbox.check()
    clock.steady += 5
    outbox.check()
    assert outbox.failing, "asked too early"
    (tmp_path / "photos").unlink()
    (tmp_path / "photos").mkdir()
    clock.steady += 5
    outbox.check()
    assert not outbox.failing


def test_a_photo_that_the_disk_does_not_take_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.open()
    with closing(sqlite3.connect(tmp_path / "station.db")) as db, db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(sqlite3.IntegrityError, match="no room"):
        outbox.store_photo("a", "day/a.jpg", b"raw", NOW)
    assert photos(tmp_path) == set(), "a file without a row would only take room"
    assert outbox.failing
    other = Outbox(tmp_path / "other")
    other.open()
    (tmp_path / "other/photos/a.jpg").mkdir()
    with pytest.raises(IsADirectoryError):
        other.store_photo("a", "day/a.jpg", b"raw", NOW)
    assert other.failing


def test_a_store_that_cannot_be_opened_is_in_trouble(tmp_path: Path) -> None:
    (tmp_path / "photos").write_text("in the way")
    outbox = Outbox(tmp_path)
    with pytest.raises(EnvironmentFault, match="cannot be opened"):
        outbox.open()
    assert outbox.failing
    with pytest.raises(EnvironmentFault, match="no station has run here yet"):
        Outbox(tmp_path / "elsewhere", owns=False).open()


@pytest.mark.parametrize(
    ("total", "free", "raw_fits", "marked_fits"),
    [
        # A quarter of a small disk is kept free for the database, half of that of marked photos
        (4000, 1010, True, True),
        (4000, 1009, False, True),
        (4000, 510, False, True),
        (4000, 509, False, False),
        # 100 MB of a large one
        (1000 * GB, 100_000_010, True, True),
        (1000 * GB, 100_000_009, False, True),
        (1000 * GB, 50_000_010, False, True),
        (1000 * GB, 50_000_009, False, False),
    ],
)
def test_part_of_the_disk_is_kept_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, raw_fits: bool, marked_fits: bool
) -> None:
    monkeypatch.setattr(
        module, "shutil", SimpleNamespace(disk_usage=lambda path: SimpleNamespace(total=total, free=free))
    )
    outbox = Outbox(tmp_path)
    assert outbox.store_photo("a", "day/a.jpg", b"0123456789", NOW) is raw_fits
    assert outbox.failing is not raw_fits, "what was not kept is told"
    assert outbox.store_photo("b", "day/b_defects.jpg", b"0123456789", NOW) is (raw_fits or marked_fits)
    assert outbox.stored_bytes() == 10 * (len(photos(tmp_path)))


@pytest.mark.parametrize(("size", "left"), [(10, ["1", "2", "new"]), (11, ["2", "new"]), (30, ["new"])])
def test_no_more_photos_are_dropped_than_a_new_one_needs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int, left: list[str]
) -> None:
    outbox = Outbox(tmp_path, max_bytes=30)
    for number in range(3):
        record(outbox, str(number))
        outbox.store_photo(str(number), f"day/{number}.jpg", b"0123456789", NOW)
    assert not outbox.failing
    assert outbox.store_photo("new", "day/new.jpg", b"x" * size, NOW)
    assert [item.id for item in outbox.items() if item.lane == "photos"] == left
    assert outbox.dropped() == 4 - len(left)
    assert outbox.failing
    assert "the store is full: 1 photos dropped" in caplog.text
    assert photos(tmp_path) == {f"{id}.jpg" for id in left}


def test_a_database_that_fills_its_share_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(tmp_path, max_bytes=100_000)
    for number in range(60):
        outbox.record(Inspection(str(number), NOW, "", "OK", "x" * 2000, "n"), send_result=False)
    outbox.check()
    assert "the database is full: the oldest parts are forgotten" in caplog.text
