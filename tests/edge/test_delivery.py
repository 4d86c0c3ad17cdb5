"""Uploads and results against real servers: an FTP server, a folder, an HTTP API."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sealpin_edge.delivery.results import ResultsApi, ResultsSection
from sealpin_edge.errors import InputError, NotTaken, Refused, Unavailable
from sealpin_edge.upload import make_uploader
from sealpin_edge.upload.section import PhotosSection
from sealpin_simulation.servers import FtpServer, ResultsServer, free_port


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("word\n")
    return path


@pytest.fixture
def ftp(tmp_path: Path, cut_off: list[Any]) -> FtpServer:
    (tmp_path / "ftp").mkdir()
    server = FtpServer(tmp_path / "ftp", "me", "word")
    server.start()
    cut_off.append(server.stop)
    return server


def test_ftp_puts_whole_files_into_new_folders_and_replaces_old_ones(
    ftp: FtpServer, secret: Path, tmp_path: Path
) -> None:
    uploader = make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{ftp.port}/line1", secret), 2.0)
    for data in (b"first", b"second" * 50_000):
        uploader.upload("2026-05-04/a.jpg", data)
    uploader.upload("2026-05-04/b.jpg", b"b")
    files = {path.name: path.read_bytes() for path in (tmp_path / "ftp/line1/2026-05-04").iterdir()}
    assert files == {"a.jpg": b"second" * 50_000, "b.jpg": b"b"}
    uploader.close()


def test_ftp_goes_on_after_the_server_was_away(ftp: FtpServer, secret: Path, tmp_path: Path) -> None:
    uploader = make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{ftp.port}", secret), 2.0)
    uploader.upload("a.jpg", b"a")
    ftp.stop()
    with pytest.raises(Unavailable, match="broke off"):
        uploader.upload("b.jpg", b"b")
    ftp.start()
    uploader.upload("b.jpg", b"b")
    assert (tmp_path / "ftp/b.jpg").read_bytes() == b"b"
    uploader.close()


def test_ftp_tells_a_wrong_password_from_a_refused_file(ftp: FtpServer, secret: Path, tmp_path: Path) -> None:
    secret.write_text("wrong")
    with pytest.raises(Unavailable, match="530"):
        make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{ftp.port}", secret), 5.0).upload("a.jpg", b"a")
    secret.write_text("word")
    (tmp_path / "ftp/a.jpg.part").mkdir()
    with pytest.raises(Refused, match="550"):
        make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{ftp.port}", secret), 2.0).upload("a.jpg", b"a")


def test_a_missing_password_file_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="password_file"):
        make_uploader(PhotosSection("ftp://me@127.0.0.1", tmp_path / "none"), 1.0)


def test_a_folder_takes_files_and_a_missing_one_is_not_made(tmp_path: Path) -> None:
    uploader = make_uploader(PhotosSection(f"file://{tmp_path}/share", None), 1.0)
    with pytest.raises(Unavailable):
        uploader.upload("day/a.jpg", b"a")
    (tmp_path / "share").mkdir()
    uploader.upload("day/a.jpg", b"a")
    assert (tmp_path / "share/day/a.jpg").read_bytes() == b"a"


def test_results_are_put_and_a_repeat_overwrites(secret: Path, cut_off: list[Any]) -> None:
    server = ResultsServer("word")
    server.start()
    cut_off.append(server.stop)
    api = ResultsApi(ResultsSection(f"http://127.0.0.1:{server.port}/results/", secret), 2.0)
    api.put("i1", '{"id": "i1", "verdict": "NG"}')
    api.put("i1", '{"id": "i1", "verdict": "OK"}')
    assert server.results == {"i1": {"id": "i1", "verdict": "OK"}}
    with pytest.raises(Refused, match="400"):
        api.put("i2", '{"id": "i1"}')


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (500, b"", NotTaken),
        (409, b"", Refused),
        (503, b"", Unavailable),
        (401, b"", Unavailable),
        (302, b"", Unavailable),
        (422, b"", Refused),
        (200, b"<html>", NotTaken),
        (200, b'{"id": "other"}', NotTaken),
        (200, b"[]", NotTaken),
    ],
)
def test_an_answer_that_does_not_confirm_the_id_is_no_delivery(
    status: int, body: bytes, fault: type[Exception], cut_off: list[Any]
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.send_header("Retry-After", "7")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    cut_off += [server.server_close, server.shutdown]
    with pytest.raises(fault) as raised:
        ResultsApi(ResultsSection(f"http://127.0.0.1:{server.server_port}", None), 2.0).put("id", "{}")
    assert type(raised.value) is fault
    if status == 503:
        assert isinstance(raised.value, Unavailable) and raised.value.retry_after_s == 7


def test_an_api_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        ResultsApi(ResultsSection(f"http://127.0.0.1:{free_port()}", None), 1.0).put("id", "{}")


def test_ftp_makes_a_folder_again_that_somebody_moved_away(ftp: FtpServer, secret: Path, tmp_path: Path) -> None:
    uploader = make_uploader(PhotosSection(f"ftp://me@127.0.0.1:{ftp.port}", secret), 2.0)
    uploader.upload("day/a.jpg", b"a")
    (tmp_path / "ftp/day").rename(tmp_path / "archive")
    uploader.upload("day/b.jpg", b"b")
    assert (tmp_path / "ftp/day/b.jpg").read_bytes() == b"b"
    uploader.close()
