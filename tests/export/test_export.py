"""Export: every file says what the network says, tells what it is, and is refused when it does not."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from sealpin_edge.errors import InputError
from sealpin_edge.model.card import read_card
from sealpin_edge.model.photo import decode_photo
from sealpin_edge.model.tflite_file import read_tflite
from sealpin_edge.tasks.model import Model
from sealpin_export.export import LEAST_SCORE, export, model_card, trained_network, write_model
from sealpin_training.dataset.records import RecordFile
from sealpin_training.evaluation.predict import predict_photos, trained_predictor
from sealpin_training.run import Run
from tests.commands import invoke
from tests.edge.test_config import GOOD


def photo_of(run: Run) -> tuple[bytes, Any]:
    dataset = run.load_dataset()
    record = next(one for one in RecordFile(dataset.folder, "val", dataset.classes) if one.boxes)
    return record.data, decode_photo(record.data)


def test_the_saved_model_is_called_in_all_of_the_apis_ways(run: Run, exported: Path) -> None:
    import tensorflow as tf

    _, pixels = photo_of(run)
    data = tf.io.encode_png(pixels).numpy()  # which every decoder reads alike
    loaded = tf.saved_model.load(str(exported / "saved_model"), tags=["serve"])
    wanted = {name: tensor.numpy() for name, tensor in loaded(tf.constant(pixels[None])).items()}
    assert set(wanted) == {"detection_boxes", "detection_scores", "detection_classes", "num_detections"}
    assert wanted["detection_boxes"].shape[::2] == (1, 4)
    assert {value.dtype for value in wanted.values()} == {np.dtype(np.float32)}
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
    example = tf.train.Example(features=tf.train.Features(feature={"image/encoded": feature})).SerializeToString()
    for signature, given in (
        ("serving_default", pixels[None]),
        ("encoded_image_string_tensor", [data, data]),
        ("tf_example", [example, example]),
    ):
        found = loaded.signatures[signature](input_tensor=tf.constant(given))
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name][:1], value, atol=1e-5, err_msg=f"{signature} {name}")


def test_a_session_loads_it_as_a_server_does(run: Run, exported: Path) -> None:
    import tensorflow as tf

    _, pixels = photo_of(run)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(exported / "saved_model"))
        signature = meta.signature_def["serving_default"]
        assert signature.method_name == "tensorflow/serving/predict"
        outputs = {name: tensor.name for name, tensor in signature.outputs.items()}
        found = session.run(outputs, {signature.inputs["input_tensor"].name: pixels[None]})
    assert found["num_detections"].shape == (1,)


def test_every_file_tells_what_it_is_and_judges_as_the_network(run: Run, exported: Path) -> None:
    gates = json.loads((exported / "gate.json").read_text())
    assert [gate["file"] for gate in gates] == [
        "model.tflite", "model_float32.tflite", "model_float16.tflite", "model_dynamic.tflite",
    ]  # fmt: skip
    sizes = {}
    for gate, kind in zip(gates, ("int8", "float32", "float16", "dynamic"), strict=True):
        path = exported / gate["file"]
        data = path.read_bytes()
        sizes[kind] = len(data)
        card = read_card(read_tflite(data, str(path)), str(path))
        assert card is not None
        assert (card.quantisation, card.run, card.classes) == (kind, "small", ("PR", "QA"))
        assert gate["passed"]
        assert gate["photos"] == run.load_dataset().counts["val"]
    assert gates[1]["score_difference"][0] < 0.01, "float32: only the resize differs, by rounding to bytes"
    assert max(sizes[kind] for kind in ("int8", "float16", "dynamic")) < sizes["float32"]
    page = (exported / "report.html").read_text()
    assert page.count("<img") == 4
    assert "REFUSED" not in page


def test_a_float_file_gives_the_scores_of_the_checkpoint(run: Run, exported: Path) -> None:
    dataset, model = run.load_dataset(), Model(exported / "model_float32.tflite")
    assert model.card.quantisation == "float32"
    records = list(RecordFile(dataset.folder, "test", dataset.classes))
    compared = 0
    for record, wanted in zip(
        records,
        predict_photos(run.kind, run.recipe(), trained_predictor(run), records, run.classes, run.good),
        strict=True,
    ):
        sure = [one.score for one in wanted if one.score >= 2 * LEAST_SCORE]
        found = [one.score for one in model.read(decode_photo(record.data)).findings][: len(sure)]
        np.testing.assert_allclose(found, sure, atol=1e-3)
        compared += len(sure)
    assert compared >= len(records) / 2


def test_the_same_weights_give_the_same_bytes(run: Run, exported: Path, tmp_path: Path) -> None:
    network = trained_network(run)
    for which, name in (("int8", "model.tflite"), ("float32", "model_float32.tflite")):
        write_model(run, network, model_card(run, which), tmp_path / f"{which}_read", tmp_path / name)
        assert (tmp_path / name).read_bytes() == (exported / name).read_bytes()


def test_a_badly_calibrated_file_is_refused_and_not_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sealpin_export import tflite

    def black(run: Run) -> Any:
        resizer = run.recipe().resizer
        image = np.zeros((1, resizer.height, resizer.width, 3), np.float32)
        image[0, 0, 0] = 255.0
        yield {"images": image}

    monkeypatch.setattr(tflite, "calibration", black)
    refused = invoke("export", "small", "--out", tmp_path / "bad", "--json")
    assert refused.exit_code == 1, refused.output
    assert "does not judge as the trained network does" in refused.stderr
    document = json.loads(refused.stdout)
    assert document["gate"]["passed"] is False
    assert document["files"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["bad_refused.html"]
    page = (tmp_path / "bad_refused.html").read_text()
    first = page.partition("<p>")[2].partition("</p>")[0]
    assert first.startswith("REFUSED, no file was kept: model.tflite: ") and " instead of " in first


def test_the_rule_of_val_goes_into_the_card_and_is_what_the_file_is_judged_by(run: Run, tmp_path: Path) -> None:
    before = (run.folder / "evaluation_val.json").read_bytes()
    try:
        noticed = invoke("evaluate", "small", "--split", "val", "--notice", "QA", "--json")
        assert noticed.exit_code == 0, noticed.output
        chosen = json.loads(noticed.stdout)
        card = model_card(run, "none")
    finally:
        (run.folder / "evaluation_val.json").write_bytes(before)
    assert (dict(card.thresholds), card.notice) == (chosen["thresholds"], ("QA",))


def test_the_worst_layers_stay_float_when_asked_and_a_network_that_finds_nothing_is_called_one(
    run: Run, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = run.last_evaluation("val")
    kept["metrics"]["AP50"], kept["boxes"]["QA"]["right"] = 0.016, 0
    monkeypatch.setattr(Run, "last_evaluation", lambda *_: kept)
    words = ("--quantize", "int8", "--quantize", "none", "--keep-float", "3", "--max-drop", "0.05", "--json")
    done = invoke("export", "small", "--out", tmp_path / "kept", *words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "kept/model_float32.tflite").exists()
    shown = [
        json.loads(invoke("model", "show", folder / "model.tflite", "--json").stdout)
        for folder in (exported, tmp_path / "kept")
    ]
    assert shown[1]["inputs"][0]["type"] == "uint8"
    assert shown[1]["operators"]["DEQUANTIZE"] > shown[0]["operators"]["DEQUANTIZE"]
    said = [
        "this network finds almost nothing: AP50 0.016 on val",
        f"never found on val: QA (0 of {kept['boxes']['QA']['labelled']})",
    ]
    assert json.loads(done.stdout)["warnings"] == said
    page = (tmp_path / "kept/report.html").read_text()
    for text in said:
        assert f"WARNING: {text}" in done.stderr
        assert f'<p class="warning">{text}</p>' in page
    assert all(f"WARNING: {text}" in invoke("promote", "small").stderr for text in said)


def test_mistakes_are_told_before_long_work(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    assert "in the way" in invoke("export", "small", "--out", tmp_path / "taken").output
    shutil.copytree(run.folder, run.folder.with_name("damaged"), ignore=shutil.ignore_patterns("checkpoints"))
    (run.folder.with_name("damaged") / "evaluation_val.json").write_text("")
    damaged = invoke("export", "damaged", "--out", tmp_path / "x")
    assert (damaged.exit_code, "is damaged" in damaged.output) == (2, True), damaged.output
    with monkeypatch.context() as patched:
        patched.setattr(Run, "last_evaluation", lambda *_: {})
        with pytest.raises(InputError, match="not evaluated on val"):
            export(run, tmp_path / "x", ("int8",), lambda _: None)
    monkeypatch.setattr("sealpin_export.export.LEAST_CALIBRATION", 1000)
    with pytest.raises(InputError, match="too few training photos"):
        export(run, tmp_path / "x", ("float32", "int8"), lambda _: None)
    assert not (tmp_path / "x").exists()


def test_predict_marks_labels_and_answers(run: Run, exported: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    data, pixels = photo_of(run)
    (photos / "deep/part.jpg").write_bytes(data)
    (photos / "broken.jpg").write_bytes(data[:500])
    model, marked, xml = exported / "model.tflite", tmp_path / "marked", tmp_path / "xml"
    told = invoke("predict", model, photos, "--overlays", marked, "--xml", xml, "--threshold", "0.01", "--json")
    assert told.exit_code == 0, told.output
    broken, part = json.loads(told.stdout)["photos"]
    assert (broken["photo"], broken["verdict"], broken["detections"]) == ("broken.jpg", "NOT INSPECTED", [])
    assert (part["photo"], part["verdict"]) == ("deep/part.jpg", "NG")
    assert set(part["detections"][0]) == {"category", "score", "box", "outline"}
    assert decode_photo((marked / "deep/part.jpg").read_bytes()).shape == pixels.shape
    assert (xml / "deep/part.xml").read_text().count("<object>") == len(part["detections"])
    assert invoke("predict", model, tmp_path / "nothing").exit_code == 2
    for place in (photos, photos / "deep", photos / "new"):
        assert invoke("predict", model, photos, "--overlays", place).exit_code == 2
    assert invoke("predict", model, photos, "--threshold", "0.001").exit_code == 2
    assert "--threshold: this is no threshold" in invoke("predict", model, photos, "--threshold", "0").output
    assert "--threshold: the model knows no such" in invoke("predict", model, photos, "--threshold", "XX=0.5").output
    by_name = invoke("predict", model, photos, "--threshold", "PR=1", "--threshold", "QA=1", "--json")
    assert [one["verdict"] for one in json.loads(by_name.stdout)["photos"]] == ["NOT INSPECTED", "OK"]
    noticed = invoke("predict", model, photos, "--threshold", "0.01", "--notice", "PR", "--notice", "", "--json")
    assert noticed.exit_code == 0, noticed.output
    (photos / "deep/part.png").write_bytes(data)
    assert "differ only by their ending" in invoke("predict", model, photos, "--xml", tmp_path / "two").output
    assert invoke("predict", model, photos, "--labels", model).exit_code == 2


def test_a_bundle_is_made_of_the_very_file_that_the_gate_has_proven(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "copy", ignore=shutil.ignore_patterns("saved_model")))
    (tmp_path / "station.toml").write_text(GOOD)

    def pack(model: Path) -> Result:
        words = ("bundle", "make", model, "--station", tmp_path / "station.toml", "--no-wheels", "--force")
        return invoke(*words, "--out", tmp_path / "one.sealpin")

    assert pack(folder / "model.tflite").exit_code == 0
    data = bytearray((folder / "model.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.tflite").write_bytes(data)
    told = pack(folder / "model.tflite")
    assert (told.exit_code, "not the model file that the export has proven" in told.output) == (2, True), told.output
    assert str(folder / "gate.json") in told.output
    shutil.copy(folder / "model_float16.tflite", folder / "model.tflite")
    assert pack(folder / "model.tflite").exit_code == 2
    assert pack(folder / "model_float16.tflite").exit_code == 0
    gates = json.loads((folder / "gate.json").read_text())
    (folder / "gate.json").write_text(json.dumps(gates)[:-9])
    damaged = pack(folder / "model.tflite")
    assert (damaged.exit_code, "gate.json: this file of an export is damaged" in damaged.output) == (2, True)
    gates[0]["passed"] = False
    (folder / "gate.json").write_text(json.dumps(gates))
    refused = pack(folder / gates[0]["file"])
    assert (refused.exit_code, "did not pass its gate" in refused.output) == (2, True)
    gates[0]["passed"] = True
    for gate in gates:
        del gate["sha256"]
    (folder / "gate.json").write_text(json.dumps(gates))
    assert pack(folder / "model.tflite").exit_code == 0, "an earlier sealpin's has proven it without saying which"


def test_show_and_benchmark_answer_scripts(exported: Path) -> None:
    model = exported / "model.tflite"
    shown = json.loads(invoke("model", "show", model, "--json").stdout)
    assert {"task", "inputs", "outputs", "labels", "quantisation", "metadata", "runs_on_station"} <= set(shown)
    assert (shown["task"], shown["labels"], shown["runs_on_station"]) == ("detect", ["PR", "QA"], True)
    assert {one["role"] for one in shown["outputs"]} == {"boxes", "classes", "scores", "count"}
    text = invoke("model", "show", model).stdout
    assert "a station can run it" in text
    words = ("benchmark", model, "--against", exported / "model_float32.tflite", "--threads", "1,2", "--photos", "20")
    timed = json.loads(invoke(*words, "--json").stdout)
    assert {"load_ms", "p50_ms", "p95_ms", "p99_ms", "rss_mb", "threads", "machine"} <= set(timed)
    assert [(Path(one["model"]).name, one["threads"]) for one in timed["results"]] == [
        ("model.tflite", 1), ("model.tflite", 2), ("model_float32.tflite", 1), ("model_float32.tflite", 2),
    ]  # fmt: skip
    assert all(one["p50_ms"] <= one["p95_ms"] <= one["p99_ms"] for one in timed["results"])
    assert invoke("benchmark", model, "--threads", "0").exit_code == 2
    assert invoke("benchmark", exported / "gate.json").exit_code == 2
