"""A folder of photos and labels, opened: which format its labels have, and which labels each photo has."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from sealpin_edge.errors import InputError, quote

from .files import PHOTO_ENDINGS, find_files
from .findings import Finding
from .formats import FORMATS
from .labels import LabelSource, RawLabels

SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip


class Entry(NamedTuple):
    """A photo by its name below the folder, with the file of its labels or what one says of it; None for neither."""

    photo: str | None
    labels: str | RawLabels | None


@dataclass(frozen=True)
class Source:
    """A folder's photos in name order, then the label files that belong to none.

    `format` is a key of FORMATS, `classes` the names that the format lists.
    """

    root: Path
    format: str
    entries: Sequence[Entry]
    findings: Sequence[Finding]
    classes: tuple[str, ...]

    def read(self, entry: Entry) -> RawLabels | None:
        """What the labels of a photo say; None for a photo without."""
        if isinstance(entry.labels, str):
            labels: RawLabels = FORMATS[self.format].read(self.root, entry.labels, self.classes)
            return labels
        return entry.labels

    def opened(self) -> "Source":
        """What another process needs to read labels."""
        return replace(self, entries=(), findings=())


def open_source(root: Path) -> Source:
    """Find the photos below `root` and their labels; the format that labels most photos is read.

    Raises InputError, which says what was looked for, when the folder has no photos or no labels.
    """
    files = find_files(root)
    if not files.photos:
        raise InputError(
            "no photos here",
            where=str(root),
            found=", ".join(f"{len(names)} {ending} files" for ending, names in sorted(files.labels.items()) if names),
            allowed="photos that end in " + ", ".join(PHOTO_ENDINGS),
            hint="name the folder that holds the photos and their labels",
        )
    given = [labels for module in FORMATS.values() if (labels := module.find(files))]
    chosen: LabelSource | None = max(given, key=lambda labels: len(labels.of_photo), default=None)
    if chosen is None:
        raise InputError(
            "no labels here",
            where=str(root),
            found=f"{len(files.photos)} photos",
            allowed="; ".join(module.LOOKS_LIKE for module in FORMATS.values()),
            hint=f"sealpin label {quote(root)}",
        )
    findings = [*files.findings, *chosen.findings]
    findings += [
        Finding(".", "labels-other-format", f"{other.format} beside {chosen.format}, which labels more photos")
        for other in given
        if other is not chosen
    ]
    entries = [Entry(photo, chosen.of_photo.get(photo)) for photo in files.photos]
    entries += [Entry(None, file) for file in chosen.orphans]
    return Source(root.absolute(), chosen.format, entries, findings, chosen.classes)


def split_by_folder(names: Sequence[str]) -> dict[str, str]:
    """The split of each photo that lies below a folder called train, val (valid) or test."""
    found = {}
    for name in names:
        for part in os.path.dirname(name).lower().split("/"):
            if part in SPLIT_NAMES:
                found[name] = SPLIT_NAMES[part]
                break
    return found
