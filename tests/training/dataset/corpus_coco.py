"""Faults that only a COCO file can have, entered into the corpus's table."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .corpus import HEIGHT, WIDTH, as_coco, plants
from .corpus_photos import PLANTS

__all__ = ["PLANTS"]


@plants("labels-given-twice", "more.json")
def a_photo_in_two_coco_files(folder: Path) -> None:
    as_coco(folder)
    shutil.copy(folder / "labels.json", folder / "more.json")


@plants("labels-differ", "more.json")
def a_photo_without_its_boxes_in_another_coco_file(folder: Path) -> None:
    as_coco(folder)
    image = {"id": 1, "file_name": "p01.jpg", "width": WIDTH, "height": HEIGHT}
    (folder / "more.json").write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))


Document = dict[str, list[dict[str, Any]]]


def edit_coco(kind: str, name: str, change: Callable[[Document], object], number: int | None = None) -> None:
    """A fault that is a change of the COCO file, in which p01.jpg has id 1, annotation 1 and 2."""

    def plant(folder: Path) -> None:
        as_coco(folder)
        document = json.loads((folder / "labels.json").read_text())
        change(document)
        (folder / "labels.json").write_text(json.dumps(document))

    PLANTS[f"coco_{name}"] = (kind, "labels.json", number, plant)


def no_box(document: Document) -> None:
    """The first annotation has an outline only."""
    x, y, width, height = document["annotations"][0].pop("bbox")
    document["annotations"][0]["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]


edit_coco("id-twice", "image_id_twice", lambda one: one["images"][11].update(id=1))
edit_coco("id-twice", "category_id_twice", lambda one: one["categories"].append({"id": 1, "name": "crack"}), 2)
edit_coco("id-missing", "image_without_id", lambda one: one["images"][11].pop("id"))
edit_coco("annotation-id-twice", "annotation_id_twice", lambda one: one["annotations"][5].update(id=4))
edit_coco("labels-given-twice", "image_listed_again", lambda one: one["images"].append(one["images"][1]))
edit_coco("annotation-astray", "annotation_of_no_image", lambda one: one["annotations"][1].update(image_id=99), 2)
edit_coco("class-missing", "annotation_of_no_category", lambda one: one["annotations"][0].update(category_id=9), 1)
edit_coco("box-crowd", "crowd", lambda one: one["annotations"][0].update(iscrowd=1), 1)
edit_coco("box-crowd-alone", "crowds_only", lambda one: [item.update(iscrowd=1) for item in one["annotations"][:2]])
edit_coco("box-from-outline", "outline", no_box)
edit_coco("box-missing", "mask", lambda one: one["annotations"][0].update(
    bbox=None, segmentation={"counts": [9, 9], "size": [HEIGHT, WIDTH]}), 1)  # fmt: skip
