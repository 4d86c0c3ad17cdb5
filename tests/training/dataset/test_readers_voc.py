"""LabelImg's XML at its limits: what is refused and in which words, and what is written."""

from pathlib import Path

import pytest

from sealpin_edge.errors import InputError
from sealpin_training.dataset.files import find_files
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box, RawLabels

EDGES = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax>"
OBJECT = f"<object><name>burr</name><bndbox>{EDGES}</bndbox></object>"
SIZE = "<size><width>100</width><height>80</height><depth>3</depth></size>"


def read(root: Path, text: str) -> RawLabels:
    (root / "a.xml").write_text(text)
    return voc.read(root, "a.xml")


def told(labels: RawLabels) -> list[tuple[str, str]]:
    return [(one.kind, one.found) for one in labels.findings]


def test_an_xml_of_four_megabytes_is_read_and_a_byte_more_is_too_much(tmp_path: Path) -> None:
    text = f"<annotation>{SIZE}{OBJECT}</annotation>".ljust(4 << 20)
    full = read(tmp_path, text)
    assert (told(full), len(full.objects)) == ([], 1)
    assert told(read(tmp_path, text + " ")) == [("labels-too-large", "4194305 bytes")]


def test_an_xml_that_may_not_be_opened_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError

    monkeypatch.setattr(voc, "read_whole", refuse)  # root may open what chmod forbids
    labels = voc.read(tmp_path, "a.xml")
    assert (labels.file, labels.objects, told(labels)) == ("a.xml", [], [("file-unreadable", "no permission")])


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("", "xml-unparsable", "Document is empty, line 1, column 1"),
        ("<annotation>\n<size>\n</annotation>", "xml-unparsable", "line 3, column 14"),
        ("<!DOCTYPE annotation><annotation>", "xml-entities", "line 1, column 34"),
        ('<!ENTITY b "c"><annotation/>', "xml-entities", "line 1, column 2"),
        (f'<!DOCTYPE annotation SYSTEM "{"x" * 99}"><annotation/>', "xml-entities", f'SYSTEM "{"x" * 51}'),
        ("<annotated/>", "xml-not-voc", "<annotated>"),
    ],
)
def test_what_is_wrong_with_an_xml_is_told_in_one_line(tmp_path: Path, text: str, kind: str, found: str) -> None:
    (one,) = read(tmp_path, text).findings
    assert one.kind == kind
    assert one.found.endswith(found)
    assert "\n" not in one.found


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE annotation SYSTEM "{0}"><annotation/>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "{0}">]><annotation>&e;</annotation>',
    ],
    ids=["document type", "entity"],
)
def test_no_other_file_is_opened_for_an_xml(tmp_path: Path, declared: str) -> None:
    (tmp_path / "other").write_text("<!ELEMENT a ( <a></b>")  # who opens it tells what is wrong with it
    (one,) = read(tmp_path, declared.format(tmp_path / "other")).findings
    assert one.kind == "xml-entities"
    assert one.found.startswith("<!DOCTYPE a")


@pytest.mark.parametrize("aside", ["<!-- not sure -->", "<!---->", "<?page break?>"])
def test_comments_and_instructions_are_no_part_of_an_xml(tmp_path: Path, aside: str) -> None:
    text = f"<annotation>{SIZE}{OBJECT}</annotation>"
    labels = read(tmp_path, text.replace("burr", f"bu{aside}rr").replace("30<", f"3{aside}0<"))
    assert [(item.name, item.edges) for item in labels.objects] == [("burr", (1, 2, 30, 40))]
    assert told(read(tmp_path, f"<annotation>{aside}</annotation>")) == [
        ("xml-not-voc", "neither <size> nor <object> in <annotation>")
    ]


@pytest.mark.parametrize(
    ("size", "kind", "wanted", "depth"),
    [
        (SIZE, [], (100, 80), 3),
        ("", ["size-missing"], None, None),
        (SIZE.replace("100", ""), ["size-missing"], None, 3),
        (SIZE.replace("80", "x"), ["size-missing"], None, 3),
        (SIZE.replace("100", "0"), ["size-zero"], None, 3),
        (SIZE.replace("80", "0"), ["size-zero"], None, 3),
        (SIZE.replace(">3<", ">grey<"), [], (100, 80), None),
    ],
)
def test_the_size_of_an_xml(
    tmp_path: Path, size: str, kind: list[str], wanted: tuple[int, int] | None, depth: int | None
) -> None:
    labels = read(tmp_path, f"<annotation>{size}{OBJECT}</annotation>")
    assert ([one.kind for one in labels.findings], labels.size, labels.depth) == (kind, wanted, depth)
    assert len(labels.objects) == 1


