"""The rule from val on: chosen there by cost or by boxes, kept, taken by other splits, and said honestly."""

import base64
import contextlib
import json
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from sealpin.cli import main
from sealpin.evaluate import document, table
from sealpin_edge.errors import InputError
from sealpin_edge.model.photo import decode_photo, encode_jpeg
from sealpin_edge.tasks.finding import Edges, Finding
from sealpin_edge.tasks.verdict import Rule
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import Record
from sealpin_training.evaluation.choice import AS_CHOSEN, Choice, kept_rule
from sealpin_training.evaluation.evaluate import judge_photos
from sealpin_training.evaluation.evaluation import Evaluation
from sealpin_training.evaluation.report import _over_thresholds, write_report
from sealpin_training.evaluation.threshold import LEAST
from sealpin_training.run import SEAL, Run
from sealpin_training.tasks.detect.boxes import shortcomings
from sealpin_training.tasks.detect.page import MEANT

CLASSES = ("PR", "QA", "XX")
Photo = tuple[Record, list[Finding]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of three classes whose network was never made: its detections are given."""
    monkeypatch.chdir(tmp_path)
    return made_run()


def made_run() -> Run:
    """In the folder where the process is, as every run."""
    run = Run("r", "", "", "", 0, CLASSES, "dataset", "", "", 1, None, "")
    run.folder.mkdir(parents=True, exist_ok=True)
    return run


def part(*labels: str, **scores: float) -> Photo:
    """A photo with a box for each label, and a detection for each class with a score, where its label's box is."""
    places = {name: (50.0 * place, 0.0, 50.0 * place + 40, 40.0) for place, name in enumerate(CLASSES)}
    boxes = tuple(Box(name, *places[name]) for name in labels)
    return Record("p.jpg", b"", 200, 200, boxes), [Finding(name, scores[name], Edges(*places[name])) for name in scores]


def judged(run: Run, photos: list[Photo], split: str = "val", choice: Choice = AS_CHOSEN) -> Evaluation:
    return judge_photos(run, split, [record for record, _ in photos], [found for _, found in photos], choice)


def kept(run: Run, split: str = "val") -> dict[str, Any]:
    return run.last_evaluation(split)


MIXED = [
    *[part("PR", PR=0.9), part("PR", PR=0.8), part("QA", QA=0.4), part("QA", QA=0.35)],
    *[part(PR=0.6), part(XX=0.7), part(QA=0.1), part()],
]


def test_each_class_gets_its_threshold_and_one_that_val_does_not_show_keeps_the_common_one(run: Run) -> None:
    chosen = judged(run, MIXED).rule
    assert chosen.thresholds["PR"] == pytest.approx(0.65)
    assert 0.1 < chosen.thresholds["QA"] < 0.35
    assert chosen.thresholds["XX"] < 0.35, "its false alarm must not raise it: nothing says what would escape"
    assert judged(run, MIXED).false_rejects == ("p.jpg",)
    assert kept(run)["thresholds"] == chosen.thresholds
    assert kept_rule(run) == (chosen, "least cost on val, an escape counted as 10 false rejects")


def test_notice_on_val_is_kept_and_other_splits_take_it(run: Run) -> None:
    noticed = judged(run, MIXED, choice=Choice(notice=frozenset({"QA"})))
    assert (noticed.bad_parts, noticed.escapes, noticed.rule.notice) == (2, (), {"QA"})
    assert noticed.rule.thresholds["QA"] == 0.35, "the best F1 of its own boxes"
    assert kept(run)["notice"] == ["QA"]
    again = judged(run, MIXED, choice=Choice(escape_cost=3.0))
    assert again.rule.notice == {"QA"}
    assert again.threshold_chosen.endswith("counted as 3 false rejects")
    test = judged(run, MIXED, "test")
    assert (test.rule, test.threshold_chosen) == (again.rule, "on val")
    assert judged(run, MIXED).rule == again.rule, "until another is chosen"
    assert judged(run, MIXED, choice=Choice(notice=frozenset())).rule.notice == set()
    assert kept(run)["notice"] == []
    assert kept(run)["choice"] == {"escape_cost": 3.0, "max_false_rejects": None}


SCORES = st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 99).map(lambda hundredths: hundredths / 100))


