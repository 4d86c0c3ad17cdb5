"""Labels that nobody can place: of which photo they are is not known, so that no photo becomes a good part for them."""

import json
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from sealpin_edge.errors import InputError
from sealpin_training.dataset.convert import Plan, convert
from sealpin_training.dataset.fix import fix
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.names import check_classes
from sealpin_training.dataset.survey import Rules, Survey, survey
from sealpin_training.parallel import Workers

from .corpus import HEIGHT, WIDTH, add, as_csv, as_yolo, box, encoded, picture


def look(folder: Path) -> Survey:
    return survey(folder, Rules(), Workers(None, 1))


def repaired(src: Path) -> Path:
    fix(src, src.parent / "fixed", processes=1)
    return src.parent / "fixed"


def errors(seen: Survey) -> set[str]:
    return {one.kind for one in seen.findings if one.severity == "error"}


LINE = "a.jpg,400,360,burr,10,20,60,90\n"
HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
XML = b"<annotation><filename>a.jpg</filename><size><width>400</width><height>360</height></size>%b</annotation>"
OBJECT = (
    b"<object><name>burr</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>90</ymax></bndbox></object>"
)
BURR = XML % OBJECT
LOST = {
    # No photo of the name: its labels may be those of a.jpg
    "another ending": ("l.csv", (HEAD + LINE.replace("a.jpg", "a")).encode()),
    "a letter more": ("l.csv", (HEAD + "#" + LINE).encode()),
    "an unclosed quote": ("l.csv", (HEAD + '"' + LINE).encode()),
    "a copy's name": ("a_1.xml", BURR),
    "both endings": ("a.jpg.xml", BURR),
    "a copy's name in a folder of another format": ("a_1.txt", b"0 0.1 0.2 0.1 0.2\n"),
    "another image": (
        "l.json",
        b'{"images": [{"id": 1, "file_name": "b.jpg"}], "categories": [{"id": 1, "name": "burr"}], '
        b'"annotations": [{"image_id": 77, "category_id": 1, "bbox": [10, 20, 50, 70]}]}',
    ),
    "another folder": ("l.csv", (HEAD + LINE.replace("a.jpg", "good/a.jpg")).encode()),
    # A file that nobody reads
    "CVAT": ("annotations.xml", b'<annotations><image name="a.jpg"><box label="burr"/></image></annotations>'),
    "JSON of nobody": ("l.json", b'[{"image": "a.jpg", "boxes": [[10, 20, 60, 90]]}]'),
    "a document a line": ("l.jsonl", b'{"image": "a.jpg", "bbox": [10, 20, 60, 90]}\n{"image": "b.jpg", "bbox": []}\n'),
    "packed": ("a.xml.gz", b"\x1f\x8b"),
    "put aside": ("a.xml.bak", BURR),
    "an ending that Windows hides": ("a.xml.txt", BURR),
    "a class by its name": ("a.txt", b"burr 0.1 0.2 0.1 0.2\n"),
    "a class by its name, briefly": ("a.txt", b"burr .1 2e-1 .1 .2\n"),
    "below a comment": ("a.txt", b"# by hand\nburr 0.1 0.2 0.1 0.2\n"),
    "in UTF-16": ("a.txt", "0 0.1 0.2 0.1 0.2\n".encode("utf-16")),
    "XML under the ending of a text": ("a.txt", BURR),
    "XML under the ending of JSON": ("a.json", BURR),
    "a blank after the ending": ("a.xml ", BURR),
    "an editor's copy": ("a.xml~", BURR),
    "hidden": (".a.xml", BURR),
    "without an ending": ("a", b"0 0.1 0.2 0.1 0.2\n"),
    "an ending that nobody knows": ("a.label", b'{"label": "burr"}'),
    "a table of bars": ("l.csv", (HEAD + LINE).replace(",", "|").encode()),
    "a table of other columns": ("l.csv", b"image,label,x,y,w,h\na.jpg,burr,10,20,50,70\n"),
    "defects": ("a.json", b'{"file": "a.jpg", "defects": [{"kind": "burr"}]}'),
    "both endings in YOLO": ("a.jpg.txt", b"0 0.1 0.2 0.1 0.2\n"),
    "a list of photos": ("train.txt", b"a.jpg 10,20,60,90,0\n"),
    "a list called labels": ("labels.txt", b"a.jpg 10 20 60 90 burr\n"),
    "a link to what is gone": ("a.xml", Path("gone.xml")),
    "a folder that is not mounted": ("labels", Path("/nowhere/labels")),
    "a link out of the folder": ("a.xml", Path("/etc/hostname")),
}
COPIES = ("a.xml.gz", "a.xml.bak", "a.xml.txt", "a.xml ", "a.xml~", ".a.xml", "a", "a.label")
OF_ANOTHER_NAME = (
    "a letter more",
    "an unclosed quote",
    "a copy's name in a folder of another format",
    "another image",
    "another folder",
)


