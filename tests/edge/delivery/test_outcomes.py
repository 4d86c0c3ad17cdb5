"""Taken, refused, not taken, broken off, or a store that fails: what each lane does then."""

import logging
from functools import partial
from pathlib import Path

import pytest

from sealpin_edge.delivery import lane
from sealpin_edge.delivery import outbox as store
from sealpin_edge.delivery.outbox import Outbox
from sealpin_edge.errors import NotTaken, Refused, Unavailable

from .hand import (
    ASIDE,
    Clock,
    Looks,
    Make,
    Server,
    ago,
    alter,
    breaks,
    mends,
    part,
    shipment,
    stays,
    time_passes_until,
    troubled,
    wait_until,
)

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
    assert "set aside: not this name" in caplog.text


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
    assert stays(lambda: api.asked == ["bad"])
    time_passes_until(lambda: len(api.asked) >= 4, clock, courier)
    assert api.asked[:4] == ["bad", "b", "c", "bad"]
    del api.faults["bad"]
    time_passes_until(lambda: courier.unstored == 0, clock, courier)
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
    wait_until(lambda: next(outbox.items()).attempts == 1)
    clock.wall += 0.5
    wait_until(lambda: next(outbox.items()).attempts == 2)
    assert api.asked.count("bad") == 6
    clock.wall += 0.5
    wait_until(lambda: next(outbox.items()).attempts == 3)
    assert api.asked.count("bad") == 9


def test_each_trouble_is_told_once_and_only_our_own_fault_with_its_traceback(
    outbox: Outbox, make: Make, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    api = Server()
    courier = make(None, api)
    outbox.record(part("a"), send_result=True)
    down = "down (day/a)", "down (day/b: HTTP 503)"
    faults: dict[Exception, str] = {
        Unavailable("down", where="day/a"): down[0],
        Unavailable("down", where="day/b", found="HTTP 503"): down[1],
        Unavailable("no right", where="day/b"): "no right (day/b)",
        Unavailable("down"): "down",
        ValueError("odd"): "a fault of sealpin itself (ValueError: see the log)",
    }
    for fault, told in faults.items():
        api.fault = fault
        time_passes_until(partial(troubled, courier, told), clock, courier)
    lines = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert [(one.getMessage().partition(": ")[2], bool(one.exc_info)) for one in lines] == [
        ("day/a: down", False),
        ("day/b: no right", False),
        ("down", False),
        (faults[fault], True),
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
    def failures() -> int:
        return caplog.text.count("the store fails: no such column")

    photos, looks = Server(), Looks()
    outbox.store_photo("stored", "stored.jpg", b"raw", ago(0))
    alter(tmp_path, "ALTER TABLE item RENAME COLUMN reason TO damaged")
    courier = make(photos, judging=looks)
    courier.ship(shipment("a"))
    wait_until(lambda: "a.jpg" in photos.has and failures() == 1)
    clock.steady = 0.9
    courier.ship(shipment("b"))
    wait_until(lambda: "b.jpg" in photos.has)
    assert stays(lambda: looks.number == 1)
    assert (courier.troubles, courier.lost, outbox.failing) == ({}, 0, True)
    clock.steady = 1.0
    courier.nudge()
    wait_until(lambda: failures() == 2)
    alter(tmp_path, "ALTER TABLE item RENAME COLUMN damaged TO reason")
    clock.steady = 2.0
    courier.nudge()
    wait_until(lambda: "stored.jpg" in photos.has)


@pytest.mark.parametrize(
    ("fault", "left"), [(None, {}), (Refused("never"), {"aside": 1}), (NotTaken("not now"), {"results": 1})]
)
def test_what_was_sent_or_refused_and_cannot_be_noted_is_asked_again_after_a_second_and_not_before(
    tmp_path: Path,
    outbox: Outbox,
    make: Make,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    fault: Exception | None,
    left: dict[str, int],
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
    assert "the store fails: no room" in caplog.text
    mends(tmp_path)
    clock.steady = 1.0
    courier.nudge()
    wait_until(lambda: len(api.asked) == 2)
    wait_until(lambda: outbox.depth() == {"photos": 0, "results": 0, "aside": 0} | left)
