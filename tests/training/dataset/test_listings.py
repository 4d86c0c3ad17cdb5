"""What several listings say of one photo, what COCO takes for unique, and files that only look like labels."""

import json
import shutil
import tempfile
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_training.dataset.convert import convert
from sealpin_training.dataset.fix import fix
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.source import open_source
from sealpin_training.dataset.survey import Rules, Survey, survey
from sealpin_training.parallel import Workers

from .corpus import HEIGHT, WIDTH, add, as_coco, as_csv, as_yolo, box

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"
Label = tuple[str, float, float, float, float]


def look(folder: Path) -> Survey:
    return survey(folder, Rules(), Workers(None, 1))


def found(folder: Path, *kinds: str) -> list[tuple[str, str]]:
    return [(one.file, one.found) for one in look(folder).findings if one.kind in kinds]


def errors(folder: Path) -> set[str]:
    return {one.kind for one in look(folder).findings if one.severity == "error"}


def boxes(folder: Path) -> dict[str, list[Label]]:
    """The boxes of each photo that is labelled, to whole pixels."""
    seen = look(folder)
    return {
        photo.name: sorted((one.category, *map(round, one.edges)) for one in photo.boxes)
        for photo in seen.photos
        if photo.name not in seen.unlabelled
    }


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """Two bad parts and a good one, as labelImg saves them."""
    for number in (1, 2):
        add(tmp_path / "src", f"p{number}", (box(number), Box("burr", 345, 342, 360, 357)), number)
    add(tmp_path / "src", "p3", (), 3)
    return tmp_path / "src"


def as_voc(folder: Path) -> None:
    """The folder as it is."""


FORMATS: dict[str, tuple[Callable[[Path], None], str]] = {
    "voc": (as_voc, "p1.xml"), "csv": (as_csv, "labels.csv"), "coco": (as_coco, "labels.json"),
    "yolo": (as_yolo, "p1.txt"),
}  # fmt: skip


def move_a_box(path: Path) -> None:
    """The first box of p1 six pixels wider than it was."""
    right = box(1).xmax
    if path.suffix == ".json":
        document = json.loads(path.read_text())
        document["annotations"][0]["bbox"][2] += 6
        path.write_text(json.dumps(document))
    elif path.suffix == ".txt":
        lines = path.read_text().splitlines()
        number, x, y, width, height = lines[0].split()
        lines[0] = f"{number} {float(x) + 3 / WIDTH} {y} {float(width) + 6 / WIDTH} {height}"
        path.write_text("\n".join(lines))
    else:
        old, new = (f"<xmax>{right:g}<", f"<xmax>{right + 6:g}<") if path.suffix == ".xml" else (
            f",{right:g},{box(1).ymax:g}\n", f",{right + 6:g},{box(1).ymax:g}\n")  # fmt: skip
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(("one", "other"), list(permutations(FORMATS, 2)))
def test_two_formats_that_say_the_same_are_one_and_else_an_error(src: Path, one: str, other: str) -> None:
    wanted = boxes(src)
    assert sum(map(len, wanted.values())) == 4
    for name in (one, other):
        shutil.copytree(src, src.parent / name)
        FORMATS[name][0](src.parent / name)
    both = src.parent / one
    shutil.copytree(src.parent / other, both, dirs_exist_ok=True)
    assert boxes(both) == wanted
    assert errors(both) == set()
    twice = found(both, "labels-given-twice")
    assert len(twice) == (2 if "csv" in (one, other) else 3)  # a CSV has no line for a good part
    move_a_box(both / FORMATS[other][1])
    ((file, told),) = found(both, "labels-differ")
    assert all(FORMATS[name][1] in file + told for name in (one, other))
    assert "p1.jpg: spatter" in told
    with pytest.raises(InputError, match="given twice and differ"):
        convert(both, src.parent / "out", processes=1)
    fix(both, src.parent / "fixed", processes=1)
    assert boxes(src.parent / "fixed") == {name: wanted[name] for name in ("p2.jpg", "p3.jpg")}