@pytest.mark.parametrize("label", [None, b""], ids=["unlabelled", "called good"])
@pytest.mark.parametrize("name", LOST)
def test_labels_that_are_lost_make_no_good_part(tmp_path: Path, name: str, label: bytes | None) -> None:
    src = tmp_path / "src"
    add(src, "b", (Box("burr", 10, 20, 60, 90),), 2)
    add(src / "good", "c", (Box("burr", 10, 20, 60, 90),), 3)
    picture(1).save(src / "a.jpg", quality=90)
    file, content = LOST[name]
    if label is not None and file != "a.xml":
        (src / "a.xml").write_bytes(XML % label)
    if isinstance(content, Path):
        (src / file).symlink_to(content)
    else:
        (src / file).write_bytes(content)
    before = look(src)
    if label is not None and file in COPIES:
        told = {one.kind for one in before.findings if one.file == file}
        assert told <= {"file-passed-over", "file-hidden"}, "a copy of what is here"
        return
    assert errors(before)
    after = look(repaired(src))
    assert not errors(after)
    # What is called good stays so beside labels that can be read, and are of some other name
    if label is None or name not in OF_ANOTHER_NAME:
        assert "a.jpg" in before.unplaced, "--unlabelled good would take it"
        assert "a.jpg" in after.unplaced & after.unlabelled


def archive(src: Path) -> None:
    (src / "labels.zip").write_bytes(b"PK")


def archive_called_like_a_photo(src: Path) -> None:
    (src / "c.zip").write_bytes(b"PK")


def hidden_folder(src: Path) -> None:
    (src / ".labels/train").mkdir(parents=True)
    (src / ".labels/train/a.txt").write_text("0 0.1 0.2 0.1 0.2\n")