@given(st.lists(st.tuples(st.sets(st.sampled_from(CLASSES)), SCORES), max_size=12))
def test_what_is_only_shown_decides_no_verdict_no_threshold_and_no_point_of_a_curve(
    drawn: list[tuple[set[str], dict[str, float]]],
) -> None:
    photos = [part("PR", PR=0.8, QA=0.2), part(PR=0.3, QA=0.9), *(part(*labels, **found) for labels, found in drawn)]
    without = [
        (replace(record, boxes=tuple(box for box in record.boxes if box.category != "QA")),
         [one for one in found if one.category != "QA"])
        for record, found in photos
    ]  # fmt: skip
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        noticed, silent = (
            judged(made_run(), each, choice=Choice(notice=frozenset({"QA"}))) for each in (photos, without)
        )
    for name in ("PR", "XX"):
        assert noticed.rule.thresholds[name] == silent.rule.thresholds[name]
    for figure in ("bad_parts", "escapes", "false_rejects", "by_threshold", "curve"):
        assert getattr(noticed, figure) == getattr(silent, figure)


def test_what_if_is_answered_and_not_kept(run: Run) -> None:
    own = judged(run, MIXED).rule
    judged(run, MIXED, "test")
    before = [kept(run, split) for split in ("val", "test")]
    for split in ("val", "test"):
        tried = judged(run, MIXED, split, Choice({"PR": 0.85}))
        assert tried.rule == Rule({**own.thresholds, "PR": 0.85}, own.notice)
        assert tried.escapes == ("p.jpg",)
        assert judged(run, MIXED, split, Choice(0.5)).rule.thresholds == dict.fromkeys(CLASSES, 0.5)
    assert judged(run, MIXED, "test", Choice(notice=frozenset({"PR"}))).rule == Rule(own.thresholds, {"PR"})
    assert [kept(run, split) for split in ("val", "test")] == before


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (Choice({"ZZ": 0.5}), "--threshold: the model knows no such category"),
        (Choice(0.0), "--threshold: this is no threshold"),
        (Choice(notice=frozenset({"ZZ"})), "--notice: the model knows no such category"),
        (Choice(notice=frozenset(CLASSES)), "no part would ever be rejected"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choice: Choice, told: str) -> None:
    with pytest.raises(InputError, match=told):
        choice.check(CLASSES)


@pytest.mark.parametrize(("said", "threshold"), [(0.4225, 0.4225), (0.0, LEAST)])
def test_an_evaluation_of_an_earlier_sealpin_still_counts(run: Run, said: float, threshold: float) -> None:
    choice = {"threshold": None, "escape_cost": 5.0, "max_false_rejects": None}
    older = {"split": "val", "step": 0, "choice": choice, "threshold": said, "threshold_chosen": "least cost"}
    (run.folder / "evaluation_val.json").write_text(json.dumps({**older, "metrics": {"AP50": 0.5}}))
    assert kept_rule(run) == (Rule(dict.fromkeys(CLASSES, threshold)), "least cost")
    assert judged(run, MIXED, "test").rule.thresholds == dict.fromkeys(CLASSES, threshold)
    assert shortcomings(kept(run)) == []
    assert judged(run, MIXED).threshold_chosen.endswith("counted as 5 false rejects")


@pytest.mark.parametrize(
    "damage",
    [
        *({"thresholds": dict.fromkeys(CLASSES, 0.5) | {"QA": odd}} for odd in (2.0, 0.0, "high", None, 10**400)),
        {"thresholds": dict.fromkeys(CLASSES, float("nan"))}, {"thresholds": {"PR": 0.5}}, {"thresholds": [0.5] * 3},
        {"thresholds": None}, {"notice": list(CLASSES)}, {"notice": ["ZZ"]}, {"notice": 7}, {"threshold_chosen": ...},
    ],
)  # fmt: skip
def test_a_kept_rule_that_is_none_is_refused_before_it_reaches_a_model_file(run: Run, damage: dict[str, Any]) -> None:
    judged(run, MIXED)
    file = run.folder / "evaluation_val.json"
    kept_then = (
        json.loads(file.read_text()) | damage | {SEAL: ...}
    )  # as an earlier sealpin wrote it, or one with a defect
    file.write_text(json.dumps({key: value for key, value in kept_then.items() if value is not ...}))
    with pytest.raises(InputError, match=r"has chosen cannot be used(.|\n)*next: .*sealpin evaluate"):
        kept_rule(run)
    judged(run, MIXED, choice=Choice(notice=frozenset()))
    assert kept_rule(run)[0].thresholds.keys() == set(CLASSES), "the command that it names mends it"


def test_everything_may_be_rejected_and_the_threshold_is_still_one_that_a_station_takes(run: Run) -> None:
    chosen = judged(run, MIXED, choice=Choice(max_false_rejects=1000.0)).rule
    assert set(chosen.thresholds.values()) == {LEAST}
    Choice(chosen.thresholds).check(CLASSES)


BAD_ONLY = [
    *[part("PR", PR=0.9), part("PR", "QA", PR=0.8), part("PR", PR=0.7, QA=0.2), part("QA", QA=0.5), part("XX", PR=0.3)]
]


