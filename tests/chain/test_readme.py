"""What the README's commands leave behind, and what other programs make of it."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sealpin.cli import main
from sealpin_edge.model.photo import decode_photo, stretch
from sealpin_edge.tasks.model import Model
from sealpin_training.tasks.recipe import shipped_recipes
from tests.chain.conftest import CLASSES, NOT_RUN, Walk, blocks


def test_every_block_was_run(walked: Walk) -> None:
    commands = [
        line
        for block in blocks("sh")
        for line in block.splitlines()
        if not line.startswith((*NOT_RUN, "sealpin-edge run"))
    ]
    assert sorted(walked.printed) == sorted(commands)
    assert len(commands) >= 8


def test_the_line_of_the_readme_gets_a_verdict_for_every_part(walked: Walk) -> None:
    (printed,) = (text for line, text in walked.printed.items() if "plc-sim" in line)
    rows = [row.split() for row in printed.splitlines() if row.strip()[:1].isdigit()]
    assert len(rows) == 10
    assert {row[1] for row in rows} <= {"OK", "NG"}
    assert "no rule of the handshake was broken" in printed


def test_the_run_is_in_mlflow_with_what_repeats_it(walked: Walk) -> None:
    run = json.loads((walked.folder / "mlruns/runs/first/run.json").read_text())
    with sqlite3.connect(walked.folder / "mlruns/mlflow.db") as db:
        assert db.execute("SELECT name, status FROM runs WHERE run_uuid = ?", (run["run_id"],)).fetchone() == (
            "first",
            "FINISHED",
        )
        params = dict(db.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run["run_id"],)))
        tags = dict(db.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run["run_id"],)))
        steps = [
            step for (step,) in db.execute("SELECT step FROM metrics WHERE key = 'train/total_loss' ORDER BY step")
        ]
        metrics = {key for (key,) in db.execute("SELECT DISTINCT key FROM metrics")}
    assert (params["steps"], params["differences"]) == ("4", "none")
    assert tags["dataset_digest"] == run["dataset_digest"]
    assert steps == [1, 2, 3, 4]
    assert {"train/learning_rate", "val/AP", "val/AP50"} <= metrics


def test_the_saved_model_has_the_apis_signature(walked: Walk) -> None:
    import tensorflow as tf

    serve = tf.saved_model.load(str(walked.folder / "export/saved_model")).signatures["serving_default"]
    photo = decode_photo(next((walked.folder / "photos").glob("*.jpg")).read_bytes())
    outputs = serve(input_tensor=tf.constant(photo[None]))
    count = int(outputs["num_detections"][0])
    assert outputs["detection_boxes"].shape[0] == 1
    assert outputs["detection_boxes"].shape[2] == 4
    assert set(outputs["detection_classes"][0, :count].numpy()) <= {1.0, 2.0, 3.0}


PEER = """
import sys, json, zipfile
import numpy as np
from ai_edge_litert.interpreter import Interpreter