def test_an_archive_is_named_where_there_are_no_labels(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.jpg")
    archive(tmp_path)
    with pytest.raises(InputError, match=r"no labels here(.|\n)*labels\.zip: an archive"):
        look(tmp_path)


def list_without_its_end(src: Path) -> None:
    (src / "l.csv").write_text(HEAD + LINE.replace("a.jpg", "b.jpg").strip())
    (src / "b.xml").unlink()


@pytest.mark.parametrize("spoil", [archive, archive_called_like_a_photo, hidden_folder, list_without_its_end])
def test_what_may_hold_labels_leaves_no_photo_without_labels_a_good_part(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    src = tmp_path / "src"
    add(src, "b", (Box("burr", 10, 20, 60, 90),), 2)
    add(src, "c", (), 3)
    picture(1).save(src / "a.jpg", quality=90)
    spoil(src)
    assert not errors(look(src))
    for folder in (src, repaired(src)):
        seen = look(folder)
        assert ("a.jpg" in seen.unplaced, "c.jpg" in seen.unplaced) == (True, False)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_mask_is_no_good_part(tmp_path: Path, mode: str) -> None:
    """Beside a photo that is in order, as many data sets have them; who labels it as a photo is believed."""
    src = tmp_path / "src"
    add(src, "b", (Box("burr", 10, 20, 60, 90),), 2)
    picture(1).save(src / "photo.png")
    mask = Image.new("L", (WIDTH, HEIGHT))
    mask.paste(255, (10, 20, 60, 90))
    (src / "masks").mkdir()
    mask.convert(mode).save(src / "masks/b.png")
    seen = look(src)
    assert [one.file for one in seen.findings if one.kind == "photo-mask"] == ["masks/b.png"]
    assert seen.unplaced == {"masks/b.png", "photo.png"}, "whose mask may be anywhere"
    (src / "masks/b.png").rename(src / "c.png")
    (src / "c.xml").write_bytes(XML % b"")
    assert not look(src).unplaced


def test_an_archive_among_photos_may_hold_any_photos_labels(tmp_path: Path) -> None:
    src = tmp_path / "src"
    add(src, "b", (Box("burr", 10, 20, 60, 90),), 2)
    picture(1).save(src / "a.jpg", quality=90)
    with zipfile.ZipFile(src / "labels.jpg", "w") as archive:
        archive.writestr("a.xml", BURR)
    assert "a.jpg" in look(src).unplaced and "a.jpg" in look(repaired(src)).unplaced


@pytest.mark.parametrize("name", ["Öse 7.JPG", "o\u0308se.jpg", "bad(1).jpg", "a b.jpg"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_photo_is_named_in_any_spelling(tmp_path: Path, name: str, encoding: str) -> None:
    add(tmp_path, "b", (Box("burr", 10, 20, 60, 90),), 2)
    picture(1).save(tmp_path / name, "JPEG")
    (tmp_path / "list.dat").write_text("nothing of it.jpeg2000", encoding=encoding)
    assert not look(tmp_path).unplaced
    (tmp_path / "list.dat").write_text(f"burr on {unicodedata.normalize('NFC', name).lower()}", encoding=encoding)
    assert look(tmp_path).unplaced == {name}


@pytest.mark.parametrize("copy", ["a (1)", "a (conflicted copy)", "a - Copy"])
def test_the_copy_of_labels_speaks_against_labels_without_an_object(tmp_path: Path, copy: str) -> None:
    src = tmp_path / "src"
    add(src, "b", (Box("burr", 10, 20, 60, 90),), 2)
    add(src, "c", (), 3)
    picture(1).save(src / "a.jpg", quality=90)
    (src / "a.xml").write_bytes(XML % b"")
    assert not look(src).unplaced
    (src / f"{copy}.xml").write_bytes(BURR.replace(b"<filename>a.jpg</filename>", b""))
    assert errors(look(src)) and look(src).unplaced == {"a.jpg"}
    assert look(repaired(src)).unplaced == {"a.jpg"}


def test_a_mask_as_jpeg_is_known_by_its_name(tmp_path: Path) -> None:
    add(tmp_path, "b", (Box("burr", 10, 20, 60, 90),), 2)
    picture(1).save(tmp_path / "masked_man.jpg")
    assert not look(tmp_path).unplaced
    for name in ("masks/a.jpg", "b_mask.jpg", "ground_truth/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture(3).save(tmp_path / name)
        assert look(tmp_path).unplaced == {name, "masked_man.jpg"}
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    "name",
    [".a.xml.Xa3fD1", ".a.xml.icloud", ".a.xml.swp", "l.csv~", ".l.csv", "labels.dat", "annotations", "l.yml", "l.json",
     "labels.xlsx", "labels.db", "a.npy", "labels.manifest"],
)  # fmt: skip
def test_a_file_that_nothing_reads_and_that_names_photos_leaves_none_without_labels_good(
    tmp_path: Path, name: str
) -> None:
    add(tmp_path, "b", (Box("burr", 10, 20, 60, 90),), 2)
    add(tmp_path, "c", (), 3)
    picture(1).save(tmp_path / "a.jpg", quality=90)
    for other in ("README.md", "._a.xml", "Thumbs.db.bak"):
        (tmp_path / other).write_text("a.jpg" if other == "README.md" else "nothing")
    assert not look(tmp_path).unplaced
    (tmp_path / name).write_text('{"a.jpg": [[10, 20, 60, 90]]}' if name.endswith("json") else HEAD + LINE)
    seen = look(tmp_path)
    assert seen.unplaced == {"a.jpg"}
    assert name in {one.file for one in seen.findings if one.kind in ("labels-aside", "labels-not-read")}


@pytest.mark.parametrize("filler", ["x", "x.", "<a>"])
def test_a_long_file_is_searched_for_photos_in_no_time(tmp_path: Path, filler: str) -> None:
    """With time that grows as the square of a word's length, this would not end."""
    add(tmp_path, "b", (Box("burr", 10, 20, 60, 90),), 2)
    picture(1).save(tmp_path / "a.jpg", quality=90)
    (tmp_path / "notes.dat").write_text(filler * 1_000_000 + " a.jpg")
    seen = look(tmp_path)
    assert [(one.file, one.found) for one in seen.findings if one.kind == "labels-aside"] == [
        ("notes.dat", "it names a.jpg")
    ]


@pytest.mark.parametrize("name", ["a.txt~", "a.text", "a", "a.txt ", "#a.txt#", ".a.txt", "a.yolo"])
def test_labels_that_nothing_reads_among_labels_make_no_good_part(tmp_path: Path, name: str) -> None:
    src = tmp_path / "src"
    for folder in ("images", "labels"):
        (src / folder).mkdir(parents=True)
    for number, stem in enumerate("abc"):
        picture(number).save(src / f"images/{stem}.jpg")
        (src / f"labels/{stem}.txt").write_text("0 0.2 0.2 0.1 0.1\n")
    (src / "labels/classes.txt").write_text("burr\n")
    (src / "labels/a.txt").rename(src / "labels" / name)
    assert [one.file for one in look(src).findings if one.kind == "labels-not-read"] == [f"labels/{name}"]
    made = convert(repaired(src), tmp_path / "out", Plan(unlabelled_good=True), processes=1)[0]
    assert len(made.bad) == sum(made.counts.values()) == 2


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("l.csv", lambda text: text[: text.index("c.jpg,400") + len("c.jpg,400,36")]),
        ("l.csv", lambda text: text[: text.index("c.jpg,400") + len("c.jpg,400,360,")]),
        ("l.json", lambda text: text.replace("b.jpg", "a.jpg")),
    ],
    ids=["cut in a size", "cut before a class", "an image under another name"],
)
def test_a_listing_with_a_gap_leaves_no_photo_that_it_does_not_name_a_good_part(
    tmp_path: Path, name: str, change: Callable[[str], str]
) -> None:
    src = tmp_path / "src"
    src.mkdir()
    names = [f"{letter}.jpg" for letter in "abcde"]
    for number, photo in enumerate(names):
        picture(number).save(src / photo)
    if name == "l.csv":
        rows = [f"{photo},{WIDTH},{HEIGHT},burr,{10 + 80 * n},20,{60 + 80 * n},90" for n, photo in enumerate(names)]
        text = HEAD + "\n".join(rows) + "\n"
    else:
        images = [{"id": n, "file_name": photo, "width": WIDTH, "height": HEIGHT} for n, photo in enumerate(names)]
        boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [10 + 70 * n, 20, 50, 70]} for n in range(5)]
        text = json.dumps({"images": images, "categories": [{"id": 1, "name": "burr"}], "annotations": boxes})
    (src / name).write_text(change(text))
    assert change(text) != text
    assert errors(look(src))
    made = convert(repaired(src), tmp_path / "out", Plan(unlabelled_good=True), processes=1)[0]
    assert len(made.bad) == sum(made.counts.values()) > 0, "every part here is bad"


