"""What each format makes of a file: every object with its number and edges, and every fault with its line."""

import json
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge.errors import InputError
from sealpin_training.dataset.files import find_files
from sealpin_training.dataset.formats import coco, csv, voc, yolo
from sealpin_training.dataset.labels import LabelSource
from sealpin_training.dataset.source import open_source

CSV_HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
Object = tuple[int, str, tuple[float, ...]]
Told = tuple[str, str, int | None]


class Read:
    """A folder as the formats read it: objects and labels by photo, and all findings as (kind, file, number)."""

    def __init__(self, root: Path, files: dict[str, str | bytes], photos: tuple[str, ...]) -> None:
        for name in photos:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()  # no reader of labels opens a photo
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        source = open_source(root)
        self.classes = source.classes
        self.labels = {entry.photo: source.read(entry) for entry in source.entries if entry.photo}
        self.objects: dict[str, list[Object]] = {
            name: [(item.number, item.name, item.edges) for item in labels.objects]
            for name, labels in self.labels.items()
            if labels is not None
        }
        each = [one for labels in self.labels.values() if labels for one in labels.findings]
        self.findings = [*source.findings, *each]
        self.told: list[Told] = [(one.kind, one.file, one.number) for one in self.findings]

    def found(self, kind: str) -> list[str]:
        return [one.found for one in self.findings if one.kind == kind]


def read(root: Path, files: dict[str, str | bytes], photos: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Read:
    return Read(root, files, photos)


def of_csv(root: Path, text: str) -> Read:
    return read(root, {"l.csv": text})


def test_a_csv_is_read_line_by_line(tmp_path: Path) -> None:
    seen = of_csv(
        tmp_path,
        CSV_HEAD + "a.jpg,100,80,burr,1,2,30,40\n"
        ",,,,,,,\n"
        "\n"
        "gone.jpg,100,80,burr,1,2,30,40\n"
        ",100,80,burr,1,2,30,40\n"
        "a.jpg,100,80,,1,2,30,40\n"
        "a.jpg,100,80,burr,1,2,thirty,40\n"
        "a.jpg,100,80,burr,1,2,30\n"
        'a.jpg, 100, 80, "burr, small", 5 ,6,7.5,8\n'
        "a.jpg,100,80,burr,1,2,30,40,50\n"
        "b.jpg,,,burr,1,2,3,4\n"
        "b.jpg,100,,burr,1,2,3,4\n",
    )
    assert seen.objects == {
        "a.jpg": [(1, "burr", (1, 2, 30, 40)), (8, "burr, small", (5, 6, 7.5, 8))],
        "b.jpg": [(10, "burr", (1, 2, 3, 4)), (11, "burr", (1, 2, 3, 4))],
    }
    assert seen.told == [
        ("labels-without-photo", "l.csv", 3),
        ("labels-without-photo", "l.csv", 4),
        ("class-missing", "l.csv", 5),
        ("box-not-number", "l.csv", 6),
        ("box-not-number", "l.csv", 7),
        ("line-unreadable", "l.csv", 9),
        ("size-missing", "l.csv", 10),
    ]
    assert seen.found("labels-without-photo") == ["gone.jpg", "no filename"]
    assert seen.found("box-not-number")[0] == "xmin '1', ymin '2', xmax 'thirty', ymax '40'"
    assert [labels and labels.size for labels in seen.labels.values()] == [(100, 80), None]


def test_a_csv_whose_sizes_differ_says_so_and_the_last_one_counts(tmp_path: Path) -> None:
    seen = of_csv(tmp_path, CSV_HEAD + "a.jpg,100,80,x,1,2,3,4\n" * 2 + "a.jpg,100,81,x,1,2,3,4\n")
    assert seen.told == [("labels-differ", "l.csv", 3)]
    assert seen.found("labels-differ") == ["a.jpg: 100x81 here, (100, 80) on an earlier line"]


@pytest.mark.parametrize(
    "text",
    [
        "class;filename;xmin;ymin;xmax;ymax\nburr;a.jpg;1;2;3;4\n",
        "class\tfilename\txmin\tymin\txmax\tymax\nburr\ta.jpg\t1\t2\t3\t4\n",
        "sep=|\nclass|filename|xmin|ymin|xmax|ymax\nburr|a.jpg|1|2|3|4\n",
        '"sep=;";;;\nclass;filename;xmin;ymin;xmax;ymax\nburr;a.jpg;1;2;3;4\n',
        "\ufeffclass, filename, xmin, ymin, xmax, ymax\nburr, a.jpg, 1, 2, 3, 4\n",
        "confidence,class,filename,xmin,ymin,xmax,ymax\n0.7,burr,a.jpg,1,2,3,4\n",
    ],
)
def test_the_six_columns_are_enough_however_they_are_written(tmp_path: Path, text: str) -> None:
    seen = of_csv(tmp_path, text)
    assert seen.objects == {"a.jpg": [(1, "burr", (1, 2, 3, 4))]}
    assert seen.told == [("size-missing", "l.csv", 1)]


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("filename,class,xmin,ymin,xmax\n", "labels-not-read", "without ymax"),
        ("image,bbox\n", "labels-not-read", "the columns image, bbox, without class, filename, xmin, ymin, xmax, ymax"),
        ("a.jpg,1,2,3,4\n", "labels-not-read", "the columns a.jpg, 1, 2, 3, 4"),
        ("a.jpg,1,2,3\n", "file-passed-over", "the columns a.jpg, 1, 2, 3"),  # a list of photos
        ("time,part\n", "file-passed-over", "the columns time, part"),
        ("", "file-passed-over", "the columns "),
        (CSV_HEAD.replace("width", "xmin"), "labels-not-read", "two columns of one name"),
        (CSV_HEAD + "a\udce4.jpg,1,1,b,1,2,3,4\n", "labels-not-read", "line 2 is neither UTF-8 nor UTF-16"),
        (CSV_HEAD + f"a.jpg,1,1,{'b' * 140_000},1,2,3,4\n", "labels-not-read", "no CSV: field larger"),
    ],
)
def test_a_csv_that_is_not_read_is_named(tmp_path: Path, text: str, kind: str, told: str) -> None:
    seen = read(tmp_path, {"a.xml": "<annotation/>", "l.csv": text.encode(errors="surrogateescape")})
    assert ("l.csv", True) in [(one.file, told in one.found) for one in seen.findings if one.kind == kind]
    assert seen.labels["b.jpg"] is None


