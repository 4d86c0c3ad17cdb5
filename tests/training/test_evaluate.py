"""Evaluation: COCO's figures, the factory's table, the thresholds."""

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin_edge.tasks.finding import Edges, Finding
from sealpin_edge.tasks.verdict import Rule, judge
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import Record
from sealpin_training.evaluation.line import STEPS, Share, curve, escapes_and_rejects, outcomes
from sealpin_training.evaluation.threshold import (
    ESCAPE_COST,
    LEAST,
    common_threshold,
    part_scores,
    threshold_for_false_rejects,
    thresholds_by_class,
    to_threshold,
)
from sealpin_training.tasks.detect.coco import coco_score
from sealpin_training.tasks.detect.confusion import confusion

CLASSES = ("PR", "QA")


def photo(*boxes: Box) -> Record:
    return Record("p", b"", 200, 200, boxes)


def test_perfect_detections_have_an_ap_of_one_and_none_of_zero() -> None:
    records = [photo(Box("PR", 10, 10, 60, 60)), photo(Box("QA", 20, 20, 50, 50)), photo()]
    perfect = [
        [Finding(box.category, 0.9, Edges(box.xmin, box.ymin, box.xmax, box.ymax)) for box in one.boxes]
        for one in records
    ]
    assert coco_score(records, perfect, CLASSES).metrics["AP"] == pytest.approx(1.0)
    assert coco_score(records, [[], [], []], CLASSES).metrics["AP"] == 0.0


def test_a_wrong_category_does_not_count_and_a_loose_box_counts_at_half_overlap_only() -> None:
    records = [photo(Box("PR", 0, 0, 100, 100)), photo(Box("QA", 0, 0, 100, 100))]
    loose = [[Finding("PR", 0.9, Edges(0, 0, 100, 60))], [Finding("QA", 0.9, Edges(0, 0, 100, 60))]]
    found = coco_score(records, loose, CLASSES).metrics
    assert (found["AP50"], found["AP75"]) == (pytest.approx(1.0), 0.0)
    swapped = [[Finding("QA", 0.9, Edges(0, 0, 100, 100))], [Finding("PR", 0.9, Edges(0, 0, 100, 100))]]
    assert coco_score(records, swapped, CLASSES).metrics["AP50"] == 0.0


def test_without_any_label_there_is_no_figure() -> None:
    assert coco_score([photo()], [[]], CLASSES).metrics["AP"] == -1.0


def test_the_threshold_lies_a_quarter_of_the_way_up_the_gap_between_good_and_bad() -> None:
    assert common_threshold([0.1, 0.2, 0.8, 0.9], [False, False, True, True], ESCAPE_COST) == pytest.approx(0.35)


def test_an_escape_is_dearer_than_false_rejects() -> None:
    assert common_threshold([0.5, 0.3], [False, True], ESCAPE_COST) < 0.3


# Also scores that are equal, near to each other, and too small for a threshold
SCORES = st.one_of(st.sampled_from([0.0, 1e-6, LEAST, 0.3, 0.30001, 0.30002, 0.7, 1.0]), st.floats(0, 1))
Part = tuple[list[float], bool]
SOME_PARTS = st.lists(st.tuples(st.lists(SCORES, min_size=3, max_size=3), st.booleans()), min_size=1, max_size=12)


def detections(scores: list[float]) -> list[Finding]:
    """One detection for each class that has a score."""
    return [Finding(name, score, Edges(0, 0, 1, 1)) for name, score in zip("ABC", scores, strict=True) if score]


def cost(parts: list[Part], rule: Rule) -> float:
    """What a rule costs by the station's own function."""
    verdicts = [judge(detections(scores), rule)[0] for scores, _ in parts]
    escapes, rejects = escapes_and_rejects(verdicts, [is_bad for _, is_bad in parts])
    return ESCAPE_COST * len(escapes) + len(rejects)


def candidates(parts: list[Part]) -> set[float]:
    """Thresholds at which any verdict changes, one for each."""
    return {LEAST, 1.0, *(score for scores, _ in parts for score in scores if score >= LEAST)}


