"""Servers that misbehave in every way that the field knows, and what becomes of the item."""

import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import DTPHandler, FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

from sealpin_edge import delivery
from sealpin_edge.config import PhotosSection, ResultsSection
from sealpin_edge.delivery import Courier
from sealpin_edge.errors import NotTaken, Refused, Unavailable
from sealpin_edge.ids import uuid7
from sealpin_edge.outbox import Inspection, Outbox
from sealpin_edge.results import ResultsApi
from sealpin_edge.upload import Uploader, make_uploader

NOW = "2026-05-04T03:02:01.000+00:00"


def answers(code_and_text: str) -> Callable[..., None]:
    return lambda handler, *rest: handler.respond(code_and_text)


def says_nothing(handler: Any, *rest: Any) -> None:
    """A server that hangs."""


def hangs_up(handler: Any, *rest: Any) -> None:
    handler.close()


class CutsAtHalf(DTPHandler):
    """Takes the first bytes of a transfer and is gone, with the control connection."""

    def handle_read_event(self) -> None:
        self.recv(1000)
        self.cmd_channel.close()
        self.close()


def keeps_half(handler: Any, path: str) -> None:
    handler.respond("213 7")


BAD_FTP: list[tuple[str, Callable[..., None], type[Exception]]] = [
    ("ftp_STOR", answers("421 Too many connections."), Unavailable),
    ("ftp_STOR", answers("452 No space left."), NotTaken),
    ("ftp_STOR", answers("552 Quota exceeded."), NotTaken),
    ("ftp_STOR", answers("550 Permission denied."), Refused),
    ("ftp_STOR", answers("553 Name not allowed."), Refused),
    ("ftp_STOR", says_nothing, Unavailable),
    ("ftp_STOR", hangs_up, Unavailable),
    ("dtp_handler", CutsAtHalf, Unavailable),
    ("ftp_PASV", says_nothing, Unavailable),
    ("ftp_PASV", answers("227 Entering passive mode (127,0,0,1,0,1)."), Unavailable),
    ("ftp_SIZE", keeps_half, NotTaken),
    ("ftp_RNTO", answers("550 Rename refused."), Refused),
    ("ftp_PASS", answers("530 Not today."), Unavailable),
    ("ftp_USER", answers("garbage"), Unavailable),
]


@pytest.fixture
def ftp_with(tmp_path: Path, cut_off: list[Any]) -> Callable[[str, Callable[..., None]], Uploader]:
    """An uploader to a server one of whose commands is replaced."""

    def start(command: str, behaviour: Callable[..., None]) -> Uploader:
        authorizer = DummyAuthorizer()
        (tmp_path / "ftp").mkdir()
        authorizer.add_user("me", "word", str(tmp_path / "ftp"), perm="elradfmwMT")
        handler = type("Handler", (FTPHandler,), {"authorizer": authorizer, command: behaviour})
        server = FTPServer(("127.0.0.1", 0), handler, ioloop=IOLoop())
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                server.ioloop.loop(timeout=0.02, blocking=False)
            server.close_all()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        cut_off.append(lambda: (stop.set(), thread.join()))
        (tmp_path / "secret").write_text("word")
        photos = PhotosSection(f"ftp://me@127.0.0.1:{server.address[1]}", tmp_path / "secret")
        return make_uploader(photos, 0.5)

    return start


@pytest.mark.parametrize(("command", "behaviour", "fault"), BAD_FTP)
def test_each_way_in_which_an_ftp_server_fails_has_its_outcome(
    ftp_with: Callable[..., Uploader], command: str, behaviour: Callable[..., None], fault: type[Exception]
) -> None:
    uploader = ftp_with(command, behaviour)
    began = time.monotonic()
    with pytest.raises(fault) as raised:
        uploader.upload("day/a.jpg", b"x" * 200_000)
    assert type(raised.value) is fault, str(raised.value)
    assert time.monotonic() - began < 5, "every exchange has a deadline"
    uploader.close()


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


def wait_until(done: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.01)


def confirmed(id: str) -> tuple[int, dict[str, str], str]:
    return 200, {}, f'{{"id": "{id}"}}'


@pytest.fixture
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE_S", 0.05)


@pytest.mark.parametrize("poison", [(500, {}, ""), (200, {}, "<html>"), (502, {}, "")])
def test_an_item_that_a_server_never_takes_lets_others_pass_and_is_set_aside(
    tmp_path: Path, cut_off: list[Any], quick_pauses: None, poison: tuple[int, dict[str, str], str]
) -> None:
    outbox = Outbox(tmp_path)
    bad = record(outbox)
    good = [record(outbox) for _ in range(5)]
    api = Api(lambda id: poison if id == bad else confirmed(id))
    cut_off.append(api.close)
    courier = Courier(outbox, None, api.client(), store_first=False)
    courier.start()
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
    api = Api(lambda id: (status, {}, "") if id == bad else confirmed(id))
    cut_off.append(api.close)
    courier = Courier(outbox, None, api.client(), store_first=False)
    courier.start()
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
    api = Api(answer)
    cut_off.append(api.close)
    courier = Courier(outbox, None, api.client(), store_first=False)
    courier.start()
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
    api = Api(answer)
    cut_off.append(api.close)
    courier = Courier(outbox, None, api.client(), store_first=False)
    courier.start()
    wait_until(lambda: outbox.depth()["results"] == 0)
    courier.stop()
    assert set(rows) == set(ids)
    assert outbox.depth()["aside"] == 0