def test_what_is_told_of_a_long_csv_is_cut(tmp_path: Path) -> None:
    seen = of_csv(tmp_path, CSV_HEAD + f"a.jpg,100,80,x,1,2,3,4,{'y' * 99}\n").found("line-unreadable")
    (tmp_path / "l.csv").write_text("y" * 199)
    csv.find(files := find_files(tmp_path))
    assert (len(seen[0]), len(files.findings[0].found)) == (80, 120)


IMAGES = [
    {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80},
    {"id": "2", "file_name": "b.jpg", "width": 100, "height": 80},
]
CATEGORIES = [{"id": 7, "name": "burr"}, {"id": 8, "name": "spatter"}, {"id": 9, "name": "parent of all"}]


def of_coco(root: Path, *annotations: Any, images: Any = IMAGES, categories: Any = CATEGORIES) -> Read:
    document = {"images": images, "annotations": list(annotations), "categories": categories}
    # That boxes without a photo leave good parts unlabelled is test_listings' subject: here each photo has a box
    return read(root, {"l.json": json.dumps(document)})


def one(**changes: object) -> dict[str, object]:
    return {"id": None, "image_id": 1, "category_id": 7, "bbox": [1, 2, 30, 40], **changes}


BOX = (1, 2, 31, 42)
TRIANGLE = [5, 6, 9, 6, 7, 12]


