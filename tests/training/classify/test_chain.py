"""From folders of photos to a judged photo, as a user would: dataset, recipe, training, evaluation, export, predict."""

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from sealpin_edge.model.photo import read_photo
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import Verdict, judge
from sealpin_export.gate import judge_file
from sealpin_training.dataset.split import SPLITS
from sealpin_training.evaluation.evaluate import found_on
from sealpin_training.run import load_run
from sealpin_training.tasks.classify.network.weights import warm_start
from sealpin_training.tasks.classify.recipe import load_recipe
from tests.commands import call, invoke
from tests.export.test_peers import PYTHON, needs_peers

from .small import write_small_recipe

SIDE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of a grey plate; a bad one has a red square somewhere."""
    root = tmp_path_factory.mktemp("classify")
    random = np.random.default_rng(0)
    for number in range(60):
        photo = random.integers(90, 150, (SIDE, SIDE, 1), np.uint8).repeat(3, axis=2)
        bad = number % 2
        if bad:
            y, x = random.integers(4, SIDE - 28, 2)
            photo[y : y + 24, x : x + 24] = (20, 20, 240)
        path = root / "photos" / ("burr" if bad else "ok") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), photo)
    return root


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """The run's store."""
    call("dataset", "convert", folder / "photos", folder / "set", "--task", "classify", "--workers", 1)
    write_small_recipe(folder / "set", folder / "recipe.yaml", "--aug", "none")
    store = ("--mlruns", folder / "mlruns")
    call("train", folder / "recipe.yaml", "--dataset", folder / "set", "--run", "small", "--steps", 24, *store)
    return folder / "mlruns"


@pytest.fixture(scope="module")
def exported(folder: Path, trained: Path) -> dict[str, Path]:
    """Its files, by what they were quantised to."""
    files = {}
    for kind in ("float32", "int8"):
        out = folder / f"out_{kind}"
        call("export", "small", "--out", out, "--quantize", kind, "--mlruns", trained)
        (files[kind],) = out.glob("*.tflite")
    return files


def test_a_run_tells_its_task_and_its_figures(folder: Path, trained: Path) -> None:
    answer = json.loads(call("evaluate", "small", "--split", "test", "--json", "--mlruns", trained).stdout)
    assert answer["task"] == "classify"
    assert {"likelihood", "accuracy", "balanced_accuracy", "auroc"} <= set(answer)
    assert set(answer["thresholds"]) == {"burr", "unsure"}
    run = json.loads((trained / "runs/small/run.json").read_text())
    assert (run["classes"], run["good"]) == (["burr", "ok"], ["ok"])
    page = folder / "page.html"
    call("evaluate", "small", "--split", "test", "--report", page, "--mlruns", trained)
    assert "Is it right as often as it is sure?" in page.read_text()


def test_its_files_judge_as_the_network_does(folder: Path, trained: Path, exported: dict[str, Path]) -> None:
    run = load_run("small", trained)
    records, wanted = [], []
    for split in SPLITS:
        of_split, found = found_on(run, split)
        records += list(of_split)
        wanted += found
    assert len(wanted) == len(records) == 60
    for kind, file in exported.items():
        model, gate = Model(file), judge_file(file, records, wanted).gate
        assert gate.score_difference[0] < (1e-4 if kind == "float32" else 0.1), kind
        assert gate.certain_flips == 0 and gate.rejected[0] > 20 and gate.rejected[1] <= 1
        assert {judge(one, model.rule())[0] for one in wanted} == {Verdict.OK, Verdict.NG}
        shown = json.loads(call("model", "show", file, "--json").stdout)
        assert (shown["task"], shown["labels"], shown["good"]) == ("classify", ["burr", "ok"], ["ok"])
        assert [one["role"] for one in shown["outputs"]].count("scores") == 1
        judged = json.loads(call("predict", file, folder / "photos", "--json").stdout)["photos"]
        assert len(judged) == 60 and all(one["verdict"] in ("OK", "NG") for one in judged)
        assert all(one["detections"] for one in judged if one["verdict"] == "NG")


TASK_LIBRARY = """
import ctypes, json, sys
import libusb_package, numpy as np
ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
from tflite_support.task import vision
pixels = np.load(sys.argv[2])  # the image below is a view of it
found = vision.ImageClassifier.create_from_file(sys.argv[1]).classify(vision.TensorImage.create_from_array(pixels))
print(json.dumps({one.category_name: one.score for one in found.classifications[0].categories}))
"""
MEDIAPIPE = """
import json, sys
import mediapipe, numpy as np
from mediapipe.tasks.python import vision
with vision.ImageClassifier.create_from_model_path(sys.argv[1]) as classifier:
    found = classifier.classify(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.load(sys.argv[2])))
print(json.dumps({one.category_name: one.score for one in found.classifications[0].categories}))
"""


