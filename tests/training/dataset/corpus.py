"""A clean folder of labelled photos, and every way to spoil it: the table of planted faults."""

import io
import json
import os
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box

WIDTH, HEIGHT = 400, 360
PHOTOS = 44


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A colour photo of some texture; another seed, another scene."""
    return Image.fromarray(_texture(seed, width, height))


@cache
def _texture(seed: int, width: int, height: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (height // 8, width // 8, 3)).astype(np.float32)
    grown = cv2.GaussianBlur(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 3)
    return np.clip(128 + 60 * grown, 0, 255).astype(np.uint8)


def box(seed: int) -> Box:
    """A box of a few dozen pixels within the photo."""
    rng = np.random.default_rng([seed, 1])
    x, y, width, height = rng.integers((5, 5, 30, 30), (250, 250, 90, 90)).tolist()
    return Box(("burr", "spatter")[seed % 2], x, y, x + width, y + height)


def add(folder: Path, name: str, boxes: tuple[Box, ...], seed: int) -> Path:
    """One photo with its XML; returns the photo's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jpg"
    picture(seed).save(path, quality=90)
    voc.write(path.with_suffix(".xml"), path.name, WIDTH, HEIGHT, boxes)
    return path


def write_clean(folder: Path) -> None:
    """PHOTOS photos, every eleventh of a good part, with enough boxes of two classes: nothing to find."""
    for number in range(PHOTOS):
        add(folder, f"p{number:02d}", () if number % 11 == 0 else (box(number), *second_box(number)), number)


def second_box(number: int) -> tuple[Box, ...]:
    """A small box in the lower right corner, of the other class than the first."""
    return (Box(("spatter", "burr")[number % 2], 345, 342, 360, 357),)


Plant = Callable[[Path], None]
PLANTS: dict[str, tuple[str, str, int | None, Plant]] = {}
"""Faults by name: kind, file and object that the finding must name, and what plants it."""


def plants(kind: str, file: str, number: int | None = None) -> Callable[[Plant], Plant]:
    """Enter a function into PLANTS under its own name."""

    def enter(plant: Plant) -> Plant:
        PLANTS[plant.__name__] = (kind, file, number, plant)
        return plant

    return enter


def edit(kind: str, name: str, old: str, new: str, number: int | None = None, file: str | None = None) -> None:
    """A fault that is a change of the text of p01.xml."""

    def plant(folder: Path) -> None:
        path = folder / "p01.xml"
        text = path.read_text()
        assert old in text, (name, old)
        path.write_text(text.replace(old, new), errors="surrogateescape")

    PLANTS[name] = (kind, file or "p01.xml", number, plant)


FIRST = box(1)
XMIN, XMAX, YMIN = f"<xmin>{FIRST.xmin:g}<", f"<xmax>{FIRST.xmax:g}<", f"<ymin>{FIRST.ymin:g}<"
SIZE = f"<width>{WIDTH}</width>\n\t\t<height>{HEIGHT}</height>"

