"""YOLO's text files: a line for each object, all numbers shares of the photo. One of these is its box:

    class x y width height                     centre and size
    class x1 y1 x2 y2 x3 y3 ...                an outline, or the corners of a turned box: the box around it
    class x y width height  key points         where data.yaml has kpt_shape, and then nothing else

Format: Ultralytics' overviews of datasets for detection, segmentation, oriented boxes and pose. Class names stand in
data.yaml (`names`), in classes.txt, as labelImg writes them, or in darknet's obj.names. A model's own output has its
confidence and a track's number on the line: no label, and never taken for an outline.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sealpin_edge.errors import InputError
from sealpin_edge.files import read_text
from sealpin_edge.tasks.finding import Edges

from ..faults import Fault
from ..files import Files, match, read_whole
from ..labels import LabelSource, RawLabels, RawObject, real_number
from .data_yaml import read_data_yaml
from .foreign import looks_like_labels, pass_over

LOOKS_LIKE = "YOLO text files with classes.txt or data.yaml"
MAX_BYTES = 4 << 20
ROUNDING = 1e-6  # what a division in float32 may be over 1 or under 0; nothing else is
NAME_FILES = ("classes.txt", "labels.txt")

HEAD_LETTERS = 4096
NUMBERS = "a line of numbers, or other labels, that are none of YOLO's: export VOC or COCO"

_LINE = re.compile(r"\s*\d+(\s+[-+.\deE]+){4,}\s*$")


def find(files: Files) -> LabelSource | None:
    """The text files that look like YOLO's, each with its photo; None where there are none."""
    texts = [name for name in files.labels.get(".txt", ()) if not _is_list(files, name)]
    if not texts:
        return None
    labels, orphans = match(texts, files.photos)
    lost = [name for name in orphans if _is_yolo(files.root / name)]
    read = any(isinstance(name, RawLabels) or _is_yolo(files.root / name) for name in labels.values())
    for name in orphans:
        if name not in lost and looks_like_labels(files.root / name):
            pass_over(files, name, NUMBERS)
    if not read:
        for name in map(str, labels.values()):
            reason = NUMBERS if looks_like_labels(files.root / name) else None
            pass_over(files, name, reason, "the first line is none of YOLO's")
        told = [name for name in lost if _first_lines(files.root / name, "utf-8-sig")]
        return LabelSource("yolo", {}, orphans=told) if told else None
    findings: list[Fault] = []
    lists, keypoints = _listings(files)
    classes = _one_list(files.root, lists)
    if not lists:
        findings.append(Fault(".", "classes-unnamed", "no data.yaml with names, no classes.txt"))
    of_photo = {photo: (given,) for photo, given in labels.items()}
    return LabelSource("yolo", of_photo, findings, lost, classes, keypoints)


def read(root: Path, file: str, classes: Sequence[str] = (), keypoints: int = 0) -> RawLabels:
    """What one text file says; a class without a name is called by its number.

    `keypoints` is how many numbers of key points follow the box on each line.
    """
    labels = RawLabels(file, relative=True)
    try:
        data = read_whole(os.path.join(root, file), MAX_BYTES)
    except PermissionError:
        labels.findings.append(Fault(file, "file-unreadable", "no permission"))
        return labels
    if isinstance(data, int):
        labels.findings.append(Fault(file, "labels-too-large", f"{data} bytes"))
        return labels
    text = data.decode("utf-8-sig", errors="replace")
    allowed = "class x y width height, or class and an outline's points, in numbers from 0 to 1"
    if keypoints:
        allowed = f"class x y width height, 0..1, and {keypoints} numbers of key points, as kpt_shape says"
    for number, line in enumerate((line for line in text.splitlines() if line.strip()), start=1):
        fields = line.split()
        edges = _edges(fields[1:], keypoints)
        if edges is None or not (fields[0].isdecimal() and len(fields[0]) < 9):
            labels.findings.append(Fault(file, "line-unreadable", line[:80], number, allowed))
            continue
        index = int(fields[0])
        name = classes[index] if index < len(classes) else str(index)
        if name.strip():
            labels.objects.append(RawObject(number, name, edges))
        else:
            labels.findings.append(Fault(file, "class-missing", f"class {index} is a blank line of the list", number))
    return labels


