"""Classifiers on the station: what their scores mean for a part, where they looked, and that no doubt ends as OK."""

import json
import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.cli.main import main as edge
from sealpin_edge.display.overlay import draw_overlay
from sealpin_edge.errors import InputError, NoJudgement
from sealpin_edge.model.card import ModelCard
from sealpin_edge.model.photo import encode_jpeg, read_photo
from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.heat import hot_boxes
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import MOST_DOUBT, UNSURE, Rule, Verdict, check_rule, judge, named_from
from tests.conftest import CELL, SIDE, part_photo, toy_card, write_parts
from tests.edge.classifiers import CLASSES, converted, network, own


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own(converted(network()), tmp_path_factory.mktemp("classifier"))


def told(model: Model, *burrs: tuple[str, int, int]) -> tuple[Verdict, list[str]]:
    verdict, found = judge(model.read(part_photo(*burrs)).findings, model.rule())
    return verdict, [one.category for one in found]


@pytest.mark.parametrize("int8", [False, True])
def test_a_part_is_good_by_its_good_class_alone(tmp_path: Path, int8: bool) -> None:
    model = Model(own(converted(network(), int8=int8), tmp_path))
    assert told(model) == (Verdict.OK, [])
    assert told(model, ("PR", 2, 3), ("PR", 4, 3), ("PR", 5, 3)) == (Verdict.NG, ["PR"])
    assert told(model, ("QA", 2, 3), ("QA", 4, 3), ("QA", 5, 3)) == (Verdict.NG, ["QA"])
    reading = model.read(part_photo(("PR", 1, 1), ("PR", 2, 2), ("QA", 5, 5), ("QA", 6, 6)))
    assert {one.category for one in reading.findings} == {"PR", "QA", UNSURE}
    assert all(one.box is None for one in reading.findings)


def test_where_it_looked_is_where_the_defect_is(classifier: Path) -> None:
    photo = part_photo(("PR", 2, 5), ("PR", 3, 5), ("PR", 3, 6))
    reading = Model(classifier).read(photo)
    heat, doubt = reading.heat_map, max(one.score for one in reading.findings)
    assert heat is not None and heat.max() == pytest.approx(doubt, abs=0.01)
    (box,) = hot_boxes(heat, SIDE, SIDE)
    assert (abs(np.array(box) - np.array([2, 5, 4, 7]) * CELL) <= CELL / 2).all()
    marked = draw_overlay(photo, Verdict.NG, [Finding("PR", 0.9)], heat)
    plain = draw_overlay(photo, Verdict.NG, [Finding("PR", 0.9)])
    assert (marked != plain).any()
    good = Model(classifier).read(part_photo()).heat_map
    assert good is not None and good.max() < 0.1


def test_a_map_that_is_not_that_of_its_scores_is_no_judgement(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="map is not that of its scores"):
        Model(own(converted(network(wrong_map=True)), tmp_path))


def test_scores_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "logits.tflite"
    path.write_bytes(converted(network(mapped=False, logits=True)))
    with pytest.raises(InputError, match="no probabilities"):
        Model(path, labels=CLASSES, good=["ok"])


