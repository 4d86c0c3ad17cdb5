"""The courier's rules, one by one: what each lane does at a nudge, at a fault, and at the end.

Time stands still and nobody looks unless nudged, so that a test sees what one nudge does.
"""

import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge import delivery, lane
from sealpin_edge import outbox as store
from sealpin_edge.delivery import Courier, Shipment
from sealpin_edge.errors import NotTaken, Refused, Unavailable
from sealpin_edge.outbox import Inspection, Outbox

NEVER_S = 60.0
SOON_S = 5.0
# Long enough for a lane that is awake to do something that it should not
MOMENT_S = 0.1
ASIDE = "1 {0} refused and set aside: sealpin-edge outbox list"


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


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(delivery, "time", made)
    monkeypatch.setattr(lane, "time", made)
    monkeypatch.setattr(lane, "random", made)
    monkeypatch.setattr(delivery, "IDLE_S", NEVER_S)
    return made


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lanes look all the time, and no server is left alone."""
    monkeypatch.setattr(delivery, "IDLE_S", 0.002)
    monkeypatch.setattr(lane, "FIRST_PAUSE_S", 0.0)


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


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    made = Outbox(tmp_path)
    made.open()
    return made


Make = Callable[..., Courier]


@pytest.fixture
def make(outbox: Outbox, cut_off: list[Any]) -> Make:
    """A courier that is at work, unless `start` is False; it stops with the test."""

    def made(
        photos: Any = None, api: Any = None, *, start: bool = True, store_first: bool = False, **options: Any
    ) -> Courier:
        courier = Courier(outbox, photos, api, store_first=store_first, **options)
        if start:
            cut_off.append(courier.stop)
            courier.start()
        return courier

    return made


def wait_until(done: Callable[[], object]) -> None:
    end = time.monotonic() + SOON_S
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.002)


def stays(true: Callable[[], object]) -> bool:
    """Whether it is true for a moment."""
    end = time.monotonic() + MOMENT_S
    while held := true():
        if time.monotonic() > end:
            break
        threading.Event().wait(0.005)
    return bool(held)


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


# What waits


def test_the_photos_of_four_parts_wait_in_memory_and_more_go_to_the_store(outbox: Outbox, make: Make) -> None:
    courier = make(Server(), Server(), start=False)
    for number in range(4):
        courier.nudge()
        courier.ship(shipment(str(number)))
        assert courier.in_hand == min(number + 2, 4), "with the nudge, which is one of four while there is room"
    assert outbox.depth()["photos"] == 1
    courier.ship(shipment("more"))
    for id in "ab":
        courier.take_unstored(part(id))
    assert (courier.in_hand, courier.unstored, courier.lost) == (6, 2, 0)
    assert [item.id for item in outbox.items()] == ["3", "more"]


def test_four_parts_fit_without_a_nudge_and_a_fifth_is_lost_on_a_broken_disk(
    tmp_path: Path, outbox: Outbox, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    breaks(tmp_path, "INSERT ON item")
    courier = make(Server(), start=False)
    for number in range(5):
        assert courier.lost == 0
        courier.ship(shipment(str(number)))
    assert (courier.in_hand, courier.lost) == (4, 1)
    assert "4.jpg is lost, it could be neither sent nor stored: no room" in caplog.text


def test_a_thousand_results_wait_for_a_disk_and_then_the_oldest_is_lost(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    courier = make(None, Server(), start=False)
    for number in range(1000):
        courier.take_unstored(part(str(number)))
    assert (courier.unstored, courier.lost) == (1000, 0)
    courier.take_unstored(part("one more"))
    assert (courier.unstored, courier.lost) == (1000, 1)
    assert "part 0: its result is lost, the disk has failed for too long" in caplog.text


def test_a_courier_without_a_photo_server_takes_no_photos(outbox: Outbox, make: Make) -> None:
    courier = make(start=False, store_first=True)
    courier.ship(shipment("a"))
    assert not courier.takes_photos
    assert (courier.in_hand, outbox.depth()["photos"]) == (0, 0)
    assert make(Server(), start=False).takes_photos


# Who looks, and when


def test_a_nudge_wakes_both_lanes_and_nobody_waits_while_no_part_is_judged(
    outbox: Outbox, make: Make, clock: Clock
) -> None:
    photos, api = Server(), Server()
    courier = make(photos, api)
    outbox.store_photo("a", "a.jpg", b"raw", ago(0))
    outbox.record(part("a"), send_result=True)
    assert stays(lambda: not photos.asked and not api.asked), "nobody looks without a nudge"
    courier.nudge()
    wait_until(lambda: outbox.depth() == {"photos": 0, "results": 0, "aside": 0} and courier.in_hand == 0)
    assert (photos.has, api.has) == ({"a.jpg": b"raw"}, {"a": "{}"})
    assert clock.steady == 0.0


def test_a_nudge_is_one_look_at_an_empty_store(make: Make) -> None:
    looks: list[int] = []

    def judging() -> bool:
        looks.append(1)
        return False

    courier = make(None, Server(), judging=judging)
    for number in range(1, 4):
        courier.nudge()
        wait_until(lambda number=number: len(looks) >= number)
        assert stays(lambda number=number: len(looks) == number)


@pytest.mark.parametrize(("judged_for", "waited"), [(0, 0.0), (3, 0.015), (1000, 0.5)])
def test_what_is_stored_gives_way_while_a_part_is_judged_for_half_a_second_at_most(
    outbox: Outbox, make: Make, clock: Clock, judged_for: int, waited: float
) -> None:
    looks = iter([True] * judged_for)
    api = Server()
    sent_at: list[float] = []
    api.then = lambda: sent_at.append(clock.steady)
    outbox.record(part("a"), send_result=True)
    make(None, api, judging=lambda: next(looks, False)).nudge()
    wait_until(lambda: sent_at)
    assert sent_at[0] == pytest.approx(waited, abs=0.007)


def test_what_another_program_has_set_aside_is_seen_at_the_start_and_every_five_seconds(
    outbox: Outbox, make: Make, clock: Clock
) -> None:
    for id in "ab":
        outbox.record(part(id), send_result=True)
    set_aside_oldest(outbox, "results")
    courier = make()
    courier.nudge()
    wait_until(lambda: courier.troubles == {"results": ASIDE.format("results")})
    assert courier.degraded
    set_aside_oldest(outbox, "results")
    clock.steady = 4.9
    courier.nudge()
    assert stays(lambda: courier.troubles == {"results": ASIDE.format("results")})
    clock.steady = 5.0
    courier.nudge()
    wait_until(lambda: courier.troubles["results"].startswith("2 results"))


def test_a_lane_that_is_never_idle_looks_for_what_was_set_aside_too(outbox: Outbox, make: Make, clock: Clock) -> None:
    api = Server()

    def next_one() -> None:
        if len(api.asked) == 1:
            outbox.store_photo("a", "a.jpg", b"raw", ago(0))
            set_aside_oldest(outbox, "photos")
            clock.steady = 5.0
        if not courier.troubles:
            outbox.record(part(f"part {len(api.asked)}"), send_result=True)

    api.then = next_one
    outbox.record(part("part 0"), send_result=True)
    courier = make(None, api)
    courier.nudge()
    wait_until(lambda: courier.troubles == {"photos": ASIDE.format("photos")})


@pytest.mark.parametrize(("waits_s", "told"), [(60.2, {"results": "what waits is older than 60 s"}), (50.0, {})])
def test_what_waits_for_more_than_a_minute_is_told(
    outbox: Outbox, make: Make, waits_s: float, told: dict[str, str]
) -> None:
    outbox.store_photo("a", "a.jpg", b"raw", ago(0))
    set_aside_oldest(outbox, "photos")
    outbox.record(part("a", at=ago(waits_s)), send_result=True)
    courier = make()
    courier.nudge()
    wait_until(lambda: courier.troubles)
    assert courier.troubles == {"photos": ASIDE.format("photos"), **told}


@pytest.mark.parametrize(("options", "left"), [({}, 2), ({"keep_days": 0}, 2), ({"keep_days": 1}, 1)])
def test_parts_are_forgotten_after_the_days_that_they_are_kept(
    outbox: Outbox, make: Make, options: dict[str, int], left: int
) -> None:
    for id, days in (("old", 1.01), ("new", 0.99)):
        outbox.record(part(id, at=ago(days * 86_400)), send_result=False)
    outbox.store_photo("old", "a.jpg", b"raw", ago(0))
    set_aside_oldest(outbox, "photos")
    alter(outbox.items().__next__().file.parents[1], "UPDATE item SET id = 'a part without a record'")
    courier = make(**options)
    courier.nudge()
    wait_until(lambda: courier.troubles)
    courier.stop()
    assert sum(outbox.verdicts_since("").values()) == left


def test_a_disk_that_works_again_is_noticed_without_anything_to_store(
    outbox: Outbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TROUBLE_S", 0.0)
    outbox.note_trouble()
    make().nudge()
    wait_until(lambda: not outbox.failing)


# The end


def test_a_stop_wakes_the_lanes_ends_them_and_closes_the_connection(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STOP_S", 1.0)
    photos, api = Server(), Server()
    courier = make(photos, api)
    courier.stop()
    assert photos.closed
    assert courier.in_hand == 0


def test_a_stop_stores_what_is_queued_and_on_its_way_and_does_not_wait_for_a_server_that_hangs(
    outbox: Outbox, make: Make, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(delivery, "STOP_S", 0.05)
    clock.steady = 3.0
    photos = Server()
    photos.free.clear()
    courier = make(photos)
    for id in "abc":
        courier.ship(shipment(id))
    wait_until(photos.hangs.is_set)
    began = time.monotonic()
    courier.stop()
    assert time.monotonic() - began < 0.9
    assert {item.id for item in outbox.items()} == {"a", "b", "c"}
    assert (courier.lost, courier.in_hand) == (0, 1)
    photos.free.set()
    wait_until(lambda: photos.closed)
    assert courier.in_hand == 0


def test_what_a_broken_disk_does_not_take_at_a_stop_is_counted_as_lost(
    tmp_path: Path, outbox: Outbox, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "STOP_S", 0.05)
    breaks(tmp_path, "INSERT ON item")
    photos = Server()
    photos.free.clear()
    courier = make(photos)
    for id in "abc":
        courier.ship(shipment(id))
    wait_until(photos.hangs.is_set)
    courier.stop()
    assert courier.lost == 3
    assert all(f"{id}.jpg is lost" in caplog.text for id in "abc")
    photos.free.set()


def test_what_arrives_while_a_stop_waits_is_not_lost(tmp_path: Path, make: Make, clock: Clock) -> None:
    breaks(tmp_path, "INSERT ON item")
    photos = Server()
    photos.free.clear()
    courier = make(photos)
    courier.ship(shipment("a"))
    wait_until(photos.hangs.is_set)
    stopping = threading.Thread(target=courier.stop)
    stopping.start()
    assert stays(stopping.is_alive), "it waits for what is on its way"
    photos.free.set()
    stopping.join(SOON_S)
    assert (set(photos.has), photos.closed, courier.lost) == ({"a.jpg"}, True, 0)


def test_what_comes_after_a_stop_is_stored_at_once(outbox: Outbox, make: Make) -> None:
    photos, api = Server(), Server()
    courier = make(photos, api)
    courier.stop()
    for id in "ab":
        courier.ship(shipment(id))
        courier.take_unstored(part(id))
    assert outbox.depth() == {"photos": 2, "results": 2, "aside": 0}
    assert (courier.in_hand, courier.unstored, courier.lost) == (0, 0, 0)


def test_a_server_that_hangs_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    program = f"""
import pathlib, threading
from sealpin_edge.delivery import Courier, Shipment
from sealpin_edge.outbox import Outbox
class Server:
    def upload(self, name, data):
        hangs.set()
        threading.Event().wait()
