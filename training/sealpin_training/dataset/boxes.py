"""Are a photo's boxes possible? Each object against the photo, and against the others."""

import os
import unicodedata
from math import isfinite

from sealpin_edge.tasks.finding import Edges, overlap

from .faults import Fault
from .labels import Box, RawLabels, RawObject

ROUNDING_PX = 1.0
SLIVER_PX = 2.0
WHOLE_PHOTO = 0.99
NEARLY_SAME = 0.9
SAME_BOX_PX = 1.5


def check_boxes(labels: RawLabels, width: int, height: int) -> tuple[tuple[Box, ...], list[Fault]]:
    """The boxes in order, clipped to `width` x `height` pixels where they are off by rounding, and every fault.

    A box with an error is left out of the first. Without a size (0), outside is not judged.
    """
    boxes: list[Box] = []
    findings: list[Fault] = []
    for item in labels.objects:
        edges = _in_pixels(item.edges, labels.relative, width, height)
        findings += (faults := _check_box(labels.file, item, edges, width, height))
        if not any(fault.severity == "error" for fault in faults):
            box = Box(item.name, *clip(edges, width, height), item.difficult, item.truncated)
            findings += _check_against(labels.file, item.number, box, boxes)
            boxes.append(box)
    return tuple(boxes), findings


def clip(edges: Edges, width: int, height: int) -> Edges:
    """The edges within a photo; as they are where its size is 0."""
    if not width or not height:
        return edges
    xmin, ymin, xmax, ymax = edges
    return Edges(max(0.0, xmin), max(0.0, ymin), min(float(width), xmax), min(float(height), ymax))


def check_size(labels: RawLabels, width: int, height: int, turned: bool) -> list[Fault]:
    """The size in the labels against the photo's, as stored. `turned`: a tag asks to turn it by a quarter."""
    if labels.size is None or labels.size == (width, height) or (turned and labels.size == (height, width)):
        return []
    kind = "size-swapped" if labels.size == (height, width) else "size-differs"
    return [Fault(labels.file, kind, f"{labels.size[0]}x{labels.size[1]}", allowed=f"{width}x{height}")]


def compare(first: RawLabels, other: RawLabels, photo: str) -> Fault:
    """Do two listings of one photo say the same? Each box of one must be among the other's, whatever the order.

    Edges may differ by what formats lose: whole pixels, counts from 1, shares with few digits.
    """
    if first.category != other.category:
        classes = (f"{one.category or 'no class'} in {one.file}" for one in (first, other))
        return Fault(other.file, "class-differs", f"{photo}: {', '.join(classes)}")
    width, height = first.size or other.size or (0, 0)
    if not width and first.relative != other.relative:
        found = f"{photo}: no size is given to compare them with {first.file}"
        return Fault(other.file, "labels-differ", found)
    ours, theirs = (
        [item._replace(edges=_in_pixels(item.edges, labels.relative, width, height)) for item in labels.objects]
        for labels in (first, other)
    )
    one, two = (first.file, other.file) if first.file != other.file else (f"{first.file} at first", "a later entry")
    told = [
        f"{item.name} {_told(item.edges)} is in {two}, not in {one}" for item in theirs if not _is_among(item, ours)
    ]
    told += [
        f"{item.name} {_told(item.edges)} is in {one}, not in {two}" for item in ours if not _is_among(item, theirs)
    ]
    if not told:
        return Fault(other.file, "labels-given-twice", f"{photo}, in {one} and {two}")
    more = f"; and {len(told) - 1} more" if len(told) > 1 else ""
    return Fault(other.file, "labels-differ", f"{photo}: {told[0]}{more}")


def check_names(labels: RawLabels, photo: str, root: str) -> list[Fault]:
    """<filename> and <path> of VOC labels against the photo's own name below the absolute path `root`."""
    findings = []
    name = photo.rsplit("/", 1)[-1]
    found = (labels.filename or "").strip()
    if kind := _name_fault(found, name):
        findings.append(Fault(labels.file, kind, found or "nothing", allowed=name))
    path = (labels.path or "").strip().replace("\\", "/")
    if path and path != name:
        if _name_fault(path.rsplit("/", 1)[-1], name) == "filename-differs":
            findings.append(Fault(labels.file, "path-differs", labels.path or "", allowed=name))
        elif path != f"{root}/{photo}":
            findings.append(Fault(labels.file, "path-moved", labels.path or ""))
    return findings


def _check_box(file: str, item: RawObject, edges: Edges, width: int, height: int) -> list[Fault]:
    def fault(kind: str, allowed: str = "") -> list[Fault]:
        return [Fault(file, kind, f"{item.name} {_told(edges)}", item.number, allowed)]

    xmin, ymin, xmax, ymax = edges
    if not all(map(isfinite, edges)):
        return fault("box-nan")
    if min(edges) >= 0 and max(edges) <= 1:
        return fault("box-shares")
    if xmin == xmax or ymin == ymax:
        return fault("box-empty")
    if xmin > xmax or ymin > ymax:
        return fault("box-inverted")
    if width and height:
        allowed = f"0..{width} by 0..{height}, give or take a pixel"
        if xmin >= width or ymin >= height or xmax <= 0 or ymax <= 0:
            return fault("box-off-photo", allowed)
        if min(xmin, ymin) < -ROUNDING_PX or xmax > width + ROUNDING_PX or ymax > height + ROUNDING_PX:
            return fault("box-outside", allowed)
        if (xmax - xmin) * (ymax - ymin) >= WHOLE_PHOTO * width * height:
            return fault("box-whole-photo")
    if min(xmax - xmin, ymax - ymin) < SLIVER_PX:
        return fault("box-sliver")
    return []


def _check_against(file: str, number: int, box: Box, others: list[Box]) -> list[Fault]:
    for other in others:
        if box.edges == other.edges:
            kind = "box-duplicate" if box.category == other.category else "box-two-classes"
        elif overlap(box.edges, other.edges) >= NEARLY_SAME:
            kind = "box-near-duplicate"
        else:
            continue
        return [Fault(file, kind, f"{box.category} {_told(box.edges)}; {other.category} {_told(other.edges)}", number)]
    return []


def _is_among(item: RawObject, others: list[RawObject]) -> bool:
    return any(
        item.name == other.name
        and all(abs(one - two) <= SAME_BOX_PX for one, two in zip(item.edges, other.edges, strict=True))
        for other in others
    )


def _in_pixels(edges: Edges, relative: bool, width: int, height: int) -> Edges:
    if not relative:
        return edges
    return Edges(edges[0] * width, edges[1] * height, edges[2] * width, edges[3] * height)


def _name_fault(found: str, name: str) -> str | None:
    """What is wrong with a name in the labels; None when it is the photo's."""
    if found == name:
        return None
    if not found:
        return "filename-missing"
    if "/" in found or "\\" in found:
        return _name_fault(found.replace("\\", "/").rsplit("/", 1)[-1], name) or "filename-folder"
    if unicodedata.normalize("NFC", found) == unicodedata.normalize("NFC", name):
        return "filename-spelling"
    if found.casefold() == name.casefold():
        return "filename-case"
    stem = os.path.splitext(name)[0].casefold()
    if found.casefold() == stem or os.path.splitext(found)[0].casefold() == stem:
        return "filename-ending"
    return "filename-differs"


def _told(edges: Edges) -> str:
    return "({:g}, {:g}, {:g}, {:g})".format(*edges)
