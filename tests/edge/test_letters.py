"""Letters beyond ASCII in an FTP server's folders, users, passwords and answers."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler

from sealpin_edge.errors import Refused, Unavailable
from sealpin_edge.upload import make_uploader
from sealpin_edge.upload.section import PhotosSection
from sealpin_simulation.servers import FtpServer

from .peers import proftpd


class Line:
    """pyftpdlib for a user and a password, in UTF-8, or in another encoding that FEAT does not speak of."""

    def __init__(self, folder: Path, cut_off: list[Any], user: str, password: str, **changes: Any) -> None:
        self.folder, self.user, self.secret = folder / "ftp", user, folder / "secret"
        self.folder.mkdir()
        self.secret.write_text(password, encoding="utf-8")
        authorizer = DummyAuthorizer()
        authorizer.add_user(user, password, str(self.folder), perm="elradfmwMT")
        self.server = FtpServer(self.folder, "me", "word")
        self.server._faults = {"authorizer": authorizer, "auth_failed_timeout": 0, **changes}
        self.server.start()
        cut_off.append(self.server.stop)

    def photos(self, folder: str) -> PhotosSection:
        return PhotosSection(f"ftp://{quote(self.user)}@127.0.0.1:{self.server.port}/{quote(folder)}", self.secret)


def no_features(code: int) -> Any:
    return lambda handler, *rest: handler.respond(f"{code} Please login first.")


def after_login(handler: Any, line: str) -> None:
    if handler.authenticated:
        FTPHandler.ftp_FEAT(handler, line)
    else:
        handler.respond("530 Please login first.")


def refuses_opts(handler: Any, line: str) -> None:
    handler.respond("501 Not understood.")


@pytest.mark.parametrize(
    "changes",
    [{}, {"ftp_FEAT": after_login}, {"ftp_OPTS": refuses_opts}],
    ids=["offers UTF8", "offers it after login", "refuses OPTS"],
)
def test_names_users_and_passwords_are_in_utf8_where_the_server_offers_it(
    changes: dict[str, Any], tmp_path: Path, cut_off: list[Any]
) -> None:
    line = Line(tmp_path, cut_off, "Prüfer-Łódź", "Größe-żółć", **changes)
    (line.folder / "Prüfung Łódź").mkdir()
    uploader = make_uploader(line.photos("Prüfung Łódź"), 2.0)
    uploader.upload("day/a.jpg", b"a")
    uploader.close()
    assert [file.name for file in line.folder.iterdir()] == ["Prüfung Łódź"]
    assert (line.folder / "Prüfung Łódź/day/a.jpg").read_bytes() == b"a"


def test_proftpd_gets_umlauts_in_folder_and_password(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with proftpd(tmp_path / "server", password="Größe-żółć") as peer:
        (peer.share / "Prüfung").mkdir()
        url = peer.url.replace("/line", f"/{quote('Prüfung')}")
        uploader = make_uploader(PhotosSection(url, **peer.files), 5.0)  # type: ignore[arg-type]
        uploader.upload("day/a.jpg", b"a")
        uploader.close()
        assert [file.name for file in peer.share.iterdir()] == ["Prüfung"]
        assert (peer.share / "Prüfung/day/a.jpg").read_bytes() == b"a"


def test_a_server_without_utf8_is_spoken_to_in_latin_1(tmp_path: Path, cut_off: list[Any]) -> None:
    line = Line(tmp_path, cut_off, "prüfer", "Größe", encoding="latin-1", banner="Prüfstand")
    uploader = make_uploader(line.photos("Prüfung"), 2.0)
    uploader.upload("a.jpg", b"a")
    uploader.close()
    assert (line.folder / "Prüfung/a.jpg").read_bytes() == b"a"


@pytest.mark.parametrize(
    ("user", "password", "folder", "named"),
    [
        ("me", "word", "Łódź", "the folder of"),
        ("Łukasz", "word", "line", "the user of"),
        ("me", "żółć", "line", "password_file"),
    ],
)
@pytest.mark.parametrize("changes", [{"encoding": "latin-1"}, {"ftp_FEAT": no_features(502)}], ids=["FEAT", "none"])
def test_what_a_server_without_utf8_cannot_be_told_is_said_and_what_to_do(
    user: str, password: str, folder: str, named: str, changes: dict[str, Any], tmp_path: Path, cut_off: list[Any]
) -> None:
    line = Line(tmp_path, cut_off, user, password, **changes)
    with pytest.raises(Unavailable, match="letters that this FTP server does not know") as raised:
        make_uploader(line.photos(folder), 2.0).upload("a.jpg", b"a")
    assert named in raised.value.problem and "enable UTF8" in raised.value.advice
    assert password == "word" or password not in str(raised.value)


def test_answers_may_be_any_bytes(tmp_path: Path, cut_off: list[Any]) -> None:
    def refuses(handler: Any, path: str, mode: str = "w") -> None:
        handler.push("553 Ung\u00fcltig: a.jpg\r\n") if path.endswith("/a.jpg.part") else FTPHandler.ftp_STOR(
            handler, path, mode
        )

    line = Line(tmp_path, cut_off, "me", "word", encoding="latin-1", banner="\xff\xfe\xdf", ftp_STOR=refuses)
    with pytest.raises(Refused, match="553 Ung"):
        make_uploader(line.photos("line"), 2.0).upload("a.jpg", b"a")


def test_a_server_that_repeats_the_password_does_not_bring_it_into_a_message(
    tmp_path: Path, cut_off: list[Any]
) -> None:
    line = Line(
        tmp_path, cut_off, "me", "word-1", ftp_PASS=lambda handler, line: handler.respond(f"530 PASS {line} is wrong.")
    )
    with pytest.raises(Unavailable, match=r"password_file") as raised:
        make_uploader(line.photos("line"), 2.0).upload("a.jpg", b"a")
    assert "530 PASS *** is wrong" in str(raised.value) and "word-1" not in str(raised.value)