def test_a_photo_that_only_another_format_labels_is_read_from_it(src: Path) -> None:
    wanted = boxes(src)
    yolo = src.parent / "yolo"
    shutil.copytree(src, yolo)
    as_yolo(yolo)
    for name in ("p1.txt", "classes.txt"):
        shutil.copy(yolo / name, src / name)
    (src / "p1.xml").unlink()
    assert boxes(src) == wanted
    assert found(src, "labels-other-format") == [(".", "yolo beside voc, which labels most photos")]


@pytest.mark.parametrize(
    ("name", "shift", "kind"),
    [("burr", 1, "labels-given-twice"), ("burr", 2, "labels-differ"), ("spatter", 0, "labels-differ")],
)
def test_a_pixel_is_rounding_and_another_class_another_box(src: Path, name: str, shift: int, kind: str) -> None:
    voc.write(src / "p3.xml", "p3.jpg", WIDTH, HEIGHT, [Box("burr", 10, 20, 60, 90)])
    (src / "labels.csv").write_text(f"{HEADER}\np3.jpg,400,360,{name},{10 + shift},{20 + shift},60,90\n")
    assert [file for file, _ in found(src, "labels-given-twice", "labels-differ")] == ["labels.csv"]
    assert len(found(src, kind)) == 1


def test_what_is_wrong_in_the_other_listing_is_told_too(src: Path) -> None:
    (src / "labels.csv").write_text(f"{HEADER}\np3.jpg,400,360,,10,10,60,60\n")
    assert found(src, "class-missing") == [("labels.csv", "nothing")]


def test_a_proposal_is_no_second_opinion(src: Path) -> None:
    wanted = boxes(src)
    shutil.copytree(src, src.parent / "csv")
    as_csv(src.parent / "csv")
    shutil.copy(src.parent / "csv/labels.csv", src)
    (src / "p1.xml").write_bytes(voc.encode("p1.jpg", WIDTH, HEIGHT, [box(9)], proposed=True))
    assert boxes(src) == wanted
    assert errors(src) == set()


@pytest.mark.parametrize("labels", [as_csv, as_coco])
def test_two_listings_of_one_format_are_converted_once(src: Path, labels: Callable[[Path], None]) -> None:
    labels(src)
    (path,) = (path for path in src.iterdir() if path.stem == "labels")
    wanted = boxes(src)
    again = path.with_stem("train")
    shutil.copy(path, again)
    assert boxes(src) == wanted
    assert {file for file, _ in found(src, "labels-given-twice")} == {again.name}
    assert errors(src) == set()
    answer = CliRunner().invoke(main, ["dataset", "convert", str(src), str(src.parent / "out"), "--workers", "1"])
    assert answer.exit_code == 0, answer.output
    counts = json.loads((src.parent / "out/dataset.json").read_text())["counts"]
    assert sum(sum(split["boxes"].values()) for split in counts.values()) == 4
    move_a_box(again)
    ((file, told),) = found(src, "labels-differ")
    assert (file, path.name in told) == (again.name, True)


def test_the_same_line_twice_in_one_csv_is_a_box_that_is_there_twice(src: Path) -> None:
    as_csv(src)
    text = (src / "labels.csv").read_text()
    (src / "labels.csv").write_text(text + text.splitlines()[1] + "\n")
    assert [file for file, _ in found(src, "box-duplicate")] == ["labels.csv"]
    assert found(src, "labels-given-twice", "labels-differ") == []


def test_two_sizes_of_one_photo_in_a_csv_are_an_error(src: Path) -> None:
    as_csv(src)
    text = (src / "labels.csv").read_text()
    (src / "labels.csv").write_text(text.replace("400,360", "800,720", 1))
    assert "labels-differ" in errors(src)


