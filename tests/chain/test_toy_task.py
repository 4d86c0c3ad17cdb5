"""A task of somebody else's, put into the two tables: from folders of photos to the verdict of a station."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import sealpin_edge.tasks.task as on_station
import sealpin_training.tasks.task as in_training
from tests.commands import call, invoke
from tests.toy.station import Redness

ROOT = Path(__file__).parents[2]
# What Python imports at its start: processes that time a model, which are new ones, know the task too
AT_START = """
from sealpin_edge.tasks.task import TASKS
from tests.toy.station import Redness
TASKS["redness"] = Redness
"""


@pytest.fixture
def tables(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("start")
    (folder / "sitecustomize.py").write_text(AT_START)
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{ROOT}")
    monkeypatch.setitem(on_station.TASKS, "redness", Redness)
    monkeypatch.setitem(in_training.TASKS, "redness", "tests.toy.training:RednessTask")
    yield
    in_training.task_named.cache_clear()


def test_a_task_from_outside_goes_from_dataset_to_verdict(tables: None, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(48):
        photo = random.integers(60, 180, (40, 40, 3), np.uint8)
        photo[..., 2] = 230 if number % 2 else 90
        path = tmp_path / "photos" / ("red" if number % 2 else "ok") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), photo)
    photos, made, store = tmp_path / "photos", tmp_path / "set", ("--mlruns", tmp_path / "mlruns")
    call("dataset", "convert", photos, made, "--task", "redness", "--workers", 1)
    assert json.loads((made / "dataset.json").read_text())["task"] == "redness"
    call("recipe", "new", made, tmp_path / "toy.json", "--batch-size", 8)
    call("recipe", "check", tmp_path / "toy.json", "--dataset", made)
    call("train", tmp_path / "toy.json", "--dataset", made, "--run", "toy", "--evaluate-every", 30, *store)
    judged = json.loads(call("evaluate", "toy", "--split", "test", "--json", *store).stdout)
    assert (judged["task"], judged["rightness"], judged["escapes"]) == ("redness", 1.0, 0)
    for kind in ("float32", "int8"):
        call("export", "toy", "--out", tmp_path / kind, "--quantize", kind, *store)
        answer = json.loads(call("predict", tmp_path / kind / "model.tflite", photos, "--json").stdout)["photos"]
        verdicts = {one["photo"]: one["verdict"] for one in answer}
        assert len(verdicts) == 48
        assert all((verdict == "NG") == ("red/" in name) for name, verdict in verdicts.items()), verdicts
    shown = json.loads(call("model", "show", tmp_path / "int8/model.tflite", "--json").stdout)
    assert (shown["task"], shown["good"]) == ("redness", ["ok"])
    gone = invoke("recipe", "new", made, tmp_path / "b.json", "--aug", "heavy")
    assert gone.exit_code == 2 and "--aug is not for a dataset of task redness" in gone.output


def test_a_model_of_a_task_that_nobody_knows_any_more_is_refused(tmp_path: Path) -> None:
    wrong = invoke("dataset", "check", tmp_path, "--task", "redness")
    assert wrong.exit_code == 2 and "there is no such task" in wrong.output and "detect, classify" in wrong.output
