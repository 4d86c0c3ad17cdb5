"""The gate: what a file may lose of the network it was made from, and what it may not."""

import hashlib
import json
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.display.overlay import COLOURS
from sealpin_edge.errors import InputError
from sealpin_edge.model.photo import decode_photo, encode_jpeg
from sealpin_edge.tasks.finding import Edges, Finding
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import UNSURE, Rule, Verdict
from sealpin_export.gate import GATE, Flip, Gate, check_proven, judge_file, margin, network_findings, rejected
from sealpin_export.metadata import add_metadata
from sealpin_export.report import TILE, _pairs
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import Record
from sealpin_training.tasks.detect.task import Detect
from sealpin_training.tasks.task import task_named
from tests.conftest import CELL, SIDE, part_photo, toy_card, write_parts

SOUND = Gate("model.tflite", 4, "AP", (0.9, 0.9), {}, (0.0, 0.0), (0.0, 0.0), 0, 0, {}, (2, 0), (), 0.01)


def test_a_verdict_that_turns_is_refused_when_it_was_certain(toy_model: Path, tmp_path: Path) -> None:
    bad = part_photo(("PR", 2, 3))
    records = [
        Record("bad.jpg", encode_jpeg(bad), SIDE, SIDE, (Box("PR", 2 * CELL, 3 * CELL, 3 * CELL, 4 * CELL),)),
        Record("good.jpg", encode_jpeg(part_photo()), SIDE, SIDE, ()),
    ]
    own = [Model(toy_model).read(decode_photo(record.data)).findings for record in records]
    gate = judge_file(toy_model, records, own).gate
    assert (gate.faults, gate.flips, gate.lost, gate.drop) == ([], (), 0, 0.0)
    burr = Finding("QA", 0.6, Edges(0, 0, 50, 50))
    doubtful = judge_file(toy_model, records, [own[0], [burr]]).gate
    assert ([flip.certain for flip in doubtful.flips], doubtful.faults, doubtful.lost) == ([False], [], 1)
    sure = judge_file(toy_model, records, [own[0], [Finding("QA", 0.9, Edges(0, 0, 50, 50))]]).gate
    assert sure.faults == ["good.jpg: OK instead of NG, score 0.00 instead of 0.90"]


def drawn_and_labelled(*labels: Box) -> Record:
    """A photo with a red square in cell 2, 3, and these labels."""
    return Record("part.jpg", encode_jpeg(part_photo(("PR", 2, 3))), SIDE, SIDE, labels)


def test_a_network_of_little_ap_must_not_lose_all_of_it(toy_model: Path) -> None:
    places = [(x, y) for x in range(0, SIDE, 20) for y in range(0, SIDE, 20)]
    record = drawn_and_labelled(*(Box("PR", x, y, x + 10, y + 10) for x, y in places))
    (x, y), *_ = places
    gate = judge_file(
        toy_model, [record], [[Finding("PR", 0.45, Edges(x, y, x + 10, y + 10)), *burrs(record, toy_model)]]
    )
    assert gate.gate.flips == ()
    before, after = gate.gate.figures
    assert (0 < before < 0.01, after) == (True, 0.0), "less than --max-drop allows"
    assert gate.gate.faults == [f"AP 0.0000 instead of {before:.4f}: more than 0.001 is lost"]


def burrs(record: Record, model: Path) -> list[Finding]:
    return Model(model).read(decode_photo(record.data)).findings


def test_boxes_that_count_must_not_be_lost_though_no_verdict_turns(toy_model: Path) -> None:
    record = drawn_and_labelled()
    own = burrs(record, toy_model)
    others = [Finding("PR", 0.9, Edges(x, 0, x + 10, 10)) for x in (0, 20)]
    assert judge_file(toy_model, [record], [[*own, others[0]]]).gate.faults == [], "one more or less is no proof"
    lost = judge_file(toy_model, [record], [[*own, *others]]).gate
    assert lost.counting == {"PR": (3, 2), "QA": (0, 0)}
    assert lost.faults == ["PR: 2 of 3 findings that count are lost, more than 10%"]
    weak = [Finding("PR", 0.4, Edges(x, 0, x + 10, 10)) for x in (0, 20)]
    assert judge_file(toy_model, [record], [[*own, *weak]]).gate.faults == [], "they do not count"


