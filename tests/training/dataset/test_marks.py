"""A byte-order mark, as Windows' editors write it, is no part of labels, lists of names or label maps."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sealpin_training.dataset.convert import convert
from sealpin_training.dataset.manifest import load_dataset
from sealpin_training.dataset.survey import Rules, survey
from sealpin_training.parallel import workers

from .corpus import HEIGHT, WIDTH, add, box, picture, write_clean

MARK = b"\xef\xbb\xbf"
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 36, 80, 72]}],
    "categories": [{"id": 1, "name": "burr"}],
}
CSV = f"filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,{WIDTH},{HEIGHT},burr,40,36,120,108\n"


def yolo(folder: Path) -> None:
    (folder / "a.txt").write_text("0 0.2 0.2 0.2 0.2\n")


def names(folder: Path) -> None:
    yolo(folder)
    (folder / "classes.txt").write_text("burr\n")


def data_yaml(folder: Path) -> None:
    yolo(folder)
    (folder / "data.yaml").write_text("names: [burr]\n")


def coco(folder: Path) -> None:
    (folder / "labels.json").write_text(json.dumps(COCO))


def csv(folder: Path) -> None:
    (folder / "labels.csv").write_text(CSV)


def voc(folder: Path) -> None:
    add(folder, "a", (box(0),), 0)


@pytest.mark.parametrize("write", [yolo, names, data_yaml, coco, csv, voc])
def test_a_byte_order_mark_changes_no_labels(write: Callable[[Path], None], tmp_path: Path) -> None:
    read = []
    for name, mark in (("plain", b""), ("marked", MARK)):
        folder = tmp_path / name
        folder.mkdir()
        picture(0).save(folder / "a.jpg")
        write(folder)
        for path in folder.iterdir():
            if path.suffix != ".jpg":
                path.write_bytes(mark + path.read_bytes())
        with workers(1) as pool:
            found = survey(folder, Rules(), pool)
        read.append([(photo.name, photo.boxes) for photo in found.photos])
    assert read[0] == read[1]
    assert read[0][0][1]


def test_a_label_map_that_windows_saved_again_is_the_same(tmp_path: Path) -> None:
    write_clean(tmp_path / "photos")
    convert(tmp_path / "photos", tmp_path / "set", processes=1)
    for name in ("label_map.pbtxt", "dataset.json"):
        (tmp_path / "set" / name).write_bytes(MARK + (tmp_path / "set" / name).read_bytes())
    assert load_dataset(tmp_path / "set").classes == ("burr", "spatter")