edit("xml-unparsable", "xml_cut_off", "</object>", "<object")
edit("xml-unparsable", "xml_wrong_encoding", "<name>burr", "<name>b\udcffrr")
edit("xml-not-voc", "xml_of_a_page", "annotation>", "html>")
edit("size-missing", "no_size", "<width>400</width>", "")
edit("size-missing", "size_in_words", "<width>400</width>", "<width>wide</width>")
edit("size-zero", "size_of_zero", SIZE, SIZE.replace("400", "0").replace("360", "0"))
edit("size-swapped", "swapped_size", SIZE, SIZE.replace("400", "x").replace("360", "400").replace("x", "360"))
edit("size-differs", "other_size", SIZE, SIZE.replace("400", "500"))
edit("depth-differs", "depth_of_one", "<depth>3</depth>", "<depth>1</depth>")
edit("filename-missing", "no_filename", "<filename>p01.jpg</filename>", "<filename></filename>")
edit("filename-ending", "filename_without_ending", "<filename>p01.jpg", "<filename>p01")
edit("filename-ending", "filename_with_another_ending", "<filename>p01.jpg", "<filename>p01.png")
edit("filename-case", "filename_in_capitals", "<filename>p01.jpg", "<filename>P01.JPG")
edit("filename-folder", "filename_with_a_folder", "<filename>p01.jpg", "<filename>C:\\photos\\p01.jpg")
edit("filename-differs", "filename_of_another_photo", "<filename>p01.jpg", "<filename>p02.jpg")
edit("path-differs", "path_of_another_photo", "<path>p01.jpg", "<path>/home/a/p02.jpg")
edit("path-moved", "path_on_windows", "<path>p01.jpg", "<path>D:\\line 1\\p01.jpg")
edit("path-moved", "path_on_a_mac", "<path>p01.jpg", "<path>/Users/a/Desktop/p01.jpg")
edit("class-missing", "object_without_name", "<name>spatter</name>", "<name> </name>", 1)
edit("class-spelling", "class_with_a_capital", "<name>spatter<", "<name>Spatter<", 1)
edit("class-spelling", "class_with_a_blank", "<name>spatter<", "<name>spatter <", 1)
edit("class-spelling", "class_in_full_width", "<name>burr<", "<name>\uff42urr<", 2)
edit("class-typo", "class_with_a_letter_less", "<name>burr<", "<name>bur<", 2)
edit("class-typo", "class_with_letters_exchanged", "<name>spatter<", "<name>spattre<", 1)
edit("class-scripts", "class_with_a_cyrillic_letter", "<name>spatter<", "<name>sp\u0430tter<", 1)
edit("class-good", "a_class_of_good_parts", "<name>spatter<", "<name>No defect<", None, ".")
edit("class-few", "a_class_of_one_box", "<name>spatter<", "<name>crack<", None, ".")
edit("box-missing", "object_without_box", "bndbox>", "polygon>", 1)
edit("box-not-number", "an_edge_in_words", XMIN, "<xmin>left<", 1)
edit("box-not-number", "an_edge_left_empty", XMIN, "<xmin><", 1)
edit("box-nan", "an_edge_that_is_nan", XMIN, "<xmin>nan<", 1)
edit("box-nan", "an_edge_at_infinity", XMAX, "<xmax>inf<", 1)
edit("box-inverted", "edges_exchanged", XMIN, "<xmin>399<", 1)
edit("box-empty", "a_box_without_width", XMAX, f"<xmax>{FIRST.xmin:g}<", 1)
edit("box-outside", "a_box_over_the_right_edge", XMAX, "<xmax>420<", 1)
edit("box-outside", "a_box_over_the_top_edge", YMIN, "<ymin>-7<", 1)
edit("box-off-photo", "a_box_beside_the_photo", "<xmin>345</xmin>\n\t\t\t<ymin>342</ymin>\n\t\t\t<xmax>360<",
     "<xmin>445</xmin>\n\t\t\t<ymin>342</ymin>\n\t\t\t<xmax>460<", 2)  # fmt: skip
edit("box-sliver", "a_box_one_pixel_wide", XMAX, f"<xmax>{FIRST.xmin + 1:g}<", 1)
edit("labels-proposed", "a_proposal", "<database>Unknown</database>",
     "<database>Unknown</database><annotation>sealpin proposal</annotation>")  # fmt: skip


def rewrite(folder: Path, *boxes: Box) -> None:
    """Other boxes for p01.jpg."""
    voc.write(folder / "p01.xml", "p01.jpg", WIDTH, HEIGHT, boxes)


@plants("box-shares", "p01.xml", 1)
def a_box_in_shares(folder: Path) -> None:
    rewrite(folder, Box("burr", 0, 0, 1, 1))


@plants("box-whole-photo", "p01.xml", 1)
def a_box_around_everything(folder: Path) -> None:
    rewrite(folder, Box("spatter", 0, 0, WIDTH, HEIGHT))


@plants("box-duplicate", "p01.xml", 2)
def the_same_box_twice(folder: Path) -> None:
    rewrite(folder, FIRST, FIRST)


@plants("box-two-classes", "p01.xml", 2)
def one_box_of_two_classes(folder: Path) -> None:
    rewrite(folder, FIRST, Box("burr", *FIRST.edges))


@plants("box-near-duplicate", "p01.xml", 2)
def nearly_the_same_box_twice(folder: Path) -> None:
    rewrite(folder, FIRST, Box("spatter", FIRST.xmin + 1, FIRST.ymin, FIRST.xmax, FIRST.ymax))


@plants("box-small", "p01.xml", 1)
def a_burr_too_small_for_the_model(folder: Path) -> None:
    rewrite(folder, Box("spatter", 10, 10, 14, 40))


@plants("xml-unparsable", "p01.xml")
def an_empty_xml(folder: Path) -> None:
    (folder / "p01.xml").write_text("")


@plants("xml-entities", "p01.xml")
def an_entity_bomb(folder: Path) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 50}">' for n in range(12))
    (folder / "p01.xml").write_text(f"<!DOCTYPE a [{entities}]><annotation><filename>&e11;</filename></annotation>")


@plants("xml-entities", "p01.xml")
def an_entity_that_reads_a_file(folder: Path) -> None:
    text = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><annotation><filename>&e;</filename></annotation>'
    (folder / "p01.xml").write_text(text)


@plants("labels-too-large", "p01.xml")
def an_endless_xml(folder: Path) -> None:
    (folder / "p01.xml").write_text("<annotation>" + " " * (5 << 20) + "</annotation>")


@plants("photo-unlabelled", "new.jpg")
def a_photo_without_labels(folder: Path) -> None:
    picture(900).save(folder / "new.jpg", quality=90)


