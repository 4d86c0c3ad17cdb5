"""A training: reproducible, resumed where it was killed, and stopped with a reason when its loss breaks."""

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sealpin.cli import main
from sealpin_edge.errors import InputError, SealpinError
from sealpin_training.dataset.manifest import Dataset, load_dataset
from sealpin_training.evaluation.evaluate import evaluate
from sealpin_training.evaluation.predict import trained_predictor
from sealpin_training.fit import Fit, Limits
from sealpin_training.registry import deployed
from sealpin_training.resume import resume
from sealpin_training.run import STORE, Run, State, load_run
from sealpin_training.standing import locked
from sealpin_training.tasks.detect.recipe import load_recipe
from sealpin_training.tracking import mlflow_client, read_metrics
from sealpin_training.train import Options, train

from .conftest import small_recipe
from .shallow import PROGRAM, environment

pytestmark = pytest.mark.usefixtures("shallow_networks")
STEPS = 12
EVERY = Options(evaluate_every=4)
LONGER = (("num_steps: 8", f"num_steps: {STEPS}"), ("total_steps: 8", f"total_steps: {STEPS}"))


def weights(run: Run, which: str = "last") -> dict[str, Any]:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(run.weights(which)))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("model/")}


def told(run: Run) -> list[tuple[int, dict[str, float]]]:
    """What was reported of training and val, without what a clock measured."""
    return [
        (entry["step"], {k: v for k, v in entry["metrics"].items() if "per_second" not in k})
        for entry in read_metrics(run.metrics_log)
        if not any(name.startswith("system/") for name in entry["metrics"])
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shallow_networks: None) -> Any:
    """A folder for mlruns/, and in it one uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def whole(place: Path, dataset: Dataset) -> Run:
    said: list[str] = []
    run, evaluation = train(small_recipe(place, *LONGER), dataset.folder, "whole", EVERY, said.append)
    assert evaluation.parts == dataset.counts["val"]
    assert said == []
    return run


@pytest.fixture(scope="module")
def wider(place: Path, dataset: Dataset) -> Run:
    """A run of a wider network, whose weights are averaged."""
    (place / "wider").mkdir()
    recipe = small_recipe(
        place / "wider",
        ("depth_multiplier: 0.35", "depth_multiplier: 0.5"),
        ("use_moving_average: false", "use_moving_average: true moving_average_decay: 0.5"),
    )
    return train(recipe, dataset.folder, "wider", Options(evaluate_every=8), print)[0]


def copied(run: Run, name: str) -> Run:
    """A copy of a run, for what changes it, with the MLflow run that `run` names."""
    shutil.copytree(run.folder, run.folder.with_name(name))
    replace(run, name=name).save()
    return load_run(name)


@pytest.fixture(scope="module", autouse=True)
def networks_are_built_once() -> Iterator[None]:
    """What a checkpoint becomes is kept for the next evaluation or comparison of it."""
    made: dict[Path, Any] = {}

    def once(run: Run, which: str = "best") -> Any:
        path = run.weights(which).absolute()
        if path not in made:
            made[path] = trained_predictor(run, which)
        return made[path]

    with pytest.MonkeyPatch.context() as patched:
        for module in ("evaluate", "compare"):
            patched.setattr(f"sealpin_training.evaluation.{module}.trained_predictor", once)
        yield


def test_a_run_holds_everything_to_repeat_it(whole: Run, dataset: Dataset) -> None:
    from tensorflow.python.framework import config

    assert config.is_op_determinism_enabled(), "a GPU has faster ways, which round otherwise each time"
    state = State.load(whole)
    assert (state.status, state.step, state.evaluated_step) == ("finished", STEPS, STEPS)
    assert state.best_step in {4, 8, 12}
    assert load_run("whole") == whole
    assert whole.dataset_digest == dataset.digest
    assert whole.recipe().train.num_steps == STEPS
    assert {"tensorflow", "git_commit", "processor", "cores", "python"} <= set(whole.environment)
    assert (whole.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list(whole.checkpoints.rglob("events.out.tfevents.*"))
    steps = [step for step, metrics in told(whole) if "val/AP" in metrics]
    assert steps == [4, 8, 12]
    kept = {file.stem for file in (whole.folder / "weights").glob("*.index")}
    assert kept == {f"ckpt-{STEPS}", f"ckpt-{state.best_step}"}
    index = whole.folder / f"weights/ckpt-{state.best_step}.index"
    assert state.best_sha256 == hashlib.sha256(index.read_bytes()).hexdigest()


def test_mlflow_has_the_run_with_metrics_by_step(whole: Run, place: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    run = client.get_run(whole.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "0"
    assert run.data.tags["dataset_digest"] == whole.dataset_digest
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.digest, given.dataset.source_type) == (whole.dataset_digest[:36], "local")
    assert mlflow.data.get_source(given).uri == whole.dataset
    history = client.get_metric_history(whole.run_id, "val/AP")
    assert sorted(entry.step for entry in history) == [4, 8, 12]
    assert "curves.png" in {file.path for file in client.list_artifacts(whole.run_id)}


def test_the_same_seed_gives_the_same_weights_also_of_a_run_that_was_killed_before_its_first_checkpoint(
    whole: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins again, and it is measured how long it will take: those steps must leave no trace."""
    from sealpin_training import fit

    monkeypatch.setattr(fit, "_MEASURED_FROM", 0)
    early = place / "mlruns/runs/early"
    early.mkdir()
    (early / "recipe.config").write_bytes((whole.folder / "recipe.config").read_bytes())
    (early / "run.json").write_text((whole.folder / "run.json").read_text().replace('"whole"', '"early"'))
    said: list[str] = []
    run, _ = resume("early", None, None, Options(), None, False, said.append)
    assert said[0] == f"resuming early at step 0 of {STEPS}"
    assert re.fullmatch(r".*s a step here, .*12 steps take .*, 120,000 .*", said[1])
    assert len(said) == 2
    assert told(run) == told(whole), "evaluated as often as it was begun with"
    first, second = weights(whole), weights(run)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_evaluate_reports_and_chooses_thresholds_on_val_only(whole: Run, place: Path) -> None:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["evaluate", "whole", *words])

    first = run("--split", "val", "--report", "val.html", "--json")
    assert first.exit_code == 0, first.output
    answered = json.loads(first.stdout)
    assert answered["escapes_per_1000"]["parts"] + answered["false_rejects_per_1000"]["parts"] == answered["parts"]
    page = (place / "val.html").read_text()
    assert [file.path for file in mlflow_client(place / "mlruns").list_artifacts(whole.run_id, "evaluation")] == [
        "evaluation/val.html"
    ]
    assert page.count("<img") >= 3
    assert "so that they flatter" in page
    assert "so that they flatter" in run("--split", "val").stdout
    assert "so that they flatter" not in run("--split", "test").stdout
    assert "<details><summary>as a table" in page
    assert all(f">{name}<" in page for name in whole.classes)
    kept = json.loads((whole.folder / "evaluation_val.json").read_text())
    assert len(kept["by_threshold"]) == 19
    assert len(kept["precision_at_recall"]["burr"]) == 101
    strict = json.loads(run("--split", "val", "--max-false-rejects", "0", "--json").stdout)
    assert strict["false_rejects"] == 0
    assert json.loads((whole.folder / "evaluation_val.json").read_text())["thresholds"] == strict["thresholds"]
    assert json.loads(run("--split", "test", "--json").stdout)["thresholds"] == strict["thresholds"]
    assert json.loads(run("--split", "val", "--json").stdout)["thresholds"] == strict["thresholds"], "until anew"
    assert run("--report", "nowhere/page.html").exit_code == 2
    assert run("--split", "test", "--escape-cost", "5").exit_code == 2
    assert run("--split", "val", "--escape-cost", "5", "--threshold", "0.5").exit_code == 2
    assert run("--split", "val", "--escape-cost", "5").exit_code == 0


