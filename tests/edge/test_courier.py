"""The courier: what is delivered is gone, what is refused is set aside, and neither server waits for the other."""

import sqlite3
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sealpin_edge.delivery import outbox as store
from sealpin_edge.delivery.courier import Courier, Shipment
from sealpin_edge.delivery.outbox import Inspection, Outbox
from sealpin_edge.errors import NotTaken, Refused, Unavailable
from sealpin_edge.ids import uuid7

NOW = "2026-05-04T03:02:01.000+00:00"


class Server:
    """An upload target in memory that fails as it is told."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.fault: Exception | None = None
        self.calls = 0

    def upload(self, name: str, data: bytes) -> None:
        self.calls += 1
        if self.fault:
            raise self.fault
        self.files[name] = data

    def close(self) -> None:
        pass


class Api:
    """A results API in memory that fails as it is told."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}
        self.fault: Exception | None = None

    def put(self, id: str, body: str) -> None:
        if self.fault:
            raise self.fault
        self.results[id] = body


def inspection() -> Inspection:
    id = str(uuid7())
    return Inspection(id, NOW, "", "NG", '{"id": 1}', f"day/{id}")


def record(outbox: Outbox, *, send: bool = False) -> str:
    made = inspection()
    outbox.record(made, send_result=send)
    return made.id


def wait_until(done: object, timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.01)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path)


def test_an_outage_costs_one_attempt_and_then_photos_are_stored_until_the_server_is_back(outbox: Outbox) -> None:
    server = Server()
    server.fault = Unavailable("down")
    courier = Courier(outbox, server, None, store_first=False)
    courier.start()
    for _ in range(5):
        id = record(outbox, send=False)
        courier.ship(Shipment(id, NOW, ((f"{id}.jpg", id.encode()),)))
        wait_until(lambda: courier._queue.empty())
    wait_until(lambda: outbox.depth()["photos"] == 5)
    assert server.calls <= 3, "a server that is down is left alone"
    assert courier.degraded
    server.fault = None
    wait_until(lambda: len(server.files) == 5 and not courier.degraded)
    courier.stop()
    assert {name.removesuffix(".jpg").encode() for name in server.files} == set(server.files.values())


def test_what_a_server_refuses_is_set_aside_and_the_rest_goes_on(outbox: Outbox) -> None:
    server = Server()
    server.fault = Refused("bad name")
    courier = Courier(outbox, server, None, store_first=True)
    courier.start()
    id = record(outbox, send=False)
    courier.ship(Shipment(id, NOW, (("bad.jpg", b"1"),)))
    wait_until(lambda: outbox.depth()["aside"] == 1)
    server.fault = None
    id = record(outbox, send=False)
    courier.ship(Shipment(id, NOW, (("good.jpg", b"2"),)))
    wait_until(lambda: server.files == {"good.jpg": b"2"})
    courier.stop()
    assert outbox.depth() == {"photos": 0, "results": 0, "aside": 1}


def test_what_is_queued_when_the_station_stops_is_stored(outbox: Outbox) -> None:
    courier = Courier(outbox, Server(), None, store_first=False)
    ids = [record(outbox, send=False) for _ in range(3)]
    for id in ids:
        courier.ship(Shipment(id, NOW, ((f"{id}.jpg", b"x"),)))
    courier._stop.set()
    courier.start()
    courier.stop()
    assert outbox.depth()["photos"] == 3


def test_a_server_that_breaks_in_an_unknown_way_does_not_end_the_courier(outbox: Outbox) -> None:
    server = Server()
    server.fault = UnicodeDecodeError("utf-8", b"\xfc", 0, 1, "invalid start byte")
    courier = Courier(outbox, server, None, store_first=False)
    courier.start()
    id = record(outbox, send=False)
    courier.ship(Shipment(id, NOW, (("a.jpg", b"a"),)))
    wait_until(lambda: outbox.depth()["photos"] == 1)
    server.fault = None
    wait_until(lambda: server.files == {"a.jpg": b"a"})
    courier.stop()


def test_a_slow_photo_server_does_not_hold_up_results(outbox: Outbox) -> None:
    class Slow(Server):
        def upload(self, name: str, data: bytes) -> None:
            threading.Event().wait(0.3)
            super().upload(name, data)

    server, api = Slow(), Api()
    courier = Courier(outbox, server, api, store_first=False)  # type: ignore[arg-type]
    courier.start()
    for _ in range(12):
        id = record(outbox, send=True)
        courier.ship(Shipment(id, NOW, ((f"{id}.jpg", b"x"),)))
    wait_until(lambda: len(api.results) == 12)
    assert len(server.files) < 12
    courier.stop()


def test_results_that_the_disk_did_not_take_go_out_from_memory_or_to_the_disk_that_works_again(
    outbox: Outbox,
) -> None:
    api = Api()
    courier = Courier(outbox, None, api, store_first=False)  # type: ignore[arg-type]
    courier.start()
    sent = inspection()
    courier.take_unstored(sent)
    wait_until(lambda: set(api.results) == {sent.id})
    api.fault = Unavailable("down")
    kept = inspection()
    courier.take_unstored(kept)
    wait_until(lambda: outbox.depth()["results"] == 1)
    api.fault = None
    wait_until(lambda: set(api.results) == {sent.id, kept.id})
    courier.stop()
    assert courier.lost == 0