@pytest.mark.parametrize("column", range(9))
@pytest.mark.parametrize("closed", ["", "e.jpg"], ids=["never", "later"])
def test_a_quote_that_is_not_closed_makes_no_good_part(tmp_path: Path, column: int, closed: str) -> None:
    src = tmp_path / "src"
    add(src, "z", (Box("burr", 10, 20, 60, 90),), 9)
    rows = []
    for number, letter in enumerate("abcde"):
        picture(number).save(src / f"{letter}.jpg")
        rows.append([f"{letter}.jpg", f"{WIDTH}", f"{HEIGHT}", "burr", "10", "20", "60", "90", "seen by A"])
    rows[2][column] = '"' + rows[2][column]
    text = HEAD.strip() + ",note\n" + "".join(",".join(row) + "\n" for row in rows)
    (src / "l.csv").write_text(text.replace(closed, closed + '"') if closed else text)
    assert errors(look(src)) >= {"labels-not-read"}
    made = convert(repaired(src), tmp_path / "out", Plan(unlabelled_good=True), processes=1)[0]
    assert len(made.bad) == sum(made.counts.values()) > 0, "every part here is bad"


def test_a_link_to_a_photo_that_is_gone_takes_no_labels_with_it(tmp_path: Path) -> None:
    add(tmp_path, "b", (box(2),), 2)
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1), "JPEG"))
    (tmp_path / "C.JPG").symlink_to("gone.jpg")
    seen = look(tmp_path)
    assert errors(seen) == {"link-broken"}
    assert (seen.unlabelled, seen.unplaced) == ({"a.jpg"}, set())