path, photo = sys.argv[1:]
interpreter = Interpreter(model_path=path)
interpreter.allocate_tensors()
(given,) = interpreter.get_input_details()
interpreter.set_tensor(given["index"], np.load(photo)[None])
interpreter.invoke()
outputs = {d["name"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()}
by_shape = {len(v.shape): v for v in outputs.values()}
names = zipfile.ZipFile(path).read("labels.txt").decode().split()
boxes, count = by_shape[3][0].tolist(), float(by_shape[1][0])
print(json.dumps({"dtype": str(given["dtype"]), "labels": names, "boxes": boxes, "count": count}))
"""


def test_a_bare_interpreter_finds_what_sealpin_finds(walked: Walk, tmp_path: Path) -> None:
    path = walked.folder / "export/model.tflite"
    model = Model(path)
    photo = decode_photo(next((walked.folder / "photos").glob("*.jpg")).read_bytes())
    np.save(tmp_path / "photo.npy", stretch(photo, model.card.input_height, model.card.input_width))
    done = subprocess.run(
        [sys.executable, "-c", PEER, str(path), str(tmp_path / "photo.npy")], capture_output=True, text=True, check=True
    )
    peer = json.loads(done.stdout)
    assert peer["labels"] == list(model.card.classes) == sorted(CLASSES)
    assert "uint8" in peer["dtype"]
    found = model.read(photo).findings
    assert len(found) == peer["count"]
    height, width = photo.shape[:2]
    peers = np.clip(np.array(peer["boxes"])[: len(found)], 0, 1) * [height, width, height, width]
    np.testing.assert_allclose([[one.edges[side] for side in (1, 0, 3, 2)] for one in found], peers, atol=1e-3)


def test_the_metadata_reader_tells_labels_and_normalisation(walked: Walk) -> None:
    from sealpin_export.metadata import _load_libusb

    _load_libusb()
    from tensorflow_lite_support.metadata.python.metadata import MetadataDisplayer

    displayer = MetadataDisplayer.with_model_file(str(walked.folder / "export/model.tflite"))
    metadata = json.loads(displayer.get_metadata_json())["subgraph_metadata"][0]
    units = metadata["input_tensor_metadata"][0]["process_units"]
    assert units[0]["options"] == {"mean": [0.0], "std": [1.0]}
    outputs = {tensor["name"] for tensor in metadata["output_tensor_metadata"]}
    assert outputs == {"location", "category", "score", "number of detections"}
    assert displayer.get_associated_file_buffer("labels.txt").decode().split() == sorted(CLASSES)


def test_evaluate_answers_scripts(walked: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(walked.folder)
    result = CliRunner().invoke(main, ["evaluate", "first", "--split", "val", "--threshold", "0.5", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert {"AP", "AP50", "AP75", "thresholds", "parts", "escapes", "false_rejects"} <= set(document)
    assert document["thresholds"] == dict.fromkeys(sorted(CLASSES), 0.5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "none.config", "--dataset", "dataset", "--run", "x"], "no such recipe"),
        (["train", "FIRST", "--dataset", "photos", "--run", "x"], "not a converted dataset"),
        (["train", "FIRST", "--dataset", "dataset", "--run", "../x"], "cannot name a run"),
        (["train", "FIRST", "--dataset", "dataset", "--run", "first", "--start-from", "scratch"], "a run of this name"),
        (["train", "ORIGINAL", "--dataset", "dataset", "--run", "x"], "sealpin pretrained get ssd_mobilenet_v2"),
        (["train", "ONE_CLASS", "--dataset", "dataset", "--run", "x"], "model.ssd.num_classes"),
        (["evaluate", "nobody"], "no such run"),
        (["export", "nobody", "--out", "x"], "no such run"),
        (["export", "first", "--out", "export"], "in the way"),
        (["bundle", "photos/photo_00.jpg", "--station", "station.toml", "--out", "x"], "not a whole TFLite file"),
        (["bundle", "export/model.tflite", "--station", "none.toml", "--out", "x"], "no such station config"),
    ],
)
def test_a_mistake_gets_one_clear_message_and_leaves_nothing(
    walked: Walk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(walked.folder)
    one_class = tmp_path / "one_class.config"
    one_class.write_text(Path("first.config").read_text().replace("num_classes: 3", "num_classes: 1"))
    original = tmp_path / "original.config"
    shipped = shipped_recipes() / "ssd_mobilenet_v2_fpnlite_640x640_120k.config"
    original.write_text(shipped.read_text().replace("num_classes: 2", "num_classes: 3"))
    places = {
        "FIRST": "first.config",
        "ORIGINAL": str(original),
        "ONE_CLASS": str(one_class),
    }
    before = sorted(walked.folder.rglob("*"))
    result = CliRunner().invoke(main, [places.get(argument, argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert told in result.output
    assert "Traceback" not in result.output
    assert sorted(walked.folder.rglob("*")) == before