def test_a_station_that_stops_puts_unstored_results_on_the_disk_that_works_again(outbox: Outbox) -> None:
    api = Api()
    api.fault = Unavailable("down")
    courier = Courier(outbox, None, api, store_first=False)  # type: ignore[arg-type]
    for _ in range(3):
        courier.take_unstored(inspection())
    courier._stop.set()
    courier.start()
    courier.stop()
    assert (courier.lost, outbox.depth()["results"]) == (0, 3)


def test_an_unstored_result_that_the_api_does_not_take_lets_others_pass_and_is_counted_at_the_end(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky(Api):
        def put(self, id: str, body: str) -> None:
            if id == bad.id:
                raise NotTaken("not this one")
            super().put(id, body)

    def fails(*arguments: object, **options: object) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(outbox, "record", fails)
    bad, good, api = inspection(), inspection(), Picky()
    courier = Courier(outbox, None, api, store_first=False)  # type: ignore[arg-type]
    courier.take_unstored(bad)
    courier.take_unstored(good)
    courier.start()
    wait_until(lambda: set(api.results) == {good.id})
    courier.stop()
    assert courier.lost == 1
    assert outbox.failing


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less room than is kept free for results."""
    usage = SimpleNamespace(total=32_000_000_000, free=40_000_000)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_and_a_healthy_server_photos_go_out_directly_and_the_trouble_is_told(outbox: Outbox) -> None:
    server = Server()
    courier = Courier(outbox, server, None, store_first=True)
    courier.start()
    for _ in range(5):
        id = record(outbox)
        courier.ship(Shipment(id, NOW, ((f"{id}.jpg", b"x"), (f"{id}_defects.jpg", b"y"))))
        wait_until(lambda: courier._queue.empty())
    wait_until(lambda: len(server.files) == 10)
    assert outbox.failing
    server.fault = Unavailable("down")
    id = record(outbox)
    courier.ship(Shipment(id, NOW, ((f"{id}.jpg", b"x"), (f"{id}_defects.jpg", b"y"))))
    wait_until(lambda: courier.lost == 2)
    courier.stop()


def test_a_stored_photo_that_is_damaged_or_gone_is_set_aside_and_the_others_arrive(outbox: Outbox) -> None:
    ids = [record(outbox) for _ in range(4)]
    for id in ids:
        assert outbox.store_photo(id, f"{id}.jpg", b"photo", NOW)
    short, unreadable, gone, _ = [item.file for item in outbox.items()]
    short.write_bytes(b"pho")
    unreadable.unlink()
    unreadable.mkdir()
    gone.unlink()
    server = Server()
    courier = Courier(outbox, server, None, store_first=True)
    courier.start()
    wait_until(lambda: outbox.depth()["aside"] == 3 and len(server.files) == 1)
    courier.stop()
    assert server.files == {f"{ids[3]}.jpg": b"photo"}
    reasons = " ".join(item.reason for item in outbox.items())
    assert "damaged" in reasons and "cannot be read" in reasons


def test_a_row_whose_photo_was_dropped_when_the_station_was_cut_off_is_counted_and_gone(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    id = record(outbox)
    assert outbox.store_photo(id, f"{id}.jpg", b"photo", NOW)
    next(outbox.items()).file.unlink()
    again = Outbox(tmp_path)
    assert list(again.items()) == []
    assert again.dropped() == 1


def test_trouble_is_told_for_a_while_and_ends_when_the_disk_takes_a_write(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(outbox)
    outbox.note_trouble()
    outbox.check()
    assert outbox.failing, "not so soon"
    monkeypatch.setattr(store, "TROUBLE_S", 0.0)
    writes = store.write_whole

    def fails(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store, "write_whole", fails)
    with pytest.raises(OSError, match="Input/output"):
        outbox.check()
    assert outbox.failing
    monkeypatch.setattr(store, "write_whole", writes)
    id = record(outbox)
    assert outbox.store_photo(id, f"{id}.jpg", b"photo", NOW)
    item = next(outbox.items())
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "_clean_up", fails)
        with pytest.raises(OSError, match="Input/output"):
            outbox.delivered(item)
    assert outbox.depth()["photos"] == 0, "it has arrived"
    outbox.check()
    assert not outbox.failing
    assert not item.file.exists()


def test_what_was_stored_waits_while_a_part_is_judged_but_not_for_ever(outbox: Outbox) -> None:
    server, seen = Server(), []

    def judging() -> bool:
        seen.append(dict(server.files))
        return True

    courier = Courier(outbox, server, None, store_first=True, judging=judging)
    courier.start()
    id = record(outbox)
    courier.ship(Shipment(id, NOW, (("waits.jpg", b"1"),)))
    wait_until(lambda: "waits.jpg" in server.files)
    courier.stop()
    assert sum("waits.jpg" not in files for files in seen) > 10, "it gave way first"
