"""Labels of other programs, and files that only look like labels: they are named with the reason, and not read."""

import json
import re
from pathlib import Path
from typing import Any

from ..faults import Fault
from ..files import Files, namesake

COCO_LISTS = ("images", "annotations", "categories")
BOX_KEYS = (
    "shapes", "bbox", "bboxes", "bndbox", "box", "boxes", "objects", "polygon", "polygons", "regions", "xmin", "points",
    "segmentation", "segments_info", "category_id", "defects", "label", "labels",
)  # fmt: skip
HEAD_BYTES = 4096
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;:|()\[\]]+")


def json_program(document: Any) -> str | None:
    """Whose labels a JSON document may hold, and what to do; None when nothing in it is called as in labels.

    Formats: labelme 5, VGG Image Annotator 2, Label Studio's JSON and JSON-MIN, Create ML's object detection.
    """
    if isinstance(document, list):
        first = document[0] if document and isinstance(document[0], dict) else {}
        if {"image", "annotations"} <= first.keys():
            return "Create ML's own JSON: export VOC or COCO"
        if "annotations" in first or {"image", "annotator"} <= first.keys():
            return "Label Studio's own JSON: export VOC or COCO there"
    if not isinstance(document, dict):
        return _of_nobody(document)
    if {"shapes", "imagePath"} <= document.keys():
        return "labelme's own JSON: export VOC or COCO (labelme's labelme2voc.py, labelme2coco.py)"
    items = list(document.values())
    if "_via_img_metadata" in document or (
        items and isinstance(items[0], dict) and {"filename", "regions"} <= set(items[0])
    ):
        return "VGG Image Annotator's own JSON: export COCO there"
    if sum(key in document for key in COCO_LISTS) > 1:
        wrong = [key for key in COCO_LISTS if not isinstance(document.get(key), list)]
        return f"COCO's JSON, and no list of {' and '.join(wrong)} in it"
    return _of_nobody(document)


def has_words(text: str) -> bool:
    """Has a text XML's or JSON's words for objects, though it may have been cut off, or is named as another format?"""
    xml = any(tag in text for tag in ("<object", "<annotation", "<bndbox"))
    return xml or any(f'"{key}"' in text for key in (*COCO_LISTS, *BOX_KEYS))


def has_numbers(line: str) -> bool:
    """Are there four numbers in a line of text, as many as a box has, whatever is between them?"""
    return sum(bool(_NUMBER.fullmatch(word)) for word in _BETWEEN.split(line)) >= 4


def looks_like_labels(path: Path) -> bool:
    """May a file of any name be labels: XML's or JSON's words for objects, or a line with numbers as of a box?"""
    try:
        with open(path, "rb") as file:
            data = file.read(HEAD_BYTES)
    except OSError:
        return path.is_dir()  # `a.xml/`: some programs make a folder of each file
    text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8", errors="replace")
    text = text.replace("\0", "")
    return has_words(text) or any(map(has_numbers, text.splitlines()))


def tell_namesakes(files: Files) -> None:
    """Find the labels that have an ending of their own, beside the photo that they are called like or among labels."""
    stems = {(photo.rpartition("/")[0], namesake(photo)) for photo in files.photos}
    own = {(name.rpartition("/")[0], namesake(name)) for names in files.labels.values() for name in names}
    anywhere, of_labels = {stem for _, stem in stems}, {folder for folder, _ in own}
    for name in files.others:
        folder, _, last = name.rpartition("/")
        stem = namesake(last.lstrip(".#"))  # hidden, or as an editor keeps what is not saved
        of_a_photo = (folder, stem) in stems or (folder in of_labels and stem in anywhere)
        if of_a_photo and (folder, stem) not in own and looks_like_labels(files.root / name):
            files.findings.append(Fault(name, "labels-not-read", "labels under an ending that nothing reads"))


def _of_nobody(document: Any) -> str | None:
    """Whether somewhere in a document something is called as a box is."""
    found = has_words(json.dumps(document))
    return "JSON of no program that is known here: export VOC or COCO" if found else None


def xml_program(path: Path) -> str | None:
    """Whose labels an XML file holds that is no VOC, and what to do; None when it is nobody's that is known here.

    Format: CVAT for images 1.1 and CVAT for video 1.1, whose first element is `<annotations>`.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    return "CVAT's own XML: export Pascal VOC or COCO there" if b"<annotations" in head else None


def pass_over(files: Files, name: str, reason: str | None, otherwise: str = "") -> None:
    """Tell that a file is not read: as labels for a `reason`, or as a file that holds none and is something else."""
    if reason:
        files.findings.append(Fault(name, "labels-not-read", reason))
    else:
        files.findings.append(Fault(name, "file-passed-over", otherwise))
