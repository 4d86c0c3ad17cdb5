"""YOLO's text files and data.yaml: what a line is, and that nothing is guessed."""

from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_training.dataset.fix import fix
from sealpin_training.dataset.formats import yolo
from sealpin_training.dataset.formats.data_yaml import DataYaml, read_data_yaml
from sealpin_training.dataset.survey import Rules, Survey, survey
from sealpin_training.parallel import Workers

from .corpus import picture

SIDE = 100


@pytest.fixture
def src(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    picture(1, SIDE, SIDE).save(tmp_path / "src/a.jpg")
    return tmp_path / "src"


def look(folder: Path) -> Survey:
    return survey(folder, Rules(), Workers(None, 1))


def edges_of(src: Path, line: str, keypoints: int = 0) -> tuple[float, ...] | None:
    """The box of one line in hundredths; None when the line is a finding."""
    (src / "line.txt").write_text(line + "\n")
    labels = yolo.read(src, "line.txt", ("burr",), keypoints)
    assert [one.kind for one in labels.findings] == ["line-unreadable"] * (not labels.objects)
    return tuple(round(SIDE * edge, 3) for edge in labels.objects[0].edges) if labels.objects else None


@pytest.mark.parametrize(
    ("line", "edges"),
    [
        ("0 .5 .5 .2 .4", (40, 30, 60, 70)),
        ("0 .1 .2 .3 .2 .2 .6", (10, 20, 30, 60)),  # an outline
        ("0 .1 .2 .3 .2 .3 .6 .1 .6", (10, 20, 30, 60)),  # four corners, as those of a turned box
        ("0 1.0000001 -1e-8 .8 .2 .9 .6", (80, 0, 100, 60)),  # what float32 makes of 1 and 0
        ("0 .5 .5 .2 .4 .87", None),  # a confidence
        ("0 .5 .5 .2 .4 .87 12", None),  # and a track's number
        ("0 .5 .5 .2 .4 .87 1", None),  # which may be 1
        ("0 .5 .5 .2 .4 .5 .6 2 .4 .4 0", None),  # key points without kpt_shape
        ("0 .5 .5 .2 .4 .1 .1 .2", None),
        ("0 .1 .1 .2 .2", (0, 0, 20, 20)),
        ("0 .5 .5 1.2 .4", None),
        ("0 .5 .5 -.2 .4", None),
        ("0 .1 .2 .3 .2 1.01 .6", None),
        ("0 50 50 20 40", None),  # pixels
        ("0 .5 .5 nan .4", None),
        ("0 .5 .5 inf .4", None),
        ("0 .5 .5 .2", None),
        ("0", None),
        ("0 .5,.5 .2 .4", None),
        ("-1 .5 .5 .2 .4", None),
        ("0.0 .5 .5 .2 .4", None),
        ("burr .5 .5 .2 .4", None),
        (f"{'9' * 5000} .5 .5 .2 .4", None),
    ],
)
def test_a_line_is_a_box_an_outline_or_unreadable(src: Path, line: str, edges: tuple[float, ...] | None) -> None:
    found = edges_of(src, line)
    assert found == (pytest.approx(edges, abs=0.01) if edges else None)


@given(st.integers(1, 20), st.sampled_from((2, 3)), st.integers(-3, 3))
@settings(deadline=None, max_examples=60)
def test_with_key_points_the_first_four_numbers_are_the_box_and_the_count_is_held(
    tmp_path_factory: pytest.TempPathFactory, points: int, each: int, off: int
) -> None:
    numbers = " ".join((["30", "-4", "2"] * points * each)[: max(0, points * each + off)])
    found = edges_of(tmp_path_factory.getbasetemp(), f"0 .5 .5 .2 .4 {numbers}", points * each)
    assert found == (None if off else (40, 30, 60, 70))


def test_key_points_of_data_yaml_reach_every_line_and_the_copy(src: Path) -> None:
    (src / "data.yaml").write_text("kpt_shape: [2, 3]\nnames:\n  0: burr\n")
    (src / "a.txt").write_text("0 .5 .5 .2 .4 .45 .4 2 .55 .6 1\n")
    picture(2, SIDE, SIDE).save(src / "b.jpg")
    (src / "b.txt").write_text("0 .5 .5 .2 .4\n")
    found = look(src)
    assert [box.edges for box in found.photos[0].boxes] == [pytest.approx((40, 30, 60, 70))]
    (fault,) = [one for one in found.findings if one.severity == "error"]
    assert (fault.kind, fault.file, fault.number) == ("line-unreadable", "b.txt", 1)
    assert "6 numbers of key points" in fault.allowed
    fix(src, src.parent / "out", processes=1)
    copy = look(src.parent / "out")
    assert copy.unlabelled == {"b.jpg"}
    assert [box.edges for box in copy.photos[0].boxes] == [(40, 30, 60, 70)]


def test_a_line_with_numbers_outside_is_dropped_by_fix_and_never_clipped(src: Path) -> None:
    (src / "classes.txt").write_text("burr\n")
    (src / "a.txt").write_text("0 .5 .5 .2 .4\n0 .5 .5 .2 .4 .87 12\n0 .2 .2 1.4 .1\n")
    fix(src, src.parent / "out", processes=1)
    (photo,) = look(src.parent / "out").photos
    assert [box.edges for box in photo.boxes] == [(40, 30, 60, 70)]


def test_a_class_whose_name_is_a_blank_line_is_told(src: Path) -> None:
    (src / "classes.txt").write_text("burr\n\nspatter\n")
    (src / "a.txt").write_text("1 .5 .5 .2 .4\n")
    assert ("class-missing", 1) in [(one.kind, one.number) for one in look(src).findings]


@pytest.mark.parametrize(
    ("text", "names", "keypoints"),
    [
        ("names: [burr, spatter]\n", ("burr", "spatter"), None),
        ("names:\n  1: burr\n  0: spatter\n", ("spatter", "burr"), None),
        ("names: [NO, on, 1e3, 007]\n", ("NO", "on", "1e3", "007"), None),  # as they are written
        ("\ufeffkpt_shape: [17, 3]\nnames: [person]\n", ("person",), 51),
        ("path: 'C:\\Users\\a'\nnames: [burr]\n", ("burr",), None),
        ('names: ["\\ud800"]\n', ("?",), None),
        ("names: []\n", (), None),
        ("nc: 2\n", None, None),
        ("- names\n", None, None),
        ('train: "C:\\Users"\n', None, None),  # no list of classes, however broken
    ],
)
def test_what_data_yaml_says(tmp_path: Path, text: str, names: tuple[str, ...] | None, keypoints: int | None) -> None:
    (tmp_path / "data.yaml").write_text(text)
    assert read_data_yaml(tmp_path / "data.yaml") == DataYaml(names, keypoints)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(7)
)


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b'# ours\ntrain: "C:\\Users\\photos"\nnames: [burr]\n', 2, "escape"),
        ("nc: 1\nnames: [gr\u00e4t]\n".encode("cp1252"), 2, "UTF-8"),
        ("names: [burr]\n".encode("utf-16"), "", "UTF-16"),
        (b"names: [burr\n", 2, "expected"),
        (b"names: [a]\nb: \x01\n", 2, "special characters"),
        (f"{BOMB}names: *h\n".encode(), 2, "alias"),
        (b"names: " + b"[" * 5000, 1, "nested deeper"),
        (b"names: " + b"{a: " * 5000, 1, "nested deeper"),
        (b"names:\n" + b"".join(b" " * n + b"- \n" for n in range(60)), 17, "nested deeper"),
        (b"names: [a]\n---\nnames: [b]\n", 2, "document"),
        (b"names: [a]\nnames: [b]\n", 1, "twice"),
        (b"names:\n  0: a\n  0: b\n", 2, "twice"),
        (b"nc: 1\nnames: burr\n", 2, "names: burr"),
        (b"names: [burr]\nnc: 2\n", 2, "nc: 2, and 1 names"),
        (b"names: [[a]]\n", 1, "names: "),
        (b"names: {x: a}\n", 1, "names: "),
        (b"names: {99999999: a}\n", 1, "names: "),
        (b"names: {1: a, 2: b}\n", 1, "no name for 0"),
        (b"names: {0: a, 2: b}\n", 1, "no name for 1"),
        (b'names: ["\\U7fffffff"]\n', 1, "0x"),
        (b"names: [a]\nkpt_shape: [17, 4]\n", 2, "kpt_shape"),
        (b"names: [a]\nkpt_shape: 17\n", 2, "kpt_shape"),
        (b"names: [a]\n" + b"#" * (1 << 20), 1, "bytes"),
        (b"names: [" + b"[]," * 40_000 + b"]\n", 1, "more than 30000 values"),
    ],
)
def test_a_data_yaml_that_cannot_be_read_is_told_with_line_and_reason(
    src: Path, data: bytes, line: int | str, reason: str
) -> None:
    (src / "a.txt").write_text("0 .5 .5 .2 .4\n")
    (src / "data.yaml").write_bytes(data)
    told = CliRunner().invoke(main, ["dataset", "check", str(src), "--workers", "1"])
    assert told.exit_code == 2
    assert f"{src / 'data.yaml'}:{line}" in told.output
    assert reason in told.output


