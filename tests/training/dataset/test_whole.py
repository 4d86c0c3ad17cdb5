"""A class for each whole photo: by folders, tables, masks and boxes; and which class is good."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.manifest import load_dataset
from sealpin_training.dataset.records import read_records
from sealpin_training.dataset.whole.check import class_of
from sealpin_training.dataset.whole.folders import class_folders
from sealpin_training.tasks.recipe import shipped_recipes

SIDE = 64
# Kinds of faults that labels of whole photos alone have; each is found below
OF_WHOLE = {
    "class-differs", "class-rare", "class-alone", "class-reserved", "good-missing", "good-none", "good-ambiguous",
    "good-unknown", "good-alone", "good-marked", "mask-without-photo", "folders-mixed",
}  # fmt: skip


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rough = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(rough, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST))


def mask(path: Path, *boxes: tuple[int, int, int, int], grey: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    for xmin, ymin, xmax, ymax in boxes:
        pixels[ymin:ymax, xmin:xmax] = grey
    cv2.imwrite(str(path), pixels)


def tree(root: Path, counts: Mapping[str, int], ending: str = ".jpg") -> None:
    seed = 0
    for folder, count in counts.items():
        for number in range(count):
            picture(root / folder / f"{folder.replace('/', '_')}{number}{ending}", seed := seed + 1)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["dataset", *map(str, words)])


def kinds(src: Path, *words: str, severity: str = "error") -> set[str]:
    answer = json.loads(call("check", src, "--task", "classify", "--json", "--workers", 1, *words).stdout)
    return {one["kind"] for one in answer["findings"] if one["severity"] == severity}


def classes(src: Path, out: Path, *words: str) -> dict[str, list[Any]]:
    """What was converted: by the photo's name its class, the classes of its defects, and its boxes."""
    done = call("convert", src, out, "--task", "classify", "--workers", 1, *words)
    assert done.exit_code == 0, done.output
    dataset = load_dataset(out)
    assert dataset.task == "classify"
    found = {}
    for split in ("train", "val", "test"):
        for record in read_records(out, split, dataset.classes):
            found[record.name] = [record.category, record.defects, [tuple(box.edges) for box in record.boxes]]
            assert all(box.category == record.category for box in record.boxes)
            assert (record.name in dataset.bad) == bool(record.defects)
    return found


def told(found: Mapping[str, Sequence[Any]]) -> Counter[str]:
    return Counter(category for category, *_ in found.values())


@pytest.mark.parametrize(
    ("name", "folder"),
    [("train/ok/1.jpg", "ok"), ("PR/Imgs/1.jpg", "PR"), ("test/crack/images/deep/1.jpg", "deep"), ("train/1.jpg", "")],
)
def test_the_nearest_folder_that_says_something_is_the_class(name: str, folder: str) -> None:
    assert (class_folders(name) or [""])[0] == folder


def test_folders_are_classes_at_any_depth(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"a/ok": 8, "b/images/ok": 4, "dented": 6, "x/shifted": 6})
    found = classes(tmp_path / "photos", tmp_path / "out")
    assert told(found) == {"ok": 12, "dented": 6, "shifted": 6}
    assert load_dataset(tmp_path / "out").good == ("ok",)
    assert {one[1] for one in found.values() if one[0] == "ok"} == {()}


def test_a_photo_beside_the_class_folders_has_no_class(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"ok": 4, "PR": 4})
    picture(tmp_path / "photos/stray.jpg", 99)
    found = classes(tmp_path / "photos", tmp_path / "out")
    assert told(found) == {"ok": 4, "PR": 4}


