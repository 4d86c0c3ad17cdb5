"""What lies in a folder: photos and everything that may be labels, in name order, and which belongs to which."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from sealpin_edge.errors import InputError

from .faults import Fault
from .labels import RawLabels

PHOTO_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic")
TABLES, DOCUMENTS = (".csv", ".tsv"), (".json", ".jsonl", ".ndjson")
LABEL_ENDINGS = (".xml", ".txt", *DOCUMENTS, *TABLES, ".yaml", ".yml", ".names")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
COVERED = (".xml", ".txt", ".json", ".csv")  # below another ending: a.xml.gz, or what Windows hides: a.xml.txt


@dataclass
class Files:
    """The files below `root`: names with forward slashes, sorted; labels by their ending in lower case.

    `others` are neither, by their endings; hidden labels are among them, and folders that are called like a label file.
    """

    root: Path
    photos: list[str] = field(default_factory=list)
    labels: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    findings: list[Fault] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def find_files(root: Path) -> Files:
    """Walk a folder. Links are followed to files in the folder only; hidden files are not read.

    Raises InputError when there is no such folder.
    """
    if not root.is_dir():
        raise InputError("no such folder", where=str(root), allowed="a folder with photos and their labels")
    files = Files(root)
    inside = root.resolve()
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except PermissionError:
            files.findings.append(Fault(folder, "file-unreadable", "a folder"))
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            ending = os.path.splitext(entry.name)[1].lower()
            known = ending in PHOTO_ENDINGS or ending in LABEL_ENDINGS
            if entry.is_symlink() and (fault := _link_fault(entry, name, inside, known)):
                files.findings += fault
            elif entry.is_dir():
                if not entry.name.startswith("."):
                    folders.append(name)
                elif inner := _labels_within(entry.path):
                    files.findings.append(Fault(name, "labels-aside", f"a hidden folder with {inner}"))
                if ending in LABEL_ENDINGS:
                    files.others.append(name)
            elif entry.name.startswith("."):
                files.findings += [Fault(name, "file-hidden", entry.name)] if known else []
                files.others.append(name)
            elif known and not entry.is_file():
                files.findings.append(Fault(name, "file-special", "a pipe, socket or device"))
            elif ending in PHOTO_ENDINGS:
                files.photos.append(name)
            elif (ending == ".txt" or not known) and _inner_ending(entry.name) in COVERED:
                files.findings.append(_covered(root, name, ending))
            elif known:
                files.labels[ending].append(name)
            elif entry.is_file():
                files.others.append(name)
                if ending in ARCHIVES:
                    files.findings.append(Fault(name, "labels-aside", "an archive"))
    files.photos.sort()
    files.others.sort()
    for names in files.labels.values():
        names.sort()
    _check_names(files)
    return files


def match(labels: Iterable[str], photos: Sequence[str]) -> tuple[dict[str, str | RawLabels], list[str]]:
    """Which label file belongs to which photo, by name without ending: beside it, else the nearest in the folder.

    Returns the label file of each photo that has one, or where it is in dispute RawLabels that say so; and the label
    files that belong to no photo.
    """
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in labels:
        by_stem[namesake(name)].append(name)
    stems = {namesake(photo) for photo in photos} if any("%" in stem for stem in by_stem) else set()
    for stem in [stem for stem in by_stem if stem not in stems]:
        plain = _composed(_decoded(stem)).casefold()
        if plain in stems and plain not in by_stem:
            by_stem[plain] = by_stem.pop(stem)
    matched: dict[str, str | RawLabels] = {}
    claims: dict[str, list[str]] = {}
    called: dict[str, list[str]] = defaultdict(list)
    for photo in photos:
        candidates = by_stem.get(namesake(photo))
        if not candidates:
            continue
        called[namesake(photo)].append(photo)
        nearest = candidates
        if len(candidates) > 1:
            distances = [_distance(photo, name) for name in candidates]
            nearest = [name for name, far in zip(candidates, distances, strict=True) if far == min(distances)]
        matched[photo] = nearest[0] if len(nearest) == 1 else _dispute(photo, "labels-several", nearest)
        for name in nearest:
            claims.setdefault(name, []).append(photo)
    for name, photos_of_it in claims.items():
        if len(photos_of_it) > 1:  # the nearest photo has it; photos elsewhere may have none, of the same name
            distances = [_distance(photo, name) for photo in photos_of_it]
            owners = [photo for photo, far in zip(photos_of_it, distances, strict=True) if far == min(distances)]
            for photo in photos_of_it:
                if photo not in owners:
                    if matched[photo] == name:
                        del matched[photo]
                elif len(owners) > 1:
                    matched[photo] = _dispute(photo, "photos-several", [name, *owners])
    # A label file that is nobody's nearest says something of a photo of its name all the same
    for stem, namesakes in called.items():
        for name in [name for name in by_stem[stem] if name not in claims]:
            distances = [_distance(photo, name) for photo in namesakes]
            for photo, far in zip(namesakes, distances, strict=True):
                if far == min(distances):
                    own = [other for other in by_stem[stem] if photo in claims.get(other, ())]
                    matched[photo] = _dispute(photo, "labels-several", [*own, name])
                    claims.setdefault(name, []).append(photo)
    folders = {photo.rpartition("/")[0] for photo in photos}
    for photo, given in matched.items():
        # Among other photos they may be those of one that is gone
        if isinstance(given, str) and photo.rpartition("/")[0] != given.rpartition("/")[0] in folders:
            matched[photo] = _dispute(photo, "labels-astray", [given])
    return matched, [name for names in by_stem.values() for name in names if name not in claims]


def read_whole(path: str, most: int) -> bytes | int:
    """A file's bytes; its size alone when that is over `most`. Unbuffered, for speed. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        return size if size > most else file.read()