def test_two_names_that_lead_to_one_photo_are_two_listings(src: Path) -> None:
    lines = [f"{folder}/p1.jpg,400,360,burr,{x},10,60,60\n" for folder, x in (("train", 10), ("val", 20))]
    as_csv(src)
    (src / "labels.csv").write_text(f"{HEADER}\n{''.join(lines)}")
    assert [file for file, _ in found(src, "labels-differ")] == ["labels.csv"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<bndbox>", "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox><bndbox>"),
        ("<name>", "<name>burr</name><name>"),
        ("<xmin>", "<xmin>1</xmin><xmin>"),
        ("object>", "Object>"),
        ("<segmented>0</segmented>", "<objects><object><name>burr</name></object></objects>"),
        ("<size>", "<size><width>9</width><height>9</height></size><size>"),
    ],
)
def test_what_xml_has_once_more_or_elsewhere_is_not_passed_over(src: Path, old: str, new: str) -> None:
    text = (src / "p1.xml").read_text()
    assert old in text
    (src / "p1.xml").write_text(text.replace(old, new))
    assert errors(src) == {"xml-not-voc"}
    assert not (repaired(src) / "p1.jpg").exists()


# Any listing, however it is cut up and written

coordinates = st.integers(0, 60)
a_label = st.builds(
    lambda name, x, y, width, height: (name, float(x), float(y), float(x + width), float(y + height)),
    st.sampled_from(("burr", "spatter")), coordinates, coordinates, st.integers(3, 30), st.integers(3, 30),
)  # fmt: skip
listings = st.dictionaries(
    st.sampled_from([f"p{number}.jpg" for number in range(5)]), st.lists(a_label, min_size=1, max_size=3), min_size=1
)


def csv_text(listing: dict[str, list[Label]], separator: str = ",", blank: str = "") -> str:
    rows = [HEADER.split(",")]
    for name, labels in listing.items():
        rows += [[name, "100", "100", item[0], *(f"{edge:g}" for edge in item[1:])] for item in labels]
    return "\n".join((blank + separator + blank).join(row) for row in rows) + "\n"


def coco_document(listing: dict[str, list[Label]], image_id: Callable[[int], Any] = int) -> dict[str, Any]:
    images, annotations = [], []
    for number, (name, labels) in enumerate(listing.items()):
        images.append({"id": number, "file_name": name, "width": 100, "height": 100})
        for category, xmin, ymin, xmax, ymax in labels:
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": image_id(number),
                    "category_id": image_id(("burr", "spatter").index(category)),
                    "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                }
            )
    names = [{"id": number, "name": name} for number, name in enumerate(("burr", "spatter"))]
    return {"images": images, "annotations": annotations, "categories": names}


def read(files: dict[str, bytes]) -> tuple[dict[str, list[Label]], set[str]]:
    """The labels of each photo in a folder of these files, and the kinds of findings that are errors."""
    with tempfile.TemporaryDirectory() as name:
        for number in range(5):
            Path(name, f"p{number}.jpg").touch()
        for file, data in files.items():
            Path(name, file).write_bytes(data)
        source = open_source(Path(name))
        labels = {entry.photo or "": source.read(entry) for entry in source.entries}
        faults = [*source.findings, *(one for said in labels.values() if said for one in said.findings)]
        told = {
            photo: sorted((item.name, *item.edges) for item in said.objects) for photo, said in labels.items() if said
        }
        return told, {one.kind for one in faults if one.severity == "error"}