@pytest.mark.parametrize(
    ("annotation", "wanted"),
    [
        (one(), ("burr", BOX)),
        (one(image_id="1"), ("burr", BOX)),
        (one(image_id=1.0, category_id="8"), ("spatter", BOX)),
        (one(iscrowd=0, segmentation=[TRIANGLE]), ("burr", BOX)),
        (one(bbox=None, segmentation=[TRIANGLE]), ("burr", (5, 6, 9, 12))),
        (one(bbox=[], segmentation=[TRIANGLE, [1, 1, 2, 1, 2, 20]]), ("burr", (1, 1, 9, 20))),
        (one(bbox=None, segmentation=[[*TRIANGLE, 4, 9]]), ("burr", (4, 6, 9, 12))),
        (one(bbox=None, segmentation=[TRIANGLE[:4]]), "box-missing"),
        (one(bbox=None, segmentation=[[*TRIANGLE, 8]]), "box-missing"),
        (one(bbox=None, segmentation=[[*TRIANGLE[:5], "x"]]), "box-missing"),
        (one(bbox=None, segmentation=[[*TRIANGLE[:5], float("inf")]]), "box-missing"),
        (one(bbox=None, segmentation=[TRIANGLE, None]), "box-missing"),
        (one(bbox=None, segmentation=[]), "box-missing"),
        (one(bbox=None, segmentation={"counts": "abc", "size": [9, 9]}), "box-missing"),
        (one(bbox=[1, 2, 3], segmentation=[TRIANGLE]), "box-missing"),
        (one(bbox=[1, 2, 3, 4, 5]), "box-missing"),
        (one(bbox=[1, 2, 3, "wide"]), "box-missing"),
        (one(bbox=[1, 2, 3, None]), "box-missing"),
        (one(bbox=[1, 2, 3, 10**400]), "box-missing"),
        (one(bbox="1234"), "box-missing"),
        (one(category_id=10), "class-missing"),
        (one(category_id=None), "class-missing"),
        (one(category_id=True), "class-missing"),
        (one(category_id=7.5), "class-missing"),
        (one(iscrowd=1), "box-crowd"),
        (one(iscrowd=True), "box-crowd"),
        (one(iscrowd="1"), "box-crowd"),
        (one(image_id=3), "annotation-astray"),
        (one(image_id=None), "annotation-astray"),
        (one(image_id=True), "annotation-astray"),
        ("no annotation", "line-unreadable"),
    ],
)
def test_a_coco_annotation_is_an_object_or_a_fault_with_its_number(
    tmp_path: Path, annotation: object, wanted: str | tuple[str, tuple[float, ...]]
) -> None:
    first, last = one(image_id=1, bbox=[50, 50, 9, 9]), one(image_id=2)
    seen = of_coco(tmp_path, first, annotation, last)
    expected: list[Object] = [(1, "burr", (50, 50, 59, 59))]
    if isinstance(wanted, tuple):
        expected += [(2, *wanted)]
    assert seen.objects == {"a.jpg": expected, "b.jpg": [(3, "burr", BOX)]}
    faults = [told for told in seen.told if told[0] != "box-from-outline"]
    assert faults == ([(wanted, "l.json", 2)] if isinstance(wanted, str) else [])
    from_outline = isinstance(wanted, tuple) and wanted[1] != BOX
    assert seen.found("box-from-outline") == ["1 of 3 annotations"] * from_outline
    named = {"burr", wanted[0]} if isinstance(wanted, tuple) else {"burr"}
    assert seen.classes == tuple(name for name in ("burr", "spatter") if name in named), "a parent has no box"