def test_runs_are_compared_and_one_is_promoted(whole: Run, wider: Run, place: Path) -> None:
    told = CliRunner().invoke(main, ["compare", "whole", "wider", "--report", "compare.html"])
    assert told.exit_code == 0, told.output
    assert re.search(r"model.ssd.feature_extractor.depth_multiplier +0.35 +0.5", told.stdout)
    assert "train_config.num_steps" in told.stdout
    assert "batch_size" not in told.stdout
    page = (place / "compare.html").read_text()
    assert page.count("<img") == 1
    assert page.index("depth_multiplier") < page.index("Figures on val") < page.index("AP50") < page.index("<img")
    assert told.stdout.index("depth_multiplier") < told.stdout.index("AP50")
    assert re.search(r"wider against whole: .*\d+ photos", told.stdout) and "wider against whole" in page
    document = json.loads(CliRunner().invoke(main, ["compare", "whole", "wider", "--json"]).stdout)
    narrow, wide = document["runs"]
    assert narrow["escapes_per_1000"]["parts"] > 0
    assert set(narrow["by_category"]) <= set(whole.classes)
    (apart,) = document["apart"]
    assert (apart["run"], apart["base"], apart["photos"]) == ("wider", "whole", whole.load_dataset().counts["val"])
    assert apart["low"] <= apart["gain"] <= apart["high"]
    assert 0 <= document["others_load"] <= 1
    assert wide["parameters"] > narrow["parameters"]
    assert narrow["ms_per_photo"] > 0
    assert CliRunner().invoke(main, ["compare", "whole", "nobody"]).exit_code == 2
    promoted = json.loads(CliRunner().invoke(main, ["promote", "whole", "--product", "pin & roller", "--json"]).stdout)
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    version = client.get_model_version_by_alias("pin & roller", "candidate")
    assert (version.run_id, int(version.version)) == (whole.run_id, promoted["version"])
    assert deployed(whole.run_id, {"line1": "3-abc", "line2": "3-abc"}) == ""
    for alias in ("champion", "on-line1", "on-line2"):
        assert client.get_model_version_by_alias("pin & roller", alias).version == version.version
    other = json.loads(CliRunner().invoke(main, ["promote", "wider", "--json"]).stdout)
    assert (other["model"], other["version"]) == (Path(wider.dataset).name, 1), "each product has a model of its own"
    for name in ("a/b", "a:b", " ", "it's"):
        assert CliRunner().invoke(main, ["promote", "wider", "--product", name]).exit_code == 2
    assert client.get_run(whole.run_id).data.tags["deployed.line2"] == "3-abc"
    assert deployed(wider.run_id, {"line1": "4-abc"}) == ""
    assert client.get_model_version_by_alias(Path(wider.dataset).name, "on-line1").run_id == wider.run_id
    before = client.get_run(whole.run_id).data.tags
    assert "deployed.line1" not in before
    assert before["deployed_before.line1"].startswith("3-abc until 20")
    assert client.get_run(wider.run_id).data.tags["deployed.line1"] == "4-abc"
    assert deployed("0" * 32, {"line1": "4-abc"}) != "" != deployed("", {"line1": "4-abc"})
    assert client.get_model_version_by_alias("pin & roller", "champion").version == version.version
    listed = json.loads(CliRunner().invoke(main, ["runs", "list", "--json"]).stdout)["runs"]
    assert {"whole", "wider"} <= {run["run"] for run in listed}
    assert CliRunner().invoke(main, ["runs", "sync", "whole"]).exit_code == 0


