"""Evaluation: COCO's figures, the factory's table, the threshold."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpin_edge.detection import Detection
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import Record
from sealpin_training.evaluate import ESCAPE_COST, best_f1_threshold, choose_threshold, coco_metrics

CLASSES = ("PR", "QA")


def photo(*boxes: Box) -> Record:
    return Record("p", b"", 200, 200, boxes)


def test_perfect_detections_have_an_ap_of_one_and_none_of_zero() -> None:
    records = [photo(Box("PR", 10, 10, 60, 60)), photo(Box("QA", 20, 20, 50, 50)), photo()]
    perfect = [
        [Detection(box.category, 0.9, box.xmin, box.ymin, box.xmax, box.ymax) for box in one.boxes] for one in records
    ]
    assert coco_metrics(records, perfect, CLASSES)["AP"] == pytest.approx(1.0)
    assert coco_metrics(records, [[], [], []], CLASSES)["AP"] == 0.0


def test_a_wrong_category_does_not_count_and_a_loose_box_counts_at_half_overlap_only() -> None:
    records = [photo(Box("PR", 0, 0, 100, 100)), photo(Box("QA", 0, 0, 100, 100))]
    loose = [[Detection("PR", 0.9, 0, 0, 100, 60)], [Detection("QA", 0.9, 0, 0, 100, 60)]]
    found = coco_metrics(records, loose, CLASSES)
    assert (found["AP50"], found["AP75"]) == (pytest.approx(1.0), 0.0)
    swapped = [[Detection("QA", 0.9, 0, 0, 100, 100)], [Detection("PR", 0.9, 0, 0, 100, 100)]]
    assert coco_metrics(records, swapped, CLASSES)["AP50"] == 0.0


def test_without_any_label_there_is_no_figure() -> None:
    assert coco_metrics([photo()], [[]], CLASSES)["AP"] == -1.0


def test_the_threshold_lies_in_the_middle_of_the_gap_between_good_and_bad() -> None:
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
    assert 0.55 < best_f1_threshold(records, [[one, wrong] for one in right], CLASSES) < 0.65
    assert best_f1_threshold(records, [[]] * 20, CLASSES) == 0.5
