"""Servers that lack a command or a right: their trouble, told in words, and no photo is set aside for it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
import pytest

from sealpin_edge.camera.section import CameraSection
from sealpin_edge.config.station import ModelSection, PlcSection, StationConfig, StationSection
from sealpin_edge.delivery import lane
from sealpin_edge.delivery.courier import Courier, Shipment
from sealpin_edge.delivery.outbox import Outbox
from sealpin_edge.errors import Refused, Unavailable
from sealpin_edge.upload import make_uploader
from sealpin_edge.upload.section import PhotosSection
from sealpin_edge.watch.doctor import Diagnosis, examine
from sealpin_simulation.servers import FtpServer, free_port

from .peers import smbd
from .sftp_server import Files, sftp_server
from .test_bad_servers import wait_until

NOW = "2026-05-04T03:02:01.000+00:00"
Serve = Callable[[dict[str, Any]], PhotosSection]


@pytest.fixture
def serve(tmp_path: Path, cut_off: list[Any]) -> Serve:
    """Starts an FTP server some of whose commands are replaced; the [photos] section that reaches it."""

    def start(commands: dict[str, Any]) -> PhotosSection:
        (tmp_path / "ftp").mkdir(exist_ok=True)
        (tmp_path / "secret").write_text("word")
        server = FtpServer(tmp_path / "ftp", "me", "word")
        server._faults = commands
        server.start()
        cut_off.append(server.stop)
        return PhotosSection(f"ftp://me@127.0.0.1:{server.port}/line", tmp_path / "secret")

    return start


def answers(text: str) -> Callable[..., None]:
    return lambda handler, *rest: handler.respond(text)


def looked_over(tmp_path: Path, photos: PhotosSection) -> Diagnosis:
    """What doctor says of the photos of a station that has nothing else."""
    config = StationConfig(
        tmp_path,
        tmp_path / "station.toml",
        None,
        StationSection("line 1", "full", tmp_path / "data"),
        PlcSection("127.0.0.1", port=free_port(), block="DB1"),
        CameraSection("folder", path=tmp_path / "none"),
        ModelSection(tmp_path / "none.tflite", "0" * 64),
        photos,
    )
    return next(one for one in examine(config) if one.what == "photos")


@pytest.mark.parametrize("code", [500, 502, 504])
@pytest.mark.parametrize("command", ["SIZE", "RNFR", "RNTO", "STOR", "TYPE", "PASV", "MKD"])
def test_a_command_that_the_ftp_server_lacks_pauses_the_lane_and_is_named(
    command: str, code: int, serve: Serve, tmp_path: Path
) -> None:
    photos = serve({f"ftp_{command}": answers(f"{code} Not implemented.")})
    if command != "MKD":
        (tmp_path / "ftp/line").mkdir()
    uploader = make_uploader(photos, 2.0)
    with pytest.raises(Unavailable, match=f"lacks {command}") as raised:
        uploader.upload("a.jpg", b"a")
    assert type(raised.value) is Unavailable and f"enable {command}" in raised.value.advice
    uploader.close()
    finding = looked_over(tmp_path, photos)
    assert finding.state == "fault" and f"lacks {command}" in finding.found and f"enable {command}" in finding.advice


def test_a_folder_that_is_there_needs_no_command_to_make_it(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "ftp/line/day").mkdir(parents=True)
    uploader = make_uploader(serve({"ftp_MKD": answers("502 Not implemented.")}), 2.0)
    for data in (b"first", b"second"):
        uploader.upload("day/a.jpg", data)
    uploader.close()
    assert (tmp_path / "ftp/line/day/a.jpg").read_bytes() == b"second"


def test_a_server_that_neither_replaces_nor_deletes_is_told(serve: Serve, tmp_path: Path) -> None:
    from pyftpdlib.handlers import FTPHandler

    def renames_over_nothing(handler: Any, path: str) -> None:
        if Path(path).exists():
            handler.respond("550 File exists.")
        else:
            FTPHandler.ftp_RNTO(handler, path)

    photos = serve({"ftp_RNTO": renames_over_nothing, "ftp_DELE": answers("502 Not implemented.")})
    uploader = make_uploader(photos, 2.0)
    uploader.upload("a.jpg", b"a")
    with pytest.raises(Unavailable, match="lacks DELE"):
        uploader.upload("a.jpg", b"again")
    uploader.upload("b.jpg", b"b")
    uploader.close()


def test_a_server_that_takes_no_photo_at_all_pauses_the_lane_and_is_told_once(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(lane, "LONGEST_PAUSE_S", 0.01)
    asked: list[str] = []

    def denied(handler: Any, path: str) -> None:
        asked.append(path)
        handler.respond("550 Permission denied.")

    photos = serve({"ftp_STOR": denied})
    outbox = Outbox(tmp_path)
    courier = Courier(outbox, make_uploader(photos, 2.0), None, store_first=False)
    with caplog.at_level(logging.WARNING, "sealpin_edge"):
        courier.start()
        for id in ("1", "2", "3"):
            courier.ship(Shipment(id, NOW, ((f"day/{id}.jpg", b"x"),)))
        wait_until(lambda: len(asked) > 20)
        courier.stop()
    assert outbox.depth() == {"photos": 3, "results": 0, "aside": 0}
    assert [record.levelname for record in caplog.records] == ["WARNING"], "told once"
    assert "the right to make folders" in caplog.text
    assert "takes no photo at all" in courier.troubles["photos"] and "550" in courier.troubles["photos"]
    finding = looked_over(tmp_path, photos)
    assert finding.state == "fault" and "the right to make folders" in finding.advice


def test_one_photo_that_is_refused_while_others_are_taken_is_the_photos_own_trouble(
    serve: Serve, tmp_path: Path
) -> None:
    from pyftpdlib.handlers import FTPHandler

    def picky(handler: Any, path: str, mode: str = "w") -> None:
        handler.respond("553 Not that name.") if "bad.jpg" in path else FTPHandler.ftp_STOR(handler, path, mode)

    uploader = make_uploader(serve({"ftp_STOR": picky}), 2.0)
    with pytest.raises(Refused, match="553"):
        uploader.upload("day/bad.jpg", b"x")
    uploader.upload("day/good.jpg", b"x")
    uploader.close()
    assert [file.name for file in (tmp_path / "ftp/line/day").iterdir()] == ["good.jpg"], "nothing is left of the proof"


def test_sftp_without_openssh_s_extension_puts_photos_there_and_replaces_older_ones(tmp_path: Path) -> None:
    with sftp_server(tmp_path) as photos:
        uploader = make_uploader(photos, 5.0)
        for data in (b"first", b"second" * 9000):
            uploader.upload("day/a.jpg", data)
        uploader.close()
        assert looked_over(tmp_path, photos).state == "ok"
        assert [(file.name, file.read_bytes()) for file in (tmp_path / "share/line/day").iterdir()] == [
            ("a.jpg", b"second" * 9000)
        ]


class _RenamesNothing(Files):
    def rename(self, oldpath: str, newpath: str) -> int:
        return paramiko.SFTP_PERMISSION_DENIED


class _WritesNothing(Files):
    def open(self, path: str, flags: int, attr: Any) -> Any:
        return paramiko.SFTP_PERMISSION_DENIED


@pytest.mark.parametrize("files", [_RenamesNothing, _WritesNothing])
def test_an_sftp_server_that_forbids_it_all_is_told_and_no_photo_is_to_blame(
    files: type[Files], tmp_path: Path
) -> None:
    with sftp_server(tmp_path, files) as photos:
        (tmp_path / "share/line").mkdir()
        uploader = make_uploader(photos, 5.0)
        with pytest.raises(Unavailable, match="no photo at all") as raised:
            uploader.upload("a.jpg", b"a")
        assert type(raised.value) is Unavailable
        uploader.close()


def test_a_share_without_the_right_to_write_is_told_and_no_photo_is_to_blame(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with smbd(tmp_path / "server", read_only=True) as peer:
        (peer.share / "line").mkdir()
        uploader = make_uploader(PhotosSection(peer.url, **peer.files), 5.0)  # type: ignore[arg-type]
        with pytest.raises(Unavailable, match="no photo at all") as raised:
            uploader.upload("a.jpg", b"a")
        assert type(raised.value) is Unavailable
        uploader.close()