def test_a_run_that_was_stopped_in_every_way_is_the_run_that_it_would_have_been(
    whole: Run, place: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, twice at once; kill -9; SIGTERM; then its newest state is damaged."""
    from sealpin_training import progress

    monkeypatch.setattr(progress, "FIRST_LINE_S", 0)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)
    recipe = small_recipe(place, *LONGER)
    folder = place / "mlruns/runs/asked"

    def end_after(step: int, signals: list[signal.Signals], *words: str) -> tuple[int, Result]:
        """The signals come at the worst moment: the step is done, and nobody has been told of it."""
        report = Fit._report

        def report_late(fit: Fit, outputs: dict[str, Any]) -> None:
            if fit.step >= step:
                for number in signals:
                    os.kill(os.getpid(), number)
            report(fit, outputs)

        with monkeypatch.context() as patch:
            patch.setattr(Fit, "_report", report_late)
            ended = CliRunner().invoke(main, ["train", "--run", "asked", *words])
        found = re.search(r"stopped at (\d+) of 12; go on: sealpin train --run asked --resume\n$", ended.stderr)
        assert found, ended.stderr
        at = int(found[1])
        assert at == step
        assert (folder / f"checkpoints/ckpt-{at}.index").exists()
        listed = CliRunner().invoke(main, ["runs", "list"]).stdout
        said = "not evaluated yet" if at < 4 else "AP "
        assert re.search(rf"asked +interrupted step +{at} of +12  {said}", listed), listed
        return at, ended

    begin = [str(recipe), "--dataset", str(dataset.folder), "--evaluate-every", "4"]
    _, ended = end_after(2, [signal.SIGINT, signal.SIGINT], *begin)
    assert ended.exit_code == 130, ended.output

    process = subprocess.Popen([*PROGRAM, "train", "--run", "asked", "--resume"], cwd=place, env=environment())
    deadline = time.monotonic() + 240
    while not (folder / "checkpoints/ckpt-4.index").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert State.load(load_run("asked")).status == "running"

    at, ended = end_after(6, [signal.SIGTERM], "--resume")
    assert ended.exit_code == 143, ended.output
    assert re.search(
        r"train: step \d+ of 12, loss \d.*, learning rate 0\.0.*, [\d.]+ step/s, about \d+ s left", ended.stderr
    )

    data = folder / f"checkpoints/ckpt-{at}.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1000])
    said: list[str] = []
    run, _ = resume("asked", None, None, Options(), None, False, said.append)
    assert said[0].startswith(f"damaged: ckpt-{at}: its data are cut off\n")
    found = re.search(r"going on from the newest whole checkpoint, of step (\d+)", said[0])
    assert found
    assert 4 <= int(found[1]) < at
    assert said[1] == f"resuming asked at step {found[1]} of 12"
    assert (State.load(run).status, State.load(run).step) == ("finished", 12)
    assert told(run) == told(whole), "nothing is reported or judged twice"
    first, second = weights(whole), weights(run)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    import tensorflow as tf

    one, other = (tf.train.load_checkpoint(str(each.checkpoints / "ckpt-12")) for each in (whole, run))
    saved = {name for name in one.get_variable_to_shape_map() if not re.search("GRAPH|save_counter", name)}
    assert all(np.array_equal(one.get_tensor(name), other.get_tensor(name)) for name in saved)
    for file in run.checkpoints.glob("ckpt-*.index"):
        file.write_bytes(b"")
    replace(State.load(run), status="running").save(run)
    with pytest.raises(
        InputError, match=r"no state that it could go on from(.|\n)*--start-from mlruns/runs/asked/weights"
    ):
        resume("asked", None, None, Options(), None, False, said.append)


def test_a_finished_run_is_extended_and_changed_only_when_told_so_and_goes_on_when_it_was_killed(
    whole: Run, place: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sealpin_training.fit import Fit

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    run = copied(whole, "extended")
    with pytest.raises(InputError, match="finished"):
        resume("extended", None, None, EVERY, None, False, print)
    with locked("extended", STORE, "tidying"), pytest.raises(InputError, match=r"another process(.|\n)*tidying"):
        resume("extended", None, None, EVERY, 16, False, print)
    with pytest.raises(InputError, match="--extend"):
        resume("extended", None, None, EVERY, 8, False, print)
    (place / "other").mkdir()
    other = small_recipe(place / "other", ("batch_size: 4", "batch_size: 2"))
    with pytest.raises(InputError, match="--accept-changes"):
        resume("extended", other, None, EVERY, 16, False, print)
    path = run.folder / "run.json"
    path.write_text(path.read_text().replace(run.dataset_digest, "0" * 64))
    with pytest.raises(InputError, match="dataset is not the one"):
        resume("extended", None, None, EVERY, 16, False, print)
    (place / "wide").mkdir()
    wide = small_recipe(place / "wide", ("depth_multiplier: 0.35", "depth_multiplier: 0.5"))
    with pytest.raises(InputError, match="network is not the one"):
        resume("extended", wide, dataset.folder, EVERY, 16, True, print)
    assert load_run("extended").recipe().extractor.depth_multiplier == pytest.approx(0.35), "nothing was changed"
    with monkeypatch.context() as patched:
        newer = shutil.copy("mlruns/mlflow.db", place / "newer.db")
        with closing(sqlite3.connect(newer)) as database:
            database.executescript("UPDATE alembic_version SET version_num = 'f00dfeedcafe'")
        patched.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{newer}")
        with pytest.raises(InputError, match="written by a newer MLflow"):  # before long work
            resume("extended", None, dataset.folder, EVERY, 16, True, print)
    with monkeypatch.context() as patched:
        patched.setattr(Fit, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            resume("extended", other, dataset.folder, EVERY, 16, True, print)
    run, _ = resume("extended", None, None, EVERY, None, False, print)
    assert len(run.resumed) == 2
    state = State.load(run)
    assert (state.status, state.step, run.evaluation("val")["step"]) == ("finished", 16, state.best_step)
    assert [step for step, metrics in told(run) if "val/AP" in metrics] == [4, 8, 12, 16]
    assert (run.recipe().train.num_steps, run.recipe().train.batch_size) == (16, 2)
    assert run.dataset_digest == dataset.digest


def test_a_loss_that_breaks_names_step_photos_and_checkpoint(place: Path, dataset: Dataset) -> None:
    rise = "manual_step_learning_rate { schedule { step: 6 learning_rate: 1e30 } initial_learning_rate: 1e-6 }"
    recipe = small_recipe(place, *LONGER)
    text = recipe.read_text()
    start, end = text.index("cosine_decay_learning_rate"), text.index("}", text.index("cosine_decay_learning_rate")) + 1
    recipe.write_text(text[:start] + rise + text[end:])
    with pytest.raises(SealpinError, match="no number any more") as caught:
        train(recipe, dataset.folder, "broken", EVERY, print)
    text = str(caught.value)
    step = int(text.partition("step ")[2].split()[0])
    assert 7 < step <= 9
    assert text.count(".jpg (") == 4, "the four photos of the batch, each with its boxes"
    assert re.search(r"\((burr|spatter) \d+,\d+ to \d+,\d+", text)
    assert "--start-from mlruns/runs/broken/checkpoints/ckpt-4" in text
    assert not isinstance(caught.value, InputError)


def test_a_batch_that_memory_cannot_hold_is_refused_with_one_that_fits(place: Path, dataset: Dataset) -> None:
    with pytest.raises(InputError, match=r"does not fit into the memory(.|\n)*at most \d+"):
        train(small_recipe(place, ("batch_size: 4", "batch_size: 10000000")), dataset.folder, "huge", EVERY, print)
    assert not (place / "mlruns/runs/huge").exists()


def test_a_training_tells_what_breaks_within_tensorflow_in_words(
    place: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real training, of which only the steps are others: they read the first batches, or find no memory."""
    import tensorflow as tf

    from sealpin_training import fit
    from sealpin_training.input import TrainingPhotos

    folder = Path(shutil.copytree(dataset.folder, place / "flipped"))
    (shard,) = folder.glob("train-*.tfrecord")
    shard.write_bytes(shard.read_bytes()[:-100] + bytes([shard.read_bytes()[-100] ^ 1]) + shard.read_bytes()[-99:])
    kept: list[float] = []
    monkeypatch.setattr(fit, "check_memory", lambda *_: 7e6)
    monkeypatch.setattr(TrainingPhotos, "keep_at_most", lambda photos, size: kept.append(size))
    recipe = load_recipe(small_recipe(place))
    training = Fit(recipe, load_dataset(folder), place / "never", 0, None, Limits(4))
    assert kept == [7e6], "photos are kept in what a step leaves free"

    def read(fit: Fit, tell: object) -> None:
        list(fit._loop.batches(0, 0))

    def too_much(fit: Fit, tell: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[4,9,9,8] on CPU")

    run = Run("never", "", "", "", 0, dataset.classes, "", "", "", 1, None, "")
    for steps, told_of in (
        (too_much, "train_config.batch_size: the memory is too small for this batch"),
        (read, rf"{re.escape(str(shard))}: record {dataset.counts['train'] - 1}"),
    ):
        monkeypatch.setattr(Fit, "_train", steps)
        with pytest.raises(SealpinError, match=told_of):
            training.run(run, None, State(), print)


def test_averaged_weights_are_evaluated_and_kept(wider: Run) -> None:
    import tensorflow as tf

    latest = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(wider.checkpoints)))
    kept = weights(wider)
    name = next(name for name in kept if name.endswith("beta/.ATTRIBUTES/VARIABLE_VALUE"))
    assert not np.array_equal(kept[name], latest.get_tensor(name.removeprefix("model/_"))), (
        "the network's own weights are others"
    )