def _edges(fields: Sequence[str], keypoints: int) -> Edges | None:
    """The box of what follows the class on a line, as shares of the photo; None when that is no label."""
    try:
        numbers = [real_number(field) for field in fields]
    except ValueError:
        return None
    count = len(numbers)
    if not all(-ROUNDING <= number <= 1 + ROUNDING for number in (numbers[:4] if keypoints else numbers)):
        return None
    if count == 4 + keypoints:
        x, y, width, height = numbers[:4]
        return Edges(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    # Six numbers with a whole one at the end are a box, a confidence and a track's number
    if keypoints or count < 6 or count % 2 or (count == 6 and fields[-1].isdecimal()):
        return None
    return Edges(min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2]))


def _is_yolo(path: Path) -> bool:
    """Is the first line one of YOLO's? An empty file is a good part's."""
    lines = _first_lines(path, "utf-8-sig")
    return lines is not None and (not lines or bool(_LINE.match(lines[0])))


def _first_lines(path: Path, encoding: str) -> list[str] | None:
    """The first lines that are not blank; none where all are, None where the file cannot be read."""
    try:
        with open(path, encoding=encoding, errors="replace") as file:
            return [line for line in file.read(HEAD_LETTERS).splitlines() if line.strip()]
    except (OSError, UnicodeError):
        return None


def _is_list(files: Files, name: str) -> bool:
    """Is it a list of class names, a name a line?"""
    return PurePosixPath(name).name in NAME_FILES and not looks_like_labels(files.root / name)


def _listings(files: Files) -> tuple[dict[str, tuple[str, ...]], int]:
    """The lists of class names by their file, and how many numbers of key points a line has.

    Raises InputError when a list cannot be read.
    """
    lists: dict[str, tuple[str, ...]] = {}
    shapes: dict[str, int] = {}
    for name in (*files.labels.get(".yaml", ()), *files.labels.get(".yml", ())):
        found = read_data_yaml(files.root / name)
        if found.names is not None:
            lists[name] = found.names
        if found.names is not None or found.keypoints:
            shapes[name] = found.keypoints or 0
    for name in (*files.labels.get(".txt", ()), *files.labels.get(".names", ())):
        if name.endswith(".names") or _is_list(files, name):
            lists[name] = tuple(line.strip() for line in read_text(files.root / name).rstrip().splitlines())
    if len(set(shapes.values())) > 1:
        raise InputError(
            "these files number the key points differently",
            where=str(files.root),
            found="; ".join(f"{name}: {count or 'none'}" for name, count in shapes.items()),
            allowed="one kpt_shape for all labels",
            advice="convert each folder by itself",
        )
    return lists, max(shapes.values(), default=0)


def _one_list(root: Path, lists: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The longest list. Raises InputError when one names a class twice, or another numbers the classes differently."""
    for file, names in lists.items():
        if twice := [name for name, count in Counter(names).items() if name and count > 1]:
            raise InputError(
                "this list of classes has a name twice",
                where=f"{root}/{file}",
                found=", ".join(twice),
                allowed="each name once",
                advice="give each number a name of its own; convert --merge folds classes",
            )
    longest = max(lists.values(), key=len, default=())
    if any(names != longest[: len(names)] for names in lists.values()):
        raise InputError(
            "these files number the classes differently",
            where=str(root),
            found="; ".join(f"{name}: {', '.join(names)}" for name, names in lists.items()),
            allowed="one list for all labels",
            advice="remove all but the right one, or convert each folder by itself",
        )
    return longest