@settings(deadline=None)
@given(SOME_PARTS)
def test_no_common_threshold_is_cheaper_and_no_class_can_leave_the_chosen_ones_for_less(parts: list[Part]) -> None:
    bad = [is_bad for _, is_bad in parts]
    scores = part_scores([detections(of_classes) for of_classes, _ in parts], "ABC")
    common = cost(parts, Rule(dict.fromkeys("ABC", common_threshold(scores.max(axis=1), bad, ESCAPE_COST))))
    assert common == min(cost(parts, Rule(dict.fromkeys("ABC", score))) for score in candidates(parts))
    chosen = dict(zip("ABC", thresholds_by_class(scores, bad, {0, 1, 2}, ESCAPE_COST), strict=True))
    least = cost(parts, Rule(chosen))
    assert least <= common
    assert all(LEAST <= score <= 1 for score in chosen.values())
    for name, score in product("ABC", candidates(parts)):
        assert cost(parts, Rule({**chosen, name: score})) >= least


def test_a_threshold_leaves_the_common_one_only_where_that_costs_less() -> None:
    # Good parts have A up to 0.6 and B up to 0.1; a bad one has B of 0.3 alone: no common threshold suits all
    scores = np.array([[0.6, 0.0], [0.5, 0.1], [0.9, 0.0], [0.8, 0.0], [0.0, 0.3]])
    bad = [False, False, True, True, True]
    common = common_threshold(scores.max(axis=1), bad, ESCAPE_COST)
    assert common < 0.3
    assert thresholds_by_class(scores, bad, {0, 1}, ESCAPE_COST) == pytest.approx([0.65, 0.15])
    assert thresholds_by_class(scores, bad, {1}, ESCAPE_COST) == pytest.approx([common, common])
    assert thresholds_by_class(scores[:4], bad[:4], {0, 1}, ESCAPE_COST) == pytest.approx([0.65, 0.65])


def test_thresholds_of_many_parts_are_chosen_in_no_time() -> None:
    random = np.random.default_rng(0)
    bad = random.random(20_000) < 0.3
    scores = np.where(bad[:, None], random.beta(5, 2, (20_000, 4)), random.beta(2, 5, (20_000, 4)))
    began = time.perf_counter()
    thresholds = thresholds_by_class(scores, bad, {0, 1, 2, 3}, ESCAPE_COST)
    assert time.perf_counter() - began < 10  # quadratic it was a minute
    assert (thresholds == thresholds_by_class(scores, bad, {0, 1, 2, 3}, ESCAPE_COST)).all()


@settings(deadline=None)
@given(SOME_PARTS)
def test_the_curve_says_what_the_rule_says_at_every_score(parts: list[Part]) -> None:
    bad = [is_bad for _, is_bad in parts]
    scores = part_scores([detections(of_classes) for of_classes, _ in parts], "ABC")
    for threshold, escapes, rejects in [*curve(scores, bad), *outcomes(scores, bad, STEPS)]:
        rule = Rule(dict.fromkeys("ABC", threshold))
        judged = escapes_and_rejects([judge(detections(of_classes), rule)[0] for of_classes, _ in parts], bad)
        assert (escapes.count, rejects.count) == tuple(map(len, judged))


def test_a_score_that_is_no_number_is_never_ok_when_thresholds_are_chosen() -> None:
    found = [
        [Finding("A", float("nan"), Edges(0, 0, 1, 1)), Finding("B", 0.2, Edges(0, 0, 1, 1))],
        [],
        detections([0.4, 0, 0]),
    ]
    scores = part_scores(found, "ABC", {"B"})
    assert scores.tolist() == [[np.inf] * 3, [0, 0, 0], [0.4, 0, 0]]
    verdicts = [judge(one, Rule(dict.fromkeys("ABC", 1.0), {"B"}))[0] for one in found]
    assert escapes_and_rejects(verdicts, [True] * 3)[0] == [1, 2]


def test_a_box_still_counts_from_the_threshold_that_is_its_own_score() -> None:
    assert [to_threshold(score) for score in (0.65438, 0.5, 1.0, 1e-9)] == [0.6543, 0.5, 1.0, LEAST]


def test_the_best_f1_parts_right_boxes_from_wrong_ones() -> None:
    records = [photo(Box("PR", 10, 10, 60, 60)) for _ in range(20)]
    right = [Finding("PR", 0.6 + number / 100, Edges(10, 10, 60, 60)) for number in range(20)]
    wrong = Finding("PR", 0.3, Edges(100, 100, 150, 150))
    assert 0.55 < coco_score(records, [[one, wrong] for one in right], CLASSES).best_f1["PR"] < 0.65
    assert coco_score(records, [[one, wrong] for one in right], CLASSES).best_f1.keys() == {"PR"}
    assert coco_score(records, [[]] * 20, CLASSES).best_f1 == {}