@pytest.mark.parametrize(
    ("setting", "told_of"),
    [("sqlite:////dev/null/mlflow.db", "MLflow cannot be reached"), ("nonsense://x", "MLflow cannot be reached")],
)
def test_a_wrong_tracking_address_is_told_before_anything_is_there(
    place: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, setting: str, told_of: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", setting)
    with pytest.raises(InputError, match=told_of):
        train(small_recipe(place), dataset.folder, "lost", EVERY, print)
    assert not (place / "mlruns/runs/lost").exists()


def test_a_run_starts_from_another_run_in_the_place_of_a_third_and_hours_end_it_early(
    whole: Run, place: Path, dataset: Dataset
) -> None:
    third = copied(replace(whole, run_id="0" * 32), "second")

    def of_third() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(third.folder.rglob("*")) if path.is_file()}

    before = of_third()
    for options, told_of in (
        (Options(), "there is a run of this name"),
        (Options(force=True, start_from="second"), "cannot start from the one whose place it takes"),
        (Options(force=True, batch_size=10_000_000), "does not fit into the memory"),
    ):
        with pytest.raises(InputError, match=told_of):
            train(small_recipe(place), dataset.folder, "second", options, print)
        assert of_third() == before
    third.folder.rename(third.folder.with_name(".second.replaced"))  # as a kill before the first checkpoint leaves it
    third.folder.mkdir()
    with pytest.raises(InputError, match="there is a run of this name"):
        train(small_recipe(place), dataset.folder, "second", Options(), print)
    assert of_third() == before
    said: list[str] = []
    options = Options(max_hours=1e-9, start_from="whole", batch_size=2, learning_rate=0.004, force=True)
    recipe = small_recipe(place)
    run, _ = train(recipe, dataset.folder, "second", options, said.append)
    assert [line.split()[0] for line in said[:2]] == ["--batch-size", "--learning-rate"]
    assert (run.recipe().train.batch_size, run.recipe().highest_learning_rate) == (2, pytest.approx(0.004))
    assert mlflow_client(place / "mlruns").get_run(run.run_id).data.params["batch_size"] == "2"
    assert said[2].startswith("starting from mlruns/runs/whole (run whole): loaded backbone")
    kept = json.loads((run.folder / "warm_start.json").read_text())
    assert kept["type"] == "detection"
    assert all(name.startswith("_feature_extractor/") for name in kept["loaded"])
    assert {name.partition("/")[0] for name in kept["new"]} == {"_box_predictor"}
    assert State.load(run).status == "stopped"
    assert "hours are over" in said[-2]
    assert said[-1].startswith("the old run is removed, but not from MLflow: ")
    assert not list(run.folder.parent.glob(".second.*re*"))
    assert run.weights("best").with_suffix(".index").exists()


