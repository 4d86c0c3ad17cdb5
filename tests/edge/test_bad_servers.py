"""Servers that misbehave in every way that the field knows, and what becomes of the item."""

import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge.delivery import lane
from sealpin_edge.delivery.courier import Courier
from sealpin_edge.delivery.outbox import Inspection, Outbox
from sealpin_edge.delivery.results import ResultsApi, ResultsSection
from sealpin_edge.errors import NotTaken, Refused, Unavailable
from sealpin_edge.ids import uuid7
from sealpin_edge.upload import make_uploader
from sealpin_edge.upload.section import PhotosSection
from sealpin_simulation.misbehaviour import API_FAULTS, ftp_faults
from sealpin_simulation.servers import FtpServer, ResultsServer

NOW = "2026-05-04T03:02:01.000+00:00"


FTP_OUTCOMES = {
    "answers 421 to STOR": Unavailable,
    "answers 452 to STOR": NotTaken,
    "answers 552 to STOR": NotTaken,
    "answers 550 to STOR": Unavailable,  # to every STOR: see test_inability.py for one that is refused
    "answers 553 to STOR": Unavailable,
    "hangs at STOR": Unavailable,
    "hangs up at STOR": Unavailable,
    "cuts at half": Unavailable,
    "hangs after PASV": Unavailable,
    "names a dead port for PASV": Unavailable,
    "keeps only a part": NotTaken,
    "refuses rename": Unavailable,
    "refuses the login": Unavailable,
    "answers garbage": Unavailable,
}
API_OUTCOMES = {
    "answers 400": Refused,
    "answers 401": Unavailable,
    "answers 409": Refused,
    "answers 500": NotTaken,
    "answers 503 with Retry-After": Unavailable,
    "answers garbage": NotTaken,
    "confirms another id": NotTaken,
    "loses its answer": Unavailable,
}


@pytest.mark.parametrize("fault", sorted(ftp_faults()))
def test_each_way_in_which_an_ftp_server_fails_has_its_outcome(fault: str, tmp_path: Path, cut_off: list[Any]) -> None:
    (tmp_path / "ftp").mkdir()
    (tmp_path / "secret").write_text("word")
    server = FtpServer(tmp_path / "ftp", "me", "word")
    server.misbehave(*ftp_faults()[fault])
    server.start()
    cut_off.append(server.stop)
    uploader = make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{server.port}", tmp_path / "secret"), 0.5)
    began = time.monotonic()
    with pytest.raises(Unavailable if FTP_OUTCOMES[fault] is not Refused else Refused) as raised:
        uploader.upload("day/a.jpg", b"x" * 200_000)
    assert type(raised.value) is FTP_OUTCOMES[fault], str(raised.value)
    assert time.monotonic() - began < 5, "every exchange has a deadline"
    uploader.close()


@pytest.mark.parametrize("fault", sorted(API_FAULTS))
def test_each_way_in_which_an_api_fails_has_its_outcome(fault: str, tmp_path: Path, cut_off: list[Any]) -> None:
    server = ResultsServer("word")
    server.misbehaviour = API_FAULTS[fault]
    server.start()
    cut_off.append(server.stop)
    (tmp_path / "secret").write_text("word")
    api = ResultsApi(ResultsSection(f"http://127.0.0.1:{server.port}/results", tmp_path / "secret"), 1.0)
    with pytest.raises((Unavailable, Refused)) as raised:
        api.put("i", '{"id": "i"}')
    assert type(raised.value) is API_OUTCOMES[fault], str(raised.value)


def record(outbox: Outbox) -> str:
    id = str(uuid7())
    outbox.record(Inspection(id, NOW, "", "OK", f'{{"id": "{id}"}}', f"day/{id}"), send_result=True)
    return id


class Api:
    """An HTTP server that answers each PUT as `answer(id)` says: status, headers, body; None hangs up."""

    def __init__(self, answer: Callable[[str], tuple[int, dict[str, str], str] | None]) -> None:
        self.asked: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                id = self.path.rpartition("/")[2]
                api.asked.append(id)
                answered = answer(id)
                if answered is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, headers, body = answered
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def client(self) -> ResultsApi:
        return ResultsApi(ResultsSection(f"http://127.0.0.1:{self.server.server_port}/results"), 1.0)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def delivering(outbox: Outbox, answer: Callable[..., Any], cut_off: list[Any]) -> tuple[Api, Courier]:
    """An API that answers so, and a courier that is at work on it."""
    api = Api(answer)
    courier = Courier(outbox, None, api.client(), store_first=False)
    cut_off.append(api.close)
    courier.start()
    return api, courier


