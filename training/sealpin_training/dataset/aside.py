"""Files that nothing reads, and that may hold labels all the same: a person must say what they are."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .faults import Fault
from .files import LABEL_ENDINGS, PHOTO_ENDINGS, Files, namesake

# Tables and arrays of other programs, whose content cannot be searched for names
DATA = (
    ".xlsx", ".xls", ".ods", ".parquet", ".feather", ".db", ".sqlite", ".sqlite3", ".mdb", ".npy", ".npz", ".pkl",
    ".mat", ".h5", ".hdf5", ".tfrecord", ".record",
)  # fmt: skip
# They name photos without being about what is on them
PROSE = (".md", ".rst", ".html", ".htm", ".pdf", ".log", ".py", ".ipynb", ".sh", ".ini")
ARCHIVE_HEADS = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
MOST_BYTES = 16 << 20
_ENDINGS = "|".join(ending[1:] for ending in PHOTO_ENDINGS)
_WORD = re.compile(r"[^\s/\\\"'`,;|<>()\[\]{}=:]+")
_ENDING = re.compile(rf"\.(?:{_ENDINGS})(?![a-z0-9])", re.IGNORECASE)


def tell_asides(files: Files, unlabelled: Sequence[str]) -> None:
    """Find files that are called like the labels of one of these photos, name one, or are tables that may.

    What has been told to be no labels is among them: a list of photos says something of each.
    """
    stems = {namesake(photo) for photo in unlabelled}
    # A name with a blank is known by its last word, as in a text
    names = {namesake(list(_photo_names(photo))[-1]) for photo in unlabelled}
    told = {one.file for one in files.findings if one.kind != "file-passed-over"} - set(_hidden(files))
    unread = [name for ending in (".yaml", ".yml") for name in files.labels.get(ending, ())]
    noted = [one.file for one in files.findings if one.kind == "file-passed-over" and "a copy of" not in one.found]
    for name in sorted({*files.others, *unread, *noted} - told):
        last = name.rpartition("/")[2]
        if last.startswith("._"):  # macOS's notes on another file
            continue
        if why := _called(last, stems) or _names_a_photo(files.root / name, names):
            files.findings.append(Fault(name, "labels-aside", why))


def is_archive(path: Path) -> bool:
    """Whether a file, whatever it is called, begins as zip, gzip, bzip2, xz, zstd, 7z, rar or tar files do."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError:
        return False
    return head.startswith(ARCHIVE_HEADS) or head[257:262] == b"ustar"


def _hidden(files: Files) -> list[str]:
    return [one.file for one in files.findings if one.kind == "file-hidden"]


def _called(name: str, stems: set[str]) -> str:
    """Why a file may be labels by its name alone; "" when it is not."""
    if name.lower().endswith(DATA):
        return "a table or arrays of another program"
    first, *inner = name.lstrip(".").split(".")
    while inner:
        if namesake(f"{first}.") in stems and f".{inner[0].lower()}" in LABEL_ENDINGS:
            return f"called like the labels of {first}"
        first = f"{first}.{inner.pop(0)}"
    return ""


def _names_a_photo(path: Path, names: set[str]) -> str:
    """Which photo of the folder a file's text names; "" when none."""
    if path.name.lower().endswith(PROSE) or not path.is_file():
        return ""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES)
    except OSError:
        return ""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    text = data.decode(encoding, errors="replace").replace("\0", "")
    found = next((word for word in _photo_names(text) if namesake(word) in names), "")
    return f"it names {found}" if found else ""


def _photo_names(text: str) -> Iterator[str]:
    """The names of photos in a text, each up to its ending. Word by word: one expression for all is quadratic."""
    for word in _WORD.finditer(text):
        if ends := [ending.end() for ending in _ENDING.finditer(word[0])]:
            yield word[0][: ends[-1]]
