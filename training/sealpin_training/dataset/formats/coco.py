"""COCO's JSON: one file with images, annotations and categories for many photos.

Format: cocodataset.org, "Data format", object detection. Boxes are [x, y, width, height] in pixels.
"""

import json
from pathlib import Path
from typing import Any

from ..files import Files, PhotoNames
from ..findings import Finding
from ..labels import LabelSource, RawLabels, RawObject

LOOKS_LIKE = "a COCO JSON file with images, annotations and categories"
MAX_BYTES = 1 << 30


def find(files: Files) -> LabelSource | None:
    """The photos that COCO files list, with their boxes; None where no JSON file is COCO's."""
    if not files.labels.get(".json"):
        return None
    names = PhotoNames(files.photos)
    of_photo: dict[str, RawLabels] = {}
    findings: list[Finding] = []
    classes: list[str] = []
    found = False
    for file in files.labels[".json"]:
        document = _load(files.root / file)
        if document is None:
            continue
        found = True
        categories = {_key(item.get("id")): _text(item.get("name")) for item in _items(document, "categories")}
        classes += [name for name in categories.values() if name and name not in classes]
        images: dict[str, RawLabels | None] = {}
        for item in _items(document, "images"):
            name = _text(item.get("file_name"))
            photo = names.find(name, file)
            labels = RawLabels(file) if photo else None
            images[_key(item.get("id"))] = labels
            if photo is None or labels is None:
                findings.append(Finding(file, "labels-without-photo", name))
                continue
            if photo in of_photo:
                findings.append(Finding(file, "labels-given-twice", name))
                labels.objects, labels.findings = of_photo[photo].objects, of_photo[photo].findings
            of_photo[photo] = labels
            sides: list[Any] = [item.get(side) for side in ("width", "height")]
            if all(isinstance(side, int | float) and side > 0 and side == side // 1 for side in sides):
                labels.size = (int(sides[0]), int(sides[1]))
            else:
                labels.findings.append(Finding(file, "size-missing", name))
        for number, item in enumerate(_items(document, "annotations"), start=1):
            image = _key(item.get("image_id"))
            if image not in images:
                findings.append(Finding(file, "labels-without-photo", f"image_id {item.get('image_id')}", number))
            elif labels := images[image]:
                _add(labels, file, number, item, categories)
    # Categories that no box has are not classes: Roboflow lists a parent of all
    used = {item.name for labels in of_photo.values() for item in labels.objects}
    names_used = tuple(name for name in classes if name in used)
    return LabelSource("coco", of_photo, findings, classes=names_used) if found else None


def _add(labels: RawLabels, file: str, number: int, item: dict[str, Any], categories: dict[str, str]) -> None:
    name = categories.get(_key(item.get("category_id")), "")
    if not name.strip():
        labels.findings.append(Finding(file, "class-missing", f"category_id {item.get('category_id')}", number))
        return
    try:
        x, y, width, height = (float(value) for value in item["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError):
        labels.findings.append(Finding(file, "box-missing", str(item.get("bbox"))[:80], number))
        return
    labels.objects.append(RawObject(number, name, (x, y, x + width, y + height)))


def _key(number: Any) -> str:
    """An id as something to look up, whatever it is: 1 and "1" are two ids."""
    return json.dumps(number)


def _text(value: Any) -> str:
    """Text that can be written again; JSON has ways to spell what is none."""
    return "" if value is None else str(value).encode(errors="replace").decode()


def _items(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = document.get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _load(path: Path) -> dict[str, Any] | None:
    """The file's document when it is COCO's."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    is_coco = isinstance(document, dict) and isinstance(document.get("images"), list) and "annotations" in document
    return document if is_coco else None