def test_without_good_parts_each_class_is_told_by_its_boxes_and_no_escapes_are_boasted_of(run: Run) -> None:
    evaluation = judged(run, BAD_ONLY)
    assert evaluation.rule.thresholds == pytest.approx({"PR": 0.7, "QA": 0.5, "XX": 0.6})
    assert evaluation.threshold_chosen == "best F1 of each class's boxes on val, which has no good parts"
    assert evaluation.account.told == "finds 0 of 1 XX at 0.60, 1 of 2 QA at 0.50, 3 of 3 PR at 0.70"
    common = judged(run, BAD_ONLY, choice=Choice(0.6))
    assert common.account.told == "finds 0 of 2 QA, 0 of 1 XX, 3 of 3 PR at 0.60"
    assert evaluation.account.boxes["QA"].as_dict() == {
        "labelled": 2, "detected": 1, "right": 1, "precision": 1.0, "recall": 0.5, "f1": 0.6667,
    }  # fmt: skip
    assert evaluation.shortcomings == ["never found on val: XX (0 of 1)"]
    text = table(evaluation)
    assert "escapes:" not in text and "All 5 parts are bad, and 1 escape:" in text
    assert text.index("0 of 1 XX") < text.index("parts: All")
    assert kept(run)["boxes"] == document(evaluation)["boxes"]
    with pytest.raises(InputError, match="cannot be weighed without good parts"):
        judged(run, BAD_ONLY, choice=Choice(escape_cost=5.0))
    assert "false rejects:" not in table(judged(run, [part(), part(PR=0.9)]))


def test_a_network_that_finds_almost_nothing_is_called_one(run: Run) -> None:
    blind = judged(run, [part("PR"), part("QA", PR=0.3), part()])
    assert blind.shortcomings == [
        "this network finds almost nothing: AP50 0.000 on val", "never found on val: PR (0 of 1), QA (0 of 1)",
    ]  # fmt: skip
    assert shortcomings(kept(run)) == blind.shortcomings
    assert judged(run, [part("PR", PR=0.9), part("QA", QA=0.8), part()]).shortcomings == []


def test_the_line_between_the_tables_thresholds_says_what_is_true(run: Run) -> None:
    evaluation = judged(run, [*[part("PR", PR=0.46)] * 12, *[part(PR=0.44 - number / 1000) for number in range(12)]])
    figure = Figure()
    _over_thresholds(figure, evaluation)
    for line, score, share in ((0, 0.455, 0), (0, 0.4601, 1000), (1, 0.4401, 0), (1, 0.4395, 1000 / 12)):
        x, y = figure.axes[0].lines[line].get_data()
        assert figure.axes[0].lines[line].get_drawstyle() == "steps-pre"
        assert np.asarray(y)[np.searchsorted(x, score)] == pytest.approx(share)


def test_the_page_names_and_marks_the_boxes_that_are_meant(run: Run) -> None:
    data = encode_jpeg(np.full((200, 200, 3), 100, np.uint8))
    photos = [part("PR", "QA", QA=0.9), part(PR=0.8), part("QA", QA=0.9)]
    records = [replace(record, data=data, name=f"<{number}>.jpg") for number, (record, _) in enumerate(photos)]
    found = [of_photo for _, of_photo in photos]
    write_report(run, judge_photos(run, "val", records, found, Choice(0.5)), records, Path("page.html"))
    page = Path("page.html").read_text()
    assert '<p class="warning">never found on val: PR (0 of 1)</p>' in page
    assert "It finds 0 of 1 PR" in page
    assert page.index("<details>") < page.index("<td>0.05</td>") < page.index("</details>")
    captions = re.findall(r'<img src="data:image/png;base64,([^"]+)"[^>]*></p><figcaption>([^<]+)</figcaption>', page)
    assert [caption for _, caption in captions] == [
        "&lt;0&gt;.jpg: PR, missed", "&lt;1&gt;.jpg: PR 80%, no label there",
    ]  # fmt: skip
    for picture, _ in captions:
        tile = decode_photo(base64.b64decode(picture))
        assert (np.abs(tile.astype(int) - MEANT).max(axis=-1) < 3).sum() > 200


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--threshold", "much"], "neither a score such as 0.4 nor NAME=SCORE"),
        (["--threshold", "0.4", "--threshold", "PR=0.3"], "not both"),
        (["--threshold", "0.4", "--escape-cost", "5"], "exclude each other"),
    ],
)
def test_options_that_make_no_sense_are_refused(words: list[str], told: str) -> None:
    result = CliRunner().invoke(main, ["evaluate", "r", *words])
    assert (result.exit_code, told in result.output) == (2, True), result.output