def test_a_network_that_gives_no_number_is_never_a_good_part(tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(converted(network(mapped=False)))
    model = Model(path, labels=CLASSES, good=["ok"])
    pixels = model.prepare(part_photo())
    pixels[0, 0, 0, 0] = np.nan
    model.invoke(pixels)
    with pytest.raises(NoJudgement, match="no probabilities"):
        model.interpret(SIDE, SIDE)


def in_bytes(function: Any, folder: Path) -> Path:
    """A file of someone else's, whose photos are bytes as floats: mean 0, deviation 1 in its metadata."""
    from sealpin_export.metadata import _load_libusb

    _load_libusb()
    from tensorflow_lite_support.metadata.python.metadata_writers import image_classifier

    (folder / "names.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    writer = image_classifier.MetadataWriter.create_for_inference(
        bytearray(converted(function)), [0.0], [1.0], [str(folder / "names.txt")]
    )
    path = folder / "foreign.tflite"
    path.write_bytes(writer.populate())
    return path


def test_a_classifier_of_someone_elses_runs_when_its_good_classes_are_named(tmp_path: Path) -> None:
    path = in_bytes(network(mapped=False), tmp_path)
    with pytest.raises(InputError, match="which of this model's classes are good"):
        Model(path)
    for wrong in (["OK"], [*CLASSES], ["ok", "XX"]):
        with pytest.raises(InputError, match="which of this model's classes are good"):
            Model(path, good=wrong)
    model = Model(path, good=["ok"])
    assert told(model) == (Verdict.OK, [])
    assert told(model, ("PR", 2, 3), ("PR", 4, 3), ("PR", 5, 3)) == (Verdict.NG, ["PR"])
    assert model.read(part_photo()).heat_map is None
    both = Model(path, good=["ok", "QA"])
    assert told(both, ("QA", 2, 3), ("QA", 4, 3), ("QA", 5, 3)) == (Verdict.OK, [])


def test_a_keras_applications_network_runs_as_it_is(tmp_path: Path) -> None:
    """Trained elsewhere, converted without metadata: photos in -1..1, as Keras's own preprocessing has them."""
    import tensorflow as tf
    import tf_keras

    network = tf_keras.applications.MobileNetV2((SIDE, SIDE, 3), alpha=0.35, weights=None, classes=3)
    path = tmp_path / "keras.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    photo = part_photo(("PR", 2, 3))
    wanted = network(tf_keras.applications.mobilenet_v2.preprocess_input(photo.astype(np.float32))[None]).numpy()[0]
    scores = {one.category: one.score for one in Model(path, labels=CLASSES, good=["ok"]).read(photo).findings}
    assert [1 - scores[UNSURE], scores["PR"], scores["QA"]] == pytest.approx(wanted.tolist(), abs=1e-5)


def test_no_class_is_called_as_doubt_is(tmp_path: Path) -> None:
    path = in_bytes(network(mapped=False), tmp_path)
    with pytest.raises(InputError, match="no class that is called unsure"):
        Model(path, labels=["ok", "PR", UNSURE], good=["ok"])


def test_one_unit_tells_the_second_of_two_classes(tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(converted(network(mapped=False, units=1)))
    model = Model(path, labels=["ok", "PR"], good=["ok"])
    scores = {one.category: one.score for one in model.read(part_photo()).findings}
    assert scores["PR"] == pytest.approx(scores[UNSURE])
    assert model.card.classes == ("ok", "PR")


def test_one_unit_without_a_sigmoid_is_refused_whatever_it_says_of_a_black_photo(tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(converted(network(mapped=False, units=1, logits=True)))
    with pytest.raises(InputError, match="one unit without a sigmoid"):
        Model(path, labels=["ok", "PR"], good=["ok"])


@pytest.mark.parametrize("units", [1, 3])
def test_a_quantised_file_ends_in_what_it_ended_in(tmp_path: Path, units: int) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(converted(network(mapped=False, units=units), int8=True))
    assert Model(path, labels=CLASSES[: max(2, units)], good=["ok"]).card.good == ("ok",)


@pytest.mark.parametrize(("said", "doubt"), [(0.9, 0.1), (0.5, 0.5), (0.2, 0.5), (1.0, 0.0001)])
def test_the_score_from_which_a_class_is_named_leaves_the_rest_to_doubt(said: float, doubt: float) -> None:
    """A class that is named from 0.9 on: a part that is good by 0.15 is no good part."""
    thresholds = named_from(["PR", UNSURE], said)
    assert thresholds == {"PR": said, UNSURE: pytest.approx(doubt)}
    findings = [Finding("PR", 0.85), Finding(UNSURE, 0.85)]
    assert judge(findings, Rule(thresholds))[0] is Verdict.NG


def test_no_threshold_lets_a_part_pass_that_is_rather_bad(classifier: Path) -> None:
    model = Model(classifier)
    assert model.rule(1.0).thresholds == {"PR": 1.0, "QA": 1.0, UNSURE: MOST_DOUBT}
    with pytest.raises(InputError, match="rather bad than good"):
        model.rule({UNSURE: 0.51})
    assert model.rule({UNSURE: 0.02, "PR": 0.9}).thresholds[UNSURE] == 0.02


def test_good_classes_are_taken_once(tmp_path: Path) -> None:
    path = in_bytes(network(mapped=False), tmp_path)
    assert Model(path, good=["ok", "ok"]).card.good == ("ok",)


def test_a_model_that_tells_its_good_classes_takes_no_others(classifier: Path, toy_model: Path) -> None:
    assert Model(classifier, good=["ok"]).card.good == ("ok",)
    with pytest.raises(InputError, match="good classes are others"):
        Model(classifier, good=["ok", "QA"])
    with pytest.raises(InputError, match="no class of good parts"):
        Model(toy_model, good=["PR"])


@pytest.mark.parametrize(
    ("card", "wrong"),
    [
        ({"good": CLASSES}, "good"),
        ({"good": ("XX",), "thresholds": dict.fromkeys([*CLASSES, UNSURE], 0.5)}, "good"),
        ({"good": (), "thresholds": {"ok": 0.5, "PR": 0.5, "QA": 0.5}}, "thresholds of"),
        ({"thresholds": {"PR": 0.5, "QA": 0.5}}, "thresholds of"),
        ({"thresholds": {"ok": 0.5, "PR": 0.5, "QA": 0.5, UNSURE: 0.5}}, "good"),
        ({"thresholds": {"PR": 0.5, "QA": 0.5, UNSURE: 0.51}}, "rather bad"),
        ({"notice": (UNSURE,)}, "nobody knows"),
        ({"notice": ("PR", "QA")}, "no part would ever be rejected"),
    ],
)
def test_a_card_that_would_let_parts_pass_unseen_is_refused(tmp_path: Path, card: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        Model(own(converted(network()), tmp_path, **card)).rule()


def test_predict_tells_where_it_looked_and_writes_no_boxes_as_labels(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name, burrs in (("good", []), ("bad", [("PR", 2, 5), ("PR", 3, 5), ("PR", 3, 6)])):
        (tmp_path / f"photos/{name}.jpg").write_bytes(encode_jpeg(part_photo(*burrs)))
    words = ["predict", str(classifier), str(tmp_path / "photos")]
    answer = CliRunner().invoke(main, [*words, "--overlays", str(tmp_path / "out"), "--json"])
    bad, good = json.loads(answer.stdout)["photos"]
    assert (bad["verdict"], good["verdict"]) == ("NG", "OK")
    assert [(one["category"], one["box"]) for one in bad["detections"]] == [("PR", None)]
    assert len(bad["heat_boxes"]) == 1 and good["heat_boxes"] == []
    assert (read_photo(tmp_path / "out/bad.jpg")[0, 0] > [150, 0, 0]).all()
    refused = CliRunner().invoke(main, [*words, "--xml", str(tmp_path / "xml")])
    assert (refused.exit_code, "gives no boxes" in refused.output) == (2, True)
    assert not (tmp_path / "xml").exists()
    refused = CliRunner().invoke(main, ["dataset", "prelabel", str(tmp_path / "photos"), "--model", str(classifier)])
    assert (refused.exit_code, "gives no boxes" in refused.output) == (2, True), refused.output
    assert not list((tmp_path / "photos").glob("*.xml"))


def test_a_whole_site_runs_with_it(classifier: Path, tmp_path: Path) -> None:
    burrs = [("PR", 2, 5), ("PR", 3, 5), ("PR", 3, 6)]
    write_parts(tmp_path / "photos", [burrs if number % 3 == 1 else [] for number in range(6)])
    answer = CliRunner().invoke(
        edge,
        shlex.split(f"simulate --model {classifier} --photos {tmp_path / 'photos'} --parts 12 --json"),
    )
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert (told["verdicts"]["OK"], told["verdicts"]["NG"]) == (8, 4)


def test_a_site_runs_a_model_of_someone_elses_with_its_good_class_and_refuses_it_without(tmp_path: Path) -> None:
    write_parts(tmp_path / "photos", [[]])
    words = [
        "simulate",
        "--model",
        str(in_bytes(network(mapped=False), tmp_path)),
        "--photos",
        str(tmp_path / "photos"),
    ]
    answer = CliRunner().invoke(edge, [*words, "--parts", "2", "--json", "--good", "ok"])
    assert answer.exit_code == 0 and json.loads(answer.stdout)["verdicts"]["OK"] == 2, answer.output
    refused = CliRunner().invoke(edge, words)
    assert refused.exit_code == 2 and "which of this model's classes are good" in refused.output


shares = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda given: sum(given) > 0)


@settings(deadline=None)
@given(given_scores=shares, threshold=st.floats(0.01, 1.0), notice=st.sampled_from([(), ("QA",)]))
def test_no_doubt_ends_as_ok(given_scores: list[float], threshold: float, notice: tuple[str, ...]) -> None:
    """A part is OK only where all that rejects, named or not, is together below the threshold."""
    from sealpin_edge.tasks.classify import Classify

    scores = np.array(given_scores) / sum(given_scores)
    task = object.__new__(Classify)
    task._name, task._scores, task._map = "toy", 0, None
    card: ModelCard = toy_card(task="classify", classes=CLASSES, good=("ok",))
    findings = task.read(lambda _: scores[None], card, 8, 8).findings
    verdict, found = judge(findings, Rule(dict.fromkeys(["PR", "QA", UNSURE], threshold), frozenset(notice)))
    passing = scores[0] + (scores[2] if notice else 0)
    rejecting = 1 - passing
    if rejecting > threshold + 1e-9:
        assert verdict is Verdict.NG
    elif rejecting < threshold - 1e-9:
        assert verdict is Verdict.OK
    named = [one for one in found if one.category not in (UNSURE, *notice)]
    assert not (named and any(one.category == UNSURE for one in found))


def test_doubt_cannot_be_shown_only() -> None:
    thresholds = {"PR": 0.5, UNSURE: 0.5}
    with pytest.raises(InputError, match="nobody knows"):
        check_rule(Rule(thresholds, frozenset({UNSURE})), "--notice")
    with pytest.raises(InputError, match="no part would ever be rejected"):
        check_rule(Rule(thresholds, frozenset({"PR"})), "--notice")


def test_a_score_that_is_no_number_is_not_inspected_in_whatever_company() -> None:
    findings = [Finding("QA", 0.1), Finding(UNSURE, math.nan)]
    rule = Rule({"PR": 0.5, "QA": 0.5, UNSURE: 0.5}, frozenset({"QA"}))
    assert judge(findings, rule)[0] is Verdict.NOT_INSPECTED
