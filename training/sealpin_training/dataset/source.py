"""A folder of photos and labels, opened: which format its labels have, and which labels each photo has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from sealpin_edge.errors import InputError, quote

from .aside import tell_asides
from .boxes import compare
from .faults import Fault
from .files import PHOTO_ENDINGS, find_files
from .formats import FORMATS
from .formats.foreign import tell_namesakes
from .labels import Given, LabelSource, RawLabels
from .whole import find as whole

PASSED_OVER = ("labels-not-read", "labels-aside", "file-passed-over", "file-unreadable")
SHOWN = 5


class Entry(NamedTuple):
    """A photo by its name below the folder, with all that is said of it and in which format; or labels without one."""

    photo: str | None
    labels: tuple[tuple[str, Given], ...]


@dataclass(frozen=True)
class Source:
    """A folder's photos in name order, then the label files that belong to none.

    `format` is the key in FORMATS of the one that labels most photos, `lists` the names that each format
    lists, `keypoints` how many numbers of key points follow each of YOLO's boxes.
    """

    root: Path
    format: str
    entries: Sequence[Entry]
    findings: Sequence[Fault]
    lists: Mapping[str, tuple[str, ...]]
    keypoints: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that the format lists."""
        return self.lists[self.format]

    def read(self, entry: Entry) -> RawLabels | None:
        """What the labels of a photo say; None for a photo without.

        Where several listings name the photo, the first one's boxes count. The others must say the same, and that they
        do or do not is a finding. A model's proposal is no listing.
        """
        said = sorted((self._read(*one) for one in entry.labels), key=lambda labels: labels.proposed)
        if not said:
            return None
        first, *others = said
        findings = list(first.findings)
        for other in others:
            if not other.proposed:
                findings += [*other.findings, compare(first, other, entry.photo or "")]
        return replace(first, findings=findings)

    def _read(self, form: str, given: Given) -> RawLabels:
        if isinstance(given, RawLabels):
            return given
        labels: RawLabels = FORMATS[form].read(self.root, given, self.lists[form], self.keypoints)
        return labels

    def opened(self) -> "Source":
        """What another process needs to read labels."""
        return replace(self, entries=(), findings=())


def open_source(root: Path, whole_good: str = "") -> Source:
    """Find the photos below `root` and their labels. The format that labels most photos goes before the others.

    Where photos are to have a class as a whole, `whole_good` is what good ones are called; boxes tell it, or else
    what `whole` finds. Raises InputError, which says what was looked for, when the folder has no photos or no labels.
    """
    files = find_files(root)
    if not files.photos:
        raise InputError(
            "no photos here",
            where=str(root),
            found=", ".join(f"{len(names)} {ending} files" for ending, names in sorted(files.labels.items()) if names),
            allowed="photos that end in " + ", ".join(PHOTO_ENDINGS),
            advice="name the folder that holds the photos and their labels",
        )
    tell_namesakes(files)
    of_whole = whole.find_whole(files, whole_good) if whole_good else {}
    given: list[LabelSource] = [labels for module in FORMATS.values() if (labels := module.find(files))]
    given.sort(key=lambda labels: len(labels.of_photo), reverse=True)
    labelled = {photo for labels in given for photo in labels.of_photo} | set(of_whole)
    tell_asides(files, [photo for photo in files.photos if photo not in labelled])
    if of_whole:
        boxed = any(labels.of_photo for labels in given)
        given = [*given, LabelSource(whole.FORMAT, of_whole)] if boxed else [LabelSource(whole.FORMAT, of_whole)]
    if not given:
        passed_over = [f"{one.file}: {one.found}" for one in files.findings if one.kind in PASSED_OVER]
        raise InputError(
            "no labels here",
            where=str(root),
            found="; ".join([f"{len(files.photos)} photos", *passed_over[:SHOWN]]),
            allowed="; ".join([whole.LOOKS_LIKE] * bool(whole_good) + [one.LOOKS_LIKE for one in FORMATS.values()]),
            hint=f"sealpin label {quote(root)}",
        )
    chosen, *others = given
    findings = [
        Fault(".", "labels-other-format", f"{other.format} beside {chosen.format}, which labels most photos")
        for other in others
    ]
    read = [chosen, *(_without_strangers(root, other) for other in others)]
    findings = [*files.findings, *findings, *(finding for labels in read for finding in labels.findings)]
    entries = [
        Entry(photo, tuple((labels.format, one) for labels in read for one in labels.of_photo.get(photo, ())))
        for photo in files.photos
    ]
    entries += [Entry(None, ((labels.format, file),)) for labels in read for file in labels.orphans]
    lists = {labels.format: labels.classes for labels in read}
    keypoints = max(labels.keypoints for labels in read)
    return Source(root.absolute(), chosen.format, entries, findings, lists, keypoints)


def _without_strangers(root: Path, labels: LabelSource) -> LabelSource:
    """A second format's labels. Where they are of no photo here, a file without an object may be anything."""
    if labels.of_photo or not labels.orphans:
        return labels
    read = FORMATS[labels.format].read
    orphans = [name for name in labels.orphans if read(root, name, labels.classes, labels.keypoints).objects]
    return replace(labels, orphans=orphans)