@plants("labels-without-photo", "gone.xml")
def labels_without_a_photo(folder: Path) -> None:
    voc.write(folder / "gone.xml", "gone.jpg", WIDTH, HEIGHT, [FIRST])


@plants("labels-several", "p01.jpg")
def two_label_files_for_one_photo(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "p01.xml").write_bytes((folder / "p01.xml").read_bytes())
    (folder / "p01.xml").unlink()


@plants("labels-astray", "day2/p90.jpg")
def labels_whose_own_photo_is_gone(folder: Path) -> None:
    add(folder / "day1", "p91", (), 917)
    add(folder / "day2", "p90", (), 918).with_suffix(".xml").rename(folder / "day1/p90.xml")


@plants("split-incomplete", ".")
def a_train_folder_without_a_test_folder(folder: Path) -> None:
    add(folder / "train", "p90", (), 919)


@plants("photos-several", "p01.png")
def two_photos_for_one_label_file(folder: Path) -> None:
    picture(901).save(folder / "p01.png")


@plants("labels-other-format", ".")
def a_csv_beside_the_xml(folder: Path) -> None:
    write_csv(folder / "labels.csv", voc.read_boxes(folder / "p01.xml"))


@plants("labels-given-twice", "labels.csv")
def the_same_boxes_in_csv_and_xml(folder: Path) -> None:
    a_csv_beside_the_xml(folder)


@plants("labels-differ", "labels.csv")
def other_boxes_in_csv_than_in_xml(folder: Path) -> None:
    write_csv(folder / "labels.csv", [FIRST])


@plants("labels-not-read", "cvat.xml")
def an_export_of_cvat(folder: Path) -> None:
    (folder / "cvat.xml").write_text('<annotations><version>1.1</version><image name="p01.jpg"/></annotations>')


@plants("labels-aside", "labels.zip")
def an_archive(folder: Path) -> None:
    (folder / "labels.zip").write_bytes(b"PK")


@plants("labels-cut", "labels.csv")
def a_list_without_its_last_line_end(folder: Path) -> None:
    a_csv_beside_the_xml(folder)
    (folder / "labels.csv").write_text((folder / "labels.csv").read_text().rstrip())


@plants("file-passed-over", "camera.json")
def settings_of_a_camera(folder: Path) -> None:
    (folder / "camera.json").write_text('{"exposure_us": 800}')


@plants("xml-encoding", "p01.xml")
def a_path_in_another_encoding_than_the_xml(folder: Path) -> None:
    text = (folder / "p01.xml").read_text().replace("<path>", "<path>C:\\Pr\udcfcfung\\")
    (folder / "p01.xml").write_text(text, errors="surrogateescape")


@plants("file-hidden", "._p01.jpg")
def a_copy_that_a_mac_made(folder: Path) -> None:
    (folder / "._p01.jpg").write_bytes(b"\0\5\x16\7")


