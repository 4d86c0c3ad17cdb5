"""COCO's JSON: one file with images, annotations and categories for many photos.

Format: cocodataset.org, "Data format", object detection. Boxes are [x, y, width, height] in pixels. An outline
(polygons) without a box is read as the box around it; a mask (run lengths) without one is an error.
"""

import json
from collections import Counter, defaultdict
from math import isfinite
from typing import Any

from sealpin_edge.tasks.finding import Edges

from ..faults import Fault
from ..files import DOCUMENTS, Files, PhotoNames, read_label_text, undecoded
from ..labels import LabelSource, RawLabels, RawObject, real_number, whole_number
from .foreign import COCO_LISTS, has_words, json_program, pass_over

LOOKS_LIKE = "a COCO JSON file with images, annotations and categories"
MAX_BYTES = 1 << 30
SHOWN = 5

Images = dict[str, RawLabels | None]
"""The labels of each image by its id; None for one whose photo is not here, or not to be told."""


def find(files: Files) -> LabelSource | None:
    """The photos that COCO files list, with their boxes; None where no JSON file is COCO's."""
    names = PhotoNames(files.photos)
    of_photo: dict[str, list[RawLabels]] = defaultdict(list)
    findings: list[Fault] = []
    classes: list[str] = []
    found = False
    for file in (name for ending in DOCUMENTS for name in files.labels.get(ending, ())):
        document = _load(files, file)
        if document is None:
            continue
        found = True
        categories = _categories(document)
        classes += [name for names_of_id in categories.values() for name in names_of_id if name not in classes]
        images, listed = _images(document, file, names, findings)
        complete = _annotations(document, file, images, categories, findings)
        for photo, labels in listed:
            # Where boxes have lost their photo it may be this one, which is no good part then
            if complete or labels.objects or any(one.severity == "error" for one in labels.findings):
                of_photo[photo].append(labels)
    # Categories that no box has are not classes: Roboflow lists a parent of all
    used = {item.name for several in of_photo.values() for labels in several for item in labels.objects}
    names_used = tuple(name for name in classes if name in used)
    return LabelSource("coco", of_photo, findings, classes=names_used) if found else None


def _categories(document: dict[str, Any]) -> dict[str, list[str]]:
    """The names of each category id; more than one where it is used twice."""
    categories: dict[str, list[str]] = defaultdict(list)
    for item in document.get("categories", ()):
        if isinstance(item, dict) and (name := _text(item.get("name"))) not in categories[_key(item.get("id"))]:
            categories[_key(item.get("id"))].append(name)
    return categories


def _images(
    document: dict[str, Any], file: str, names: PhotoNames, findings: list[Fault]
) -> tuple[Images, list[tuple[str, RawLabels]]]:
    """The labels of each image by its id, still without boxes; and the photos that are here with theirs."""
    images: Images = {}
    listed: list[tuple[str, RawLabels]] = []
    called: dict[str, dict[str, RawLabels]] = defaultdict(dict)
    for position, item in enumerate(document["images"]):
        if not isinstance(item, dict):
            findings.append(Fault(file, "line-unreadable", f"images[{position}] {str(item)[:80]}", None, "an image"))
            continue
        name, key = _text(item.get("file_name")), _key(item.get("id"))
        photo = names.find(name, file)
        if photo is None:
            findings.append(Fault(file, "labels-without-photo", name or f"images[{position}] without file_name"))
        if key and name in called[key]:
            findings.append(Fault(file, "labels-given-twice", f"{name}, image id {key} twice"))
            continue
        labels = called[key][name] = RawLabels(file, size=_size(item))
        if labels.size is None:
            labels.findings.append(Fault(file, "size-missing", name))
        if not key:
            labels.findings.append(Fault(file, "id-missing", f"{name}, id {item.get('id')!r}"[:120]))
        images[key] = labels if photo and key else None
        listed += [(photo, labels)] if photo else []
    for key, several in called.items():
        if key and len(several) > 1:  # its boxes may be of either photo
            images[key] = None
            fault = Fault(file, "id-twice", f"image id {key}: {', '.join(list(several)[:SHOWN])}")
            for labels in several.values():
                labels.findings.append(fault)
    return images, listed


def _annotations(
    document: dict[str, Any], file: str, images: Images, categories: dict[str, list[str]], findings: list[Fault]
) -> bool:
    """Give each image its boxes. False when some annotation belongs to no image, so that nobody knows whose it is."""
    complete = True
    outlines = 0
    crowded: dict[int, RawLabels] = {}
    ids: Counter[str] = Counter()
    for number, item in enumerate(document["annotations"], start=1):
        if not isinstance(item, dict):
            findings.append(Fault(file, "line-unreadable", repr(item)[:80], number, "an annotation"))
            complete = False
            continue
        ids[_key(item.get("id"))] += 1
        image = _key(item.get("image_id"))
        if not image or image not in images:
            findings.append(Fault(file, "annotation-astray", f"image_id {item.get('image_id')!r}"[:80], number))
            complete = False
        elif labels := images[image]:
            if _key(item.get("iscrowd")) == "1" or item.get("iscrowd") is True:
                labels.findings.append(Fault(file, "box-crowd", f"bbox {str(item.get('bbox'))[:60]}", number))
                crowded[id(labels)] = labels
            else:
                outlines += _add(labels, number, item, categories)
    for labels in crowded.values():
        if not labels.objects:
            labels.findings.append(Fault(file, "box-crowd-alone", "iscrowd 1, and nothing else"))
    if outlines:
        findings.append(Fault(file, "box-from-outline", f"{outlines} of {sum(ids.values())} annotations"))
    if again := [key for key, count in ids.items() if key and count > 1]:
        findings.append(Fault(file, "annotation-id-twice", f"{len(again)} ids, the first of them {again[0]}"))
    return complete


