"""What a short training is worth: the better of its weights and their average, with batch normalisation in time."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from sealpin.cli import main
from sealpin_training.dataset.convert import convert
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.manifest import Dataset
from sealpin_training.run import AVERAGED, RAW, Run, State
from sealpin_training.tasks.detect.recipe import load_recipe
from sealpin_training.tasks.detect.recipe.new import write_new_recipe
from sealpin_training.tracking import read_metrics
from sealpin_training.train import Options, train

from ..conftest import CELL, GRID, SIDE, part_photo
from .conftest import small_recipe

pytestmark = pytest.mark.usefixtures("shallow_networks")
STEPS = 250
PHOTOS = 60


@dataclass(frozen=True)
class Trained:
    """A training of STEPS steps by a recipe that `recipe new` wrote."""

    folder: Path
    dataset: Dataset
    recipe: Path
    run: Run
    said: list[str]


def write_squares(folder: Path) -> None:
    """Parts with one to three red or blue squares: as easy as photos can be."""
    from sealpin_edge.model.photo import encode_jpeg

    folder.mkdir()
    rng = np.random.default_rng(5)
    for number in range(PHOTOS):
        places = rng.choice(GRID * GRID, rng.integers(1, 4), replace=False)
        burrs = [(("PR", "QA")[rng.integers(2)], int(place % GRID), int(place // GRID)) for place in places]
        path = folder / f"p{number:02d}.jpg"
        path.write_bytes(encode_jpeg(part_photo(*burrs, seed=number)))
        boxes = [Box(kind, x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL) for kind, x, y in burrs]
        voc.write(path.with_suffix(".xml"), path.name, SIDE, SIDE, tuple(boxes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shallow_networks: None) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("judged")
    write_squares(folder / "labelled")
    dataset = convert(folder / "labelled", folder / "dataset")[0]
    recipe = folder / "new.config"
    write_new_recipe(dataset.folder, recipe, size=96, batch_size=4)
    text = recipe.read_text()
    # A narrow network, so that a step takes a twentieth of a second
    text = text.replace("use_depthwise: true", "use_depthwise: true depth_multiplier: 0.35", 1)
    text = re.sub(r"\bdepth: 128", "depth: 24", text)
    text = re.sub(r'fine_tune_checkpoint: ".*"', 'fine_tune_checkpoint: ""', text)
    recipe.write_text(text)
    before, said = Path.cwd(), []
    os.chdir(folder)
    run, _ = train(recipe, dataset.folder, "short", Options(steps=STEPS, evaluate_every=STEPS), said.append)
    yield Trained(folder, dataset, recipe, run, said)
    os.chdir(before)


def of_val(run: Run) -> list[tuple[int, dict[str, float]]]:
    return [(e["step"], e["metrics"]) for e in read_metrics(run.metrics_log) if "val/AP" in e["metrics"]]


def test_250_steps_of_a_new_recipe_find_what_is_easy_to_find(trained: Trained) -> None:
    recipe = load_recipe(trained.recipe)
    assert recipe.train.num_steps == 3000
    assert recipe.norm_decay == pytest.approx(0.99), "a thirtieth of the steps"
    ((step, metrics),) = of_val(trained.run)
    assert step == STEPS
    assert metrics["val/AP50"] > 0.4
    assert not any("precise_batch_norm" in line for line in trained.said)


def test_the_better_weights_are_kept_and_named_everywhere(trained: Trained) -> None:
    run, state = trained.run, State.load(trained.run)
    ((_, metrics),) = of_val(run)
    each = {RAW: metrics["val/AP_raw"], AVERAGED: metrics["val/AP_averaged"]}
    assert state.best_weights == max(each, key=lambda kind: each[kind])
    assert metrics["val/AP"] == each[state.best_weights] == state.best_score
    name = f"{state.best_weights} weights of step {STEPS}"
    assert state.best == name
    judged = CliRunner().invoke(main, ["evaluate", "short", "--split", "val", "--json"])
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["weights"] == name
    assert json.loads(judged.stdout)["AP"] == pytest.approx(state.best_score), "the checkpoint is what was judged"
    assert name in CliRunner().invoke(main, ["runs", "list"]).stdout
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{trained.folder}/mlruns/mlflow.db")
    assert client.get_run(run.run_id).data.tags["weights"] == name
    from sealpin_export.export import model_card

    card = model_card(run, "int8").metrics
    assert (card["step"], card["averaged"]) == (STEPS, float(state.best_weights == AVERAGED))


def test_tensorboard_has_what_val_said(trained: Trained) -> None:
    import tensorflow as tf

    (file,) = (trained.run.checkpoints / "validation").glob("events.out.tfevents.*")
    found = {
        value.tag: float(tf.make_ndarray(value.tensor))
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
        if value.HasField("tensor")
    }
    ((_, metrics),) = of_val(trained.run)
    assert found == pytest.approx(metrics, rel=1e-5)


def test_a_recipe_whose_statistics_lag_behind_is_told_so(trained: Trained, tmp_path: Path) -> None:
    def check(text: str) -> str:
        path = tmp_path / "other.config"
        path.write_text(text)
        found = CliRunner().invoke(main, ["recipe", "check", str(path)])
        assert found.exit_code == 0, found.output
        return found.stdout

    own = trained.recipe.read_text()
    slow = re.sub(r"decay: 0.99\b", "decay: 0.9997", own)
    assert "too slow" not in check(slow), "estimated anew"
    told = check(slow.replace("precise_batch_norm: true", "precise_batch_norm: false"))
    assert "problem: batch_norm.decay = 0.9997: too slow for 3,000 steps" in told
    assert "decay: 0.99 }" in told
    assert "too slow" not in check(own.replace("precise_batch_norm: true", ""))


def test_the_average_follows_the_weights_as_tensorflows_own_does() -> None:
    import tensorflow as tf

    from sealpin_training.average import MOST_DECAY, WeightAverage

    network = SimpleNamespace(variables=[tf.Variable([1.0, -2.0]), tf.Variable(5.0)])
    average, step = WeightAverage(network), tf.Variable(0.0)
    peer = tf.train.ExponentialMovingAverage(MOST_DECAY, num_updates=step)
    peer.apply(network.variables)  # begins with what there is
    rng = np.random.default_rng(7)
    for _ in range(20):
        for variable in network.variables:
            variable.assign_add(rng.normal(size=variable.shape))
        step.assign_add(1)
        average.update(network)
        peer.apply(network.variables)
        for value, variable in zip(average.values, network.variables, strict=True):
            np.testing.assert_allclose(value.numpy(), peer.average(variable).numpy(), rtol=1e-5)
    average.begin(network)
    assert all(np.array_equal(one, other) for one, other in zip(average.values, network.variables, strict=True))


def test_statistics_estimated_anew_are_those_of_all_photos_together() -> None:
    import tensorflow as tf

    from sealpin_training.statistics import Statistics
    from sealpin_training.tf import tf_keras

    photos = np.random.default_rng(3).normal(size=(5, 4, 8, 8, 3)) * [1.0, 3.0, 0.5]
    photos = (photos + 4.0 * np.arange(5).reshape(5, 1, 1, 1, 1)).astype(np.float32)  # no batch has the mean of all
    norm = tf_keras.layers.BatchNormalization(momentum=0.9)
    network = tf_keras.Sequential([tf_keras.Input((8, 8, 3)), norm])
    Statistics(network, tf.distribute.get_strategy()).renew(photos)
    np.testing.assert_allclose(norm.moving_mean, photos.mean((0, 1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, photos.var((0, 1, 2, 3)), rtol=0.01)  # a batch's has n - 1
    assert norm.momentum == 0.9


def test_a_training_goes_on_with_its_average_and_its_loss_scale(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Extended, in float16: the forecast's steps leave no trace, and what the state holds is gone on with."""
    import tensorflow as tf

    from sealpin_training import fit
    from sealpin_training.resume import resume

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fit, "_MEASURED_FROM", 0)
    half = ("batch_size: 4", "batch_size: 1 mixed_precision: FLOAT16")  # which processors are slow at
    recipe = small_recipe(tmp_path, half, ("height: 96 width: 96", "height: 64 width: 64"))

    def counted(run: Run) -> tuple[int, int, float]:
        state = tf.train.load_checkpoint(str(run.checkpoints))
        kept = {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for name in state.get_variable_to_shape_map()}
        (good,) = (name for name in kept if name.endswith("loss_scale/good_steps"))
        end = "/.ATTRIBUTES/VARIABLE_VALUE"
        scale = state.get_tensor(good.replace("good_steps", "current_loss_scale") + end)
        return int(state.get_tensor(f"average/updates{end}")), int(state.get_tensor(good + end)), float(scale)

    run, _ = train(recipe, dataset.folder, "half", Options(steps=4, evaluate_every=4), print)
    updates, good, scale = counted(run)
    assert updates == 4
    assert good <= 4, "fewer when one overflowed, and the scale was halved"
    run, _ = resume("half", None, None, Options(evaluate_every=4), 5, False, print)
    assert counted(run) == (5, good + 1, scale)