@pytest.mark.parametrize(
    ("images", "kinds"),
    [
        (IMAGES, []),
        ([*IMAGES, "no image"], [("line-unreadable", None)]),
        ([*IMAGES, {"id": 3, "file_name": "gone.jpg", "width": 9, "height": 9}], [("labels-without-photo", None)]),
        ([*IMAGES, {"id": 3, "width": 9, "height": 9}], [("labels-without-photo", None)]),
        ([IMAGES[0], {**IMAGES[1], "width": None}], [("size-missing", None)]),
        ([IMAGES[0], {**IMAGES[1], "height": 0}], [("size-missing", None)]),
        ([*IMAGES, IMAGES[1]], [("labels-given-twice", None)]),
        ([*IMAGES, {**IMAGES[1], "id": 2.0}], [("labels-given-twice", None)]),
    ],
)
def test_coco_images(tmp_path: Path, images: list[Any], kinds: list[tuple[str, None]]) -> None:
    seen = of_coco(tmp_path, one(), one(image_id=2), images=images)
    assert [(kind, number) for kind, _, number in seen.told] == kinds
    assert seen.objects == {"a.jpg": [(1, "burr", BOX)], "b.jpg": [(2, "burr", BOX)]}


def test_coco_ids_that_are_none_or_stand_for_two_things(tmp_path: Path) -> None:
    none = of_coco(tmp_path / "1", one(), images=[IMAGES[0], {**IMAGES[1], "id": None}])
    assert none.told == [("id-missing", "l.json", None)]
    assert none.objects == {"a.jpg": [(1, "burr", BOX)], "b.jpg": []}
    image = of_coco(tmp_path / "2", one(), images=[IMAGES[0], {**IMAGES[1], "id": 1}])
    assert image.told == [("id-twice", "l.json", None)] * 2, "one for each photo"
    assert image.found("id-twice")[0] == "image id 1: a.jpg, b.jpg"
    assert image.objects == {"a.jpg": [], "b.jpg": []}
    category = of_coco(tmp_path / "3", one(), categories=[*CATEGORIES, {"id": "7", "name": "scratch"}, "none", {}])
    assert category.told == [("id-twice", "l.json", 1)]
    annotations = of_coco(tmp_path / "4", one(id=5), one(id="5", image_id=2), one(id=6, image_id=2))
    assert annotations.told == [("annotation-id-twice", "l.json", None)]
    assert annotations.found("annotation-id-twice") == ["1 ids, the first of them 5"]
    assert len(annotations.objects["b.jpg"]) == 2


def test_a_crowd_alone_is_an_error_of_its_photo_and_lists_are_shown_in_short(tmp_path: Path) -> None:
    seen = of_coco(tmp_path / "1", one(iscrowd=1), one(image_id=2, iscrowd=1), one(image_id=2))
    assert seen.told == [
        ("box-crowd", "l.json", 1), ("box-crowd-alone", "l.json", None), ("box-crowd", "l.json", 2),
    ]  # fmt: skip
    many = [{**IMAGES[0], "file_name": f"p{number}.jpg"} for number in range(7)]
    names = tuple(image["file_name"] for image in many)
    document = json.dumps({"images": many, "annotations": []})
    assert read(tmp_path / "2", {"l.json": document}, names).found("id-twice")[0] == (
        "image id 1: p0.jpg, p1.jpg, p2.jpg, p3.jpg, p4.jpg"
    )


def test_an_annotation_whose_photo_is_unknown_leaves_no_good_part(tmp_path: Path) -> None:
    assert of_coco(tmp_path / "1", one()).objects == {"a.jpg": [(1, "burr", BOX)], "b.jpg": []}
    for number, lost in enumerate((one(image_id=3), None), start=2):
        seen = of_coco(tmp_path / str(number), one(), lost)
        assert seen.objects == {"a.jpg": [(1, "burr", BOX)]}
        assert seen.labels["b.jpg"] is None
    spoilt = of_coco(tmp_path / "4", one(image_id=3), one(category_id=10))
    assert spoilt.objects == {"a.jpg": []}, "and its fault is told"


def xml(inner: str, head: str = "<filename>a.jpg</filename>") -> dict[str, str | bytes]:
    return {"a.xml": f"<annotation>{head}{inner}</annotation>"}


def item(name: str = "<name>burr</name>", edges: str = "", more: str = "") -> str:
    edges = edges or "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax> 40.5 </ymax>"
    return f"<object>{name}{more}<bndbox>{edges}</bndbox></object>\n"


SIZE = "<size><width>100</width><height>80</height><depth>3</depth></size>"