def read_label_text(files: Files, name: str, most: int) -> str | None:
    """A label file's text, be it UTF-8 or the UTF-16 of Excel and Windows. None where it cannot be read: a finding.

    Bytes that are not of the encoding are kept as surrogates: `undecoded` tells them.
    """
    try:
        data = read_whole(os.path.join(files.root, name), most)
    except OSError:
        files.findings.append(Fault(name, "file-unreadable", "no permission"))
        return None
    if isinstance(data, int):
        files.findings.append(Fault(name, "labels-not-read", f"{data} bytes", allowed=f"up to {most} bytes"))
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif data[:2].count(0) == 1:  # the first letter of a JSON or CSV file is ASCII
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    else:
        return data.decode("utf-8-sig", errors="surrogateescape")
    return data[: len(data) // 2 * 2].decode(encoding, errors="surrogatepass")


def undecoded(text: str) -> str:
    """Where in a text from `read_label_text` is a byte that its encoding does not know; empty when there is none."""
    wrong = None if text.isascii() else re.search("[\ud800-\udfff]", text)
    return f"line {text.count(chr(10), 0, wrong.start()) + 1} is neither UTF-8 nor UTF-16" if wrong else ""


class PhotoNames:
    """Finds the photo that a label file names by a path or a bare name, as written on any system.

    A name with percent signs, as web programs write blanks (`a%20b.jpg`), is decoded when no photo is called so, and
    `A.JPG` is `a.jpg` when there is no other. Folders that are here are meant: `good/a.jpg` is never `bad/a.jpg`.
    """

    def __init__(self, photos: Iterable[str]) -> None:
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._folders: set[tuple[str, ...]] = set()
        for photo in photos:
            *folders, name = _composed(photo).split("/")
            self._by_name[name.casefold()].append(photo)
            self._folders |= {tuple(folders[start:]) for start in range(len(folders))}

    def find(self, name: str, beside: str) -> str | None:
        """The photo called `name` in a label file `beside`; None when there is none, or no telling which."""
        name = name.replace("\\", "/")
        candidates = self._called(name)
        if not candidates and "%" in name:
            name = "/".join(map(_decoded, name.split("/")))
            candidates = self._called(name)
        words = set(re.split(r"[\W_]+", PurePosixPath(beside).stem))  # instances_train.json is about train/1.jpg

        def far(photo: str) -> tuple[float, bool, bool]:
            where = _distance(photo, f"{PurePosixPath(beside).parent}/{name}")
            *folders, last = photo.split("/")
            return where, _composed(last) != _composed(name.rsplit("/", 1)[-1]), not words & set(folders)

        ranked = sorted((far(photo), photo) for photo in candidates)
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            return None
        return ranked[0][1]

    def _called(self, name: str) -> list[str]:
        """The photos that may be meant: of that name, and in the folders of that name as far as there are such."""
        *folders, last = _composed(name).split("/")
        known = next((tail for start in range(len(folders)) if (tail := tuple(folders[start:])) in self._folders), ())
        return [
            photo
            for photo in self._by_name.get(last.casefold(), [])
            if not known or tuple(_composed(photo).split("/")[-1 - len(known) : -1]) == known
        ]


def namesake(name: str) -> str:
    """What a photo and the labels of its own have in common: the name without folders and ending, in one spelling."""
    start, end = name.rfind("/") + 1, name.rfind(".")
    return _composed(name[start : end if end > start else None]).casefold()


def _inner_ending(name: str) -> str:
    return os.path.splitext(os.path.splitext(name)[0])[1].lower()


def _labels_within(folder: str) -> str:
    """The first file below a hidden folder that may be labels; "" when there is none."""
    names = (name for _, _, names in os.walk(folder) for name in names)
    return next((name for name in names if os.path.splitext(name)[1].lower() in LABEL_ENDINGS), "")


def _covered(root: Path, name: str, ending: str) -> Fault:
    """Labels under another ending. A copy beside the labels themselves, as editors make, tells nothing new."""
    if (root / name[: -len(ending)]).is_file():
        return Fault(name, "file-passed-over", "a copy of labels that are here")
    return Fault(name, "labels-not-read", f"labels under the ending {ending}: give the file its own")


def _dispute(photo: str, kind: str, names: Iterable[str]) -> RawLabels:
    return RawLabels(photo, findings=[Fault(photo, kind, ", ".join(names))])


def _link_fault(entry: "os.DirEntry[str]", name: str, inside: Path, known: bool) -> list[Fault]:
    """What is wrong with a link; nothing when it is a file of the folder. Links of no interest are passed over."""
    try:
        target = Path(entry.path).resolve()
    except (OSError, RuntimeError):  # a link to itself
        return [Fault(name, "link-broken", os.readlink(entry.path))]
    if not target.exists():
        return [Fault(name, "link-broken", os.readlink(entry.path))]
    if not target.is_relative_to(inside):
        return [Fault(name, "link-outside", str(target))] if known or target.is_dir() else []
    return [Fault(name, "link-folder", str(target))] if target.is_dir() else []


def _check_names(files: Files) -> None:
    def folded(name: str) -> str:
        return _composed(name).casefold()

    for one, other in pairwise(sorted(files.photos, key=folded)):
        if folded(one) == folded(other):
            files.findings.append(Fault(other, "name-clash", one))
    for photo in files.photos:
        if not photo.isascii() and photo != photo.encode(errors="replace").decode():
            files.findings.append(Fault(photo, "name-not-utf8", repr(photo)))
        elif photo != _composed(photo):
            files.findings.append(Fault(photo, "name-not-nfc", ascii(photo)))


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _decoded(name: str) -> str:
    """`a%20b` as `a b`; as it is where that would be no plain name but a path or control characters."""
    try:
        plain = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    return plain if plain.isprintable() and not set(plain) & {"/", "\\"} else name


def _distance(one: str, other: str) -> float:
    """How many folders differ between two names, and a half when the last part differs by case."""
    (*folders, last), (*others, end) = one.split("/"), other.split("/")
    stems = [os.path.splitext(part)[0] for part in (last, end)]
    return len(set(folders) ^ set(others)) + (0.5 if _composed(stems[0]) != _composed(stems[1]) else 0.0)