def test_what_is_only_shown_makes_no_verdict_certain(toy_tflite: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(add_metadata(toy_tflite, toy_card(notice=("QA",))))
    record = Record("good.jpg", encode_jpeg(part_photo()), SIDE, SIDE, ())
    shown = Finding("QA", 0.99, Edges(0, 0, 9, 9))
    judged = judge_file(path, [record], [[shown, Finding("PR", 0.55, Edges(20, 20, 29, 29))]])
    assert judged.rule == Rule({"PR": 0.5, "QA": 0.5}, {"QA"})
    (flip,) = judged.gate.flips
    assert (flip.network, flip.file, flip.certain, flip.scores[0]) == ("NG", "OK", False, 0.55)
    of_shown = judge_file(path, [record], [[shown]])
    assert of_shown.gate.flips == ()
    picture = decode_photo(_pairs([record], [[shown]], of_shown)).astype(int)
    for half in (picture[:, :TILE], picture[:, TILE : 2 * TILE]):
        assert np.abs(half[3, 3] - COLOURS[Verdict.OK]).max() < 3, "the report's pictures judge by the same rule"


@pytest.mark.parametrize(
    ("before", "after", "passes"),
    [
        (0.9, 0.8901, True), (0.9, 0.8899, False), (0.9, 0.95, True), (0.04, 0.0361, True), (0.04, 0.0359, False),
        (0.0005, 0.0, True), (0.0015, 0.0004, False), (0.0, 0.0, True),
    ],
)  # fmt: skip
def test_a_file_may_lose_a_hundredth_of_ap_and_less_where_there_is_little(
    before: float, after: float, passes: bool
) -> None:
    gate = replace(SOUND, figures=(before, after))
    assert (gate.faults == []) is passes
    told = gate.as_dict()
    assert (told["passed"], told["drop"]) == (passes, round(before - after, 5))
    assert json.loads(json.dumps(told))["figures"] == [before, after]
    assert replace(SOUND, figures=(1 / 3, 0.0)).as_dict()["drop"] == 0.33333


def test_parts_that_the_network_rejects_are_not_ok_by_the_file() -> None:
    """Doubt counts from 0.1: 0.15 by the network and 0.08 by the file is no certain verdict, and still an escape."""
    records = [Record(f"{number}.jpg", b"", SIDE, SIDE, (), "PR", number >= 20) for number in range(24)]
    network, file = ([[Finding("PR", 0.0), Finding(UNSURE, one)]] * 24 for one in (0.15, 0.08))
    rule = Rule({"PR": 0.1, UNSURE: 0.1})
    assert rejected(records, network, file, rule) == (20, 20)
    assert rejected(records, network, network, rule) == (20, 0) and rejected(records, file, file, rule) == (0, 0)
    gate = replace(SOUND, rejected=(20, 3))
    assert gate.faults == ["3 of 20 bad parts that the network rejects are OK by the file"]
    assert replace(SOUND, rejected=(20, 2)).faults == [] == replace(SOUND, rejected=(1, 1)).faults


def test_what_is_only_shown_is_no_doubt_in_the_margin() -> None:
    rule = Rule({"PR": 0.5, "QA": 0.5, UNSURE: 0.5}, {"QA"})
    found = [Finding("PR", 0.02), Finding("QA", 0.48), Finding(UNSURE, 0.5)]
    assert margin(found, rule) == pytest.approx(log(0.02 / 0.98))


@given(st.integers(10, 5000))
def test_a_classifier_may_tell_one_photo_or_one_in_200_otherwise(photos: int) -> None:
    kind = task_named("classify")
    assert kind.proof in kind.headline and task_named("detect").allowed_drop(photos) == 0.01
    most = max(1, photos // 200)
    for lost, refused in ((most, False), (most + 1, True)):
        figures = (1.0, (photos - lost) / photos)
        gate = replace(SOUND, metric=kind.proof, figures=figures, max_drop=kind.allowed_drop(photos))
        assert bool(gate.faults) == refused, (lost, gate.faults)


def test_what_a_file_may_lose_is_the_users_to_say() -> None:
    lossy = replace(SOUND, figures=(0.9, 0.87))
    assert lossy.faults == ["AP 0.8700 instead of 0.9000: more than 0.01 is lost"]
    assert replace(lossy, max_drop=0.03 + 1e-9).faults == []
    assert replace(SOUND, figures=(1.0, 0.9375), max_drop=0.0625).faults == [], "as much as it says"


@pytest.mark.parametrize(
    ("count", "lost", "passes"),
    [(1, 1, True), (5, 1, True), (5, 2, False), (15, 2, False), (20, 2, True), (20, 3, False)],
)
def test_a_tenth_of_the_boxes_that_count_may_be_lost_or_one(count: int, lost: int, passes: bool) -> None:
    assert (replace(SOUND, counting={"PR": (9, 0), "QA": (count, lost)}).faults == []) is passes


def test_only_verdicts_that_were_certain_may_not_turn() -> None:
    flips = tuple(Flip(f"{certain}.jpg", "NG", "OK", (0.9, 0.2), certain) for certain in (True, False, True))
    gate = replace(SOUND, flips=flips)
    assert gate.certain_flips == 2
    assert gate.faults == ["True.jpg: OK instead of NG, score 0.20 instead of 0.90"] * 2


def test_a_verdict_is_certain_when_its_odds_are_three_times_the_thresholds(toy_model: Path) -> None:
    record = Record("good.jpg", encode_jpeg(part_photo()), SIDE, SIDE, ())

    def certain(score: float) -> bool:
        (flip,) = judge_file(toy_model, [record], [[Finding("QA", score, Edges(0, 0, 50, 50))]]).gate.flips
        return flip.certain

    assert not certain(0.749), "odds of less than 3 to 1, the threshold being at 1 to 1"
    assert certain(0.751)
    rule = Rule({"PR": 0.5, "QA": 0.25}, set())
    found = [Finding("PR", 0.4, Edges(0, 0, 9, 9)), Finding("QA", 0.5, Edges(0, 0, 9, 9))]
    assert margin(found, rule) == pytest.approx(log(1) - log(0.25 / 0.75))
    assert margin([], rule) == -float("inf")
    assert margin([Finding("PR", 1.0, Edges(0, 0, 9, 9))], rule) == pytest.approx(log(1e9), rel=1e-6)


def test_differences_are_of_counterparts_and_of_what_counts_or_nearly_does(toy_model: Path) -> None:
    record = drawn_and_labelled()
    (own,) = burrs(record, toy_model)
    box = own.edges
    moved = replace(own, score=own.score - 0.25, box=box._replace(xmin=box.xmin + 3, ymax=box.ymax - 2))
    weak = Finding("QA", 0.24, Edges(0, 0, 9, 9))
    gate = judge_file(toy_model, [record, record], [[moved], [own, weak]]).gate
    assert gate.score_difference == pytest.approx((0.25, 0.125), abs=1e-6)
    assert gate.box_difference == pytest.approx((3, 1.5), abs=1e-4)
    assert (gate.compared, gate.lost, gate.photos) == (2, 0, 2)
    nearly = Finding("QA", 0.25, Edges(0, 0, 9, 9))
    lost = judge_file(toy_model, [record], [[own, nearly]]).gate
    assert (lost.compared, lost.lost, lost.counting) == (2, 1, {"PR": (1, 0), "QA": (0, 0)})
    nothing = judge_file(toy_model, [record], [[]]).gate
    assert (nothing.score_difference, nothing.box_difference, nothing.compared) == ((0.0, 0.0), (0.0, 0.0), 0)
    labelled = drawn_and_labelled(Box("PR", 2 * CELL, 3 * CELL, 3 * CELL, 4 * CELL))
    gate = judge_file(toy_model, [labelled], [[replace(own, box=box._replace(xmin=box.xmin + CELL / 4))]]).gate
    assert gate.by_category["PR"] == pytest.approx((0.6, 1.0), abs=0.01), "an overlap of 0.75: six thresholds of ten"
    blank = replace(labelled, data=encode_jpeg(part_photo()))
    assert judge_file(toy_model, [blank], [[own]]).gate.by_category["PR"] == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize(("red", "lost"), [(155, 0), (145, 1)])
def test_a_box_that_nearly_counts_in_the_file_is_not_lost(toy_model: Path, red: int, lost: int) -> None:
    photo = part_photo()
    photo[3 * CELL : 4 * CELL, 2 * CELL : 3 * CELL] = (red, 70, 70)
    record = Record("pale.jpg", encode_jpeg(photo), SIDE, SIDE, ())
    (found,) = burrs(record, toy_model)
    assert (0.25 < found.score < 0.5) is (lost == 0)
    assert judge_file(toy_model, [record], [[replace(found, score=0.6)]]).gate.counting["PR"] == (1, lost)


def test_what_a_saved_model_finds_is_read_in_pixels_of_the_photo(tmp_path: Path) -> None:
    import tensorflow as tf

    class Fixed(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")])  # type: ignore[untyped-decorator]
        def serve(self, input_tensor: Any) -> dict[str, Any]:
            return {
                "detection_boxes": tf.constant([[[0.1, 0.2, 0.5, 1.0], [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]]]),
                "detection_scores": tf.constant([[0.9, 0.5, 0.1]]),
                "detection_classes": tf.constant([[2.0, 1.0, 1.0]]),
                "num_detections": tf.constant([2.0]),
            }

    module = Fixed()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"serving_default": module.serve})
    wide = np.zeros((100, 200, 3), np.uint8)
    (found,) = network_findings(
        Detect(), tmp_path / "saved", [Record("a.jpg", encode_jpeg(wide), 200, 100, ())], ("PR", "QA"), ()
    )
    assert [one.category for one in found] == ["QA", "PR"]
    np.testing.assert_allclose([one.score for one in found], [0.9, 0.5], atol=1e-6)
    edges = [one.edges for one in found]
    np.testing.assert_allclose(edges, [(40, 10, 200, 50), (0, 0, 100, 50)], atol=1e-4)


@pytest.mark.parametrize(
    "command", ["predict {model} {photos}", "dataset prelabel {photos} --model {model}", "model show {model}"]
)
def test_a_file_that_was_changed_after_its_gate_judges_nothing(toy_model: Path, tmp_path: Path, command: str) -> None:
    data = toy_model.read_bytes()
    (tmp_path / "model.tflite").write_bytes(data)
    write_parts(tmp_path / "photos", [[("PR", 1, 1)]])
    words = command.format(model=tmp_path / "model.tflite", photos=tmp_path / "photos").split()
    gate = {"file": "model.tflite", "passed": True, "sha256": hashlib.sha256(data).hexdigest()}
    (tmp_path / GATE).write_text(json.dumps([gate]))
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 0, told.output
    (tmp_path / GATE).write_text(json.dumps([gate | {"sha256": "0" * 64}]))
    for path in tmp_path.glob("photos/*.xml"):
        path.unlink()
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 2 and "not the model file that the export has proven" in told.output
    assert not list(tmp_path.glob("photos/*.xml"))


def test_a_file_that_did_not_pass_is_not_proven(tmp_path: Path) -> None:
    def gate(**told: object) -> Path:
        (tmp_path / GATE).write_text(json.dumps([{"file": "model.tflite", "passed": True, "sha256": "0" * 64} | told]))
        return tmp_path / "model.tflite"

    assert check_proven(gate(), "0" * 64)
    assert not check_proven(gate(file="other.tflite", passed=False), "0" * 64)
    assert not check_proven(tmp_path / "elsewhere/model.tflite", "0" * 64)
    for passed in (False, None, "true", 1):
        with pytest.raises(InputError, match="did not pass its gate"):
            check_proven(gate(passed=passed), "0" * 64)