hangs = threading.Event()
courier = Courier(Outbox(pathlib.Path({str(tmp_path)!r})), Server(), None, store_first=False)
courier.start()
courier.ship(Shipment("a", "2026-05-04T03:02:01.000+00:00", (("a.jpg", b"raw"),)))
hangs.wait()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


# Photos on their way


def test_a_refused_photo_is_set_aside_and_told_at_once_and_the_next_of_its_part_arrives(
    outbox: Outbox, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    photos = Server()
    photos.faults["bad.jpg"] = Refused("not this name")
    courier = make(photos)
    courier.ship(shipment("a", "bad.jpg", "a_defects.jpg"))
    wait_until(lambda: "a_defects.jpg" in photos.has and courier.troubles == {"photos": ASIDE.format("photos")})
    assert photos.asked == ["bad.jpg", "bad.jpg", "a_defects.jpg"]
    wait_until(lambda: outbox.depth() == {"photos": 0, "results": 0, "aside": 1})
    assert "photo refused: not this name" in caplog.text


def test_a_photo_that_goes_out_from_memory_says_that_the_server_is_back(
    tmp_path: Path, outbox: Outbox, make: Make, clock: Clock
) -> None:
    breaks(tmp_path, "INSERT ON item")
    photos = Server()
    photos.fault = Unavailable("down")
    courier = make(photos)
    courier.ship(shipment("a"))
    wait_until(lambda: courier.lost == 1)
    assert courier.troubles == {"photos": "down"}
    photos.fault = None
    courier.ship(shipment("b"))
    wait_until(lambda: courier.lost == 2)
    assert photos.asked == ["a.jpg"], "the pause is not over"
    clock.steady = 1.0
    courier.ship(shipment("c"))
    wait_until(lambda: courier.troubles == {})
    assert set(photos.has) == {"c.jpg"}


# Results that the disk did not take


def test_one_nudge_sends_all_results_in_memory_and_their_numbers_are_told(make: Make) -> None:
    api, told = Server(), list[int]()
    courier = make(None, api, sent_unstored=told.append)
    for number in (7, 8):
        courier.take_unstored(part(f"part {number}", number=number))
    courier.nudge()
    wait_until(lambda: courier.unstored == 0)
    assert (told, api.asked, courier.lost) == ([7, 8], ["part 7", "part 8"], 0)


def test_a_refused_result_in_memory_is_lost_and_told(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    api = Server()
    api.faults["bad"] = Refused("not this one")
    courier = make(None, api)
    for id in ("bad", "good"):
        courier.take_unstored(part(id))
    courier.nudge()
    wait_until(lambda: courier.unstored == 0)
    assert (api.asked, courier.lost) == (["bad", "good"], 1)
    assert "part bad: its result is lost: not this one" in caplog.text


def test_results_in_memory_go_to_the_disk_at_once_when_the_api_fails(outbox: Outbox, make: Make) -> None:
    api = Server()
    api.fault = Unavailable("down")
    courier = make(None, api)
    for id in "ab":
        courier.take_unstored(part(id))
    courier.nudge()
    wait_until(lambda: courier.unstored == 0)
    assert (outbox.depth()["results"], api.asked, courier.lost) == (2, ["a"], 0)


def test_results_in_memory_go_to_the_disk_where_no_api_takes_them(outbox: Outbox, make: Make) -> None:
    courier = make()
    for id in "ab":
        courier.take_unstored(part(id))
    courier.nudge()
    wait_until(lambda: courier.unstored == 0)
    assert outbox.verdicts_since("") == {"OK": 2}
    assert outbox.depth()["results"] == 0, "nothing waits for a server that there is not"


def test_a_result_in_memory_that_the_api_does_not_take_goes_to_the_end_of_the_others(
    tmp_path: Path, make: Make, clock: Clock
) -> None:
    breaks(tmp_path, "INSERT ON inspection")
    api = Server()
    api.faults["bad"] = NotTaken("not now")
    courier = make(None, api)
    for id in ("bad", "b", "c"):
        courier.take_unstored(part(id))
    courier.nudge()
    wait_until(lambda: courier.troubles == {"results": "not now"})
    clock.steady = 1.0
    courier.nudge()
    wait_until(lambda: len(api.asked) >= 4)
    assert api.asked == ["bad", "b", "c", "bad"]
    del api.faults["bad"]
    clock.steady = 2.0
    courier.nudge()
    wait_until(lambda: courier.unstored == 0)
    assert courier.troubles == {}
    assert courier.lost == 0


# A server that fails


def test_a_result_is_set_aside_when_it_was_not_taken_ten_times_while_others_were(
    outbox: Outbox, make: Make, restless: None
) -> None:
    api = Server()
    api.faults["bad"] = NotTaken("not this one")
    for id in ("bad", "good"):
        outbox.record(part(id), send_result=True)
    courier = make(None, api)
    wait_until(lambda: outbox.depth() == {"photos": 0, "results": 0, "aside": 1})
    assert api.asked == ["bad", "good", *["bad"] * 9]
    wait_until(lambda: courier.troubles == {"results": f"not this one; {ASIDE.format('results')}"})


def test_a_result_is_not_blamed_while_the_server_takes_nothing_at_all(
    outbox: Outbox, make: Make, restless: None
) -> None:
    api = Server()
    api.fault = NotTaken("nothing")
    outbox.record(part("a"), send_result=True)
    courier = make(None, api)
    wait_until(lambda: len(api.asked) > 12)
    assert outbox.depth()["aside"] == 0
    assert courier.troubles == {"results": "nothing"}


def test_others_go_first_after_a_server_broke_off_at_an_item_three_times(
    outbox: Outbox, make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch, restless: None
) -> None:
    monkeypatch.setattr(store, "time", clock)
    api = Server()
    api.faults["bad"] = Unavailable("broke off")
    for id in ("bad", "b", "c"):
        outbox.record(part(id), send_result=True)
    make(None, api)
    wait_until(lambda: len(api.has) == 2)
    assert api.asked == ["bad", "bad", "bad", "b", "c"]
    for times in (6, 9):
        assert stays(lambda times=times: api.asked.count("bad") == times - 3)
        clock.wall += 0.5
        wait_until(lambda times=times: api.asked.count("bad") >= times)
    assert stays(lambda: api.asked.count("bad") == 9)


def test_each_trouble_is_told_once_and_only_our_own_fault_with_its_traceback(
    outbox: Outbox, make: Make, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    api = Server()
    courier = make(None, api)
    outbox.record(part("a"), send_result=True)
    down = "down (day/a)", "down (day/b: HTTP 503)"
    faults = {
        Unavailable("down", where="day/a"): down[0],
        Unavailable("down", where="day/b", found="HTTP 503"): down[1],
        Unavailable("no right", where="day/b"): "no right (day/b)",
        Unavailable("down"): "down",
        ValueError("odd"): "a fault of sealpin itself (ValueError: see the log)",
    }
    for fault, told in faults.items():
        clock.steady += 100.0
        api.fault = fault
        courier.nudge()
        wait_until(lambda told=told: courier.troubles == {"results": told})
    lines = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert [(one.getMessage().partition(": ")[2], bool(one.exc_info)) for one in lines] == [
        ("day/a: down", False),
        ("day/b: no right", False),
        ("down", False),
        (faults[api.fault], True),
    ]


def test_a_server_that_wishes_no_pause_gets_ours_alone(
    outbox: Outbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "FIRST_PAUSE_S", 0.0)
    api = Server()
    api.fault = ValueError("odd")
    courier = make(None, api)
    outbox.record(part("a"), send_result=True)
    courier.nudge()
    wait_until(lambda: courier.troubles)
    api.fault = None
    courier.nudge()
    wait_until(lambda: api.has)


# A store that fails


def test_a_store_that_cannot_be_read_is_left_alone_for_a_second_and_new_photos_go_out(
    tmp_path: Path, outbox: Outbox, make: Make, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[int] = []

    def judging() -> bool:
        looks.append(1)
        return False

    photos = Server()
    outbox.store_photo("stored", "stored.jpg", b"raw", ago(0))
    alter(tmp_path, "ALTER TABLE item RENAME COLUMN reason TO damaged")
    courier = make(photos, judging=judging)
    courier.ship(shipment("a"))
    wait_until(lambda: "a.jpg" in photos.has and looks)
    clock.steady = 0.9
    courier.ship(shipment("b"))
    wait_until(lambda: "b.jpg" in photos.has)
    assert stays(lambda: len(looks) == 1)
    assert (courier.troubles, courier.lost, outbox.failing) == ({}, 0, True)
    assert "the store fails: no such column" in caplog.text
    clock.steady = 1.0
    courier.nudge()
    wait_until(lambda: len(looks) == 2)
    alter(tmp_path, "ALTER TABLE item RENAME COLUMN damaged TO reason")
    clock.steady = 2.0
    courier.nudge()
    wait_until(lambda: "stored.jpg" in photos.has)


@pytest.mark.parametrize("fault", [None, Refused("never"), NotTaken("not now")])
def test_what_was_sent_or_refused_and_cannot_be_noted_is_asked_again_after_a_second_and_not_before(
    tmp_path: Path, outbox: Outbox, make: Make, clock: Clock, fault: Exception | None
) -> None:
    api = Server()
    api.fault = fault
    outbox.record(part("a"), send_result=True)
    breaks(tmp_path, "UPDATE ON item")
    courier = make(None, api)
    courier.nudge()
    wait_until(lambda: api.asked)
    for _ in range(3):
        courier.nudge()
        assert stays(lambda: len(api.asked) == 1)
    mends(tmp_path)
    clock.steady = 1.0
    courier.nudge()
    wait_until(lambda: len(api.asked) == 2)
    left = {None: {}, Refused: {"aside": 1}}.get(fault and type(fault), {"results": 1})
    wait_until(lambda: outbox.depth() == {"photos": 0, "results": 0, "aside": 0} | left)
