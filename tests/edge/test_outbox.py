"""The store and the courier: what is stored is kept, what is delivered is gone, what is refused is set aside."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from sealpin_edge.delivery.outbox import Inspection, Outbox
from sealpin_edge.delivery.store_schema import _FIRST
from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.ids import uuid7
from sealpin_edge.watch.events import Event

NOW = "2026-05-04T03:02:01.000+00:00"


def record(outbox: Outbox, *, serial: str = "", send: bool = True, verdict: str = "NG", name: str = "") -> str:
    id = str(uuid7())
    outbox.record(Inspection(id, NOW, serial, verdict, '{"id": 1}', name or f"day/{id}"), send_result=send)
    return id


def test_ids_sort_by_time_and_differ() -> None:
    ids = [uuid7() for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(id.version == 7 and id.variant == "specified in RFC 4122" for id in ids)
    stamps = [id.int >> 80 for id in ids]
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] / 1000 - time.time()) < 5


def test_items_leave_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    ids = [record(outbox) for _ in range(3)]
    left = []
    while item := outbox.oldest("results"):
        left.append(item.id)
        outbox.delivered(item)
    assert left == ids
    assert outbox.depth() == {"photos": 0, "results": 0, "aside": 0}


def test_a_stored_photo_is_there_for_the_next_process_and_gone_once_delivered(tmp_path: Path) -> None:
    id = record(Outbox(tmp_path))
    Outbox(tmp_path).store_photo(id, f"2026-05-04/{id}.jpg", b"raw", NOW)
    Outbox(tmp_path).store_photo(id, f"2026-05-04/{id}_defects.jpg", b"marked", NOW)
    outbox = Outbox(tmp_path)
    seen = {}
    while item := outbox.oldest("photos"):
        seen[item.name] = item.file.read_bytes()
        outbox.delivered(item)
    assert seen == {f"2026-05-04/{id}.jpg": b"raw", f"2026-05-04/{id}_defects.jpg": b"marked"}
    assert not any((tmp_path / "photos").iterdir())


def test_a_crash_between_confirmation_and_clean_up_sends_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path)
    id = record(outbox, send=False)
    outbox.store_photo(id, "a.jpg", b"raw", NOW)
    item = outbox.oldest("photos")
    assert item

    def power_cut(self: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", power_cut)
        with pytest.raises(KeyboardInterrupt):
            outbox.delivered(item)
    assert any((tmp_path / "photos").iterdir())
    outbox = Outbox(tmp_path)
    assert outbox.oldest("photos") is None
    assert not any((tmp_path / "photos").iterdir())


def sequence(outbox: Outbox) -> int:
    return outbox.record(Inspection(str(uuid7()), NOW, "", "OK", "{}", "x"), send_result=False)


def test_the_sequence_goes_on_and_leaves_a_gap_after_a_power_cut_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path)
    assert [sequence(outbox), sequence(outbox)] == [1, 2]
    outbox.close()
    assert sequence(Outbox(tmp_path)) == 3
    assert Outbox(tmp_path, owns=False).depth()["results"] == 0, "who only looks leaves no gap"
    assert sequence(Outbox(tmp_path)) == 4, "a killed one left its triggers on record"
    monkeypatch.setattr("sealpin_edge.delivery.outbox.boot_id", lambda: "another boot")
    assert sequence(Outbox(tmp_path)) == 6


def test_a_full_store_drops_raw_photos_of_good_parts_first_and_results_and_marked_photos_never(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, max_bytes=100)
    good, bad = [record(outbox, verdict="OK") for _ in range(8)], record(outbox)
    assert outbox.store_photo(bad, "bad.jpg", b"b" * 20, NOW)
    for number, id in enumerate(good[:4]):
        assert outbox.store_photo(id, f"{number}.jpg", b"g" * 20, NOW)
    assert outbox.store_photo(bad, "bad_defects.jpg", b"d" * 20, NOW)
    assert [item.name for item in outbox.items() if item.lane == "photos"] == [
        "bad.jpg", "1.jpg", "2.jpg", "3.jpg", "bad_defects.jpg",
    ]  # fmt: skip
    other = record(outbox)
    for name in ("other_defects.jpg", "more_defects.jpg"):
        assert outbox.store_photo(other if name[0] == "o" else good[5], name, b"d" * 40, NOW)
    assert [item.name for item in outbox.items() if item.lane == "photos"] == [
        "bad_defects.jpg", "other_defects.jpg", "more_defects.jpg",
    ]  # fmt: skip
    assert not outbox.store_photo(good[6], "late.jpg", b"g" * 20, NOW)
    assert outbox.depth()["results"] == 10
    assert outbox.dropped() == 5
    assert outbox.failing
    assert len(list((tmp_path / "photos").iterdir())) == 3


def test_what_was_set_aside_goes_out_when_a_person_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    record(outbox)
    item = outbox.oldest("results")
    assert item
    outbox.set_aside(item, "HTTP 400")
    assert outbox.oldest("results") is None
    assert [one.reason for one in outbox.items()] == ["HTTP 400"]
    assert Outbox(tmp_path, owns=False).retry() == (1, 0)
    assert outbox.oldest("results")


def test_an_item_that_was_not_taken_lets_the_others_pass(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    first, second = record(outbox), record(outbox)
    item = outbox.oldest("results")
    assert item and item.id == first
    outbox.postpone(item, 60)
    item = outbox.oldest("results")
    assert item and item.id == second and item.attempts == 0
    assert [one.attempts for one in outbox.items()] == [1, 0]


def test_old_results_are_forgotten_when_nothing_of_them_is_left_to_send(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    record(outbox, send=False)
    waiting = record(outbox)
    assert outbox.forget("2027-01-01") == 1
    assert [item.id for item in outbox.items()] == [waiting]


@pytest.mark.parametrize("damage", [b"", b"not a database, but long enough to be one" * 100])
def test_a_broken_database_is_set_aside_and_the_station_starts(tmp_path: Path, damage: bytes) -> None:
    outbox = Outbox(tmp_path)
    id = record(outbox)
    outbox.store_photo(id, "a.jpg", b"photo", NOW)
    outbox.close()
    database = tmp_path / "station.db"
    for file in tmp_path.glob("station.db-*"):
        file.unlink()
    database.write_bytes(damage)
    outbox = Outbox(tmp_path)
    assert sequence(outbox) == 1
    assert bool(list(tmp_path.glob("station.db.broken-*"))) == bool(damage)
    assert [file.read_bytes() for file in (tmp_path / "orphans").iterdir()] == [b"photo"], "no photo is deleted"


def test_a_database_that_breaks_while_the_station_runs_is_set_aside_too(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for _ in range(300):
        record(outbox)
    with closing(sqlite3.connect(tmp_path / "station.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray((tmp_path / "station.db").read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    (tmp_path / "station.db").write_bytes(data)
    with pytest.raises(sqlite3.DatabaseError):
        outbox.depth()
    assert sequence(outbox) == 1
    assert list(tmp_path.glob("station.db.broken-*"))


def test_who_only_looks_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="no station has run here yet"):
        list(Outbox(tmp_path / "data", owns=False).items())
    assert not (tmp_path / "data").exists()


def test_a_photo_whose_row_a_crash_has_cost_is_sent_and_a_half_written_one_is_not(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    id = str(uuid7())
    outbox.record(Inspection(id, NOW, "", "NG", '{"image_path": "day/a.jpg"}', "day/a"), send_result=False)
    (tmp_path / "photos" / f"{id}_defects.jpg").write_bytes(b"marked")
    (tmp_path / "photos" / f".{id}.jpg.77.part").write_bytes(b"ha")
    outbox = Outbox(tmp_path)
    assert [(item.name, item.bytes) for item in outbox.items()] == [("day/a_defects.jpg", 6)]
    assert len(list((tmp_path / "photos").iterdir())) == 1


def test_a_database_of_the_first_version_is_migrated(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "station.db")) as db, db:
        db.executescript(_FIRST)
        db.execute("INSERT INTO inspection VALUES ('i', 41, ?, '', 'NG', '{}')", (NOW,))
        db.execute("INSERT INTO item (lane, id, name, stored_at) VALUES ('results', 'i', 'i', ?)", (NOW,))
    outbox = Outbox(tmp_path)
    assert sequence(outbox) == 42
    item = outbox.oldest("results")
    assert item and item.id == "i"


def test_a_disk_that_fails_at_the_start_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    outbox = Outbox(tmp_path / "data")
    with pytest.raises(EnvironmentFault, match="cannot be opened"):
        record(outbox)
    (tmp_path / "data").unlink()
    record(outbox)
    assert outbox.depth()["results"] == 1


def test_a_database_that_somebody_deletes_under_a_running_station_is_begun_anew(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    record(outbox)
    for file in tmp_path.glob("station.db*"):
        file.unlink()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        record(outbox)
    assert outbox.failing
    record(outbox)
    assert outbox.depth()["results"] == 1


def test_a_photo_is_sent_though_its_inspection_was_not_stored(tmp_path: Path) -> None:
    # The disk failed for the row only: the result has gone out from memory
    outbox = Outbox(tmp_path)
    outbox.store_photo("id", "day/id.jpg", b"raw", NOW)
    outbox = Outbox(tmp_path)
    assert [item.name for item in outbox.items()] == ["day/id.jpg"]
    item = outbox.oldest("photos")
    assert item and item.file.read_bytes() == b"raw"
    outbox.delivered(item)
    assert outbox.depth()["photos"] == 0
    outbox.store_photo("id", "day/id.jpg", b"raw", NOW)
    (tmp_path / "photos/id.jpg").unlink()
    with closing(sqlite3.connect(tmp_path / "station.db")) as db, db:
        db.execute("UPDATE station SET clean = 0")
    assert Outbox(tmp_path).depth()["photos"] == 0


def test_a_database_that_nobody_empties_is_bounded_and_forgets_the_oldest_delivered_parts(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, max_bytes=1_000_000)
    waiting = outbox.record(Inspection("first", NOW, "", "OK", "x" * 900, "n"), send_result=True)
    for number in range(1200):
        at = f"2026-05-04T00:{number // 60:02d}:{number % 60:02d}.000+00:00"
        outbox.record(Inspection(str(uuid7()), at, "", "OK", "x" * 900, "n"), send_result=False)
        outbox.note(Event(at, "plc", "connected"))
    for _ in range(10):
        outbox.check()
    with closing(sqlite3.connect(tmp_path / "station.db")) as db:
        kept = [number for (number,) in db.execute("SELECT sequence FROM inspection ORDER BY sequence")]
        events = db.execute("SELECT count(*) FROM event").fetchone()[0]
    assert waiting in kept, "what waits for a server is not forgotten"
    assert kept[-1] == 1201 and 100 < len(kept) < 700 and events < 1200


def test_what_is_kept_of_broken_databases_and_of_lost_photos_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(250):
        (tmp_path / "photos" / f"019df0a1-0000-7000-8000-{number:012d}.jpg").write_bytes(b"x")
    for day in range(1, 5):
        (tmp_path / f"station.db.broken-2026050{day}T000000").write_bytes(b"x")
    (tmp_path / "station.db").write_bytes(b"no database" * 1000)
    Outbox(tmp_path).open()
    assert len(list((tmp_path / "orphans").iterdir())) == 200
    assert (tmp_path / "orphans/019df0a1-0000-7000-8000-000000000249.jpg").exists(), "the newest are kept"
    broken = sorted(path.name for path in tmp_path.glob("*.broken-*"))
    assert len(broken) == 2 and broken[0].endswith("20260504T000000")
