"""Uploads to servers that other people wrote; each test starts its own."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealpin_edge.errors import InputError, NotTaken, Refused, Unavailable
from sealpin_edge.upload import Uploader, make_uploader
from sealpin_edge.upload.section import PhotosSection

from .peers import FILE_SERVERS, Peer, proftpd, sshd


@pytest.fixture(params=FILE_SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Peer]]:
    (tmp_path / "server").mkdir()
    with FILE_SERVERS[request.param](tmp_path / "server") as peer:
        yield request.param, peer


def section(peer: Peer, **changes: Path) -> PhotosSection:
    return PhotosSection(peer.url, **{**peer.files, **changes})  # type: ignore[arg-type]


@pytest.fixture
def uploader(server: tuple[str, Peer]) -> Iterator[Uploader]:
    made = make_uploader(section(server[1]), 2.0)
    yield made
    made.close()


def test_photos_arrive_whole_in_new_folders_and_replace_older_ones(
    server: tuple[str, Peer], uploader: Uploader
) -> None:
    photo = os.urandom(300_000)
    for data in (b"first", photo):
        uploader.upload("2026-05-04/a.jpg", data)
    uploader.close()
    uploader.upload("2026-05-04/b.jpg", b"")
    there = server[1].share / "line/2026-05-04"
    assert {file.name: file.read_bytes() for file in there.iterdir()} == {"a.jpg": photo, "b.jpg": b""}


def test_what_an_earlier_try_left_is_written_over(server: tuple[str, Peer], uploader: Uploader) -> None:
    day = server[1].share / "line/day"
    day.mkdir(parents=True)
    (day / "a.jpg.part").write_bytes(b"half of a longer photo" * 9000)
    uploader.upload("day/a.jpg", b"whole")
    assert [(file.name, file.read_bytes()) for file in day.iterdir()] == [("a.jpg", b"whole")]


def test_a_name_that_is_a_folder_is_not_taken_and_others_are(server: tuple[str, Peer], uploader: Uploader) -> None:
    (server[1].share / "line/day/a.jpg.part").mkdir(parents=True)
    with pytest.raises((Refused, NotTaken)):
        uploader.upload("day/a.jpg", b"a")
    uploader.upload("day/b.jpg", b"b")
    assert (server[1].share / "line/day/b.jpg").read_bytes() == b"b"


def test_a_full_disk_is_told_and_the_next_photo_goes_where_there_is_room(
    server: tuple[str, Peer], uploader: Uploader
) -> None:
    kind, peer = server
    if kind in ("smb", "ftp without overwrite", "ftp of vsftpd"):
        pytest.skip("no link to /dev/full is followed here; its disk would have to be really full")
    (peer.share / "line/day").mkdir(parents=True)
    (peer.share / "line/day/full.jpg.part").symlink_to("/dev/full")
    with pytest.raises((NotTaken, Unavailable, Refused)):
        uploader.upload("day/full.jpg", b"x" * 200_000)
    uploader.upload("day/b.jpg", b"b")
    assert (peer.share / "line/day/b.jpg").read_bytes() == b"b"


def test_a_server_that_hangs_costs_its_deadline_and_works_again(server: tuple[str, Peer], uploader: Uploader) -> None:
    peer = server[1]
    uploader.upload("day/a.jpg", b"a")
    uploader.close()
    peer.hang()
    began = time.monotonic()
    try:
        with pytest.raises(Unavailable):
            uploader.upload("day/b.jpg", b"b")
        assert time.monotonic() - began < 15
    finally:
        peer.go_on()
    uploader.upload("day/b.jpg", b"b")
    assert (peer.share / "line/day/b.jpg").read_bytes() == b"b"


def test_a_login_that_fails_is_trouble_of_the_server_not_of_the_photo(server: tuple[str, Peer], tmp_path: Path) -> None:
    kind, peer = server
    wrong = tmp_path / "wrong"
    wrong.write_text("no-such-word")
    changes = {"password_file": wrong}
    if kind == "sftp":
        changes = {"key_file": peer.files["key_file"].with_name("host")}
    uploader = make_uploader(section(peer, **changes), 5.0)
    with pytest.raises(Unavailable) as raised:
        uploader.upload("a.jpg", b"a")
    assert type(raised.value) is Unavailable


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with proftpd(tmp_path / "server", tls=True) as peer:
        settings = section(peer)
        made = make_uploader(PhotosSection(settings.url, settings.password_file), 2.0)
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            made.upload("a.jpg", b"a")


def test_an_sftp_server_with_another_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with sshd(tmp_path / "server") as peer:
        with pytest.raises(InputError, match="known_hosts"):
            make_uploader(PhotosSection(section(peer).url), 2.0)
        name, kind, _ = peer.files["known_hosts"].read_text().split()
        other = (tmp_path / "server/client.pub").read_text().split()[1]
        peer.files["known_hosts"].write_text(f"{name} {kind} {other}\n")
        with pytest.raises(Unavailable, match=r"Host key for server .* does not match"):
            make_uploader(section(peer), 2.0).upload("a.jpg", b"a")
