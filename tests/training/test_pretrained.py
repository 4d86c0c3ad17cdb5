"""`sealpin pretrained get` against a web server on loopback that can break off, and against archives that lie."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sealpin.cli import main
from sealpin_training.pretrained import NAMES

NAME = NAMES[1]


LINK = b""


def archive(*members: tuple[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content == LINK:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


GOOD = archive(
    (f"{NAME}/checkpoint/ckpt-0.index", b"index"),
    (f"{NAME}/checkpoint/ckpt-0.data-00000-of-00001", bytes(range(256)) * 4000),
    (f"{NAME}/pipeline.config", b"model {}"),
)


class Zoo(ThreadingHTTPServer):
    """Serves one archive; breaks off after `most` bytes of an answer."""

    data, most, ranges = GOOD, 1 << 30, True
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Zoo

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if self.path != f"/tf2/{NAME}.tar.gz":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start >= len(self.server.data):
            self.send_error(416)
            return
        body = self.server.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.most])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zoo]:
    monkeypatch.chdir(tmp_path)
    server = Zoo(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def get(zoo: Zoo, *more: str, name: str = NAME) -> Result:
    url = f"http://127.0.0.1:{zoo.server_address[1]}/tf2"
    return CliRunner().invoke(main, ["pretrained", "get", name, "--url", url, *more])


def test_an_archive_is_fetched_and_unpacked(zoo: Zoo) -> None:
    done = get(zoo)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"pretrained/{NAME}/checkpoint/ckpt-0\n")
    folder = Path("pretrained", NAME)
    assert (folder / "checkpoint" / "ckpt-0.index").read_bytes() == b"index"
    assert (folder / "pipeline.config").exists()
    assert Path(f"pretrained/{NAME}.sha256").read_text().strip() == hashlib.sha256(GOOD).hexdigest()
    assert get(zoo).exit_code == 0
    assert len(zoo.asked) == 1, "what is there is not fetched again"
    assert "(here)" in CliRunner().invoke(main, ["pretrained", "list"]).stdout


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_was_cut_goes_on(zoo: Zoo, ranges: bool) -> None:
    zoo.most, zoo.ranges = 2000, ranges
    cut = get(zoo)
    assert cut.exit_code == 3
    assert "cut off" in cut.output
    zoo.most = 1 << 30
    assert get(zoo).exit_code == 0
    assert zoo.asked == [None, "bytes=2000-"]
    assert (Path("pretrained", NAME, "checkpoint", "ckpt-0.index")).exists()


def test_another_archive_than_the_first_time_is_refused(zoo: Zoo) -> None:
    assert get(zoo).exit_code == 0
    import shutil

    shutil.rmtree(Path("pretrained", NAME))
    zoo.data = archive((f"{NAME}/checkpoint/ckpt-0.index", b"other"))
    refused = get(zoo)
    assert refused.exit_code == 3
    assert "not the archive that it should be" in refused.output
    assert not Path("pretrained", NAME).exists()
    assert get(zoo, "--sha256", "0" * 64).exit_code == 3


@pytest.mark.parametrize(
    "data",
    [
        b"no archive at all",
        GOOD[:-2000],
        archive(("elsewhere/file", b"x")),
        archive((f"{NAME}/checkpoint/ckpt-0.index", b"x"), ("../../escape", b"x")),
        archive((f"{NAME}/checkpoint/ckpt-0.index", b"x"), ("/tmp/sealpin-escape", b"x")),
        archive((f"{NAME}/checkpoint/ckpt-0.index", b"x"), (f"{NAME}/link", LINK)),
    ],
)
def test_an_archive_that_is_none_or_leaves_its_folder_is_refused(zoo: Zoo, data: bytes, tmp_path: Path) -> None:
    zoo.data = data
    refused = get(zoo)
    assert refused.exit_code == 3, refused.output
    assert "no archive of the zoo" in refused.output
    assert not Path("pretrained", NAME).exists()
    assert not list(tmp_path.parent.glob("escape"))
    zoo.data = GOOD
    assert get(zoo).exit_code == 0, "a page of some proxy is not what is remembered"


def test_names_and_addresses_that_are_none(zoo: Zoo) -> None:
    assert get(zoo, name="../etc/passwd").exit_code == 2
    missing = get(zoo, name=NAMES[0])
    assert missing.exit_code == 3
    assert "404" in missing.output
    wrong = CliRunner().invoke(main, ["pretrained", "get", NAME, "--url", "file:///etc"])
    assert wrong.exit_code == 2
