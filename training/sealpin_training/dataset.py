"""A folder of labelled photos into a dataset: found, checked, split, and written as TFRecord shards.

    SRC (photos and labelImg XML, anywhere below it)  -->  OUT/{train,val,test}-*.tfrecord
                                                           OUT/label_map.pbtxt, OUT/dataset.json

dataset.json says what is in the shards: classes in label order, counts, the digest that a training run records, and
where every photo went.
"""

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, raise_all
from sealpin_edge.files import new_folder
from sealpin_edge.photo import decode_photo

from .progress import progress
from .records import write_shards
from .voc import Annotation, Box, read_annotation

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png")
SPLITS = ("train", "val", "test")
SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo with its boxes in pixels; `name` is its path below the source folder, with forward slashes."""

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Dataset:
    """A converted dataset on disk, as its dataset.json tells."""

    folder: Path
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    digest: str


def read_folder(src: Path, merge: Mapping[str, str] | None = None) -> list[LabelledPhoto]:
    """Find, decode and check every photo below `src` with its XML, in name order.

    The XML stands beside its photo, or alone of its name elsewhere below `src`. `merge` folds categories: old to new.
    Raises InputError that lists every fault: no photos, a photo without XML, XML that is not VOC, an unreadable photo,
    a size that differs from the photo's, a category in `merge` that no box has.
    """
    if not src.is_dir():
        raise InputError("no such folder", where=str(src), allowed="a folder with photos and labelImg XML files")
    photos, xmls = _find(src)
    if not photos:
        raise InputError(
            "no photos here",
            where=str(src),
            found=f"{sum(map(len, xmls.values()))} XML files",
            allowed="photos that end in " + ", ".join(PHOTO_ENDINGS),
        )
    result, faults, merged = [], [], Counter[str]()
    for photo in progress(photos, "check", "photo"):
        try:
            annotation = read_annotation(_xml_of(photo, xmls))
            data = photo.read_bytes()
            pixels = decode_photo(data, str(photo))
            height, width = pixels.shape[:2]
            if annotation.width and (annotation.width, annotation.height) != (width, height):
                raise InputError(
                    "the XML gives another size than the photo has",
                    where=str(photo.with_suffix(".xml")),
                    found=f"{annotation.width}x{annotation.height}",
                    allowed=f"{width}x{height}",
                    hint="open the photo in labelImg, check its boxes and save it again",
                )
            boxes = _clip(annotation, photo, width, height, merge or {})
        except InputError as fault:
            faults.append(fault)
            continue
        merged.update(box.category for box in annotation.boxes)
        result.append(
            LabelledPhoto(
                photo.relative_to(src).as_posix(),
                photo,
                hashlib.sha256(data).hexdigest(),
                width,
                height,
                boxes,
            )
        )
    raise_all(faults)
    for old in sorted(set(merge or {}) - set(merged)):
        raise InputError(
            "no box has the category to merge",
            where=f"--merge {old}={(merge or {})[old]}",
            found=old,
            allowed=", ".join(sorted(merged)) or "no boxes at all in this folder",
        )
    return result


def convert(src: Path, out: Path, *, merge: Mapping[str, str] | None = None, seed: int = 0) -> Dataset:
    """Write the dataset of folder `src` to the new folder `out`. The same input and seed give the same bytes.

    Raises InputError as `read_folder` does, and when no photo has a box or `out` is taken.
    """
    with new_folder(out) as partial:
        photos = read_folder(src, merge)
        classes = sorted({box.category for photo in photos for box in photo.boxes})
        if not classes:
            raise InputError("no photo has a box", where=str(src), allowed="burrs marked with labelImg on some photos")
        splits = split(photos, seed)
        members = {name: [photo for photo in photos if splits[photo.name] == name] for name in SPLITS}
        digest = _digest(members, classes)
        for name in SPLITS:
            write_shards(partial, name, members[name], classes)
        (partial / "label_map.pbtxt").write_text(_label_map(classes), encoding="utf-8")
        summary = {
            "format": 1,
            "classes": classes,
            "digest": digest,
            "seed": seed,
            "merge": dict(merge or {}),
            "counts": {name: _counts(members[name]) for name in SPLITS},
            "photos": [
                {"name": photo.name, "split": name, "sha256": photo.sha256, "boxes": len(photo.boxes)}
                for name in SPLITS
                for photo in members[name]
            ],
        }
        (partial / "dataset.json").write_text(
            json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return load_dataset(out)


def load_dataset(folder: Path) -> Dataset:
    """Read a converted dataset's dataset.json. Raises InputError when the folder is none."""
    try:
        summary: dict[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        return Dataset(
            folder,
            tuple(summary["classes"]),
            {name: int(summary["counts"][name]["photos"]) for name in SPLITS},
            str(summary["digest"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            "this is not a converted dataset",
            where=str(folder),
            allowed="a folder with dataset.json and TFRecord shards",
            hint=f"sealpin dataset convert PHOTOS {folder}",
        ) from None


def split(photos: Iterable[LabelledPhoto], seed: int) -> dict[str, str]:
    """Deal photos to train, val and test (70, 15 and 15 %), each mix of categories apart, by a hash."""
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for photo in photos:
        strata[tuple(sorted({box.category for box in photo.boxes}))].append(photo.name)
    dealt: dict[str, str] = {}
    carry = dict.fromkeys(SPLITS, 0.0)
    for stratum in sorted(strata):
        names = sorted(strata[stratum], key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
        for name in names:
            # The split that is furthest behind its share gets the next photo, also across small strata
            for key in SPLITS:
                carry[key] += SHARES[key]
            chosen = max(SPLITS, key=lambda key: carry[key])
            carry[chosen] -= 1.0
            dealt[name] = chosen
    return dealt


def _find(src: Path) -> tuple[list[Path], dict[str, list[Path]]]:
    """Photos in name order, and XML files by stem. Links to folders are not followed: they could lead anywhere."""
    photos: list[Path] = []
    xmls: dict[str, list[Path]] = defaultdict(list)
    for folder, _, names in os.walk(src, followlinks=False):
        for name in names:
            path = Path(folder, name)
            if path.suffix.lower() in PHOTO_ENDINGS:
                photos.append(path)
            elif path.suffix.lower() == ".xml":
                xmls[path.stem].append(path)
    return sorted(photos, key=lambda path: path.relative_to(src).as_posix()), xmls


def _xml_of(photo: Path, xmls: Mapping[str, list[Path]]) -> Path:
    found = xmls.get(photo.stem, [])
    beside = [xml for xml in found if xml.parent == photo.parent]
    if len(beside or found) == 1:
        return (beside or found)[0]
    raise InputError(
        "this photo has no XML" if not found else "this photo has several XML files",
        where=str(photo),
        found=", ".join(map(str, found)),
        allowed=f"one {photo.stem}.xml beside it (without objects for a good part)",
        hint="label it with labelImg, or take the photo out of the folder",
    )


def _clip(annotation: Annotation, photo: Path, width: int, height: int, merge: Mapping[str, str]) -> tuple[Box, ...]:
    """Boxes inside the photo: labelImg can be a pixel over the edge. Raises InputError for a box that is not in it."""
    boxes = []
    for number, box in enumerate(annotation.boxes, start=1):
        inside = replace(
            box,
            category=merge.get(box.category, box.category),
            xmin=max(0.0, box.xmin),
            ymin=max(0.0, box.ymin),
            xmax=min(float(width), box.xmax),
            ymax=min(float(height), box.ymax),
        )
        if inside.xmin >= inside.xmax or inside.ymin >= inside.ymax:
            raise InputError(
                f"object {number} lies outside the photo", where=str(photo), found=str(box), allowed=f"{width}x{height}"
            )
        boxes.append(inside)
    return tuple(boxes)


def _counts(photos: list[LabelledPhoto]) -> dict[str, Any]:
    boxes = Counter(box.category for photo in photos for box in photo.boxes)
    return {
        "photos": len(photos),
        "good": sum(not photo.boxes for photo in photos),
        "boxes": dict(sorted(boxes.items())),
    }


def _digest(members: Mapping[str, list[LabelledPhoto]], classes: list[str]) -> str:
    content = [
        classes,
        {
            name: [
                [
                    photo.name,
                    photo.sha256,
                    [[box.category, box.xmin, box.ymin, box.xmax, box.ymax] for box in photo.boxes],
                ]
                for photo in photos
            ]
            for name, photos in members.items()
        },
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _label_map(classes: list[str]) -> str:
    quoted = ((number, json.dumps(name, ensure_ascii=False)) for number, name in enumerate(classes, start=1))
    return "".join(f"item {{\n  id: {number}\n  name: {name}\n}}\n" for number, name in quoted)
