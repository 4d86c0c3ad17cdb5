"""The repaired copy: every repair does what it says, and the source stays as it is."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from sealpin.cli import main
from sealpin_training.dataset.fix import fix, turned
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box

from .corpus import HEIGHT, WIDTH, add, as_yolo, box, encoded, labelled, picture, write_clean


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_clean(tmp_path / "src")
    return tmp_path / "src"


def repair(source: Path, rename: dict[str, str] | None = None) -> Path:
    fix(source, source.parent / "out", rename=rename, processes=1)
    return source.parent / "out"


def changes(out: Path) -> set[tuple[str, str]]:
    with open(out / "changes.csv", newline="") as file:
        return {(row["object"], row["change"]) for row in csv.DictReader(file)}


def test_a_clean_folder_is_copied_as_it_is(source: Path, tmp_path: Path) -> None:
    out = repair(source)
    assert changes(out) == set()
    for path in source.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()


def test_boxes_are_swapped_clipped_and_dropped(source: Path) -> None:
    good = Box("burr", 10, 20, 60, 90)
    boxes = [
        Box("burr", 150, 120, 100, 60),  # inverted
        Box("burr", 380, 200, 420, 260),  # over the edge
        Box("burr", 500, 10, 520, 30),  # beside the photo
        Box("burr", 30, 40, 30, 80),  # no area
        good,
        good,
    ]
    voc.write(source / "p03.xml", "p03.jpg", WIDTH, HEIGHT, boxes)
    out = repair(source)
    assert voc.read_boxes(out / "p03.xml") == (
        Box("burr", 100, 60, 150, 120),
        Box("burr", 380, 200, 400, 260),
        good,
    )
    assert changes(out) == {
        ("1", "edges swapped"),
        ("2", "clipped"),
        ("3", "dropped"),
        ("4", "dropped"),
        ("6", "dropped"),
    }


def test_classes_are_renamed_as_told_and_as_the_commonest_is_spelled(source: Path) -> None:
    voc.write(source / "p03.xml", "p03.jpg", WIDTH, HEIGHT, [Box("Burr", 10, 20, 60, 90), box(2)])
    out = repair(source, {"spatter": "drop"})
    names = {item.category for path in out.glob("*.xml") for item in voc.read_boxes(path)}
    assert names == {"burr", "drop"}


def test_a_resized_photos_boxes_are_scaled_with_it(source: Path) -> None:
    picture(60, 800, 720).save(source / "p03.jpg")
    out = repair(source)
    for mine, theirs in zip(voc.read_boxes(out / "p03.xml"), voc.read_boxes(source / "p03.xml"), strict=True):
        assert mine.edges == tuple(2 * edge for edge in theirs.edges)


# A photo that is not turned by a quarter has one size either way: then labelImg's view, upright, is what counts
@pytest.mark.parametrize(
    ("orientation", "drawn_upright"), [(n, True) for n in range(2, 9)] + [(n, False) for n in range(5, 9)]
)
def test_a_rotated_photo_is_turned_upright_and_its_boxes_sit_on_the_burr(
    tmp_path: Path, orientation: int, drawn_upright: bool
) -> None:
    stored = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    stored[50:90, 300:360] = 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = Image.fromarray(stored)
    data = encoded(photo, "JPEG", exif=exif, quality=95)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.jpg").write_bytes(data)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "src/a.jpg")).convert("L"))
    rows, columns = np.nonzero(upright > 150)
    where = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    size = upright.shape[::-1] if drawn_upright else (WIDTH, HEIGHT)
    drawn = where if drawn_upright else (300, 50, 360, 90)
    voc.write(tmp_path / "src/a.xml", "a.jpg", *size, [Box("burr", *map(float, drawn))])
    out = repair(tmp_path / "src")
    fixed = Image.open(out / "a.jpg")
    assert fixed.size == upright.shape[::-1]
    assert fixed.getexif().get(0x0112) is None
    (found,) = voc.read_boxes(out / "a.xml")
    assert found.edges == pytest.approx(where, abs=2)
    xmin, ymin, xmax, ymax = map(int, found.edges)
    assert np.asarray(fixed.convert("L"))[ymin + 3 : ymax - 3, xmin + 3 : xmax - 3].min() > 150


@given(
    st.integers(5, 8),
    st.tuples(st.floats(0, 40), st.floats(0, 30), st.floats(1, 60), st.floats(1, 60)),
)
@settings(deadline=None)
def test_a_turned_box_keeps_its_sides_and_stays_inside(
    orientation: int, place: tuple[float, float, float, float]
) -> None:
    x, y, width, height = place
    xmin, ymin, xmax, ymax = turned((x, y, x + width, y + height), orientation, 100, 90)
    assert (xmax - xmin, ymax - ymin) == pytest.approx((height, width))
    assert xmin >= -1e-9 and ymin >= -1e-9 and xmax <= 90 + 1e-9 and ymax <= 100 + 1e-9


def test_other_encodings_become_jpeg_or_png_of_8_bits(source: Path) -> None:
    labelled(source, "a.bmp", encoded(picture(70), "BMP"))
    labelled(source, "b.jpg", encoded(picture(71).convert("CMYK"), "JPEG"))
    deep = np.asarray(picture(72).convert("L"), np.uint16) * 256
    labelled(source, "c.png", encoded(Image.fromarray(deep), "PNG"))
    labelled(source, "d.jpg", encoded(picture(73), "PNG"))
    out = repair(source)
    assert Image.open(out / "a.png").mode == "RGB"
    assert np.array_equal(np.asarray(Image.open(out / "a.png")), np.asarray(picture(70)))
    assert Image.open(out / "b.jpg").mode == "RGB"
    assert np.array_equal(np.asarray(Image.open(out / "c.png")), deep // 256)
    assert (out / "d.png").read_bytes() == (source / "d.jpg").read_bytes()
    assert voc.read(out, "d.xml").filename == "d.png"
    for name in ("a", "b", "c", "d"):
        assert len(voc.read_boxes(out / f"{name}.xml")) == 1


def test_yolo_labels_become_xml_for_labelimg(source: Path) -> None:
    shutil.copytree(source, source.parent / "xml")
    as_yolo(source)
    out = repair(source)
    for path in sorted((source.parent / "xml").glob("*.xml")):
        assert voc.read_boxes(out / path.name) == voc.read_boxes(path)


def test_the_command_lists_what_it_changed(source: Path) -> None:
    voc.write(source / "p03.xml", "p03.jpg", WIDTH, HEIGHT, [Box("burr", 380, 200, 420, 260)])
    out = source.parent / "out"
    told = CliRunner().invoke(main, ["dataset", "fix", str(source), str(out), "--workers", "1", "--json"])
    assert told.exit_code == 0, told.output
    (change,) = json.loads(told.stdout)["changes"]
    assert (change["file"], change["object"], change["change"]) == ("p03.xml", 1, "clipped")
    again = CliRunner().invoke(main, ["dataset", "fix", str(source), str(out)])
    assert again.exit_code == 2
    assert "in the way" in again.output


def test_two_photos_never_get_one_name(tmp_path: Path) -> None:
    add(tmp_path / "src", "a", (box(1),), 1)
    (tmp_path / "src/b.jpeg").write_bytes(encoded(picture(2), "PNG"))
    (tmp_path / "src/b.png").write_bytes(encoded(picture(3), "PNG"))
    fix(tmp_path / "src", tmp_path / "out", processes=1)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.*g")) == ["a.jpg", "b.png", "b_2.png"]


def test_a_rename_of_nothing_is_told(source: Path) -> None:
    told = CliRunner().invoke(main, ["dataset", "fix", str(source), str(source.parent / "out"), "--rename", "x=y"])
    assert told.exit_code == 2
    assert "no object has this class" in told.output
    assert not (source.parent / "out").exists()
