"""What a photo's labels are: unchecked as a file gives them, and checked.

What there is one of for each photo or box is a NamedTuple: it travels between processes twice as fast as a dataclass.
"""

import marshal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sealpin_edge.tasks.finding import Edges

from .faults import Fault

MAX_SIDE_DIGITS = 8


class Box(NamedTuple):
    """One labelled box: its category and its edges in pixels of the photo as stored.

    Edges, not pixel numbers: 0 <= xmin < xmax <= width, as the Object Detection API's own scripts read labelImg's XML.
    """

    category: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False
    truncated: bool = False

    @property
    def edges(self) -> Edges:
        """The same without the category."""
        return Edges(self.xmin, self.ymin, self.xmax, self.ymax)


class RawObject(NamedTuple):
    """One object as the label file has it: any text as its name, any numbers as edges. `number` counts from 1."""

    number: int
    name: str
    edges: Edges
    difficult: bool = False
    truncated: bool = False


@dataclass(slots=True)
class RawLabels:
    """What a label file says of one photo, unchecked; None where it says nothing.

    `category` is the class of the photo as a whole, "" where only objects are told. `file` is its name below the
    folder. `relative`: edges are shares of the photo's size, not pixels. `proposed`: by a
    model, and no person has confirmed them.
    """

    file: str
    objects: list[RawObject] = field(default_factory=list)
    findings: list[Fault] = field(default_factory=list)
    filename: str | None = None
    path: str | None = None
    size: tuple[int, int] | None = None
    depth: int | None = None
    relative: bool = False
    proposed: bool = False
    category: str = ""

    @property
    def tells_of_objects(self) -> bool:
        """Are there objects, or may there be: one that could not be read, a broken file? Then this is no good part."""
        return bool(self.objects) or any(fault.number or fault.severity == "error" for fault in self.findings)


def whole_number(given: object) -> int | None:
    """A side of a photo in pixels, or its depth, as a file gives it: text or a number. None when it is none.

    Whole, not negative, and of MAX_SIDE_DIGITS digits at most: any number may come from outside.
    """
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    text = str(given) if isinstance(given, int) and abs(given) < 10**MAX_SIDE_DIGITS else given
    if not isinstance(text, str) or not text.isdecimal() or len(text) > MAX_SIDE_DIGITS:
        return None
    return int(text)


def real_number(given: object) -> float:
    """A number as a label file gives it. Raises ValueError, TypeError or OverflowError when it is none.

    Python takes 1_0 for ten, which no program writes for it.
    """
    if isinstance(given, str) and "_" in given:
        raise ValueError(given)
    return float(given)  # type: ignore[arg-type]


Given = str | RawLabels
"""What a format has for a photo: the name of a label file to read, or what one file says of it."""


class LabelledPhoto(NamedTuple):
    """One checked photo. `name` is its path below the source folder, with forward slashes; `encoding` jpeg or png.

    `category` is the class of the photo as a whole, where it has one.
    """

    name: str
    sha256: str
    width: int
    height: int
    encoding: str
    packed: bytes
    category: str = ""

    @classmethod
    def of(
        cls, name: str, sha256: str, size: tuple[int, int], encoding: str, boxes: Iterable[Box], category: str = ""
    ) -> "LabelledPhoto":
        """A photo of (width, height) with these boxes, which are packed: there may be many photos in memory."""
        return cls(name, sha256, *size, encoding, marshal.dumps([tuple(box) for box in boxes]), category)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Its boxes."""
        return tuple(map(Box._make, marshal.loads(self.packed)))  # noqa: S302  of our own making, moments ago


@dataclass(frozen=True)
class LabelSource:
    """The labels of a folder in one format: for each photo that has some, all that is said of it, in order of files.

    `orphans` are label files that belong to no photo. `classes` are the names that the format itself lists, in its
    order; empty where it lists none. `keypoints`: how many numbers of key points follow each box.
    """

    format: str
    of_photo: Mapping[str, Sequence[Given]]
    findings: Sequence[Fault] = ()
    orphans: Sequence[str] = ()
    classes: tuple[str, ...] = ()
    keypoints: int = 0