def test_an_xml_is_read_object_by_object(tmp_path: Path) -> None:
    half = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax>"
    seen = read(
        tmp_path,
        xml(
            SIZE
            + item()
            + item("")
            + item("<name> </name>")
            + item(edges=half)
            + item(edges=half + "<ymax>forty</ymax>")
            + "<object><name>burr</name></object>"
            + item("<name>pr</name>", more="<difficult>1</difficult><truncated> 1 </truncated>")
        ),
    )
    edges = (1, 2, 30, 40.5)
    assert seen.objects == {"a.jpg": [(1, "burr", edges), (7, "pr", edges)]}
    assert [(kind, number) for kind, _, number in seen.told] == [
        ("class-missing", 2), ("class-missing", 3), ("box-not-number", 4), ("box-not-number", 5), ("box-missing", 6),
    ]  # fmt: skip
    assert seen.found("box-not-number")[1] == "<ymax> 'forty', line 5"
    labels = seen.labels["a.jpg"]
    assert labels is not None
    assert (labels.size, labels.depth, labels.filename, labels.path) == ((100, 80), 3, "a.jpg", None)
    assert [(one.difficult, one.truncated) for one in labels.objects] == [(False, False), (True, True)]
    assert not labels.proposed


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<annotation>", "xml-unparsable"),
        (b"", "xml-unparsable"),
        (b"<annotation><name>pr\xfcf</name></annotation>", "xml-unparsable"),
        (b"<!DOCTYPE annotation><annotation/>", "xml-entities"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "xml-entities"),
        (b'<!DOCTYPE a [<!ENTITY b "', "xml-entities"),
        (b"<annotated/>", "xml-not-voc"),
        (f"<annotation><list>{item()}</list></annotation>".encode(), "xml-not-voc"),
        (f"<annotation>{item(more='<name>pr</name>')}</annotation>".encode(), "xml-not-voc"),
        (b"<annotation>" + b" " * voc.MAX_BYTES + b"</annotation>", "labels-too-large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_xml_that_is_not_read_says_why_and_has_no_object(tmp_path: Path, content: bytes, kind: str) -> None:
    seen = read(tmp_path, {"a.xml": content, "b.xml": "<annotation/>"})
    labels = seen.labels["a.jpg"]
    assert labels is not None
    assert [(one.kind, one.number) for one in labels.findings] == [(kind, None)]
    assert labels.objects == []
    assert labels.tells_of_objects, "nobody may call it a good part"


def test_files_of_the_greatest_size_are_read_and_beyond_it_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "0 .5 .5 .2 .4\n"
    files: dict[str, str | bytes] = {"a.txt": line, "classes.txt": "burr\n"}
    monkeypatch.setattr(yolo, "MAX_BYTES", len(line))
    assert read(tmp_path / "1", files).told == []
    monkeypatch.setattr(yolo, "MAX_BYTES", len(line) - 1)
    assert read(tmp_path / "1", files).told == [("labels-too-large", "a.txt", None)]
    for module, name, text in ((csv, "l.csv", CSV_HEAD), (coco, "l.json", '{"images": [], "annotations": []}')):
        folder = {"a.xml": "<annotation/>", name: text}
        monkeypatch.setattr(module, "MAX_BYTES", len(text))
        assert "labels-not-read" not in [told[0] for told in read(tmp_path / name, folder).told]
        monkeypatch.setattr(module, "MAX_BYTES", len(text) - 1)
        assert ("labels-not-read", name, None) in read(tmp_path / name, folder).told


def test_yolo_lines_are_numbered_without_the_empty_ones(tmp_path: Path) -> None:
    text = "0 .5 .5 .2 .4\n\n  \n1 .5 .5 .2\n2 .5 .5 .2 .4\n7 .5 .5 .2 .4\n"
    seen = read(tmp_path, {"a.txt": "\ufeff" + text, "classes.txt": "burr\nspatter\n\npr\n"})
    assert [(number, name) for number, name, _ in seen.objects["a.jpg"]] == [(1, "burr"), (4, "7")]
    assert seen.told == [("line-unreadable", "a.txt", 2), ("class-missing", "a.txt", 3)]
    assert seen.classes == ("burr", "spatter", "", "pr")


def test_yolo_files_are_known_by_their_first_line(tmp_path: Path) -> None:
    assert read(tmp_path / "1", {"a.txt": "\n 0 .5 .5 .2 .4\n", "b.txt": ""}).objects["b.jpg"] == []
    other = read(tmp_path / "2", {"a.xml": "<annotation/>", "b.txt": "0 .5 .5 .2\n"})
    assert ("labels-not-read", "b.txt", None) in other.told
    assert other.labels["b.jpg"] is None
    lost = read(tmp_path / "3", {"a.txt": "0 .5 .5 .2 .4\n", "c.txt": "0 .5 .5 .2 .4\n", "notes.txt": "hello\n"})
    assert lost.told == [("classes-unnamed", ".", None)]


LINE = "0 .5 .5 .2 .4\n"


def said(root: Path, text: str) -> list[str]:
    """The classes that one text file of YOLO has, and its faults."""
    (root / "a.txt").write_text(text)
    labels = yolo.read(root, "a.txt", ("burr",))
    return [*(one.name for one in labels.objects), *(f"{one.kind}: {one.found}" for one in labels.findings)]


def test_a_text_file_of_four_megabytes_is_read_and_a_byte_more_is_too_much(tmp_path: Path) -> None:
    text = LINE.ljust(4 << 20)
    assert said(tmp_path, text) == ["burr"]
    assert said(tmp_path, text + " ") == ["labels-too-large: 4194305 bytes"]


def test_a_text_file_that_may_not_be_opened_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError

    monkeypatch.setattr(yolo, "read_whole", refuse)  # root may open what chmod forbids
    assert said(tmp_path, LINE) == ["file-unreadable: no permission"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("1 .5 .5 .2 .4", "1"),  # the list has one name
        ("99999999 .5 .5 .2 .4", "99999999"),
        ("100000000 .5 .5 .2 .4", None),
        ("0 -.000001 .5 1.000001 .4", "burr"),  # as much as float32 may be off
        ("0 -.0000011 .5 .2 .4", None),
        ("0 .5 .5 .2 1.0000011", None),
        ("0 .1 .1 .5 .1 .5 .5 .1 .5 .3", None),  # half a point too many
        ("0 " + "x" * 99, None),
    ],
)
def test_a_yolo_line_at_its_limits(tmp_path: Path, line: str, name: str | None) -> None:
    assert said(tmp_path, line) == [name or f"line-unreadable: {line[:80]}"]


