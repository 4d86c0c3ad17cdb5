"""Evaluation: COCO's figures, the factory's table, the threshold."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpin_edge.detection import Detection
from sealpin_edge.verdict import Rule, judge
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import Record
from sealpin_training.evaluation.coco import coco_score
from sealpin_training.evaluation.confusion import confusion
from sealpin_training.evaluation.line import (
    ESCAPE_COST,
    Share,
    choose_threshold,
    escapes_and_rejects,
    threshold_for_false_rejects,
)

CLASSES = ("PR", "QA")


def photo(*boxes: Box) -> Record:
    return Record("p", b"", 200, 200, boxes)


def test_perfect_detections_have_an_ap_of_one_and_none_of_zero() -> None:
    records = [photo(Box("PR", 10, 10, 60, 60)), photo(Box("QA", 20, 20, 50, 50)), photo()]
    perfect = [
        [Detection(box.category, 0.9, box.xmin, box.ymin, box.xmax, box.ymax) for box in one.boxes] for one in records
    ]
    assert coco_score(records, perfect, CLASSES).metrics["AP"] == pytest.approx(1.0)
    assert coco_score(records, [[], [], []], CLASSES).metrics["AP"] == 0.0


def test_a_wrong_category_does_not_count_and_a_loose_box_counts_at_half_overlap_only() -> None:
    records = [photo(Box("PR", 0, 0, 100, 100)), photo(Box("QA", 0, 0, 100, 100))]
    loose = [[Detection("PR", 0.9, 0, 0, 100, 60)], [Detection("QA", 0.9, 0, 0, 100, 60)]]
    found = coco_score(records, loose, CLASSES).metrics
    assert (found["AP50"], found["AP75"]) == (pytest.approx(1.0), 0.0)
    swapped = [[Detection("QA", 0.9, 0, 0, 100, 100)], [Detection("PR", 0.9, 0, 0, 100, 100)]]
    assert coco_score(records, swapped, CLASSES).metrics["AP50"] == 0.0


def test_without_any_label_there_is_no_figure() -> None:
    assert coco_score([photo()], [[]], CLASSES).metrics["AP"] == -1.0


def test_the_threshold_lies_a_quarter_of_the_way_up_the_gap_between_good_and_bad() -> None:
    assert choose_threshold([0.1, 0.2, 0.8, 0.9], [False, False, True, True]) == pytest.approx(0.35)


def test_an_escape_is_dearer_than_false_rejects() -> None:
    assert choose_threshold([0.5, 0.3], [False, True]) < 0.3


parts = st.lists(st.tuples(st.floats(0.01, 0.99), st.booleans()), min_size=1, max_size=30)


@given(parts)
def test_no_threshold_is_cheaper_than_the_chosen_one(given_parts: list[tuple[float, bool]]) -> None:
    scores, bad = [score for score, _ in given_parts], [is_bad for _, is_bad in given_parts]

    def cost(threshold: float) -> float:
        return sum(ESCAPE_COST if is_bad else 1.0 for score, is_bad in given_parts if (score >= threshold) != is_bad)

    # Scores nearer to each other than the threshold's four decimals cannot be told apart
    ordered = sorted({0.0, 1.0, *scores})
    if min(high - low for low, high in pairwise(ordered)) > 2e-4:
        chosen = choose_threshold(scores, bad)
        assert cost(chosen) <= min(cost(threshold / 100) for threshold in range(1, 100))


def test_without_good_parts_the_threshold_parts_right_boxes_from_wrong_ones() -> None:
    records = [photo(Box("PR", 10, 10, 60, 60)) for _ in range(20)]
    right = [Detection("PR", 0.6 + number / 100, 10, 10, 60, 60) for number in range(20)]
    wrong = Detection("PR", 0.3, 100, 100, 150, 150)
    assert 0.55 < coco_score(records, [[one, wrong] for one in right], CLASSES).best_f1 < 0.65
    assert coco_score(records, [[]] * 20, CLASSES).best_f1 == 0.5


def test_figures_by_category_and_the_curve_behind_them() -> None:
    records = [photo(Box("PR", 10, 10, 60, 60)), photo(Box("QA", 20, 20, 50, 50)), photo(Box("QA", 90, 90, 150, 150))]
    found = [
        [Detection("PR", 0.9, 10, 10, 60, 60)],
        [Detection("QA", 0.8, 20, 20, 50, 50)],
        [Detection("QA", 0.9, 0, 0, 40, 40)],
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
    verdicts = [judge([Detection("PR", score, 0, 0, 1, 1)], rule)[0] for score in scores]
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
    cheap, dear = (shares(scores, bad, choose_threshold(scores, bad, price))[0].count for price in (cost, 4 * cost))
    assert dear <= cheap


def test_confusion_pairs_each_label_once_and_names_what_is_left() -> None:
    records = [photo(Box("PR", 0, 0, 50, 50), Box("QA", 100, 100, 150, 150)), photo(Box("QA", 0, 0, 20, 20)), photo()]
    found = [
        [
            Detection("QA", 0.9, 0, 0, 50, 48),
            Detection("PR", 0.8, 2, 2, 50, 50),
            Detection("QA", 0.7, 100, 100, 150, 149),
        ],
        [Detection("QA", 0.1, 0, 0, 20, 20)],
        [Detection("PR", 0.6, 5, 5, 60, 60)],
    ]
    result = confusion(records, found, CLASSES, Rule(dict.fromkeys(CLASSES, 0.5)))
    assert result.counts.tolist() == [[0, 1, 0], [0, 1, 1], [2, 0, 0]]
    assert [miss.photo for miss in result.misses] == [1]
    assert [(alarm.photo, alarm.found.score) for alarm in result.alarms] == [(0, 0.8), (2, 0.6)]
    assert result.counts[:-1].sum() == sum(len(record.boxes) for record in records)