def wait_until(done: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.01)


def confirmed(id: str) -> tuple[int, dict[str, str], str]:
    return 200, {}, f'{{"id": "{id}"}}'


@pytest.fixture
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(lane, "LONGEST_PAUSE_S", 0.05)


@pytest.mark.parametrize("poison", [(500, {}, ""), (200, {}, "<html>"), (502, {}, "")])
def test_an_item_that_a_server_never_takes_lets_others_pass_and_is_set_aside(
    tmp_path: Path, cut_off: list[Any], quick_pauses: None, poison: tuple[int, dict[str, str], str]
) -> None:
    outbox = Outbox(tmp_path)
    bad = record(outbox)
    good = [record(outbox) for _ in range(5)]
    api, courier = delivering(outbox, lambda id: poison if id == bad else confirmed(id), cut_off)
    wait_until(lambda: outbox.depth() == {"photos": 0, "results": 0, "aside": 1})
    courier.stop()
    assert [id for id in api.asked if id != bad] == good, "each once, in their order"
    assert api.asked.index(good[-1]) < len(api.asked) - 1, "the others did not wait for the bad one"
    (aside,) = outbox.items()
    assert (aside.id, aside.state) == (bad, "aside") and aside.reason
    assert courier.degraded


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_what_an_api_refuses_is_set_aside_at_once(tmp_path: Path, cut_off: list[Any], status: int) -> None:
    outbox = Outbox(tmp_path)
    bad, good = record(outbox), record(outbox)
    api, courier = delivering(outbox, lambda id: (status, {}, "") if id == bad else confirmed(id), cut_off)
    wait_until(lambda: outbox.depth() == {"photos": 0, "results": 0, "aside": 1})
    courier.stop()
    assert api.asked == [bad, good]


def test_a_server_that_asks_to_be_left_alone_is(tmp_path: Path, cut_off: list[Any], quick_pauses: None) -> None:
    times: list[float] = []

    def answer(id: str) -> tuple[int, dict[str, str], str]:
        times.append(time.monotonic())
        return (503, {"Retry-After": "1"}, "") if len(times) == 1 else confirmed(id)

    outbox = Outbox(tmp_path)
    record(outbox)
    _, courier = delivering(outbox, answer, cut_off)
    wait_until(lambda: outbox.depth()["results"] == 0)
    courier.stop()
    assert times[1] - times[0] >= 0.99


def test_an_answer_that_is_lost_is_asked_for_again_and_makes_no_second_row(
    tmp_path: Path, cut_off: list[Any], quick_pauses: None
) -> None:
    rows: dict[str, int] = {}

    def answer(id: str) -> tuple[int, dict[str, str], str] | None:
        rows[id] = rows.get(id, 0) + 1
        return None if rows[id] == 1 else confirmed(id)

    outbox = Outbox(tmp_path)
    ids = [record(outbox) for _ in range(3)]
    _, courier = delivering(outbox, answer, cut_off)
    wait_until(lambda: outbox.depth()["results"] == 0)
    courier.stop()
    assert set(rows) == set(ids)
    assert outbox.depth()["aside"] == 0


@pytest.mark.parametrize("poison", [(403, {}, ""), None])
def test_an_item_at_which_a_server_breaks_off_again_and_again_lets_others_pass(
    tmp_path: Path, cut_off: list[Any], quick_pauses: None, poison: tuple[int, dict[str, str], str] | None
) -> None:
    outbox = Outbox(tmp_path)
    bad, *good = [record(outbox) for _ in range(5)]
    api, courier = delivering(outbox, lambda id: poison if id == bad else confirmed(id), cut_off)
    wait_until(lambda: outbox.depth()["results"] == 1)
    courier.stop()
    assert [id for id in api.asked if id != bad] == good
