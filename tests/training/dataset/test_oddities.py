"""What real folders bring along: doubled names, mixed formats, copies in two splits, files that no program wrote."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_training.dataset.convert import Plan, convert
from sealpin_training.dataset.fix import fix
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.manifest import load_dataset
from sealpin_training.dataset.survey import Rules, Survey, survey
from sealpin_training.parallel import Workers

from .corpus import HEIGHT, WIDTH, add, as_coco, as_csv, as_yolo, box, encoded, labelled, picture, write_clean


def look(folder: Path) -> Survey:
    return survey(folder, Rules(), Workers(None, 1))


def kinds(folder: Path) -> set[str]:
    return {one.kind for one in look(folder).findings if one.severity != "note"} - {"class-few"}


def repaired(src: Path, rename: dict[str, str] | None = None) -> Path:
    out = src.parent / "fixed"
    shutil.rmtree(out, ignore_errors=True)
    fix(src, out, rename=rename, processes=1)
    return out


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return tmp_path / "src"


def test_labels_belong_to_the_nearest_photo_of_their_name(src: Path) -> None:
    add(src / "bad", "IMG_1", (box(1),), 1)
    (src / "good").mkdir()
    picture(2).save(src / "good/IMG_1.jpg")
    found = look(src)
    assert found.unlabelled == {"good/IMG_1.jpg"}
    assert {photo.name: len(photo.boxes) for photo in found.photos} == {"bad/IMG_1.jpg": 1, "good/IMG_1.jpg": 0}
    assert kinds(repaired(src)) == {"photo-unlabelled"}


def test_of_two_copies_the_labelled_one_stays(src: Path) -> None:
    add(src, "b", (box(1),), 1)
    shutil.copy(src / "b.jpg", src / "a.jpg")
    out = repaired(src)
    assert [path.name for path in out.glob("*.jpg")] == ["b.jpg"]
    assert len(voc.read_boxes(out / "b.xml")) == 1


@pytest.mark.parametrize("labels", ["the same", "others", "none in test"])
def test_a_shot_stays_in_one_split(src: Path, labels: str) -> None:
    for split, number in (("train", 1), ("train", 2), ("val", 3), ("test", 4)):
        add(src / split, f"p{number}", (box(number),), number)
    shutil.copy(src / "train/p1.jpg", src / "test/q.jpg")
    again = encoded(Image.open(src / "train/p1.jpg"), "JPEG", quality=60)
    labelled(src / "train", "again.jpg", again)
    if labels != "none in test":
        voc.write(src / "test/q.xml", "q.jpg", WIDTH, HEIGHT, [box(1 if labels == "the same" else 9)])
    found = look(src)
    assert {"photo-across-splits", "photo-near-across-splits"} & {one.kind for one in found.findings}
    with pytest.raises(InputError, match="another split"):
        convert(src, src.parent / "out", processes=1)
    out = repaired(src)
    assert not {one.kind for one in look(out).findings if one.severity == "error"}
    kept = {str(path.relative_to(out)) for path in out.rglob("*.jpg")} - {"train/p2.jpg", "val/p3.jpg", "test/p4.jpg"}
    # It stays where it is labelled, and rather in test than in train
    assert kept == ({"train/p1.jpg", "train/again.jpg"} if labels == "none in test" else {"test/q.jpg"})


def test_a_photo_whose_only_object_is_dropped_is_no_good_part(src: Path) -> None:
    add(src, "a", (box(1),), 1)
    for name, bad in (("b", Box("burr", 30, 40, 30, 80)), ("c", Box("burr", 900, 10, 950, 40))):
        add(src, name, (bad,), ord(name))
    path = add(src, "d", (box(1),), 4).with_suffix(".xml")
    path.write_text(path.read_text().replace(">spatter<", "><"))
    out = repaired(src)
    assert look(out).unlabelled == {"b.jpg", "c.jpg", "d.jpg"}


@pytest.mark.parametrize("other", ["camera.xml", "labels.json"])
def test_the_format_that_labels_most_photos_is_read(src: Path, other: str) -> None:
    write_clean(src)
    as_csv(src)
    empty = "<config/>" if other.endswith("xml") else '{"images": [], "annotations": [], "categories": []}'
    (src / other).write_text(empty)
    found = look(src)
    assert found.source.format == "csv"
    assert "labels-other-format" in {one.kind for one in found.findings}


@pytest.mark.parametrize("labels", [as_yolo, as_coco, as_csv])
def test_proposals_are_not_mixed_with_labels_of_another_format(src: Path, toy_model: Path, labels) -> None:  # type: ignore[no-untyped-def]
    write_clean(src)
    labels(src)
    told = CliRunner().invoke(main, ["dataset", "prelabel", str(src), "--model", str(toy_model)])
    assert told.exit_code == 2
    assert "dataset fix" in told.output
    assert not list(src.glob("*.xml"))


def test_a_spelling_that_is_put_right_is_renamed_too(src: Path) -> None:
    for number in range(12):
        add(src, f"p{number}", (Box("Burr" if number == 3 else "burr", *box(number).edges),), number)
    out = repaired(src, {"burr": "defect"})
    assert set(look(out).named) == {"defect"}


def test_lists_that_number_the_classes_differently_are_refused(src: Path) -> None:
    for day, names in (("day1", "burr\nspatter\n"), ("day2", "spatter\nburr\n")):
        (src / day).mkdir(parents=True)
        picture(len(names) + ord(day[-1])).save(src / day / f"{day}.jpg")
        (src / day / f"{day}.txt").write_text("0 .5 .5 .1 .1\n")
        (src / day / "classes.txt").write_text(names)
    with pytest.raises(InputError, match="number the classes differently"):
        look(src)
    (src / "day2/classes.txt").write_text("burr\nspatter\ncrack\n")  # the same list, with one more
    assert [box.category for photo in look(src).photos for box in photo.boxes] == ["burr", "burr"]
    (src / "day2/classes.txt").write_text("burr\n\nspatter\n")
    (src / "day1/classes.txt").unlink()
    (src / "day1/day1.txt").write_text("2 .5 .5 .1 .1\n")
    assert look(src).photos[0].boxes[0].category == "spatter"


def test_what_was_seen_before_is_known_by_its_bytes_not_by_its_name(src: Path) -> None:
    for number in range(20):
        add(src, f"p{number:02d}", (box(number),), number)
    convert(src, src.parent / "a", processes=1)
    before = load_dataset(src.parent / "a").splits
    train, test = (next(n for n in sorted(before) if n.startswith("p") and before[n] == s) for s in ("train", "test"))
    (src / train).rename(src / "x")
    (src / test).rename(src / train)
    (src / "x").rename(src / test)
    convert(src, src.parent / "b", Plan(keep=src.parent / "a"), processes=1)
    after = load_dataset(src.parent / "b").splits
    assert (after[train], after[test]) == ("test", "train")


def test_coco_files_of_other_programs(src: Path) -> None:
    for split in ("train", "val"):
        (src / split).mkdir(parents=True)
        picture(len(split)).save(src / split / "1.jpg")
    (src / "annotations").mkdir()
    edges = {"train": [10, 20, 50, 60], "val": [100, 110, 40, 30]}
    for split in ("train", "val"):
        document = {
            "images": [{"id": 0, "file_name": "1.jpg", "width": float(WIDTH), "height": HEIGHT}],
            "annotations": [
                {"id": 0, "image_id": 0, "category_id": 0, "bbox": edges[split]},
                {"id": 1, "image_id": [1], "category_id": 0, "bbox": [1, 2, 3, 4]},
                {"id": 2, "image_id": 0, "category_id": 7, "bbox": [1, 2, 3, 4]},
                {"id": 3, "image_id": 0, "category_id": 0, "bbox": [1, 2, 3, 10**400]},
            ],
            "categories": [{"id": 0, "name": "b\ud800urr"}],
        }
        (src / f"annotations/instances_{split}.json").write_text(json.dumps(document))
    found = look(src)
    assert {photo.name: photo.boxes[0].edges for photo in found.photos} == {
        "train/1.jpg": (10, 20, 60, 80),
        "val/1.jpg": (100, 110, 140, 140),
    }
    assert {"annotation-astray", "class-missing", "box-missing"} <= {one.kind for one in found.findings}
    assert set(found.named) == {"b?urr"}


def test_names_that_xml_cannot_hold_are_written_all_the_same(src: Path) -> None:
    src.mkdir()
    picture(1).save(src / "a\x01.jpg")
    (src / "a\x01.txt").write_text("0 .5 .5 .1 .1\n")
    (src / "classes.txt").write_text("burr\n")
    out = repaired(src)
    assert len(voc.read_boxes(next(out.glob("*.xml")))) == 1


def test_links_to_themselves_are_findings(src: Path) -> None:
    write_clean(src)
    (src / "x.jpg").symlink_to("x.jpg")
    assert "link-broken" in kinds(src)


@pytest.mark.parametrize("side", ["9" * 400, "1e400", "-360", "100000000"])
@pytest.mark.parametrize(("listed", "file"), [(None, "p01.xml"), (as_csv, "labels.csv"), (as_coco, "labels.json")])
def test_endless_numbers_are_no_sizes(src: Path, listed: Callable[[Path], None] | None, file: str, side: str) -> None:
    write_clean(src)
    if listed:
        listed(src)
    path = src / file
    path.write_text(path.read_text().replace(str(WIDTH), side, 1))
    assert "size-missing" in kinds(src)


def test_sizes_of_another_photo_make_no_figures(src: Path) -> None:
    add(src, "a", (box(1),), 1)
    picture(2, 800, 400).save(src / "a.jpg")
    told = CliRunner().invoke(main, ["dataset", "stats", str(src), "--workers", "1", "--json"])
    assert json.loads(told.stdout)["classes"] == {}
    report = CliRunner().invoke(
        main, ["dataset", "stats", str(src), "--workers", "1", "--report", str(src.parent / "r.html")]
    )
    assert report.exit_code == 0, report.output


def test_small_boxes_are_named_by_their_own_number(src: Path) -> None:
    voc.write(
        add(src, "a", (), 1).with_suffix(".xml"), "a.jpg", WIDTH, HEIGHT,
        [Box("burr", 50, 50, 20, 90), Box("burr", 10, 10, 13, 40)],
    )  # fmt: skip
    assert [(one.kind, one.number) for one in look(src).findings if one.kind.startswith("box")] == [
        ("box-inverted", 1),
        ("box-small", 2),
    ]


def test_no_damage_to_a_photo_crashes_the_checker(src: Path) -> None:
    """Single bytes changed, cut and added, in every format: always a finding or a photo, never an exception."""
    src.mkdir()
    rng = random.Random(7)
    originals = {
        ending: encoded(picture(3, 96, 64), name)
        for ending, name in (("jpg", "JPEG"), ("png", "PNG"), ("gif", "GIF"), ("tif", "TIFF"), ("webp", "WEBP"))
    }
    count = 0
    for ending, data in originals.items():
        for _ in range(120):
            at = rng.randrange(min(len(data), 700)) if rng.random() < 0.7 else rng.randrange(len(data))
            spoiled = rng.choice(
                (
                    data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
                    data[:at] + bytes(8) + data[at:],
                    data[:at],
                )
            )
            (src / f"p{count}.{ending}").write_bytes(spoiled)
            count += 1
    (src / "labels.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\np0.jpg,96,64,burr,1,1,30,30\n")
    found = look(src)
    assert len(found.photos) + len({one.file for one in found.findings if one.kind.startswith("photo-")}) >= count
