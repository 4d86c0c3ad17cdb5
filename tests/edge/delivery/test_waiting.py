"""What waits and for how long, who looks and when, and what a stop leaves behind."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sealpin_edge.delivery import courier as delivery
from sealpin_edge.delivery import outbox as store
from sealpin_edge.delivery.outbox import Outbox
from sealpin_edge.errors import Unavailable

from .hand import (
    ASIDE,
    MOMENT_S,
    SOON_S,
    Clock,
    Looks,
    Make,
    Server,
    ago,
    breaks,
    part,
    set_aside_oldest,
    shipment,
    stays,
    wait_until,
)

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
    looks = Looks()
    courier = make(None, Server(), judging=looks)
    courier.nudge()
    wait_until(lambda: looks.number)
    assert stays(lambda: looks.number == 1)
    courier.nudge()
    wait_until(lambda: looks.number > 1)
    assert stays(lambda: looks.number == 2)


def test_lanes_that_have_nothing_to_do_cost_no_processor(make: Make) -> None:
    make().nudge()
    began = time.process_time()
    assert stays(lambda: True)
    assert time.process_time() - began < MOMENT_S / 2


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
    looks = Looks()
    make(None, Server(), judging=looks, **options).nudge()
    wait_until(lambda: looks.number)
    assert sum(outbox.verdicts_since("").values()) == left


def test_a_disk_that_works_again_is_noticed_without_anything_to_store(
    outbox: Outbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TROUBLE_S", 0.0)
    outbox.note_trouble()
    make().nudge()
    wait_until(lambda: not outbox.failing)


# The end


def test_a_stop_ends_the_lanes_and_closes_the_connection(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "STOP_S", SOON_S)
    photos, looks = Server(), Looks()
    courier = make(photos, Server(), judging=looks)
    courier.nudge()
    wait_until(lambda: looks.number == 2)
    courier.stop()
    assert photos.closed
    assert courier.in_hand == 0


def test_a_stop_stores_what_is_queued_and_on_its_way_and_does_not_wait_for_a_server_that_hangs(
    outbox: Outbox, make: Make, clock: Clock
) -> None:
    clock.steady = 3.0
    photos = Server()
    photos.free.clear()
    courier = make(photos)
    for id in "abc":
        courier.ship(shipment(id))
    wait_until(photos.hangs.is_set)
    courier.stop()
    assert not photos.has, "the server hangs still"
    assert {item.id for item in outbox.items()} == {"a", "b", "c"}
    assert (courier.lost, courier.in_hand) == (0, 2), "what hangs, and the nudge"
    photos.free.set()
    wait_until(lambda: photos.closed)
    assert courier.in_hand == 0


def test_what_a_broken_disk_does_not_take_at_a_stop_is_counted_as_lost(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    breaks(tmp_path, "INSERT ON item")
    photos, api = Server(), Server()
    photos.free.clear()
    api.fault = Unavailable("down")
    courier = make(photos, api)
    for id in "abc":
        courier.ship(shipment(id))
    courier.take_unstored(part("d"))
    wait_until(photos.hangs.is_set)
    courier.stop()
    assert courier.lost == 4
    assert all(f"{id}.jpg is lost" in caplog.text for id in "abc")
    assert "part d: its result is lost, it could be neither sent nor stored" in caplog.text
    photos.free.set()


def test_what_arrives_while_a_stop_waits_is_not_lost(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STOP_S", SOON_S)
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


def test_what_comes_after_a_stop_is_stored_at_once(outbox: Outbox, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "IDLE_S", 0.01)
    monkeypatch.setattr(delivery, "STOP_S", SOON_S)
    courier = make(Server(), Server())
    courier.stop()
    for id in "ab":
        courier.ship(shipment(id))
        courier.take_unstored(part(id))
    assert outbox.depth() == {"photos": 2, "results": 2, "aside": 0}
    assert (courier.in_hand, courier.unstored, courier.lost) == (0, 0, 0)


def test_a_server_that_hangs_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    program = f"""
import pathlib, threading
from sealpin_edge.delivery.courier import Courier, Shipment
from sealpin_edge.delivery.outbox import Outbox
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