def test_folders_of_splits_are_kept(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {f"{split}/{name}": 4 for split in ("train", "valid", "test") for name in ("ok", "bad")})
    classes(tmp_path / "photos", tmp_path / "out")
    assert load_dataset(tmp_path / "out").counts == {"train": 8, "val": 8, "test": 8}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_gives_classes(tmp_path: Path, separator: str) -> None:
    tree(tmp_path, {"photos": 6})
    rows = [("image", "label"), *((f"photos{number}.jpg", "ok" if number % 2 else "PR") for number in range(5))]
    (tmp_path / "classes.csv").write_text("".join(separator.join(row) + "\n" for row in rows))
    found = classes(tmp_path, tmp_path.parent / f"{tmp_path.name}_out")
    assert told(found) == {"ok": 2, "PR": 3}  # and the sixth, of which nothing is said, is left out


def test_a_photo_in_two_classes_is_an_error(tmp_path: Path) -> None:
    tree(tmp_path, {"photos": 4})
    lines = [f"photos{number}.jpg,{'ok' if number else 'PR'}" for number in range(4)]
    (tmp_path / "classes.csv").write_text("\n".join(["file,class", *lines, "photos2.jpg,PR", ""]))
    assert kinds(tmp_path) == {"class-differs"}


def test_the_same_shot_in_two_classes_is_an_error_when_one_is_good(tmp_path: Path) -> None:
    tree(tmp_path, {"ok": 4, "PR": 4})
    (tmp_path / "ok/again.jpg").write_bytes((tmp_path / "PR/PR1.jpg").read_bytes())
    assert kinds(tmp_path) == {"photo-good-and-bad"}


@pytest.mark.parametrize("folder", ["PR/ok", "ng/ok", "Not OK/photos/ok"])
def test_a_good_folder_within_a_bad_one_is_no_good_part(tmp_path: Path, folder: str) -> None:
    tree(tmp_path / "photos", {"ok": 4, "PR": 4, folder: 2})
    assert kinds(tmp_path / "photos") == {"class-differs"}
    done = call("fix", tmp_path / "photos", tmp_path / "fixed", "--task", "classify", "--workers", 1)
    assert done.exit_code == 0, done.output
    assert told(classes(tmp_path / "fixed", tmp_path / "out")) == {"ok": 4, "PR": 4}


def test_a_table_in_an_encoding_of_its_own_is_not_read(tmp_path: Path) -> None:
    tree(tmp_path, {"photos": 4})
    rows = ["file,class", *(f"photos{number}.jpg,{'für gut' if number else 'PR'}" for number in range(4)), ""]
    (tmp_path / "classes.csv").write_bytes("\n".join(rows).encode("cp1252"))
    answer = call("check", tmp_path, "--task", "classify", "--good", "für gut", "--workers", 1)
    assert answer.exit_code == 2 and "save it as CSV UTF-8" in answer.output


def test_photos_without_labels_are_good_parts_when_told_so(tmp_path: Path) -> None:
    assert call("synth", tmp_path / "photos", "--parts", "40").exit_code == 0
    for xml in (tmp_path / "photos").glob("*.xml"):
        if "<object>" not in xml.read_text():
            xml.unlink()
    assert kinds(tmp_path / "photos") == {"good-missing"}
    found = classes(tmp_path / "photos", tmp_path / "out", "--unlabelled", "good")
    assert told(found)["good"] >= 4


def test_masks_tell_where_and_folders_tell_what(tmp_path: Path) -> None:
    root = tmp_path / "photos"  # as magnetic tiles: PNG masks beside JPEG, one of them empty, edges grey
    tree(root, {"MT_Free": 6, "MT_Crack": 6})
    for photo in sorted(root.rglob("*.jpg")):
        bad = photo.parent.name == "MT_Crack" and not photo.name.endswith("5.jpg")
        mask(photo.with_suffix(".png"), *[(8, 16, 24, 20), (40, 40, 41, 41)] * bad, grey=230)
    found = classes(root, tmp_path / "out", "--good", "MT_Free")
    assert told(found) == {"MT_Free": 6, "MT_Crack": 6}
    assert Counter(len(one[2]) for one in found.values() if one[0] == "MT_Crack") == {1: 5, 0: 1}
    assert found["MT_Crack/MT_Crack0.jpg"][2] == [(8, 16, 24, 20)]