def _add(labels: RawLabels, number: int, item: dict[str, Any], categories: dict[str, list[str]]) -> bool:
    """Add one object, or say why it is none. True when its box was taken from an outline."""
    key = _key(item.get("category_id"))
    called = categories.get(key, []) if key else []
    if len(called) > 1:
        labels.findings.append(Fault(labels.file, "id-twice", f"category id {key}: {', '.join(called)}", number))
        return False
    if not called or not called[0].strip():
        found = f"category_id {item.get('category_id')!r}"
        labels.findings.append(Fault(labels.file, "class-missing", found, number, "the id of one of the categories"))
        return False
    edges = _box(item.get("bbox"))
    outline = None if edges or item.get("bbox") else _around(item.get("segmentation"))
    if not edges and not outline:
        found = f"bbox {item.get('bbox')!r}, segmentation {item.get('segmentation')!r}"[:120]
        allowed = "bbox with x, y, width, height; or polygons"
        labels.findings.append(Fault(labels.file, "box-missing", found, number, allowed))
        return False
    labels.objects.append(RawObject(number, called[0], edges or outline or Edges(0.0, 0.0, 0.0, 0.0)))
    return outline is not None


def _box(bbox: Any) -> Edges | None:
    if not isinstance(bbox, list):
        return None
    try:
        x, y, width, height = (real_number(value) for value in bbox)
    except (TypeError, ValueError, OverflowError):
        return None
    return Edges(x, y, x + width, y + height)


def _around(segmentation: Any) -> Edges | None:
    """The box around polygons, which are lists x, y, x, y, ... of three corners and more; None for anything else."""
    if not isinstance(segmentation, list) or not segmentation:
        return None
    if not all(isinstance(part, list) and len(part) >= 6 and len(part) % 2 == 0 for part in segmentation):
        return None
    try:
        across = [real_number(value) for part in segmentation for value in part[::2]]
        down = [real_number(value) for part in segmentation for value in part[1::2]]
    except (TypeError, ValueError, OverflowError):
        return None
    if not all(map(isfinite, (*across, *down))):
        return None
    return Edges(min(across), min(down), max(across), max(down))


def _size(item: dict[str, Any]) -> tuple[int, int] | None:
    width, height = (whole_number(item.get(side)) for side in ("width", "height"))
    return (width, height) if width and height else None


def _key(number: Any) -> str:
    """An id as something to look up: 13, 13.0 and "13" are one. Empty when it is none, which no other is equal to."""
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int | str):
        return ""
    return str(number).strip() if isinstance(number, str) else json.dumps(number)


def _text(value: Any) -> str:
    """Text that can be written again; JSON has ways to spell what is none."""
    return "" if value is None else str(value).encode(errors="replace").decode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """One JSON object. Of a key that is there twice, Python would keep the last: a second, empty `annotations`."""
    items = dict(pairs)
    if len(items) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return items


def _boxes_elsewhere(document: dict[str, Any]) -> str:
    """Where else than in the one list of annotations a document has something called as a box is; "" if nowhere."""
    for key, value in document.items():
        if key not in COCO_LISTS and isinstance(value, list | dict) and has_words(json.dumps(value)):
            return _text(key)
    for item in document["images"]:
        own = {key: item[key] for key in item if isinstance(item[key], list | dict)} if isinstance(item, dict) else {}
        if own and has_words(json.dumps(own)):
            return f"an image, {_text(item.get('file_name'))}"
    return ""


def _load(files: Files, file: str) -> dict[str, Any] | None:
    """The file's document when it is COCO's; else a finding says what it is."""
    text = read_label_text(files, file, MAX_BYTES)
    if text is None:
        return None
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        told = f"no JSON: {error}"
        pass_over(files, file, told if has_words(text) else None, told)
        return None
    lists = [document.get(key) for key in ("images", "annotations")] if isinstance(document, dict) else [None]
    if not all(isinstance(items, list) for items in lists) or not isinstance(document.get("categories", []), list):
        pass_over(files, file, json_program(document), "JSON without images, annotations and categories")
        return None
    if wrong := undecoded(text):
        pass_over(files, file, f"{wrong}: save it as UTF-8")
        return None
    if where := _boxes_elsewhere(document):
        pass_over(files, file, f"boxes in {where}, where COCO has none")
        return None
    coco: dict[str, Any] = document
    return coco
