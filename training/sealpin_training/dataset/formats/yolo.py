"""YOLO's text files: a line for each box, `class x y width height`, centre and size as shares of the photo.

Format: Ultralytics' "Detection Datasets Overview". Class names stand in data.yaml (`names`), in classes.txt, as
labelImg writes them, or in darknet's obj.names. A line with more numbers is an outline: its bounding box is taken.
"""

import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

import yaml

from sealpin_edge.errors import InputError

from ..files import Files, match, read_whole
from ..findings import Finding
from ..labels import LabelSource, RawLabels, RawObject
from .foreign import pass_over

LOOKS_LIKE = "YOLO text files with classes.txt or data.yaml"
MAX_BYTES = 4 << 20
MAX_CLASSES = 10_000
NAME_FILES = ("classes.txt", "labels.txt")

_LINE = re.compile(r"\s*\d+(\s+[-+.\deE]+){4,}\s*$")


def find(files: Files) -> LabelSource | None:
    """The text files that look like YOLO's, each with its photo; None where there are none."""
    texts = [name for name in files.labels.get(".txt", ()) if PurePosixPath(name).name not in NAME_FILES]
    if not texts:
        return None
    labels, findings, orphans = match(texts, files.photos)
    lost = [name for name in orphans if _is_yolo(files.root / name)]
    if not any(isinstance(name, RawLabels) or _is_yolo(files.root / name) for name in labels.values()):
        for name in labels.values():
            pass_over(files, str(name), None, "the first line is none of YOLO's")
        return None
    of_photo = {photo: (given,) for photo, given in labels.items()}
    return LabelSource("yolo", of_photo, findings, lost, _class_names(files))


def read(root: Path, file: str, classes: Sequence[str] = ()) -> RawLabels:
    """What one text file says; a class without a name is called by its number."""
    labels = RawLabels(file, relative=True)
    try:
        data = read_whole(os.path.join(root, file), MAX_BYTES)
    except PermissionError:
        labels.findings.append(Finding(file, "file-unreadable", "no permission"))
        return labels
    if isinstance(data, int):
        labels.findings.append(Finding(file, "labels-too-large", f"{data} bytes"))
        return labels
    text = data.decode("utf-8-sig", errors="replace")
    for number, line in enumerate((line for line in text.splitlines() if line.strip()), start=1):
        fields = line.split()
        try:
            index, numbers = int(fields[0]), [float(field) for field in fields[1:]]
            if len(numbers) < 4 or (len(numbers) > 4 and len(numbers) % 2):
                raise ValueError
        except ValueError:
            labels.findings.append(
                Finding(file, "line-unreadable", line[:80], number, "class x y width height, the last four 0..1")
            )
            continue
        name = classes[index] if 0 <= index < len(classes) else str(index)
        labels.objects.append(RawObject(number, name, _edges(numbers)))
    return labels


def _edges(numbers: list[float]) -> tuple[float, float, float, float]:
    if len(numbers) == 4:
        x, y, width, height = numbers
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def _is_yolo(path: Path) -> bool:
    """Is the first line one of YOLO's? An empty file is a good part's."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            lines = list(islice((line for line in file if line.strip()), 1))
    except OSError:
        return False
    return not lines or bool(_LINE.match(lines[0]))


def _class_names(files: Files) -> tuple[str, ...]:
    """The one list of names. Raises InputError when several files number the classes differently."""
    lists: dict[str, tuple[str, ...]] = {}
    for name in (*files.labels.get(".yaml", ()), *files.labels.get(".yml", ())):
        try:
            names = yaml.safe_load((files.root / name).read_text(encoding="utf-8"))["names"]
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            continue
        if isinstance(names, dict) and all(isinstance(key, int) and 0 <= key < MAX_CLASSES for key in names):
            lists[name] = tuple(str(names.get(index, index)) for index in range(max(names, default=-1) + 1))
        elif isinstance(names, list):
            lists[name] = tuple(map(str, names))
    for name in (*files.labels.get(".txt", ()), *files.labels.get(".names", ())):
        if PurePosixPath(name).name in NAME_FILES or name.endswith(".names"):
            text = (files.root / name).read_text(encoding="utf-8-sig", errors="replace")
            lists[name] = tuple(line.strip() for line in text.rstrip().splitlines())
    longest = max(lists.values(), key=len, default=())
    if any(names != longest[: len(names)] for names in lists.values()):
        raise InputError(
            "these files number the classes differently",
            where=str(files.root),
            found="; ".join(f"{name}: {', '.join(names)}" for name, names in lists.items()),
            allowed="one list for all labels",
            hint="remove all but the right one, or convert each folder by itself",
        )
    return longest