def test_where_folders_are_products_masks_alone_tell(tmp_path: Path) -> None:
    root = tmp_path / "kolektor"
    for part in range(4):
        for number in range(4):
            picture(root / f"kos{part:02}/Part{number}.jpg", 10 * part + number)
            mask(root / f"kos{part:02}/Part{number}_label.bmp", *[(5, 5, 30, 9)] * (number == part))
    assert kinds(root, severity="note") == {"folders-mixed"}
    assert "class-rare" in kinds(root, severity="warning")
    found = classes(root, tmp_path / "out")
    assert told(found) == {"good": 12, "defect": 4}
    assert found["kos02/Part2.jpg"] == ["defect", ("defect",), [(5, 5, 30, 9)]]


def test_dagm_as_it_comes(tmp_path: Path) -> None:
    root = tmp_path / "Class1"
    for folder, count in (("Train", 6), ("Test", 6)):
        lines = ["1"]
        for number in range(1, count + 1):
            picture(root / folder / f"{number:04}.PNG", len(folder) * 100 + number)
            bad = number % 3 == 0
            lines.append(f"{number}\t{int(bad)}\t{number:04}.PNG\t0\t{f'{number:04}_label.PNG' if bad else 0}")
            if bad:
                mask(root / folder / "Label" / f"{number:04}_label.PNG", (10, 10, 40, 30))
        (root / folder / "Label").mkdir(exist_ok=True)
        (root / folder / "Label/Labels.txt").write_text("\r\n".join(lines) + "\r\n")
    found = classes(root, tmp_path / "out")
    assert told(found) == {"good": 8, "defect": 4}
    assert found["Train/0003.PNG"] == ["defect", ("defect",), [(10, 10, 40, 30)]]


def test_mvtec_as_it_comes(tmp_path: Path) -> None:
    root = tmp_path / "bottle"
    tree(root, {"train/good": 6, "test/good": 3, "test/broken": 3}, ending=".png")
    for photo in sorted((root / "test/broken").iterdir()):
        mask(root / "ground_truth/broken" / f"{photo.stem}_mask.png", (2, 2, 20, 20))
    found = classes(root, tmp_path / "out")
    assert told(found) == {"good": 9, "broken": 3}
    assert all(one[2] == [(2, 2, 20, 20)] for one in found.values() if one[0] == "broken")


@pytest.mark.parametrize(
    ("value", "ending"),
    [(1, ".png"), (7, ".png"), (127, ".bmp"), (np.uint16(1), ".png"), (np.uint16(300), ".tif"), ((0, 0, 90), ".png")],
)
def test_whatever_value_marks_a_place_it_is_marked(tmp_path: Path, value: Any, ending: str) -> None:
    for number in range(8):
        picture(tmp_path / f"photos/{number}.jpg", number)
        pixels = np.zeros((64, 64, *np.shape(value)), np.asarray(value).dtype if np.ndim(value) == 0 else np.uint8)
        pixels = pixels.astype(np.uint8) if pixels.dtype == np.int64 else pixels
        pixels[10:20, 8:30] = value if number % 2 else 0
        (tmp_path / "photos/masks").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / f"photos/masks/{number}{ending}"), pixels)
    found = classes(tmp_path / "photos", tmp_path / "out")
    assert told(found) == {"good": 4, "defect": 4}
    assert found["1.jpg"][2] == [(8, 10, 30, 20)]


def test_a_mask_that_may_mark_something_makes_no_good_part(tmp_path: Path) -> None:
    for number in range(8):
        picture(tmp_path / f"{number}.jpg", number)
        mask(tmp_path / f"masks/{number}.png", *[(5, 5, 30, 9)] * (number % 2))
    for stem in ("0", "2"):
        (tmp_path / f"masks/{stem}.png").unlink()
    mask(tmp_path / "masks/0.jpg", (5, 5, 30, 40), grey=60)  # a class's number, as JPEG
    clear = np.zeros((64, 64, 4), np.uint8)
    clear[5:9, 5:30, 3] = 255
    cv2.imwrite(str(tmp_path / "masks/2.png"), clear)
    assert kinds(tmp_path) == {"labels-not-read"}