def test_each_point_of_an_outline_may_be_the_one_that_bounds_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 .5 .5 .1 .2 .9 .8\n0 .1 .8 .5 .5 .4 .4 .9 .2\n")
    first, last = yolo.read(tmp_path, "a.txt").objects
    assert first.edges == last.edges == (0.1, 0.2, 0.9, 0.8)


def found(root: Path, files: dict[str, str]) -> tuple[LabelSource | None, list[tuple[str, str]]]:
    """What YOLO's reader finds beside a.jpg and b.jpg, and which files it does not read."""
    for name, text in {"a.jpg": "", "b.jpg": "", **files}.items():
        (root / name).write_text(text)
    listed = find_files(root)
    return yolo.find(listed), [(one.kind, one.file) for one in listed.findings]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("burr,1,2,3,4", "labels-not-read"),
        ("a.jpg 10:20,-30;+4.", "labels-not-read"),
        ("[1](2) 3,4.5", "labels-not-read"),
        ("10 20 30 burr", "file-passed-over"),
        ("hello", "file-passed-over"),
    ],
)
def test_four_numbers_may_be_a_label_and_three_are_none(tmp_path: Path, line: str, kind: str) -> None:
    assert found(tmp_path, {"a.txt": f" \n{line}\n"}) == (None, [(kind, "a.txt")])
    source, told = found(tmp_path, {"a.txt": LINE, "c.txt": line, "labels.txt": "burr\n"})
    assert source is not None
    assert (source.of_photo, source.orphans, source.classes) == ({"a.jpg": ("a.txt",)}, [], ("burr",))
    assert told == [(kind, "c.txt")] * (kind == "labels-not-read"), "a note of nothing here is no labels"


