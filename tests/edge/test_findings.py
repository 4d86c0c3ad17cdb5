"""Findings of the whole photo, with an outline or beside a heat map: drawn, told and proven as those with a box are."""

import numpy as np
import pytest

from sealpin_edge.delivery.results import finding_json
from sealpin_edge.display.overlay import COLOURS, draw_overlay
from sealpin_edge.release.golden import _finding, _same
from sealpin_edge.tasks.finding import Edges, Finding, overlap
from sealpin_edge.tasks.verdict import Rule, Verdict

WHOLE = Finding("dent", 0.91)
BOXED = Finding("dent", 0.91, Edges(40, 50, 90, 120))
OUTLINED = Finding("dent", 0.91, BOXED.box, ((40, 50), (90, 50), (40, 120)))
GREY = np.full((200, 300, 3), 128, np.uint8)
RULE = Rule({"dent": 0.5})


def test_a_finding_of_the_whole_photo_is_named_below_the_verdict_and_has_no_box() -> None:
    plain, marked = draw_overlay(GREY, Verdict.NG, ()), draw_overlay(GREY, Verdict.NG, (WHOLE,))
    rows, columns = np.nonzero((plain != marked).any(axis=-1))
    assert len(rows) > 0 and rows.min() > 25 and rows.max() < 70 and columns.max() < 120
    assert finding_json(WHOLE, ("dent",))["bounding_box"] is None
    assert WHOLE.as_dict()["box"] is WHOLE.as_dict()["outline"] is None
    with pytest.raises(ValueError, match="whole photo"):
        _ = WHOLE.edges


def test_an_outline_is_drawn_in_place_of_its_box() -> None:
    boxed, outlined = (draw_overlay(GREY, Verdict.NG, (one,)) for one in (BOXED, OUTLINED))
    assert (boxed[120, 90] != GREY[0, 0]).any() and (outlined[120, 90] == GREY[0, 0]).all()
    assert OUTLINED.as_dict()["outline"] == [[40, 50], [90, 50], [40, 120]]


def test_a_heat_map_lies_over_its_own_place() -> None:
    heat = np.zeros((4, 6), np.float32)
    heat[3, 5] = 1
    marked = draw_overlay(GREY, Verdict.OK, (), heat)
    assert (marked[100, 60] == GREY[0, 0]).all()
    assert marked[185, 285].tolist() == [(128 + colour) // 2 for colour in COLOURS[Verdict.NG]]


def test_where_a_golden_photo_has_a_box_the_whole_photo_is_no_match() -> None:
    for one in (WHOLE, BOXED):
        assert _finding(one.as_dict()) == one
        for other in (WHOLE, BOXED):
            assert _same([one], [other], RULE, 300) is (one is other)
            assert overlap(one.box, other.box) == float(one is other)
