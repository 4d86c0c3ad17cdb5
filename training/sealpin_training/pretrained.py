"""The Object Detection API's model zoo: archives fetched over HTTP, checked, and unpacked into `pretrained/`.

A download that was cut goes on where it stopped. The zoo publishes no check sums, so the first download of an archive
is remembered beside it, and every later one must have the same.
"""

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from sealpin_edge.errors import EnvironmentFault, InputError, in_words
from sealpin_edge.files import new_folder, write_whole

from .progress import progress_bar

FOLDER = Path("pretrained")
# TensorFlow 2 Detection Model Zoo (tensorflow/models, research/object_detection/g3doc/tf2_detection_zoo.md): what
# http://download.tensorflow.org serves, from the bucket behind it, since that has no TLS of its own
ZOO = "https://storage.googleapis.com/download.tensorflow.org/models/object_detection/tf2/20200711"
NAMES = (
    "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8",
    "ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8",
    "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8",
    "ssd_resnet50_v1_fpn_1024x1024_coco17_tpu-8",
)
_CHUNK = 1 << 18
_TIMEOUT_S = 30
MAX_ARCHIVE_BYTES = 4 << 30


def is_here(name: str, *folders: Path) -> bool:
    """Whether a zoo's model was fetched, or lies here or in one of the `folders`."""
    return any((place / name / "checkpoint").is_dir() for place in (FOLDER, Path(), *folders))


def get(name: str, url: str = ZOO, sha256: str | None = None) -> Path:
    """Fetch and unpack the archive `name` of a zoo; returns its checkpoint's path for fine_tune_checkpoint.

    Raises InputError for a name that is not in the zoo, EnvironmentFault when the server does not give it, or it is not
    what it was (or what `sha256` says).
    """
    if name not in NAMES:
        raise InputError(
            "sealpin knows no such pretrained model",
            where=name,
            allowed=", ".join(NAMES),
            hint="sealpin pretrained list",
        )
    if urlparse(url).scheme not in {"http", "https"}:
        raise InputError("this is no web address", where="--url", found=url, allowed="http://... or https://...")
    target = FOLDER / name
    if not (target / "checkpoint").is_dir():
        FOLDER.mkdir(exist_ok=True)
        archive = FOLDER / f"{name}.tar.gz.part"
        _download(f"{url.rstrip('/')}/{name}.tar.gz", archive)
        remembered = FOLDER / f"{name}.sha256"
        found = _check(archive, remembered, sha256)
        _unpack(archive, target)
        write_whole(remembered, f"{found}\n".encode())
        archive.unlink()
    return target / "checkpoint" / "ckpt-0"


def _download(url: str, path: Path) -> None:
    """Fetch `url` into `path`, from the byte on that `path` ends at if the server can."""
    done = path.stat().st_size if path.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            if answer.status != HTTPStatus.PARTIAL_CONTENT:
                done = 0
            total = done + int(answer.headers.get("Content-Length", 0))
            with (
                open(path, "ab" if done else "wb") as file,
                progress_bar(total, "download", "B", done) as bar,
            ):
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    bar.update(len(chunk))
                    if done > MAX_ARCHIVE_BYTES:
                        raise EnvironmentFault("this is too large for a model of the zoo", where=url)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # it was whole already
            return
        raise EnvironmentFault("the server does not give it", where=url, found=f"{error.code} {error.reason}") from None
    except OSError as error:
        raise EnvironmentFault(
            "the download was cut off",
            where=url,
            found=in_words(error),
            advice="call it again: it goes on where it stopped",
        ) from None
    if total and done < total:
        raise EnvironmentFault(
            "the download was cut off",
            where=url,
            found=f"{done} of {total} bytes",
            advice="call it again: it goes on where it stopped",
        )


def _check(archive: Path, remembered: Path, sha256: str | None) -> str:
    """The archive's hash, if it is the one that it should be."""
    with open(archive, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    wanted = sha256 or (remembered.read_text().strip() if remembered.exists() else found)
    if found != wanted:
        archive.unlink()
        raise EnvironmentFault(
            "this is not the archive that it should be",
            where=str(archive),
            found=f"sha256 {found}",
            allowed=f"sha256 {wanted}",
            advice=f"fetch it again; if it stays so, somebody changed it ({remembered} has what the first one was)",
        )
    return found


def _unpack(archive: Path, target: Path) -> None:
    """The archive's one folder as `target`; links, and anything that would leave it, are refused.

    Not by tarfile's own filters, which Debian's Python 3.11.2 does not have.
    """
    try:
        with new_folder(target) as folder, tarfile.open(archive) as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not (member.isfile() or member.isdir()) or path.is_absolute() or ".." in path.parts:
                    raise tarfile.TarError(f"{member.name!r} is no file of this folder")
                tar.extract(member, folder, set_attrs=False)
            inner = folder / target.name
            if not (inner / "checkpoint" / "ckpt-0.index").is_file():
                raise tarfile.TarError(f"no {target.name}/checkpoint/ckpt-0.index in it")
            for item in inner.iterdir():
                shutil.move(item, folder / item.name)
            inner.rmdir()
    except (tarfile.TarError, EOFError, OSError) as error:
        archive.unlink(missing_ok=True)
        raise EnvironmentFault(
            "this is no archive of the zoo", where=str(archive), found=in_words(error), advice="fetch it again"
        ) from None