@given(
    listing=listings,
    cut=st.integers(0, 5),
    separator=st.sampled_from(",;\t"),
    blank=st.sampled_from(("", " ")),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")),
    named=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_a_csv_listing_cut_in_two_doubled_or_written_otherwise_is_the_same(
    listing: dict[str, list[Label]], cut: int, separator: str, blank: str, encoding: str, named: bool
) -> None:
    wanted = {name: sorted(labels) for name, labels in listing.items()}
    whole = csv_text(listing).encode()
    assert read({"labels.csv": whole}) == (wanted, set())
    names = list(listing)
    head, tail = names[:cut], names[cut:]
    first = csv_text({name: listing[name] for name in head}).encode()
    rest = f"sep={separator}\n" * named + csv_text({name: listing[name] for name in tail}, separator, blank)
    assert read({"a.csv": first, "b.csv": rest.encode(encoding)}) == (wanted, set())
    assert read({"a.csv": whole, "b.csv": rest.encode(encoding)}) == (wanted, set())
    assert read({"a.csv": whole, "b.json": json.dumps(coco_document(listing)).encode(encoding)}) == (wanted, set())


@given(listing=listings, cut=st.integers(0, 5), as_text=st.booleans(), order=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_a_coco_listing_cut_in_two_doubled_or_shuffled_is_the_same(
    listing: dict[str, list[Label]], cut: int, as_text: bool, order: Any
) -> None:
    wanted = {name: sorted(labels) for name, labels in listing.items()}
    names = list(listing)
    parts = [{name: listing[name] for name in part} for part in (names[:cut], names[cut:])]
    documents = [coco_document(part, str if as_text else float) for part in parts]
    for document in documents:
        for items in document.values():
            order.shuffle(items)
    files = {f"{number}.json": json.dumps(document).encode() for number, document in enumerate(documents)}
    assert read(files) == (wanted, set())
    files["whole.json"] = json.dumps(coco_document(listing)).encode()
    assert read(files) == (wanted, set())
    other = json.loads(files["whole.json"])
    other["annotations"][0]["bbox"][0] += 20
    files["other.json"] = json.dumps(other).encode()
    assert read(files)[1] == {"labels-differ"}


# COCO


def coco(src: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    as_coco(src)
    document = json.loads((src / "labels.json").read_text())
    change(document)
    (src / "labels.json").write_text(json.dumps(document))
    return src


def good_parts(folder: Path) -> set[str]:
    return {name for name, labels in boxes(folder).items() if not labels}


def repaired(src: Path) -> Path:
    fix(src, src.parent / "fixed", processes=1)
    return src.parent / "fixed"


def test_an_image_id_used_twice_makes_no_good_part(src: Path) -> None:
    coco(src, lambda one: one["images"][1].update(id=one["images"][0]["id"]))
    assert {told for _, told in found(src, "id-twice")} == {"image id 0: p1.jpg, p2.jpg"}
    fixed = repaired(src)
    assert {path.stem for path in fixed.iterdir() if path.suffix != ".csv"} == {"p3"}
    assert look(fixed).unplaced == {"p3.jpg"}, "its labels may be among those left out"


def test_annotations_that_lost_their_photo_make_no_good_part(src: Path) -> None:
    coco(src, lambda one: [item.update(image_id=77) for item in one["annotations"][:2]])
    assert [told for _, told in found(src, "annotation-astray")] == ["image_id 77"] * 2
    assert good_parts(src) == set()
    assert {"p1.jpg", "p3.jpg"} <= look(repaired(src)).unplaced


@pytest.mark.parametrize("spoil", ["crowd", "mask", "text", "category"])
def test_a_photo_whose_annotations_are_no_objects_is_no_good_part(src: Path, spoil: str) -> None:
    change = {
        "crowd": {"iscrowd": 1},
        "mask": {"bbox": [], "segmentation": {"counts": "abc", "size": [HEIGHT, WIDTH]}},
        "text": {"bbox": "1234"},
        "category": {"category_id": 99},
    }[spoil]
    coco(src, lambda one: [item.update(change) for item in one["annotations"][:2]])
    assert errors(src)
    assert good_parts(repaired(src)) <= {"p3.jpg"}


def test_ids_are_the_same_as_numbers_and_as_text(src: Path) -> None:
    wanted = boxes(src)
    coco(src, lambda one: [item.update(image_id=f"{item['image_id']}") for item in one["annotations"]])
    assert boxes(src) == wanted
    coco_twice = json.loads((src / "labels.json").read_text())
    coco_twice["images"][2]["id"] = "0"
    (src / "labels.json").write_text(json.dumps(coco_twice))
    assert "id-twice" in errors(src)


def test_crowds_are_no_boxes_and_outlines_are(src: Path) -> None:
    def change(one: dict[str, Any]) -> None:
        x, y, width, height = one["annotations"][0].pop("bbox")
        one["annotations"][0]["segmentation"] = [
            [x, y, x + 1, y, x, y + 2],
            [x + width, y + height, x, y + height, x, y],
        ]
        one["annotations"][1]["iscrowd"] = 1

    wanted = boxes(src)
    coco(src, change)
    assert boxes(src)["p1.jpg"] == [label for label in wanted["p1.jpg"] if label[0] == box(1).category]
    assert len(found(src, "box-crowd")) == 1
    assert found(src, "box-from-outline") == [("labels.json", "1 of 4 annotations")]
    assert errors(src) == set()


@given(
    segmentation=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(("counts", "size")), inner),
        max_leaves=12,
    )
)
@settings(max_examples=30, deadline=None)
def test_any_segmentation_is_a_box_or_an_error(segmentation: object) -> None:
    document = coco_document({"p0.jpg": [("burr", 1, 2, 30, 40)]})
    document["annotations"][0] |= {"bbox": None, "segmentation": segmentation}
    labels, faults = read({"labels.json": json.dumps(document).encode()})
    assert labels["p0.jpg"] or faults == {"box-missing"}


# Files that look like labels


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("p1.json", b'{"version": "5.0", "shapes": [], "imagePath": "p1.jpg"}', "export VOC or COCO (labelme"),
        (
            "cvat.xml",
            b"<?xml version='1.0'?>\n<annotations><image name='p1.jpg'/></annotations>",
            "export Pascal VOC or COCO",
        ),
        ("ls.json", b'[{"id": 1, "annotations": [], "data": {"image": "p1.jpg"}}]', "Label Studio"),
        ("via.json", b'{"p1.jpg9": {"filename": "p1.jpg", "regions": []}}', "VGG"),
        ("ml.json", b'[{"image": "p1.jpg", "annotations": []}]', "Create ML"),
        (
            "twice.json",
            b'{"images": [], "annotations": [{"id": 1}], "annotations": []}',
            "'annotations' is there twice",
        ),
        ("half.json", b'{"images": [], "annotations": [', "no JSON"),
        ("dict.json", b'{"images": [], "annotations": {}}', "no list of annotations"),
        ("cp1252.json", b'{"images": [{"file_name": "pr\xfcf.jpg"}], "annotations": []}', "line 1 is neither UTF-8"),
        ("cp1252.csv", HEADER.encode() + b"\np1.jpg,400,360,gr\xfcn,1,1,30,30\n", "line 2 is neither UTF-8"),
        ("less.csv", b"filename,width,height,xmin,ymin,xmax,ymax\np1.jpg,400,360,1,1,30,30\n", "without class"),
        ("headless.csv", b"p1.jpg,1,1,30,30,burr\n", "p1.jpg, 1, 1"),
        ("doubled.csv", HEADER.encode() + b",xmin\n", "two columns of one name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_labels_that_are_not_read_are_named_with_the_reason(src: Path, name: str, data: bytes, told: str) -> None:
    wanted = boxes(src)
    (src / name).write_bytes(data)
    ((file, reason),) = found(src, "labels-not-read")
    assert file == name
    assert told in reason
    assert boxes(src) == wanted
    for path in src.glob("p*.xml"):
        path.unlink()
    answer = CliRunner().invoke(main, ["dataset", "check", str(src), "--workers", "1"])
    assert answer.exit_code == 2
    assert f"{name}: " in answer.output
    assert told in answer.output


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("camera.json", b'{"gain": 2}'),
        ("p1.txt", b"ok\n"),
        ("log.csv", b"time,part\n9:00,7\n"),
        ("broken.json", b"{"),
        ("list.json", b"[]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_named_in_a_note(src: Path, name: str, data: bytes) -> None:
    (src / name).write_bytes(data)
    assert [file for file, _ in found(src, "file-passed-over")] == [name]
    assert errors(src) == set()


def test_what_fix_lists_beside_its_copy_is_no_finding(src: Path) -> None:
    assert found(repaired(src), "file-passed-over", "labels-not-read") == []


def test_a_csv_with_cells_too_many_is_not_read_a_column_off(src: Path) -> None:
    as_csv(src)
    (src / "labels.csv").write_text(f"{HEADER}\np1.jpg,400,360,burr,12,5,20,5,60,0,70,0\n;;;\n,,,,\n")
    assert found(src, "line-unreadable") == [("labels.csv", "more cells than columns: 60 0 70 0")]


@pytest.mark.parametrize("labels", [as_voc, as_yolo])
@pytest.mark.parametrize("folder", ["labels", "old/annotations"])
def test_a_second_label_file_in_another_folder_is_not_taken_for_another_photo_s(
    src: Path, labels: Callable[[Path], None], folder: str
) -> None:
    labels(src)
    (file,) = (path for path in src.iterdir() if path.stem == "p3" and path.suffix in (".xml", ".txt"))
    other = src / folder / file.name
    other.parent.mkdir(parents=True)
    other.write_bytes(file.with_stem("p1").read_bytes())  # the good part's own is empty
    assert found(src, "labels-without-photo") == []
    assert found(src, "labels-several") == [("p3.jpg", f"{file.name}, {folder}/{file.name}")]
    assert "p3.jpg" not in boxes(repaired(src))


@pytest.mark.parametrize("labels", [as_voc, as_yolo, as_csv, as_coco])
def test_names_with_percent_signs_are_decoded_when_no_photo_is_called_so(
    src: Path, labels: Callable[[Path], None]
) -> None:
    labels(src)
    wanted = boxes(src)["p1.jpg"]
    (src / "p1.jpg").rename(src / "a b.jpg")
    for path in src.iterdir():
        if path.stem == "p1":
            path.rename(path.with_stem("a%20b"))
        elif path.stem == "labels":
            path.write_text(path.read_text().replace("p1.jpg", "a%20b.jpg"))
    assert boxes(src)["a b.jpg"] == wanted
    assert errors(src) == set()
    add(src, "x", (), 7).rename(src / "a%20b.jpg")  # now there is one that is called so
    (src / "x.xml").unlink()
    seen = boxes(src)
    assert seen["a%20b.jpg"] == wanted
    assert "a b.jpg" not in seen


@pytest.mark.parametrize(
    "name", ["..%2Fp1.jpg", "%2e%2e%5cp1.jpg", "x%00p1.jpg", "p1%ff.jpg", "%.jpg", "%2Fetc%2Fp1.jpg"]
)
def test_names_that_decode_to_a_path_are_no_photo(src: Path, name: str) -> None:
    as_csv(src)
    (src / "labels.csv").write_text(f"{HEADER}\n{name},400,360,burr,1,1,30,30\n")
    assert found(src, "labels-without-photo") == [("labels.csv", name)]


def test_a_list_of_classes_that_is_too_short_is_called_so(src: Path) -> None:
    as_yolo(src)
    (src / "classes.txt").write_text("burr\n")
    answer = CliRunner().invoke(main, ["dataset", "check", str(src), "--workers", "1"])
    assert answer.exit_code == 1
    assert "the list of classes has no name for this number" in answer.output
    assert "classes.txt" in answer.output
    assert "--rename" not in answer.output


@pytest.mark.parametrize("tag", ["path", "folder"])
def test_a_path_in_the_code_page_of_windows_costs_no_boxes(src: Path, tag: str) -> None:
    wanted = boxes(src)
    text = (src / "p1.xml").read_text().replace("<folder/>", "<folder></folder>")
    said = text.replace(f"<{tag}>", f"<{tag}>C:\\Pr\udcfcfung\\")
    (src / "p1.xml").write_text('<?xml version="1.0" encoding="UTF-8"?>\n' + said, errors="surrogateescape")
    assert boxes(src) == wanted
    assert found(src, "xml-encoding")[0][1].startswith("C:\\Prüfung\\")
    assert errors(src) == set()
    assert boxes(repaired(src)) == wanted
    (src / "p1.xml").write_text(text.replace("<name>", "<name>\udcfc"), errors="surrogateescape")
    assert errors(src) == {"xml-unparsable"}