def test_a_mask_without_its_photo_is_an_error(tmp_path: Path) -> None:
    tree(tmp_path, {"ok": 4, "PR": 4})
    mask(tmp_path / "PR/PR0_mask.png", (1, 1, 9, 9))
    mask(tmp_path / "PR/gone_mask.png", (1, 1, 9, 9))
    assert kinds(tmp_path) == {"mask-without-photo"}


def test_a_good_part_with_something_marked_is_an_error(tmp_path: Path) -> None:
    tree(tmp_path, {"ok": 20, "PR": 20})
    mask(tmp_path / "ok/ok0_mask.png", (1, 1, 9, 9))
    assert kinds(tmp_path) == {"good-marked"}


def test_boxes_give_classes_and_none_is_good(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["dataset", "synth", str(tmp_path / "photos"), "--parts", "40"])
    assert done.exit_code == 0
    as_boxes = call("convert", tmp_path / "photos", tmp_path / "boxes", "--workers", 1)
    assert as_boxes.exit_code == 0, as_boxes.output
    bad = load_dataset(tmp_path / "boxes").bad
    found = classes(tmp_path / "photos", tmp_path / "out")
    assert {name for name, one in found.items() if one[1]} == bad
    assert {one[0] for name, one in found.items() if name not in bad} == {"good"}


@pytest.mark.parametrize(
    ("folders", "words", "errors"),
    [
        (("MT_Free", "crack"), (), {"good-missing"}),
        (("MT_Free", "crack"), ("--good", "MT_Free"), set()),
        (("MT_Free", "crack"), ("--good", ""), set()),
        (("MT_Free", "crack"), ("--good", "MT_Fray"), {"good-unknown"}),
        (("ok", "good", "crack"), (), {"good-ambiguous"}),
        (("ok", "good", "crack"), ("--good", "ok", "--good", "good"), set()),
        (("ok", "crack"), ("--good", "ok", "--good", "crack"), {"good-alone"}),
        (("ok", "crack", "Crack"), (), {"class-spelling"}),
        (("ok", "crack", "unsure"), (), {"class-reserved"}),
    ],
)
def test_the_good_class_must_be_known(
    tmp_path: Path, folders: Sequence[str], words: tuple[str, ...], errors: set[str]
) -> None:
    tree(tmp_path, dict.fromkeys(folders, 4))
    assert kinds(tmp_path, *words) == errors


def test_a_single_class_teaches_nothing(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 0})
    picture(tmp_path / "1.jpg", 1)
    (tmp_path / "classes.csv").write_text("file,class\n1.jpg,PR\n")
    assert kinds(tmp_path, "--good", "") == {"class-alone"}
    assert "good-none" in kinds(tmp_path, "--good", "", severity="warning")


def test_fix_writes_a_folder_for_each_class(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"a/ok": 5, "Crack": 5, "crack": 1})
    done = call("fix", tmp_path / "photos", tmp_path / "fixed", "--task", "classify", "--workers", 1)
    assert done.exit_code == 0, done.output
    assert f"check {tmp_path / 'fixed'} --task classify" in done.output
    assert kinds(tmp_path / "fixed") == set()
    assert told(classes(tmp_path / "fixed", tmp_path / "out")) == {"ok": 5, "Crack": 6}