@plants("file-special", "pipe.jpg")
def a_pipe_that_would_never_end(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")


@plants("link-outside", "elsewhere.jpg")
def a_link_out_of_the_folder(folder: Path) -> None:
    (folder / "elsewhere.jpg").symlink_to("/etc/hostname")


@plants("link-outside", "elsewhere")
def a_link_to_a_folder_outside(folder: Path) -> None:
    (folder / "elsewhere").symlink_to("/etc")


@plants("link-broken", "nowhere.jpg")
def a_link_to_nowhere(folder: Path) -> None:
    (folder / "nowhere.jpg").symlink_to("not-there.jpg")


@plants("link-folder", "again")
def a_link_to_a_folder_inside(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "again").symlink_to("sub")


@plants("name-clash", "p01.jpg")
def two_names_that_windows_cannot_tell_apart(folder: Path) -> None:
    add(folder / "x", "p01", (), 902)
    (folder / "x").rename(folder / "X")
    add(folder / "x", "p01", (), 903)


PLANTS["two_names_that_windows_cannot_tell_apart"] = (
    "name-clash",
    "x/p01.jpg",
    None,
    two_names_that_windows_cannot_tell_apart,
)


@plants("name-not-nfc", unicodedata.normalize("NFD", "prüf.jpg"))
def a_name_as_a_mac_spells_it(folder: Path) -> None:
    photo = add(folder, unicodedata.normalize("NFD", "prüf"), (), 904)
    voc.write(folder / "prüf.xml", photo.name, WIDTH, HEIGHT, ())
    photo.with_suffix(".xml").unlink()


@plants("filename-spelling", "prüf.xml")
def a_filename_as_a_mac_spells_it(folder: Path) -> None:
    photo = add(folder, "prüf", (), 904)
    voc.write(photo.with_suffix(".xml"), unicodedata.normalize("NFD", photo.name), WIDTH, HEIGHT, ())


@plants("name-not-utf8", "pr\udcfcf.jpg")
def a_name_that_is_no_text(folder: Path) -> None:
    photo = add(folder, "latin", (), 905)
    for path in (photo, photo.with_suffix(".xml")):
        path.rename(os.fsdecode(os.fsencode(folder) + b"/pr\xfcf" + os.fsencode(path.suffix)))


@plants("no-good-parts", ".")
def bad_parts_only(folder: Path) -> None:
    for number in range(0, PHOTOS, 11):
        for ending in ("jpg", "xml"):
            (folder / f"p{number:02d}.{ending}").unlink()


# Faults that only another format can have, or that need something else than a file


def as_yolo(folder: Path) -> None:
    """The clean photos with YOLO labels instead of XML."""
    (folder / "classes.txt").write_text("burr\nspatter\n")
    for path in sorted(folder.glob("*.xml")):
        lines = []
        for item in voc.read_boxes(path):
            x, y = (item.xmin + item.xmax) / 2 / WIDTH, (item.ymin + item.ymax) / 2 / HEIGHT
            width, height = (item.xmax - item.xmin) / WIDTH, (item.ymax - item.ymin) / HEIGHT
            lines.append(f"{('burr', 'spatter').index(item.category)} {x} {y} {width} {height}\n")
        path.with_suffix(".txt").write_text("".join(lines))
        path.unlink()


def as_coco(folder: Path) -> None:
    """The clean photos with one COCO file instead of XML."""
    images, annotations = [], []
    for number, path in enumerate(sorted(folder.glob("*.xml"))):
        images.append({"id": number, "file_name": f"{path.stem}.jpg", "width": WIDTH, "height": HEIGHT})
        for item in voc.read_boxes(path):
            edges = [item.xmin, item.ymin, item.xmax - item.xmin, item.ymax - item.ymin]
            category = 1 + ("burr", "spatter").index(item.category)
            annotations.append({"id": len(annotations), "image_id": number, "category_id": category, "bbox": edges})
        path.unlink()
    names = [{"id": 1, "name": "burr"}, {"id": 2, "name": "spatter"}]
    document = {"images": images, "annotations": annotations, "categories": names}
    (folder / "labels.json").write_text(json.dumps(document))


def as_csv(folder: Path) -> None:
    """The clean photos with one CSV file instead of XML; good parts have no line in it."""
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for path in sorted(folder.glob("*.xml")):
        for item in voc.read_boxes(path):
            edges = ",".join(f"{edge:g}" for edge in item.edges)
            lines.append(f"{path.stem}.jpg,{WIDTH},{HEIGHT},{item.category},{edges}")
        path.unlink()
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def write_csv(path: Path, boxes: Iterable[Box], name: str = "p01.jpg") -> None:
    """A CSV file with the boxes of one photo."""
    rows = [f"{name},{WIDTH},{HEIGHT},{item.category},{','.join(map('{:g}'.format, item.edges))}" for item in boxes]
    path.write_text("\n".join(["filename,width,height,class,xmin,ymin,xmax,ymax", *rows]) + "\n")


@plants("line-unreadable", "p01.txt", 3)
def a_yolo_line_that_is_none(folder: Path) -> None:
    as_yolo(folder)
    with open(folder / "p01.txt", "a") as file:
        file.write("0 0.5 0.5\n")


@plants("class-unknown", "more.xml", 1)
def a_class_that_the_yolo_list_has_not(folder: Path) -> None:
    as_yolo(folder)
    labelled(folder, "more.jpg", encoded(picture(920), "JPEG"))
    (folder / "more.xml").write_text((folder / "more.xml").read_text().replace(">burr<", ">crack<"))


@plants("class-list-short", "p01.txt", 3)
def a_yolo_class_without_a_name(folder: Path) -> None:
    as_yolo(folder)
    with open(folder / "p01.txt", "a") as file:
        file.write("7 0.5 0.5 0.1 0.1\n")


@plants("classes-unnamed", ".")
def yolo_labels_without_a_list(folder: Path) -> None:
    as_yolo(folder)
    (folder / "classes.txt").unlink()


@plants("no-boxes", ".")
def good_parts_only(folder: Path) -> None:
    for path in folder.glob("*.xml"):
        voc.write(path, f"{path.stem}.jpg", WIDTH, HEIGHT, ())


def encoded(photo: Image.Image, encoding: str, **options: object) -> bytes:
    """The bytes of a photo file."""
    file = io.BytesIO()
    photo.save(file, encoding, **options)
    return file.getvalue()


def labelled(folder: Path, name: str, data: bytes, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """A photo of these bytes with one box."""
    (folder / name).write_bytes(data)
    voc.write((folder / name).with_suffix(".xml"), name, *size, [Box("burr", 20, 30, 90, 80)])
