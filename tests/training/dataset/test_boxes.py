"""Which boxes are possible: each limit is tried on both sides."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpin_training.dataset.boxes import check_boxes, check_names, check_size, compare, overlap
from sealpin_training.dataset.faults import Fault
from sealpin_training.dataset.labels import Edges, RawLabels, RawObject

WIDTH, HEIGHT = 200, 100
GOOD = (20.0, 30.0, 60.0, 80.0)


def checked(
    *boxes: Edges, names: str = "aaaa", size: tuple[int, int] = (WIDTH, HEIGHT)
) -> tuple[list[str], list[Edges]]:
    """The kinds that are found, and the edges that are kept."""
    objects = [RawObject(number, names[number], edges) for number, edges in enumerate(boxes)]
    kept, findings = check_boxes(RawLabels("a.xml", objects), *size)
    return [finding.kind for finding in findings], [box.edges for box in kept]


@pytest.mark.parametrize(
    ("edges", "kind"),
    [
        (GOOD, ""),
        ((nan, 30, 60, 80), "box-nan"),
        ((20, 30, 60, inf), "box-nan"),
        ((20, 30, 20, 80), "box-empty"),
        ((20, 30, 60, 30), "box-empty"),
        ((60, 30, 20, 80), "box-inverted"),
        ((20, 80, 60, 30), "box-inverted"),
        ((200, 30, 201, 80), "box-off-photo"),
        ((20, 100, 60, 101), "box-off-photo"),
        ((-1, 30, 0, 80), "box-off-photo"),
        ((20, -1, 60, 0), "box-off-photo"),
        ((-1.01, 30, 60, 80), "box-outside"),
        ((20, -1.01, 60, 80), "box-outside"),
        ((20, 30, 201.01, 80), "box-outside"),
        ((20, 30, 60, 101.01), "box-outside"),
        ((-1, 30, 60, 80), ""),
        ((20, -1, 60, 80), ""),
        ((0.5, 0.25, 60, 80), ""),
        ((20, 30, 201, 80), ""),
        ((20, 30, 60, 101), ""),
        ((199, 30, 201, 80), ""),
        ((20, 98.5, 60, 101), ""),
        ((-1, 30, 1, 80), ""),
        ((20, -1, 60, 1), ""),
        ((0, 0, 198, 100), "box-whole-photo"),
        ((2, 0, 200, 100), "box-whole-photo"),
        ((0, 0, 197.9, 100), ""),
        ((20, 30, 21.9, 80), "box-sliver"),
        ((20, 30, 60, 31.9), "box-sliver"),
        ((20, 30, 22, 80), ""),
        ((20, 30, 60, 32), ""),
    ],
)  # fmt: skip
def test_a_box_by_itself(edges: Edges, kind: str) -> None:
    kinds, kept = checked(edges)
    assert kinds == [kind] * bool(kind)
    warnings = ("", "box-sliver", "box-whole-photo")
    inside = tuple(sorted((0, edge, most))[1] for edge, most in zip(edges, (WIDTH, HEIGHT) * 2, strict=True))
    assert kept == ([inside] if kind in warnings else [])


def test_a_finding_tells_file_object_and_what_is_allowed() -> None:
    objects = [RawObject(7, "burr", (-2, 30, 60.5, 80)), RawObject(8, "burr", GOOD), RawObject(9, "dent", GOOD)]
    _, findings = check_boxes(RawLabels("a.xml", objects), WIDTH, HEIGHT)
    assert findings == [
        Fault("a.xml", "box-outside", "burr (-2, 30, 60.5, 80)", 7, "0..200 by 0..100, give or take a pixel"),
        Fault("a.xml", "box-two-classes", "dent (20, 30, 60, 80); burr (20, 30, 60, 80)", 9),
    ]


@pytest.mark.parametrize("size", [(0, 0), (0, HEIGHT), (WIDTH, 0)])
def test_without_a_size_outside_is_not_judged(size: tuple[int, int]) -> None:
    far = (-50.0, 300.0, 900.0, 800.0)
    assert checked(far, size=size) == ([], [far])


def test_relative_boxes_are_made_pixels_and_flags_stay() -> None:
    raw = RawLabels("a.txt", [RawObject(1, "a", (0.1, 0.25, 0.3, 0.8), difficult=True)], relative=True)
    ((box,), findings) = check_boxes(raw, WIDTH, HEIGHT)
    assert findings == []
    assert box.edges == pytest.approx((20, 25, 60, 80))
    assert (box.difficult, box.truncated) == (True, False)


@pytest.mark.parametrize(
    ("other", "names", "kind"),
    [
        (GOOD, "aa", "box-duplicate"),
        (GOOD, "ab", "box-two-classes"),
        ((20, 30, 60, 75), "aa", "box-near-duplicate"),  # 45 of 50 rows: 0.9
        ((20, 30, 60, 74.9), "aa", ""),
        ((60, 30, 100, 80), "aa", ""),
    ],
)
def test_a_box_against_another(other: Edges, names: str, kind: str) -> None:
    kinds, kept = checked(GOOD, other, names=names)
    assert kinds == [kind] * bool(kind)
    assert len(kept) == 2


def test_a_box_is_compared_with_every_one_before_it() -> None:
    assert checked(GOOD, (100, 30, 140, 80), (20, 30, 60, 80))[0] == ["box-duplicate"]
    assert checked((100, 30, 140, 80), GOOD, (100, 30, 140, 80))[0] == ["box-duplicate"]
    assert checked((-5, 30, 60, 80), (-5, 30, 60, 80))[0] == ["box-outside"] * 2, "a wrong one is no original"


cells = st.tuples(*[st.integers(0, 9)] * 4).map(lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]) + 1, max(c[1], c[3]) + 1))  # fmt: skip  # noqa: E501


@given(cells, cells)
def test_overlap_is_what_counting_pixels_gives(one: Edges, other: Edges) -> None:
    def pixels(box: Edges) -> set[tuple[int, int]]:
        return {(x, y) for x in range(int(box[0]), int(box[2])) for y in range(int(box[1]), int(box[3]))}

    mine, theirs = pixels(one), pixels(other)
    assert overlap(one, other) == pytest.approx(len(mine & theirs) / len(mine | theirs))


@pytest.mark.parametrize(
    ("size", "turned", "kind"),
    [
        (None, False, ""),
        ((200, 100), False, ""),
        ((100, 200), False, "size-swapped"),
        ((100, 200), True, ""),
        ((200, 101), False, "size-differs"),
        ((200, 101), True, "size-differs"),
    ],
)
def test_a_size_against_the_photos(size: tuple[int, int] | None, turned: bool, kind: str) -> None:
    found = check_size(RawLabels("a.xml", size=size), WIDTH, HEIGHT, turned)
    assert found == ([Fault("a.xml", kind, f"{size[0]}x{size[1]}", allowed="200x100")] if kind and size else [])


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        ("Töil.jpg", ""),
        (" Töil.jpg ", ""),
        (None, "filename-missing"),
        ("", "filename-missing"),
        ("c/Töil.jpg", "filename-folder"),
        ("c\\Töil.jpg", "filename-folder"),
        ("c/töil.jpg", "filename-case"),
        ("To\u0308il.jpg", "filename-spelling"),
        ("TÖIL.JPG", "filename-case"),
        ("töil", "filename-ending"),
        ("Töil.png", "filename-ending"),
        ("Töil2.jpg", "filename-differs"),
    ],
)
def test_a_filename_against_the_photos_wherever_it_lies(filename: str | None, kind: str) -> None:
    found = check_names(RawLabels("a.xml", filename=filename), "lot/Töil.jpg", "/data")
    wanted = Fault("a.xml", kind, (filename or "").strip() or "nothing", allowed="Töil.jpg")
    assert found == check_names(RawLabels("a.xml", filename=filename), "Töil.jpg", "/data") == [wanted] * bool(kind)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (None, ""),
        ("a.jpg", ""),
        ("/data/lot/a.jpg", ""),
        ("C:\\x\\a.jpg", "path-moved"),
        ("/data/a.jpg", "path-moved"),
        ("/data/lot/A.JPG", "path-moved"),
        ("/data/lot/b.jpg", "path-differs"),
        ("C:\\x\\b.jpg", "path-differs"),
        ("b.jpg", "path-differs"),
    ],
)
def test_a_path_against_the_photos(path: str | None, kind: str) -> None:
    found = check_names(RawLabels("a.xml", filename="a.jpg", path=path), "lot/a.jpg", "/data")
    assert [(one.kind, one.found, one.allowed) for one in found] == [
        (kind, path, "a.jpg" if kind == "path-differs" else "")
    ] * bool(kind)


def labels(
    file: str, *boxes: Edges, size: tuple[int, int] | None = (WIDTH, HEIGHT), relative: bool = False
) -> RawLabels:
    return RawLabels(file, [RawObject(n, "a", edges) for n, edges in enumerate(boxes)], size=size, relative=relative)


FAR = (120.0, 30.0, 160.0, 80.0)
FURTHER = (170.0, 10.0, 190.0, 20.0)
SHARES = (0.1, 0.3, 0.3, 0.8)  # GOOD, of WIDTH and HEIGHT


@pytest.mark.parametrize(
    ("first", "other", "kind", "told"),
    [
        (labels("a", GOOD, FAR), labels("b", FAR, GOOD), "labels-given-twice", "p.jpg, in a and b"),
        (labels("a", GOOD), labels("a", GOOD), "labels-given-twice", "p.jpg, in a at first and a later entry"),
        (labels("a", GOOD), labels("b", (21.5, 28.5, 61.5, 78.5)), "labels-given-twice", "p.jpg, in a and b"),
        (labels("a", GOOD), labels("b", (21.6, 30, 60, 80)), "labels-differ",
         "p.jpg: a (21.6, 30, 60, 80) is in b, not in a; and 1 more"),
        (labels("a", GOOD), labels("b"), "labels-differ", "p.jpg: a (20, 30, 60, 80) is in a, not in b"),
        (labels("a"), labels("b", GOOD), "labels-differ", "p.jpg: a (20, 30, 60, 80) is in b, not in a"),
        (labels("a", GOOD), labels("b", GOOD, FAR, FURTHER), "labels-differ",
         "p.jpg: a (120, 30, 160, 80) is in b, not in a; and 1 more"),
        (labels("a", GOOD), labels("b", SHARES, size=None, relative=True), "labels-given-twice", "p.jpg, in a and b"),
        (labels("a", GOOD, size=None), labels("b", SHARES, relative=True), "labels-given-twice", "p.jpg, in a and b"),
        (labels("a", GOOD, size=None), labels("b", SHARES, size=None, relative=True), "labels-differ",
         "p.jpg: no size is given to compare them with a"),
        (labels("a", GOOD, size=None), labels("b", GOOD, size=None), "labels-given-twice", "p.jpg, in a and b"),
    ],
)  # fmt: skip
def test_two_listings_of_one_photo(first: RawLabels, other: RawLabels, kind: str, told: str) -> None:
    assert compare(first, other, "p.jpg") == Fault(other.file, kind, told)


def test_a_box_of_another_category_is_another_box() -> None:
    other = RawLabels("b", [RawObject(0, "dent", GOOD)], size=(WIDTH, HEIGHT))
    assert compare(labels("a", GOOD), other, "p.jpg").kind == "labels-differ"
