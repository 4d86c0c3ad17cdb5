"""The one verdict: what evaluation, gate, predict, golden photos and station say of the same findings is the same."""

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpin_edge.errors import InputError
from sealpin_edge.model.photo import Frame
from sealpin_edge.tasks.finding import Edges, Finding
from sealpin_edge.tasks.verdict import Inference, Rule, Verdict, check_rule, decide, departures, judge, with_thresholds
from sealpin_export.gate import _flip
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import Record
from sealpin_training.evaluation.line import escapes_and_rejects
from sealpin_training.tasks.detect.confusion import confusion

CLASSES = ("PR", "QA", "XX")
scores = st.one_of(st.floats(0, 1), st.just(nan))
findings = st.lists(st.builds(Finding, st.sampled_from(CLASSES), scores, st.just(Edges(1, 1, 1, 1))), max_size=4)
rules = st.builds(
    Rule,
    st.fixed_dictionaries({name: st.floats(0.01, 1) for name in CLASSES}),
    st.frozensets(st.sampled_from(CLASSES), max_size=2),
)


@given(findings, rules)
def test_ok_takes_numbers_alone_and_nothing_that_rejects(found: list[Finding], rule: Rule) -> None:
    verdict, counted = judge(found, rule)
    rejecting = [one for one in counted if one.category not in rule.notice]
    assert (verdict is Verdict.NG) == bool(rejecting)
    assert verdict is not Verdict.OK or all(one.score == one.score for one in found)
    assert all(one.score >= rule.thresholds[one.category] for one in counted)


@given(findings, findings, rules)
def test_station_gate_and_evaluation_say_the_same(one: list[Finding], two: list[Finding], rule: Rule) -> None:
    frame = Frame(np.zeros((1, 1, 3), np.uint8), 2.0, "")
    verdicts = [
        decide(Inference(frame.exposed_at, found, "a"), rule, triggered_at=1.0, expected_sha256="a")[0]
        for found in (one, two)
    ]
    assert verdicts == [judge(found, rule)[0] for found in (one, two)]
    flip = _flip("p", one, two, rule)
    assert (flip is None) == (verdicts[0] is verdicts[1])
    escapes, rejects = escapes_and_rejects(verdicts, [True, False])
    assert (escapes == [0], rejects == [1]) == (verdicts[0] is Verdict.OK, verdicts[1] is not Verdict.OK)
    record = Record("p", b"", 9, 9, (Box("PR", 0, 0, 5, 5),))
    assert confusion([record], [one], CLASSES, rule).counts[:, :-1].sum() == len(judge(one, rule)[1])


@given(findings, rules, st.booleans())
def test_an_old_frame_or_another_model_is_never_judged(found: list[Finding], rule: Rule, old: bool) -> None:
    frame = Frame(np.zeros((1, 1, 3), np.uint8), 0.5 if old else 2.0, "")
    inference = Inference(frame.exposed_at, found, "a")
    verdict, _ = decide(inference, rule, triggered_at=1.0, expected_sha256="a" if old else "b")
    assert verdict is Verdict.NOT_INSPECTED


def test_limits_belong_to_what_counts_and_what_is_fresh() -> None:
    rule = Rule({"PR": 0.5, "QA": 0.25})
    found = [Finding("PR", 0.5, Edges(0, 0, 1, 1)), Finding("QA", 0.2499, Edges(0, 0, 1, 1))]
    frame = Frame(np.zeros((1, 1, 3), np.uint8), 1.0, "")
    assert decide(Inference(frame.exposed_at, found, "a"), rule, triggered_at=1.0, expected_sha256="a") == (
        Verdict.NG,
        (found[0],),
    )


def test_a_rule_is_told() -> None:
    rule = Rule({"PR": 0.123456, "QA": 0.25}, frozenset({"QA"}))
    assert rule.as_dict() == {"thresholds": {"PR": 0.1235, "QA": 0.25}, "notice": ["QA"]}
    assert str(rule) == "PR from 12%, QA from 25% (shown only)"
    assert str(Rule({"PR": 0.0027, "QA": 0.05})) == "PR from 0.27%, QA from 5%"
    assert str(Rule({})) == "nothing"


def test_what_a_rule_lets_pass_is_told() -> None:
    own = Rule({"PR": 0.5, "QA": 0.5})
    assert departures(own, own) == departures(Rule({"PR": 0.4, "QA": 0.5}), own) == []
    assert departures(Rule({"PR": 0.6, "QA": 0.5}, frozenset({"QA"})), own) == [
        "PR counts from 60%, above the model's own score",
        "QA never rejects",
    ]


@pytest.mark.parametrize(
    ("notice", "told"), [({"PR", "QA"}, "no part would ever be rejected"), ({"XX"}, "no such category")]
)
def test_a_rule_that_rejects_nothing_or_names_what_there_is_not_is_refused(notice: set[str], told: str) -> None:
    check_rule(Rule({"PR": 0.5, "QA": 0.5}, frozenset({"QA"})), "[model] notice")
    with pytest.raises(InputError, match=told) as caught:
        check_rule(Rule({"PR": 0.5, "QA": 0.5}, frozenset(notice)), "[model] notice")
    assert (caught.value.where, caught.value.found) == ("[model] notice", ", ".join(sorted(notice)))


def test_thresholds_that_a_user_gives_take_the_place_of_the_models() -> None:
    own = {"PR": 0.5, "QA": 0.25}
    assert with_thresholds(own, {"QA": 1.0}, "--threshold") == {"PR": 0.5, "QA": 1.0}
    assert with_thresholds(own, 0.01, "--threshold") == {"PR": 0.01, "QA": 0.01}
    for wrong in ({"XX": 0.5}, 0.0, {"PR": 1.01}):
        with pytest.raises(InputError, match=r"--threshold: (the model knows no such category|this is no threshold)"):
            with_thresholds(own, wrong, "--threshold")
