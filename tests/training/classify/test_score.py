"""A classifier's figures against scikit-learn's, and what they are when there is nothing to count."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from sealpin_edge.tasks.classify import reading
from sealpin_edge.tasks.verdict import MOST_DOUBT, UNSURE, Rule, Verdict, judge, with_thresholds
from sealpin_training.dataset.records import Record
from sealpin_training.evaluation.choice import AS_CHOSEN, Choice, choose_rule
from sealpin_training.evaluation.line import outcomes
from sealpin_training.evaluation.threshold import part_scores
from sealpin_training.run import Run
from sealpin_training.tasks.classify.calibration import calibrate
from sealpin_training.tasks.classify.score import ClassifyScore, auroc, average_precision

CLASSES = ("PR", "QA", "ok")


def record(name: str, category: str) -> Record:
    return Record(name, b"", 8, 8, (), category, category == "ok")


def scored(rows: list[list[float]], truth: list[str], good: tuple[str, ...] = ("ok",)) -> ClassifyScore:
    records = [record(f"{number}.jpg", category) for number, category in enumerate(truth)]
    found = [reading(np.array(row) / sum(row), CLASSES, good) for row in rows]
    return ClassifyScore(records, found, CLASSES)


rows = st.lists(
    st.tuples(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.sampled_from(CLASSES)), min_size=2, max_size=30
)


@given(rows)
def test_figures_are_those_of_the_field(photos: list[tuple[list[float], str]]) -> None:
    score = scored([row for row, _ in photos], [truth for _, truth in photos])
    truth, taken = ([CLASSES[place] for place in places] for places in (score.truth, score.taken))
    assert score.metrics["accuracy"] == pytest.approx(metrics.accuracy_score(truth, taken))
    seen = sorted(set(truth))
    recall = metrics.recall_score(truth, taken, labels=seen, average="macro", zero_division=0)
    assert score.metrics["balanced_accuracy"] == pytest.approx(recall)
    loss = metrics.log_loss(truth, score.probabilities, labels=list(CLASSES))
    assert score.metrics["likelihood"] == pytest.approx(np.exp(-loss), rel=1e-4)
    own = np.log(score.probabilities[np.arange(len(truth)), score.truth])
    error = np.exp(own.mean()) * own.std() / len(own) ** 0.5
    assert score.metrics["likelihood_error"] == pytest.approx(error, rel=1e-4, abs=1e-6)
    for name, row in score.by_category.items():
        wanted = metrics.precision_recall_fscore_support(truth, taken, labels=[name], zero_division=0)
        assert [row["precision"], row["recall"], row["f1"], row["photos"]] == pytest.approx([one[0] for one in wanted])


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_rankings_are_those_of_the_field(parts: list[tuple[int, bool]]) -> None:
    scores, bad = np.array([one / 6 for one, _ in parts]), np.array([one for _, one in parts])
    if bad.all() or not bad.any():
        assert (auroc(scores, bad), average_precision(scores, bad)) == (-1.0, -1.0)
        return
    assert auroc(scores, bad) == pytest.approx(metrics.roc_auc_score(bad, scores))
    assert average_precision(scores, bad) == pytest.approx(metrics.average_precision_score(bad, scores))


def test_what_is_no_number_is_never_right() -> None:
    rows, truth = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], ["PR", "ok", "QA"]
    good = scored(rows, truth).metrics
    assert (good["accuracy"], good["auroc"]) == (1.0, 1.0)
    for place in range(3):
        broken = [list(row) for row in rows]
        broken[place] = [np.nan] * 3
        found = scored(broken, truth).metrics
        assert all(np.isfinite(value) for value in found.values())
        assert found["accuracy"] == pytest.approx(2 / 3) and found["auroc"] < 1.0
        assert found["likelihood"] < 0.01 and found["balanced_accuracy"] == pytest.approx(2 / 3)


def test_no_val_puts_doubt_above_an_even_chance() -> None:
    """One bad part scores less than many good ones: what is cheapest on val would let all pass that is rather bad."""
    rows = [[0.95, 0.0, 0.05]] * 30 + [[0.01, 0.0, 0.99]] * 170 + [[1.0, 0.0, 0.0]] * 3 + [[0.1, 0.0, 0.9]]
    truth = ["ok"] * 200 + ["PR"] * 4
    score = scored(rows, truth)
    run = cast(Run, SimpleNamespace(categories=("PR", "QA", UNSURE), dataset="plates", name="one"))
    for choice in (AS_CHOSEN, Choice(max_false_rejects=0)):
        rule, how = choose_rule(run, "val", choice, score, score.records, score.found)
        assert rule.thresholds[UNSURE] <= MOST_DOUBT, how
        assert all(judge(found, rule)[0] is Verdict.NG for found in score.found[:30])


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=8), st.floats(0.001, 1.0))
def test_the_line_is_judged_as_its_table_says(given_rows: list[list[float]], threshold: float) -> None:
    """One threshold for all, be it above what doubt may have."""
    score = scored(given_rows, ["PR"] * len(given_rows))
    own = dict.fromkeys(("PR", "QA", UNSURE), 0.5)
    rule = Rule(with_thresholds(own, threshold, "threshold"))
    (told,) = outcomes(part_scores(score.found, tuple(own)), [True] * len(given_rows), [threshold])
    assert told[1].count == sum(judge(found, rule)[0] is Verdict.OK for found in score.found)


def test_a_photo_twice_weighs_twice() -> None:
    score = scored([[1, 1, 8], [6, 2, 2]], ["ok", "PR"])
    assert score.resampled(np.array([2, 1])) == pytest.approx((0.8 * 0.8 * 0.6) ** (1 / 3))
    assert score.resampled(np.array([1, 1])) == score.metrics["likelihood"]


def test_good_kinds_count_as_one() -> None:
    score = scored([[1, 5, 4], [8, 1, 1]], ["ok", "PR"], good=("ok", "QA"))
    assert score.names == ("PR", "QA / ok")
    assert score.metrics["accuracy"] == 1.0


def test_without_a_good_class_every_part_is_bad() -> None:
    score = scored([[1, 5, 4], [8, 1, 1]], ["QA", "PR"], good=())
    assert score.names == CLASSES
    assert score.metrics["accuracy"] == 1.0
    assert (score.metrics["auroc"], score.metrics["ap"]) == (-1.0, -1.0)
    account = score.account(Rule(dict.fromkeys([*CLASSES, UNSURE], 0.5)))
    assert account.rejected == {"PR": (1, 1), "QA": (1, 1)}


def test_calibration_tells_who_is_too_sure() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(3, p=row) for row in honest])
    assert calibrate(honest, truth).temperature == pytest.approx(1.0, abs=0.06)
    assert calibrate(honest, truth).error < 0.03
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    found = calibrate(sharp, truth)
    assert found.temperature == pytest.approx(3.0, abs=0.2) and found.error > 0.1


@pytest.mark.parametrize("category", CLASSES)
def test_what_is_rejected_is_told_of_each_class(category: str) -> None:
    score = scored([[1, 1, 8], [6, 2, 2], [1, 8, 1]], ["ok", "PR", "QA"])
    account = score.account(Rule({"PR": 0.5, "QA": 0.5, UNSURE: 0.5}))
    assert account.rejected[category] == (int(category != "ok"), 1)
    assert account.as_dict()["confusion"]["counts"] == np.eye(3, dtype=int).tolist()
    assert account.figures()