def test_text_files_of_no_photo_are_told_of_where_there_is_a_line(tmp_path: Path) -> None:
    assert found(tmp_path, {"d.txt": "\n"}) == (None, [])
    source, told = found(tmp_path, {"c.txt": LINE, "notes.txt": "hello"})
    assert source is not None
    assert (source.of_photo, source.orphans, source.findings, told) == ({}, ["c.txt"], (), [])
    (tmp_path / "a.txt").write_text(LINE)
    files = find_files(tmp_path)
    (tmp_path / "c.txt").unlink()
    (tmp_path / "d.txt").unlink()
    source = yolo.find(files)
    assert source is not None
    assert source.orphans == [], "what went away meanwhile"


@pytest.mark.parametrize(
    ("lists", "classes", "keypoints"),
    [
        ({"classes.txt": "burr\n spatter \n\n"}, ("burr", "spatter"), 0),
        ({"obj.names": "burr\nspatter\n"}, ("burr", "spatter"), 0),
        ({"data.yaml": "names: [burr, spatter]\n"}, ("burr", "spatter"), 0),
        ({"data.yml": "names: [burr, spatter]\nkpt_shape: [2, 3]\n"}, ("burr", "spatter"), 6),
        ({"data.yaml": "kpt_shape: [2, 2]\n", "classes.txt": "burr\n"}, ("burr",), 4),
        ({"data.yaml": "names: [burr]\nkpt_shape: [2, 2]\n", "other.yaml": "nc: 1\n"}, ("burr",), 4),
        ({"a.yaml": "names: [burr]\n", "classes.txt": "burr\nspatter\n"}, ("burr", "spatter"), 0),
        ({"a.yaml": "names: [burr, spatter]\n", "classes.txt": "burr\n"}, ("burr", "spatter"), 0),
        ({"classes.txt": "burr\n\nspatter\n\npr\n"}, ("burr", "", "spatter", "", "pr"), 0),
        ({"other.yaml": "nc: 1\n"}, (), 0),
        ({}, (), 0),
    ],
)
def test_the_classes_and_key_points_that_lists_of_yolo_give(
    tmp_path: Path, lists: dict[str, str], classes: tuple[str, ...], keypoints: int
) -> None:
    source, told = found(tmp_path, {"a.txt": LINE, **lists})
    assert source is not None
    assert (source.classes, source.keypoints, told) == (classes, keypoints, [])
    assert [one.kind for one in source.findings] == ["classes-unnamed"] * (not classes)


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        (
            {"data.yaml": "names: [burr, spatter]\n", "classes.txt": "spatter\nburr\n"},
            "number the classes differently\n  found:   data.yaml: burr, spatter; classes.txt: spatter, burr",
        ),
        ({"a.names": "burr\npr\n", "classes.txt": "spatter\n"}, "number the classes differently"),
        ({"classes.txt": "burr\npr\nburr\n"}, "classes.txt: this list of classes has a name twice\n  found:   burr"),
        (
            {"a.yaml": "names: [burr]\n", "b.yaml": "kpt_shape: [1, 2]\n"},
            "number the key points differently\n  found:   a.yaml: none; b.yaml: 2",
        ),
        ({"a.yaml": "kpt_shape: [1, 3]\n", "b.yml": "kpt_shape: [1, 2]\n"}, "a.yaml: 3; b.yml: 2"),
    ],
)
def test_lists_of_yolo_that_contradict_each_other_are_refused(tmp_path: Path, lists: dict[str, str], told: str) -> None:
    with pytest.raises(InputError) as refused:
        found(tmp_path, {"a.txt": LINE, **lists})
    assert told in str(refused.value)
