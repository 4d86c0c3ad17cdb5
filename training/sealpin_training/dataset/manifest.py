"""dataset.json: what a converted dataset holds, for training and for the next conversion."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError

from .labels import LabelledPhoto
from .split import SPLITS

FORMAT = 1


@dataclass(frozen=True)
class Dataset:
    """A converted dataset on disk. `splits`: the split of each photo by name, and by its bytes' SHA-256."""

    folder: Path
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    digest: str
    splits: Mapping[str, str]


def write_manifest(
    folder: Path, members: Mapping[str, Sequence[LabelledPhoto]], classes: Sequence[str], settings: Mapping[str, Any]
) -> None:
    """Write dataset.json and label_map.pbtxt. `settings` are what the conversion was told."""
    summary = {
        "format": FORMAT,
        "classes": list(classes),
        "digest": _digest(members, classes),
        **settings,
        "counts": {name: _counts(members[name]) for name in SPLITS},
    }
    with open(folder / "dataset.json", "w", encoding="utf-8") as file:
        # A line for each photo, without a copy of all in memory
        file.write(json.dumps(summary, indent=1, ensure_ascii=False).removesuffix("\n}") + ',\n "photos": [')
        separator = "\n  "
        for split, photos in members.items():
            for photo in photos:
                line = {"name": photo.name, "split": split, "sha256": photo.sha256, "boxes": len(photo.boxes)}
                file.write(separator + json.dumps(line, ensure_ascii=False))
                separator = ",\n  "
        file.write("\n ]\n}\n")
    (folder / "label_map.pbtxt").write_text(_label_map(classes), encoding="utf-8")


def load_dataset(folder: Path) -> Dataset:
    """Read a converted dataset's dataset.json. Raises InputError when the folder is none."""
    try:
        summary: dict[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        photos = summary["photos"]
        return Dataset(
            folder,
            tuple(summary["classes"]),
            {name: int(summary["counts"][name]["photos"]) for name in SPLITS},
            str(summary["digest"]),
            {str(photo[key]): str(photo["split"]) for key in ("sha256", "name") for photo in photos},
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            "this is not a converted dataset",
            where=str(folder),
            allowed="a folder with dataset.json and TFRecord shards",
            hint=f"sealpin dataset convert PHOTOS {folder}",
        ) from None


def _counts(photos: Sequence[LabelledPhoto]) -> dict[str, Any]:
    boxes = Counter(box.category for photo in photos for box in photo.boxes)
    return {
        "photos": len(photos),
        "good": sum(not photo.boxes for photo in photos),
        "boxes": dict(sorted(boxes.items())),
    }


def _digest(members: Mapping[str, Sequence[LabelledPhoto]], classes: Sequence[str]) -> str:
    """Of everything that training can see: classes, and of each split the photos' names, bytes and boxes."""
    digest = hashlib.sha256(json.dumps(list(classes)).encode())
    for split, photos in members.items():
        for photo in photos:
            boxes = [[box.category, *box.edges, box.difficult, box.truncated] for box in photo.boxes]
            digest.update(json.dumps([split, photo.name, photo.sha256, boxes]).encode())
    return digest.hexdigest()


def _label_map(classes: Sequence[str]) -> str:
    quoted = ((number, json.dumps(name, ensure_ascii=False)) for number, name in enumerate(classes, start=1))
    return "".join(f"item {{\n  id: {number}\n  name: {name}\n}}\n" for number, name in quoted)
