"""dataset.json: what a converted dataset holds, for training and for the next conversion."""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, quote
from sealpin_edge.files import parse_json, read_text

from .content import Content
from .split import SPLITS

FORMAT = 1
SHOWN = 5


@dataclass(frozen=True)
class Dataset:
    """A converted dataset on disk.

    `splits`: the split of each photo by name, and by its bytes' SHA-256. `check_sums`: the CRC-32C of each photo's
    record by name; datasets of an earlier sealpin have none. `bad`: the names of the photos with
    boxes, or of a class that is not good. `task`: what it can be trained for. `good`: the classes of good parts, where
    photos have a class as a whole.
    """

    folder: Path
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    digest: str
    splits: Mapping[str, str]
    check_sums: Mapping[str, int]
    bad: frozenset[str] = frozenset()
    task: str = "detect"
    good: tuple[str, ...] = ()

    def changes(self, earlier: "Dataset") -> list[str]:
        """What is no longer as in an earlier dataset of the same photos, in lines for people."""
        here = self.splits.keys()
        by_name = [name for name in earlier.check_sums if name in here]
        gone = len(earlier.check_sums) - len(by_name)
        good = [name for name in by_name if name in earlier.bad and name not in self.bad]
        moved = [name for name in by_name if self.splits[name] != earlier.splits[name]]
        told = {f"{gone} photos of {earlier.folder} are not here by their names": gone}
        told[f"{len(good)} photos with objects there are good parts here: {', '.join(good[:SHOWN])}"] = len(good)
        told[f"{len(moved)} photos are in another split than there: {', '.join(moved[:SHOWN])}"] = len(moved)
        return [line for line, count in told.items() if count]


def write_manifest(folder: Path, content: Content, check_sums: Mapping[str, int], settings: Mapping[str, Any]) -> None:
    """Write dataset.json and label_map.pbtxt. `settings` are what the conversion was told."""
    classes = content.classes
    digest = hashlib.sha256(json.dumps(classes).encode())
    if content.whole:
        digest.update(json.dumps(sorted(content.good)).encode())
    counts = {}
    with open(folder / "dataset.json", "w", encoding="utf-8") as file, tempfile.TemporaryFile("w+") as photos:
        for split in SPLITS:
            boxes, whole, good = Counter[str](), Counter[str](), 0
            for photo in content.of(split):
                marked = [(content.categories[box.category], *box[1:]) for box in photo.boxes]
                category = content.category(photo)
                told = [split, photo.name, photo.sha256, marked, *([category] if category else [])]
                digest.update(json.dumps(told).encode())
                whole.update([category] if category else [])
                boxes.update(category for category, *_ in marked)
                good += category in content.good if category else not marked
                line = {"name": photo.name, "split": split, "sha256": photo.sha256, "boxes": len(marked)}
                line |= {"class": category} if category else {}
                line["crc32c"] = check_sums[photo.name]
                photos.write(("" if not photos.tell() else ",\n") + "  " + json.dumps(line, ensure_ascii=False))
            counts[split] = {"photos": len(content.members[split]), "good": good, "boxes": dict(sorted(boxes.items()))}
            counts[split] |= {"classes": dict(sorted(whole.items()))} if whole else {}
        summary = {
            "format": FORMAT,
            "task": content.task,
            "classes": classes,
            **({"good": content.good} if content.whole else {}),
            "digest": digest.hexdigest(),
            **settings,
            "counts": counts,
        }
        file.write(json.dumps(summary, indent=1, ensure_ascii=False).removesuffix("\n}") + ',\n "photos": [\n')
        photos.seek(0)
        shutil.copyfileobj(photos, file)
        file.write("\n ]\n}\n")
    (folder / "label_map.pbtxt").write_text(_label_map(classes), encoding="utf-8")


def load_dataset(folder: Path) -> Dataset:
    """Read a converted dataset's dataset.json. Raises InputError when the folder is none, or its label map changed."""
    try:
        summary: dict[str, Any] = parse_json(read_text(folder / "dataset.json"))
        photos, good = summary["photos"], tuple(map(str, summary.get("good", ())))
        dealt = Counter(photo["split"] for photo in photos)
        if any(dealt[name] != summary["counts"][name]["photos"] for name in SPLITS):
            raise ValueError("photos were moved by hand")
        dataset = Dataset(
            folder,
            tuple(summary["classes"]),
            {name: int(summary["counts"][name]["photos"]) for name in SPLITS},
            str(summary["digest"]),
            {str(photo[key]): str(photo["split"]) for key in ("sha256", "name") for photo in photos},
            {str(photo["name"]): int(photo["crc32c"]) for photo in photos if "crc32c" in photo},
            frozenset(str(photo["name"]) for photo in photos if _is_bad(photo, good)),
            str(summary.get("task", "detect")),  # an earlier sealpin knew no other
            good,
        )
        if not set(good) <= set(dataset.classes) or set(good) == set(dataset.classes):
            raise ValueError("good classes that there are not, or no other")
        label_map = read_text(folder / "label_map.pbtxt")
    except (OSError, ValueError, OverflowError, KeyError, TypeError):
        raise InputError(
            "this is not a converted dataset",
            where=str(folder),
            allowed="a folder with dataset.json and TFRecord shards",
            hint=f"sealpin dataset convert PHOTOS {quote(folder)}",
        ) from None
    if label_map.split() != _label_map(dataset.classes).split():
        raise InputError(
            "the label map disagrees with the records",
            where=str(folder / "label_map.pbtxt"),
            allowed=", ".join(f"{number} {name}" for number, name in enumerate(dataset.classes, start=1)),
            advice="put the old label map back, or convert the dataset again",
        )
    return dataset


def _is_bad(photo: Mapping[str, Any], good: Sequence[str]) -> bool:
    return photo["class"] not in good if "class" in photo else bool(photo.get("boxes"))


def _label_map(classes: Sequence[str]) -> str:
    quoted = ((number, json.dumps(name, ensure_ascii=False)) for number, name in enumerate(classes, start=1))
    return "".join(f"item {{\n  id: {number}\n  name: {name}\n}}\n" for number, name in quoted)