@given(st.text(st.sampled_from("names:kpt_shape \n-[]{},&*!|>?\"'\\0123#%@\tU<"), max_size=80), st.binary(max_size=8))
@settings(deadline=None, max_examples=150)
def test_no_bytes_crash_the_reader_of_data_yaml(
    tmp_path_factory: pytest.TempPathFactory, text: str, tail: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(f"names: {text}".encode() + tail)
    with suppress(InputError):
        read_data_yaml(path)


def test_classes_that_nothing_names_are_a_warning_and_lists_in_other_encodings_are_told(src: Path) -> None:
    (src / "a.txt").write_text("0 .5 .5 .2 .4\n")
    assert [one.kind for one in look(src).findings if one.kind == "classes-unnamed"]
    (src / "classes.txt").write_bytes("gr\u00e4t\n".encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16"):
        look(src)
    (src / "classes.txt").write_text("burr\n")
    assert not [one.kind for one in look(src).findings if one.kind == "classes-unnamed"]


def test_two_lists_that_number_the_key_points_differently_are_refused(src: Path) -> None:
    (src / "a.txt").write_text("0 .5 .5 .2 .4 .5 .5\n")
    (src / "data.yaml").write_text("names: [burr]\nkpt_shape: [1, 2]\n")
    (src / "old.yaml").write_text("names: [burr]\n")
    with pytest.raises(InputError, match="key points differently"):
        look(src)