def test_figures_by_category_and_the_curve_behind_them() -> None:
    records = [photo(Box("PR", 10, 10, 60, 60)), photo(Box("QA", 20, 20, 50, 50)), photo(Box("QA", 90, 90, 150, 150))]
    found = [
        [Finding("PR", 0.9, Edges(10, 10, 60, 60))],
        [Finding("QA", 0.8, Edges(20, 20, 50, 50))],
        [Finding("QA", 0.9, Edges(0, 0, 40, 40))],
    ]
    score = coco_score(records, found, CLASSES)
    assert score.by_category["PR"] == {"AP": pytest.approx(1), "AP50": pytest.approx(1), "recall50": 1.0, "boxes": 1}
    assert score.by_category["QA"]["recall50"] == 0.5
    assert 0.2 < score.by_category["QA"]["AP50"] < 0.3, "half of the boxes, behind a false alarm"
    assert score.precision["PR"] == (1.0,) * 101
    assert score.precision["QA"][0] == 0.5
    assert score.precision["QA"][100] == 0.0


@given(count=st.integers(0, 300), more=st.integers(0, 300))
def test_wilsons_interval_holds_what_was_seen_and_shrinks_with_more_parts(count: int, more: int) -> None:
    share = Share(count, count + more)
    low, high = share.bounds
    assert 0 <= low <= high <= 1000
    if share.parts:
        assert low - 1e-9 <= share.per_1000 <= high + 1e-9
        narrow = Share(10 * count, 10 * (count + more)).bounds
        assert narrow[1] - narrow[0] < high - low


def test_wilsons_interval_is_the_published_one() -> None:
    low, high = Share(10, 100).bounds  # statsmodels, proportion_confint(10, 100, method="wilson")
    assert (low, high) == (pytest.approx(55.2291, abs=0.01), pytest.approx(174.3657, abs=0.01))


def shares(scores: list[float], bad: list[bool], threshold: float) -> tuple[Share, Share]:
    """Escapes and false rejects of parts with one detection each, of that score."""
    rule = Rule({"PR": threshold})
    verdicts = [judge([Finding("PR", score, Edges(0, 0, 1, 1))], rule)[0] for score in scores]
    escapes, rejects = escapes_and_rejects(verdicts, bad)
    return Share(len(escapes), sum(bad)), Share(len(rejects), len(bad) - sum(bad))


PARTS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


@given(parts=PARTS, per_1000=st.floats(0, 1000))
def test_a_limit_of_false_rejects_is_kept_with_the_fewest_escapes(
    parts: list[tuple[float, bool]], per_1000: float
) -> None:
    scores, bad = [score for score, _ in parts], [is_bad for _, is_bad in parts]
    threshold = threshold_for_false_rejects(scores, bad, per_1000)
    escapes, false_rejects = shares(scores, bad, threshold)
    if threshold < 1:
        assert false_rejects.per_1000 <= per_1000 + 1e-9
    better = [
        shares(scores, bad, score)[0].count
        for score in scores
        if shares(scores, bad, score)[1].per_1000 <= per_1000 and score + 1e-4 < threshold
    ]
    assert all(count >= escapes.count for count in better)


@given(cost=st.floats(0.1, 100), parts=PARTS)
def test_a_dearer_escape_never_lets_more_escape(cost: float, parts: list[tuple[float, bool]]) -> None:
    scores, bad = [round(score, 2) for score, _ in parts], [is_bad for _, is_bad in parts]
    cheap, dear = (shares(scores, bad, common_threshold(scores, bad, price))[0].count for price in (cost, 4 * cost))
    assert dear <= cheap


def test_confusion_pairs_each_label_once_and_names_what_is_left() -> None:
    records = [photo(Box("PR", 0, 0, 50, 50), Box("QA", 100, 100, 150, 150)), photo(Box("QA", 0, 0, 20, 20)), photo()]
    found = [
        [
            Finding("QA", 0.9, Edges(0, 0, 50, 48)),
            Finding("PR", 0.8, Edges(2, 2, 50, 50)),
            Finding("QA", 0.7, Edges(100, 100, 150, 149)),
        ],
        [Finding("QA", 0.1, Edges(0, 0, 20, 20))],
        [Finding("PR", 0.6, Edges(5, 5, 60, 60))],
    ]
    result = confusion(records, found, CLASSES, Rule(dict.fromkeys(CLASSES, 0.5)))
    assert result.counts.tolist() == [[0, 1, 0], [0, 1, 1], [2, 0, 0]]
    assert [miss.photo for miss in result.misses] == [1]
    assert [(alarm.photo, alarm.found.score) for alarm in result.alarms] == [(0, 0.8), (2, 0.6)]
    assert result.counts[:-1].sum() == sum(len(record.boxes) for record in records)