def test_a_table_of_tabs_is_read_and_a_name_in_capitals_found(tmp_path: Path) -> None:
    for number in (1, 2):
        add(tmp_path, f"p{number}", (box(number),), number)
    wanted = {photo.name: photo.boxes for photo in look(tmp_path).photos}
    as_csv(tmp_path)
    text = (tmp_path / "labels.csv").read_text().replace(",", "\t").replace("p1.jpg", "P1.JPG")
    (tmp_path / "labels.csv").unlink()
    (tmp_path / "labels.tsv").write_text(text)
    assert {photo.name: photo.boxes for photo in look(tmp_path).photos} == wanted
    (tmp_path / "P1.JPG").write_bytes(encoded(picture(3), "JPEG"))
    assert look(tmp_path).unlabelled == {"p1.jpg"}


@pytest.mark.parametrize("form", ["voc", "yolo", "csv", "coco"])
def test_labels_of_a_photo_that_is_gone_are_not_those_of_its_namesake(tmp_path: Path, form: str) -> None:
    src = tmp_path / "src"
    add(src / "good", "b", (box(1),), 1)
    add(src / "bad", "b", (box(2),), 2)
    add(src / "good", "a", (), 3)
    (src / "good/a.jpg").rename(src / "bad/a.jpg")
    if form == "yolo":
        as_yolo(src / "good")
        as_yolo(src / "bad")
    elif form in ("csv", "coco"):
        (src / "good/a.xml").unlink()
    if form == "csv":
        (src / "l.csv").write_text(HEAD + LINE.replace("a.jpg", "good/a.jpg"))
    elif form == "coco":
        images = [{"id": 1, "file_name": "C:\\set\\good\\a.jpg", "width": WIDTH, "height": HEIGHT}]
        (src / "l.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    seen = look(src)
    assert errors(seen) == {"labels-without-photo" if form in ("csv", "coco") else "labels-astray"}
    assert "bad/a.jpg" in seen.unplaced
    after = look(repaired(src))
    assert "bad/a.jpg" not in {photo.name for photo in after.photos} - after.unplaced


def test_a_copy_that_is_not_quite_one_is_no_good_part_either(tmp_path: Path) -> None:
    src = tmp_path / "src"
    add(src, "a", (box(1),), 1)
    add(src, "b", (), 2)
    saved_again = encoded(picture(1), "JPEG", quality=60)
    (src / "c.jpg").write_bytes(saved_again)
    (src / "d.jpg").write_bytes((src / "a.jpg").read_bytes() + b"junk")
    (src / "e.jpg").write_bytes(encoded(picture(3), "JPEG"))
    assert look(src).unplaced == {"c.jpg", "d.jpg"}
    taken, _ = convert(src, tmp_path / "out", Plan(unlabelled_good=True), processes=1)
    assert {name for name in taken.splits if name.endswith(".jpg")} == {"a.jpg", "b.jpg", "e.jpg"}
    (src / "c.xml").write_bytes(XML % b"")
    told = [(one.file, one.found) for one in look(src).findings if one.kind == "photo-near-good-and-bad"]
    assert told == [("c.jpg", "a.jpg")]


OTHER_WORDS = [
    OBJECT.replace(b"object", b"Object").replace(b"bndbox", b"BndBox"),
    OBJECT.replace(b"<object>", b"<object xmlns='u'>"),
    OBJECT.replace(b"object", b"annotation_object").replace(b"bndbox", b"bbox"),
    OBJECT.replace(b"object", b"part"),
    b"<robndbox><cx>10</cx></robndbox>",
    b"<box label='burr' xmin='10'/>",
    b"<polygon><name>burr</name></polygon>",
    b"<bbox>10 20 60 90</bbox>",
    b"<![CDATA[" + OBJECT + b"]]>",
    b"<!--" + OBJECT + b"-->",
    b"<!-- not sure: <bndbox>10 20 60 90</bndbox> -->",
    b"burr 10 20 60 90",
    b"<segmented>1</segmented>",
]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.xml", b"<annotation/>"),
        ("a.xml", b"<annotation><folder>parts</folder></annotation>"),
        *(("a.xml", XML % words) for words in OTHER_WORDS),
        ("a.xml", XML % OBJECT.replace(b"10<", b"1_0<")),
        ("a.txt", b"0 0.1_1 0.2 0.1 0.2\n"),
        ("l.csv", (HEAD + LINE.replace("90", "9_0")).encode()),
    ],
)
def test_what_python_or_xml_alone_would_take_for_labels_is_none(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1), "JPEG"))
    (tmp_path / file).write_bytes(content)
    (tmp_path / "b.jpg").write_bytes(encoded(picture(2), "JPEG"))
    (tmp_path / "b.txt").write_text("0 0.1 0.2 0.1 0.2\n")
    seen = look(tmp_path)
    assert errors(seen) & {"xml-not-voc", "box-not-number", "line-unreadable", "box-missing"}
    assert seen.unplaced == {"a.jpg"}