@pytest.mark.parametrize("odd", [".ok", "images", "test", "ok/", "x" * 300])
def test_fix_refuses_classes_that_no_folders_tell_apart(tmp_path: Path, odd: str) -> None:
    tree(tmp_path / "photos", {"a": 9})
    names = ["ok", "PR", odd]
    rows = [f"a/a{number}.jpg,{names[number % 3]}" for number in range(9)]
    (tmp_path / "photos/classes.csv").write_text("\n".join(["file,class", *rows, ""]))
    words = ("--task", "classify", "--good", "ok", "--workers", 1)
    done = call("fix", tmp_path / "photos", tmp_path / "fixed", *words)
    if odd == "x" * 300:
        assert done.exit_code == 0 and max(len(one.name) for one in (tmp_path / "fixed").iterdir()) == 200, done.output
        return
    assert done.exit_code == 2 and "cannot be told apart as names of folders" in done.output, done.output
    assert not (tmp_path / "fixed").exists()
    fixed = call("fix", tmp_path / "photos", tmp_path / "fixed", *words, "--rename", f"{odd}=dent")
    assert fixed.exit_code == 0, fixed.output


def test_merged_classes_stay_good_or_bad(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"left": 5, "right": 5, "crack": 5})
    found = classes(
        tmp_path / "photos",
        tmp_path / "out",
        "--good",
        "left",
        "--good",
        "right",
        "--merge",
        "left=ok",
        "--merge",
        "right=ok",
    )
    assert told(found) == {"ok": 10, "crack": 5}
    assert load_dataset(tmp_path / "out").good == ("ok",)


@pytest.mark.parametrize("merge", ["burr=ok", "ok=burr", "burr=fine"])
def test_no_merge_makes_good_parts_of_bad_ones(tmp_path: Path, merge: str) -> None:
    tree(tmp_path / "photos", {"ok": 5, "burr": 5, "dent": 5, "fine": 5})
    words = ("--task", "classify", "--good", "ok", "--good", "fine", "--workers", 1)
    done = call("convert", tmp_path / "photos", tmp_path / "out", *words, "--merge", merge)
    assert done.exit_code == 2 and "this would make good parts of bad ones" in done.output, done.output
    done = call("fix", tmp_path / "photos", tmp_path / "fixed", *words, "--rename", merge)
    assert done.exit_code == 2 and "this would make good parts of bad ones" in done.output, done.output
    assert not (tmp_path / "out").exists() and not (tmp_path / "fixed").exists()


@pytest.mark.parametrize("merges", [["dent=burr", "ok=burr"], ["burr=unsure"]])
def test_a_merge_leaves_classes_that_can_be_trained(tmp_path: Path, merges: list[str]) -> None:
    tree(tmp_path / "photos", {"ok": 5, "burr": 5, "dent": 5})
    words = [word for one in merges for word in ("--merge", one)]
    done = call("convert", tmp_path / "photos", tmp_path / "out", "--task", "classify", "--workers", 1, *words)
    assert done.exit_code == 2 and "nothing could be trained of these classes" in done.output, done.output


def test_a_table_and_a_folder_that_differ_are_an_error(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"ok": 4, "ng": 4, "other": 2})
    rows = ["file,class", *(f"{name}/{name}{number}.jpg,{name}" for name in ("ok", "ng") for number in range(4))]
    rows += ["other/other0.jpg,ok", "other/other1.jpg,ng"]
    (tmp_path / "photos/classes.csv").write_text("\n".join([*rows, ""]))
    assert kinds(tmp_path / "photos") == set()
    (tmp_path / "photos/classes.csv").write_text("\n".join([*rows, ""]).replace("ng/ng1.jpg,ng", "ng/ng1.jpg,ok"))
    assert kinds(tmp_path / "photos") == {"class-differs"}


def test_which_classes_are_good_is_in_the_digest(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"ok": 5, "burr": 5, "dent": 5})
    for name, good in (("one", ["ok"]), ("two", ["ok", "dent"])):
        classes(tmp_path / "photos", tmp_path / name, *(word for one in good for word in ("--good", one)))
    assert load_dataset(tmp_path / "one").digest != load_dataset(tmp_path / "two").digest