@pytest.mark.parametrize(("source", "proposed"), [(voc.PROPOSAL, True), (f" {voc.PROPOSAL}\n", True), ("x", False)])
def test_a_program_s_proposal_is_one_until_it_is_saved(tmp_path: Path, source: str, proposed: bool) -> None:
    told = read(tmp_path, f"<annotation><source><annotation>{source}</annotation></source>{SIZE}</annotation>")
    assert told.proposed is proposed


@pytest.mark.parametrize(
    ("size", "found"),
    [
        ("<size/>", "nothing"),
        ("<size><width> </width></size>", "nothing"),
        ("<size><width>100</width></size>", "'100' x ''"),
        ("<size><height>8.5</height></size>", "'' x '8.5'"),
        ("<size><depth>3</depth></size>", "'' x ''"),
    ],
)
def test_what_is_there_of_a_size_is_told(tmp_path: Path, size: str, found: str) -> None:
    assert told(read(tmp_path, f"<annotation>{size}</annotation>")) == [("size-missing", found)]


def test_labels_of_no_photo_are_orphans_and_those_of_another_program_are_not_read(tmp_path: Path) -> None:
    for name in ("a.xml", "c.xml"):
        (tmp_path / name).write_text(f"<annotation>{SIZE}</annotation>")
    (tmp_path / "annotations.xml").write_text("<annotations/>")
    (tmp_path / "a.jpg").touch()  # no reader of labels opens a photo
    files = find_files(tmp_path)
    found = voc.find(files)
    assert found is not None
    assert (found.of_photo, found.orphans) == ({"a.jpg": ("a.xml",)}, ["c.xml"])
    assert [(one.kind, one.file) for one in files.findings] == [("labels-not-read", "annotations.xml")]
    for name in ("a.xml", "c.xml"):
        (tmp_path / name).unlink()
    assert voc.find(find_files(tmp_path)) is None


BOXES = (Box("burr", 1, 2, 30.4, 40), Box("pr\x00f", 5.6, 6, 70, 71, difficult=True), Box("s", 0, 0, 9, 9, False, True))
WRITTEN = """\
<annotation>
	<folder/>
	<filename>a.jpg</filename>
	<path>a.jpg</path>
	<source>
		<database>Unknown</database>
	</source>
	<size>
		<width>100</width>
		<height>80</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
	<object>
		<name>burr</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>0</difficult>
		<bndbox>
			<xmin>1</xmin>
			<ymin>2</ymin>
			<xmax>30</xmax>
			<ymax>40</ymax>
		</bndbox>
	</object>
</annotation>
"""


def test_an_xml_is_written_as_labelimg_lays_it_out(tmp_path: Path) -> None:
    voc.write(tmp_path / "a.xml", "a.jpg", 100, 80, BOXES[:1])
    assert (tmp_path / "a.xml").read_text() == WRITTEN
    proposed = WRITTEN.replace(
        "Unknown</database>\n", f"Unknown</database>\n\t\t<annotation>{voc.PROPOSAL}</annotation>\n"
    )
    assert voc.encode("a.jpg", 100, 80, BOXES[:1], depth=1, proposed=True).decode() == proposed.replace(
        "<depth>3", "<depth>1"
    )


def test_boxes_that_are_written_are_read_again(tmp_path: Path) -> None:
    voc.write(tmp_path / "a.xml", "a.jpg", 100, 80, BOXES)
    assert voc.read_boxes(tmp_path / "a.xml") == (
        Box("burr", 1, 2, 30, 40),
        Box("pr?f", 6, 6, 70, 71, difficult=True),
        Box("s", 0, 0, 9, 9, truncated=True),
    )


def test_boxes_are_asked_for_where_all_is_in_order_and_else_every_fault_is_told(tmp_path: Path) -> None:
    read(tmp_path, f"<annotation><folder/>{OBJECT}</annotation>")
    assert voc.read_boxes(tmp_path / "a.xml") == (Box("burr", 1, 2, 30, 40),), "outside is not judged without a size"
    read(tmp_path, f"<annotation>{SIZE}{OBJECT}{OBJECT.replace('burr', '')}{OBJECT.replace('30', '130')}</annotation>")
    with pytest.raises(InputError, match="2 problems") as told:
        voc.read_boxes(tmp_path / "a.xml")
    for line in ("object 2: this object has no name", "object 3: this box reaches out of the photo"):
        assert f"{tmp_path / 'a.xml'}: {line}" in str(told.value)