def test_bfloat16_computes_in_it_and_keeps_float32_weights_and_patience_ends_a_run_early(
    whole: Run, place: Path, dataset: Dataset
) -> None:
    recipe = small_recipe(
        place,
        ("batch_size: 4", "batch_size: 4 mixed_precision: BFLOAT16"),
        ("warmup_learning_rate: 0.0008", "warmup_learning_rate: 1e-9"),
        ("learning_rate_base: 0.008", "learning_rate_base: 1e-9"),
    )
    said: list[str] = []
    options = Options(evaluate_every=2, patience=1, steps=40)
    run, evaluation = train(recipe, dataset.folder, "patient", options, said.append)
    state = State.load(run)
    assert state.status == "stopped"
    assert state.step < 40
    assert "has not risen" in said[-1]
    assert {value.dtype for value in weights(run).values()} == {np.dtype(np.float32)}
    assert evaluation.metrics["AP"] >= 0
    again = evaluate(run, "val")
    assert again.as_dict() == evaluation.as_dict(), "thresholds come from what is exported: the network in float32"
    plain, half = (
        next(metrics["train/model_loss"] for _, metrics in told(one) if "train/model_loss" in metrics)
        for one in (whole, run)
    )
    assert half != plain
    assert half == pytest.approx(plain, rel=0.05)
