"""Servers that drip: no time-out of a socket ends them, the deadline of the whole exchange does."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge import deadline
from sealpin_edge.delivery.results import ResultsApi, ResultsSection
from sealpin_edge.errors import Unavailable
from sealpin_edge.upload import folder as folders
from sealpin_edge.upload import make_uploader
from sealpin_edge.upload.section import PhotosSection
from sealpin_simulation.servers import FtpServer

from .peers import Peer, proftpd, smbd, sshd

TIMEOUT_S = 0.5
Drip = Callable[..., int]


@pytest.fixture
def drip(cut_off: list[Any]) -> Drip:
    """Puts a place between us and the server on a port, whose port it gives: the server's answers come some bytes at a
    time, from the beginning or from an event on.
    """
    ended = threading.Event()

    def hand_on(source: socket.socket, sink: socket.socket, at_once: int, begins: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(at_once if begins.is_set() else 65_536):
                sink.sendall(data)
                if begins.is_set():
                    ended.wait(0.1)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def between(port: int, at_once: int, begins: threading.Event | None = None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        if begins is None:
            begins = threading.Event()
            begins.set()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    ours, _ = listener.accept()
                    theirs = socket.create_connection(("127.0.0.1", port))
                    threading.Thread(
                        target=hand_on, args=(ours, theirs, 65_536, threading.Event()), daemon=True
                    ).start()
                    threading.Thread(target=hand_on, args=(theirs, ours, at_once, begins), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        cut_off.append(lambda: listener.shutdown(socket.SHUT_RDWR))
        return int(listener.getsockname()[1])

    yield between
    ended.set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server").mkdir()
    return tmp_path / "server"


def through(peer: Peer, port: int) -> PhotosSection:
    """The [photos] section that reaches the peer by way of another port."""
    known = peer.files.get("known_hosts")
    if known:
        known.write_text(known.read_text().replace(str(peer.port), str(port)))
    return PhotosSection(peer.url.replace(f":{peer.port}/", f":{port}/"), **peer.files)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "at_once"),
    [(proftpd, 1), (lambda folder: proftpd(folder, tls=True), 20), (sshd, 20), (smbd, 8)],
    ids=["ftp", "ftps", "sftp", "smb"],
)
def test_a_photo_server_that_answers_a_few_bytes_at_a_time_is_left_at_the_deadline(
    start: Any, at_once: int, folder: Path, drip: Drip
) -> None:
    with start(folder) as peer:
        uploader = make_uploader(through(peer, drip(peer.port, at_once)), TIMEOUT_S)
        with pytest.raises(Unavailable, match="too slow"):
            uploader.upload("day/a.jpg", b"a")
        make_uploader(PhotosSection(peer.url, **_known(peer)), 5.0).upload("day/a.jpg", b"a")


def _known(peer: Peer) -> Any:
    if known := peer.files.get("known_hosts"):
        _, kind, key = known.read_text().split()
        known.write_text(f"[127.0.0.1]:{peer.port} {kind} {key}\n")
    return peer.files


@pytest.mark.parametrize("start", [proftpd, sshd, smbd], ids=["ftp", "sftp", "smb"])
def test_a_kept_connection_that_begins_to_drip_is_left_at_the_deadline(start: Any, folder: Path, drip: Drip) -> None:
    begins = threading.Event()
    with start(folder) as peer:
        uploader = make_uploader(through(peer, drip(peer.port, 3, begins)), 2.0)
        uploader.upload("day/a.jpg", b"a")
        begins.set()
        # On a busy machine one answer may take as long as the whole may: then its own time-out ends it
        with pytest.raises(Unavailable, match=r"too slow|does not answer|does not take this file now"):
            uploader.upload("day/b.jpg", b"b")


def test_a_data_connection_that_takes_little_at_a_time_is_left_at_the_deadline(
    tmp_path: Path, cut_off: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyftpdlib.handlers import DTPHandler

    ended = threading.Event()

    class Slow(DTPHandler):  # type: ignore[misc]
        ac_in_buffer_size = 65_536

        def handle_read_event(self) -> None:
            ended.wait(0.05)
            super().handle_read_event()

    monkeypatch.setattr(deadline, "SLOWEST_BYTES_S", 50_000_000)
    (tmp_path / "ftp").mkdir()
    (tmp_path / "secret").write_text("word")
    server = FtpServer(tmp_path / "ftp", "me", "word")
    server.misbehave("dtp_handler", Slow)
    server.start()
    cut_off += [server.stop, ended.set]
    uploader = make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{server.port}", tmp_path / "secret"), TIMEOUT_S)
    with pytest.raises(Unavailable, match="too slow"):
        uploader.upload("a.jpg", os.urandom(20_000_000))


@pytest.fixture
def api(cut_off: list[Any]) -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"id": "i"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_api_whose_answer_drips_is_left_at_the_deadline(api: ThreadingHTTPServer, drip: Drip) -> None:
    url = f"http://127.0.0.1:{drip(api.server_port, 1)}/results"
    with pytest.raises(Unavailable, match="too slow"):
        ResultsApi(ResultsSection(url), TIMEOUT_S).put("i", "{}")


def test_an_api_whose_answer_s_body_drips_is_left_at_the_deadline(cut_off: list[Any]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")  # without a length: it ends with the connection
            for byte in b'{"id": "i"}' + b" " * 40:
                connection.sendall(bytes([byte]))
                ended.wait(0.1)

    threading.Thread(target=serve, daemon=True).start()
    cut_off += [listener.close, ended.set]
    with pytest.raises(Unavailable, match="too slow"):
        ResultsApi(ResultsSection(f"http://127.0.0.1:{listener.getsockname()[1]}"), TIMEOUT_S).put("i", "{}")


def test_a_large_photo_has_the_time_that_its_size_needs(
    folder: Path, drip: Drip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "SLOWEST_BYTES_S", 1000)
    with proftpd(folder) as peer:
        make_uploader(through(peer, drip(peer.port, 200)), TIMEOUT_S).upload("day/a.jpg", b"x" * 30_000)
        assert (peer.share / "line/day/a.jpg").stat().st_size == 30_000


def test_a_mounted_folder_that_is_slow_has_taken_its_photo_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = folders.write_whole

    def late(path: Path, data: bytes) -> None:
        threading.Event().wait(0.2)
        writes(path, data)

    monkeypatch.setattr(folders, "write_whole", late)
    make_uploader(PhotosSection(f"file://{tmp_path}"), 0.05).upload("a.jpg", b"a")
    assert (tmp_path / "a.jpg").read_bytes() == b"a"