@needs_peers
@pytest.mark.parametrize("program", [TASK_LIBRARY, MEDIAPIPE])
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_another_runtime_gives_the_same_scores(
    folder: Path, exported: dict[str, Path], program: str, kind: str
) -> None:
    file = exported[kind]
    photo = read_photo(next((folder / "photos/burr").iterdir()))
    np.save(folder / "photo.npy", photo)
    words = [str(PYTHON), "-c", program, str(file), str(folder / "photo.npy")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    own = {one.category: one.score for one in Model(file).read(photo).findings}
    wanted = {"burr": own["burr"], "ok": 1 - own["unsure"]}
    assert json.loads(done.stdout) == pytest.approx(wanted, abs=0.005)


def test_a_recipe_of_another_task_is_refused(folder: Path, trained: Path) -> None:
    from sealpin_training.tasks.recipe import shipped_recipes

    recipe = next(shipped_recipes().glob("*.config"))
    done = invoke("train", recipe, "--dataset", folder / "set", "--run", "other", "--mlruns", trained)
    assert (done.exit_code, "different tasks" in done.output) == (2, True), done.output


def taken_by_val(folder: Path) -> int:
    """The step whose weights a run kept: the last that val cannot tell from the best so far."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    judged = {line["step"]: line["metrics"] for line in lines if "val/likelihood" in line["metrics"]}
    assert len(judged) > 1
    taken, highest = 0, -1.0
    for step, metrics in sorted(judged.items()):
        if metrics["val/likelihood"] > highest - metrics["val/likelihood_error"]:
            taken = step
        highest = max(highest, metrics["val/likelihood"])
    state = json.loads((folder / "state.json").read_text())
    assert (state["best_step"], state["best_score"]) == (taken, judged[taken]["val/likelihood"])
    assert state["highest"] == highest
    return taken


def test_it_goes_on_from_where_it_stopped(folder: Path, trained: Path) -> None:
    """Its time is over at once, and it goes on to the weights of a run that was not stopped."""
    import tensorflow as tf

    words = ("--dataset", folder / "set", "--mlruns", trained)
    steps = (*words, "--steps", 6, "--evaluate-every", 2)
    call("train", folder / "recipe.yaml", "--run", "whole", *steps)
    call("train", folder / "recipe.yaml", "--run", "cut", *steps, "--max-hours", 1e-9)
    before = json.loads((trained / "runs/cut/state.json").read_text())["step"]
    call("train", "--run", "cut", *words, "--resume", "--max-hours", 1)
    after = [json.loads((trained / f"runs/{name}/state.json").read_text())["step"] for name in ("cut", "whole")]
    assert before < 6 and after == [6, 6]
    assert len({taken_by_val(trained / f"runs/{name}") for name in ("cut", "whole")}) == 1
    whole, cut = (tf.train.load_checkpoint(str(load_run(name, trained).weights("last"))) for name in ("whole", "cut"))
    names = [name for name in whole.get_variable_to_shape_map() if name.startswith("model/")]
    assert len(names) > 20
    for name in names:
        np.testing.assert_array_equal(whole.get_tensor(name), cut.get_tensor(name), err_msg=name)


def test_runs_whose_good_classes_differ_are_not_compared(folder: Path, trained: Path) -> None:
    shutil.copytree(trained / "runs/small", trained / "runs/twisted")
    about = json.loads((trained / "runs/twisted/run.json").read_text())
    (trained / "runs/twisted/run.json").write_text(json.dumps(about | {"name": "twisted", "good": ["burr"]}))
    done = invoke("compare", "small", "twisted", "--mlruns", trained)
    assert done.exit_code == 2 and "of which good: burr" in done.output, done.output


@pytest.mark.parametrize("kind", ["run", "weights", "checkpoint"])
def test_another_starts_from_it(folder: Path, trained: Path, kind: str) -> None:
    from sealpin_training.tasks.classify.network.model import build_network, head_layers

    run = load_run("small", trained)
    last = max(run.checkpoints.glob("ckpt-*.index"), key=lambda path: path.stat().st_mtime).with_suffix("")
    path = {"run": run.folder, "weights": run.weights("best"), "checkpoint": last}[kind]
    recipe = load_recipe(folder / "recipe.yaml").starting_with_all()
    network = build_network(recipe)
    before = [variable.numpy() for variable in network.backbone.variables]
    warm_start(recipe, network, path)
    loaded = [not np.array_equal(one, two) for one, two in zip(before, network.backbone.variables, strict=True)]
    assert sum(loaded) > len(loaded) / 2
    _, gauge = head_layers(network)
    assert not np.any(gauge.shift) and np.all(np.asarray(gauge.factor) == 1), "val has said nothing of this run"


def test_a_start_is_told(folder: Path, trained: Path) -> None:
    words = ("--dataset", folder / "set", "--mlruns", trained, "--steps", 2, "--keep-predictor")
    started = call("train", folder / "recipe.yaml", "--run", "second", "--start-from", "small", *words)
    assert "run small" in started.output