def test_a_list_that_names_two_classes_alike_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1), "JPEG"))
    (tmp_path / "a.txt").write_text("0 0.1 0.2 0.1 0.2\n")
    (tmp_path / "classes.txt").write_text("burr\n\nburr\n\n")
    with pytest.raises(InputError, match=r"classes\.txt: this list of classes has a name twice\n  found:   burr"):
        look(tmp_path)


@pytest.mark.parametrize(
    ("counts", "wrong"),
    [
        ({"-1": 3, "1": 9}, {}),
        ({"1-1": 3, "11": 9}, {}),
        ({"burr\u200b": 9, "burr": 9}, {"burr\u200b": ("class-spelling", "burr")}),
    ],
)
def test_a_sign_makes_another_class_and_what_nobody_sees_does_not(
    counts: dict[str, int], wrong: dict[str, tuple[str, str]]
) -> None:
    assert check_classes(counts) == wrong


def test_what_a_camera_or_a_person_notes_in_voc_is_no_object(tmp_path: Path) -> None:
    add(tmp_path, "b", (Box("burr", 10, 20, 60, 90),), 2)
    add(tmp_path, "a", (), 1)
    label = tmp_path / "a.xml"
    note = "<weather>sun</weather><taken>2026-05-04 10:11:12</taken><segmented>0</segmented></annotation>"
    label.write_text(label.read_text().replace("</annotation>", note))
    seen = look(tmp_path)
    assert not errors(seen)
    assert not seen.unplaced


@pytest.mark.parametrize("where", ["annotations_val", "segments_info", "images"])
def test_boxes_that_stand_elsewhere_in_coco_are_no_listing_of_good_parts(tmp_path: Path, where: str) -> None:
    for number, name in enumerate("ab"):
        picture(number).save(tmp_path / f"{name}.jpg", quality=90)
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [10, 20, 50, 70]} for n in (1, 2)]
    images = [
        {"id": n, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT} for n, name in ((1, "a"), (2, "b"))
    ]
    document: dict[str, object] = {
        "images": images,
        "annotations": boxes[:1],
        "categories": [{"id": 1, "name": "burr"}],
    }
    if where == "images":
        images[1]["annotations"] = boxes[1:]  # type: ignore[assignment]
    else:
        document[where] = boxes[1:]
    (tmp_path / "l.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="no labels here") as caught:
        look(tmp_path)
    assert "where COCO has none" in str(caught.value)


def test_what_else_coco_notes_of_an_image_is_no_box(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.jpg", quality=90)
    image = {"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT, "place": {"line": 3}, "tags": ["new"]}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 50, 70]}
    document = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "burr"}]}
    (tmp_path / "l.json").write_text(json.dumps(document))
    assert not errors(look(tmp_path))
