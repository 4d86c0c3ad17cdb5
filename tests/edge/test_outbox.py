"""The store and the courier: what is stored is kept, what is delivered is gone, what is refused is set aside."""

import threading
import time
from pathlib import Path

import pytest

from sealpin_edge.delivery import Courier, Shipment
from sealpin_edge.errors import Refused, Unavailable
from sealpin_edge.ids import uuid7
from sealpin_edge.outbox import Inspection, Outbox

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


def record(outbox: Outbox, *, serial: str = "", send: bool = True) -> str:
    id = str(uuid7())
    outbox.record(Inspection(id, outbox.next_sequence(), NOW, serial, "NG", '{"id": 1}'), send_result=send)
    return id


def wait_until(done: object, timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.01)


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


def test_sequence_and_serials_are_counted_over_restarts(tmp_path: Path) -> None:
    record(Outbox(tmp_path), serial="A1")
    record(Outbox(tmp_path), serial="A1")
    outbox = Outbox(tmp_path)
    assert (outbox.next_sequence(), outbox.times_judged("A1"), outbox.times_judged("A2")) == (3, 2, 0)


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