def test_a_dataset_whose_classes_are_all_good_is_none(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"ok": 5, "burr": 5})
    classes(tmp_path / "photos", tmp_path / "out")
    manifest = tmp_path / "out/dataset.json"
    manifest.write_text(manifest.read_text().replace('"ok"\n ]', '"ok", "burr"\n ]', 1))
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(told | {"good": ["ok", "burr"]}))
    with pytest.raises(InputError, match="not a converted dataset"):
        load_dataset(tmp_path / "out")


def test_marks_speak_against_a_good_class_however_it_is_spelled(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"ok": 6, "PR": 6, "OK": 2})
    for number in range(2):
        mask(tmp_path / f"photos/OK/OK{number}_mask.png", (10, 10, 40, 40))
    assert kinds(tmp_path / "photos") == {"class-spelling", "good-marked"}
    done = call("fix", tmp_path / "photos", tmp_path / "fixed", "--task", "classify", "--workers", 1)
    assert done.exit_code == 0 and not list((tmp_path / "fixed").rglob("OK*")), done.output
    assert told(classes(tmp_path / "fixed", tmp_path / "out")) == {"ok": 6, "PR": 6}


def test_of_boxes_none_that_is_called_good_outweighs_a_bad_one() -> None:
    boxes = [Box("OK", 0, 0, 60, 60), Box("PR", 1, 1, 5, 5)]
    for good in (None, ("ok",), ("o-k",)):
        assert class_of("", boxes, good) == "PR"


@pytest.mark.parametrize("table", [False, True])
def test_a_mask_speaks_for_a_photo_that_nothing_else_tells_of(tmp_path: Path, table: bool) -> None:
    tree(tmp_path / "photos", {"ok": 6, "PR": 6})
    picture(tmp_path / "photos/loose.png", 99)
    mask(tmp_path / "photos/loose_mask.png", (10, 10, 30, 30))
    if table:
        rows = [f"{name}/{name}{number}.jpg,{name}" for name in ("ok", "PR") for number in range(6)]
        (tmp_path / "photos/classes.csv").write_text("\n".join(["file,class", *rows, ""]))
    found = classes(tmp_path / "photos", tmp_path / "out", "--unlabelled", "good")
    assert told(found) == {"ok": 6, "PR": 6, "defect": 1} and found["loose.png"][1] == ("defect",)


def test_photos_without_a_class_need_a_good_one(tmp_path: Path) -> None:
    assert call("synth", tmp_path / "photos", "--parts", "40").exit_code == 0
    assert kinds(tmp_path / "photos", "--good", "") == {"good-missing"}
    words = ("--task", "classify", "--good", "", "--workers", 1)
    for command in (("convert", tmp_path / "photos", tmp_path / "out"), ("fix", tmp_path / "photos", tmp_path / "out")):
        assert not isinstance(call(*command, *words).exception, IndexError)
    assert not isinstance(call("stats", tmp_path / "photos", *words).exception, IndexError)


def test_good_belongs_to_whole_photos(tmp_path: Path) -> None:
    done = call("check", tmp_path, "--good", "ok")
    assert (done.exit_code, "--task classify" in done.output) == (2, True)


def test_stats_and_preview_tell_the_classes(tmp_path: Path) -> None:
    tree(tmp_path / "photos", {"ok": 5, "PR": 3})
    words = ("--task", "classify", "--workers", 1)
    answer = json.loads(call("stats", tmp_path / "photos", *words, "--json").stdout)
    assert answer["whole"] == {"PR": 3, "ok": 5}
    assert (answer["photos"]["good"], answer["photos"]["bad"]) == (5, 3)
    shown = call("stats", tmp_path / "photos", *words).stdout
    assert "ok: 5 photos" in shown and "3 of bad ones" in shown and "anchor" not in shown
    recipe = shipped_recipes() / "ssd_mobilenet_v2_fpnlite_320x320_demo.config"
    assert "not for --task classify" in call("stats", tmp_path / "photos", *words, "--recipe", recipe).output
    done = call("preview", tmp_path / "photos", tmp_path / "sheets", *words)
    assert done.exit_code == 0 and (tmp_path / "sheets/sheet-001.png").exists(), done.output
