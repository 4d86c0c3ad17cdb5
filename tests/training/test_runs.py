"""Runs on disk: how far they are, by whom they are being trained, from elsewhere, renamed, removed, and in MLflow."""

import hashlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealpin_edge.cli.program import check_place
from sealpin_edge.errors import InputError
from sealpin_edge.files import new_folder
from sealpin_training.checkpoints import damage, newest_whole, set_aside, steps_saved
from sealpin_training.dataset.manifest import Dataset
from sealpin_training.dataset.split import SPLITS
from sealpin_training.interrupt import Interrupts
from sealpin_training.overrides import overridden
from sealpin_training.registry import log_export, promote
from sealpin_training.run import Run, State, load_run, write_json
from sealpin_training.standing import TRAINING, locked, trained_run
from sealpin_training.start import find_checkpoint
from sealpin_training.tasks.detect.recipe import load_recipe
from sealpin_training.tasks.detect.recipe.text import pipeline_text
from sealpin_training.tasks.detect.warmstart import warm_start
from sealpin_training.tracking import mlflow_client, open_tracking, start_tracking
from tests.commands import invoke

from .conftest import small_recipe

STEPS = 8
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


pytestmark = pytest.mark.usefixtures("shallow_networks")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, shallow_networks: None) -> Path:
    """mlruns/ with one run as a training leaves it, though nothing was trained."""
    import tensorflow as tf

    from sealpin_training.tasks.detect.network.model import build_network

    folder = tmp_path_factory.mktemp("made")
    recipe = load_recipe(small_recipe(folder))
    run = Run(
        "first", "", "small_96x96", "0" * 64, 0, dataset.classes, str(dataset.folder), dataset.digest, "sealpin train",
        4, None, "", store=folder / "mlruns",
    )  # fmt: skip
    for name in ("weights", "checkpoints"):
        (run.folder / name).mkdir(parents=True)
    model = build_network(recipe)
    step = tf.Variable(STEPS, dtype=tf.int64)
    tf.train.Checkpoint(model=model, global_step=step).write(str(run.folder / f"weights/ckpt-{STEPS}"))
    state = tf.train.Checkpoint(model=model, global_step=step, **model.checkpoint_items)
    for saved in (4, STEPS):
        state.write(str(run.checkpoints / f"ckpt-{saved}"))
    (run.folder / "recipe.config").write_text(pipeline_text(recipe.pipeline))
    run.save()
    State("running", 4, 3.0, 4, 4, 0.25).save(run)
    return run.store


@pytest.fixture
def store(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, beside which the program is called."""
    shutil.copytree(made, tmp_path / "mlruns")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "mlruns"


def tell_progress(run: Run, *steps: int) -> None:
    metrics = {"train/total_loss": 1.0, "train/steps_per_second": 0.5}
    entries = [json.dumps({"step": step, "time_ms": step, "metrics": metrics}) for step in steps]
    run.metrics_log.write_text("".join(entry + "\n" for entry in entries))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[:-3],
    "empty": lambda _: b"",
    "zeros": lambda data: bytes(len(data)),
    "flipped": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :],
}


@pytest.fixture(scope="module")
def two_states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("states")
    state = tf.train.Checkpoint(a=tf.Variable(np.arange(3000, dtype=np.float32)), b=tf.Variable(7, dtype=tf.int64))
    manager = tf.train.CheckpointManager(state, str(folder), max_to_keep=2)
    for step in (4, 8):
        manager.save(step)
    return folder


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("how", [*DAMAGES, "missing"])
def test_a_damaged_state_is_passed_over_for_an_older_one(
    two_states: Path, tmp_path: Path, how: str, suffix: str
) -> None:
    import tensorflow as tf

    folder = Path(shutil.copytree(two_states, tmp_path / "states"))
    file = folder / f"ckpt-8.{suffix}"
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(DAMAGES[how](file.read_bytes()))
    found = newest_whole(folder)
    assert found.newest == folder / "ckpt-4"
    assert list(found.damaged) == ["ckpt-8"]
    assert found.damaged["ckpt-8"]
    set_aside(folder, found)
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "ckpt-4")
    assert steps_saved(folder) == [4]
    assert len(list(folder.glob("damaged_ckpt-8.*"))) == (1 if how == "missing" else 2)


def test_a_lost_list_of_states_loses_no_state(two_states: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    folder = Path(shutil.copytree(two_states, tmp_path / "states"))
    (folder / "checkpoint").write_bytes(b"")
    found = newest_whole(folder)
    assert (found.step, found.damaged) == (8, {})
    set_aside(folder, found)
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "ckpt-8")


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), which=st.sampled_from(["index", "data-00000-of-00001"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_flipped_bit_of_a_state_is_missed(
    two_states: Path, tmp_path: Path, place: int, bit: int, which: str
) -> None:
    import tensorflow as tf

    for file in two_states.glob("ckpt-8.*"):
        shutil.copy(file, tmp_path)
    file = tmp_path / f"ckpt-8.{which}"
    data = bytearray(file.read_bytes())
    data[place % len(data)] ^= 1 << bit
    assert damage(two_states / "ckpt-8") == ""
    file.write_bytes(data)
    if not damage(tmp_path / "ckpt-8"):  # it is one that nothing reads: the index's footer is padded
        whole, read = (tf.train.load_checkpoint(str(folder / "ckpt-8")) for folder in (two_states, tmp_path))
        assert read.get_variable_to_shape_map() == whole.get_variable_to_shape_map()
        assert all(np.array_equal(read.get_tensor(name), whole.get_tensor(name)) for name in ("a" + VALUE, "b" + VALUE))


def test_a_run_starts_from_whatever_a_run_has_saved(store: Path) -> None:
    from sealpin_training.checkpoints import restore
    from sealpin_training.tasks.detect.network.model import build_network, named_variables

    run = load_run("first")
    State("finished", STEPS, 3.0, STEPS, STEPS, 0.25).save(run)
    (run.checkpoints / "ckpt-12.index").write_bytes(b"")  # the newest is damaged
    model = build_network(run.recipe())
    restore(model, run.weights())
    expected = {name: variable.numpy() for name, variable in named_variables(model).items()}
    folder = "mlruns/runs/first"
    for named in (
        "first", folder, f"{folder}/weights", f"{folder}/weights/ckpt-8", f"{folder}/weights/ckpt-8.index",
        f"{folder}/checkpoints", f"{folder}/checkpoints/ckpt-4", f"{folder}/checkpoints/ckpt-8.data-00000-of-00001",
    ):  # fmt: skip
        path = find_checkpoint(named, Path())
        if path == Path(folder):
            continue  # as a run is read: test_training.py
        for variable in model.variables:
            variable.assign(variable * 0)
        told = warm_start(run.recipe(), model, path, "full")
        assert (set(told.loaded), told.new, told.unused) == (set(expected), (), ()), named
        assert (told.kind == "weights of a run") == ("weights" in named)
        assert all(np.array_equal(value, expected[name]) for name, value in named_variables(model).items()), named


def test_damaged_weights_are_told_wherever_they_are_used(store: Path) -> None:
    run = load_run("first")
    State("finished", STEPS, 3.0, STEPS, STEPS, 0.25).save(run)
    data = run.folder / f"weights/ckpt-{STEPS}.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-100])
    judged = {"step": STEPS, "metrics": {"AP": 0.2, "AP50": 0.4}, "thresholds": dict.fromkeys(run.classes, 0.5)}
    judged["threshold_chosen"] = "given"
    write_json(run.folder / "evaluation_val.json", judged)
    with pytest.raises(InputError, match="checkpoint is damaged"):
        promote(run)
    for words in (["evaluate", "first"], ["compare", "first"]):
        told = invoke(*words)
        assert told.exit_code == 2, told.output
        assert "checkpoint is damaged" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "first"), ("export", "first", "--out", "out"), ("train", "--run", "first", "--resume"),
        ("promote", "first"), ("compare", "first"), ("runs", "remove", "first", "--yes"),
        ("runs", "rename", "first", "second"),
    ],
)  # fmt: skip
def test_whatever_is_asked_of_a_run_that_trains_says_how_far_it_is(store: Path, words: tuple[str, ...]) -> None:
    run = load_run("first")
    tell_progress(run, 2, 6)
    with locked("first", Path("mlruns"), TRAINING):
        told = invoke(*words)
        shown = invoke("runs", "show", "first")
    assert told.exit_code == 2, told.output
    assert "first: still training\n" in told.stderr
    assert "step 6 of 8, about 4 s left" in told.stderr
    assert "next:    sealpin runs show first\n" in told.stderr
    assert "training, step 6 of 8, about 4 s left" in shown.stdout
    assert run.folder.exists()


def test_a_run_that_is_being_set_up_is_told_as_well(store: Path) -> None:
    with locked("new", Path("mlruns"), TRAINING):
        told = invoke("evaluate", "new")
    assert (told.exit_code, "still training" in told.stderr, "being set up" in told.stderr) == (2, True, True)


def test_the_list_says_what_became_of_a_run(store: Path) -> None:
    run = load_run("first")
    assert "interrupted step       8 of       8  AP 0.250, weights of step 4" in invoke("runs", "list").stdout
    State().save(run)
    shutil.rmtree(run.checkpoints)
    assert "interrupted step       0 of       8  not evaluated yet" in invoke("runs", "list").stdout
    told = json.loads(invoke("runs", "list", "--json").stdout)["runs"][0]
    assert (told["status"], told["step"], told["best_score"]) == ("interrupted", 0, None)
    State("finished", 8, 1.0, 8, 8, 0.0).save(run)
    assert "finished    step       8 of       8  AP 0.000, weights of step 8" in invoke("runs", "list").stdout
    with locked("first", Path("mlruns"), TRAINING):
        assert "training    step       0 of" in invoke("runs", "list").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "first"), ("export", "first", "--out", "out"), ("compare", "first"), ("promote", "first"),
        ("train", "--run", "first", "--resume"), ("runs", "show", "first"), ("runs", "rename", "first", "second"),
        ("runs", "remove", "first", "--yes"), ("runs", "sync", "first"),
    ],
)  # fmt: skip
def test_in_another_folder_there_are_no_runs_and_one_can_name_theirs(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    told = invoke(*words)
    assert told.exit_code == 2
    assert "there is no mlruns/ here" in told.stderr
    assert "--mlruns DIR" in told.stderr
    assert list(elsewhere.iterdir()) == []
    with locked("first", store, TRAINING):
        told = invoke(*words, "--mlruns", store)
    if words[1] != "show" and words[1] != "sync":
        assert f"next:    sealpin runs show first --mlruns {store}" in told.stderr
    assert list(elsewhere.iterdir()) == []


def test_the_list_elsewhere_says_that_there_are_none(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store)
    assert "there is no mlruns/ here" in invoke("runs", "list").stdout
    assert "first" in invoke("runs", "list", "--mlruns", ".").stdout


def test_a_dataset_that_was_moved_is_named_and_must_be_the_same(store: Path, dataset: Dataset, tmp_path: Path) -> None:
    run = load_run("first")
    State("finished", STEPS, 3.0, STEPS, STEPS, 0.25).save(run)
    replace(run, dataset=str(tmp_path / "gone")).save()
    write_json(
        run.folder / "evaluation_val.json", {"step": STEPS, "threshold": 0.4, "threshold_chosen": "", "metrics": {}}
    )
    for words in (("evaluate", "first"), ("export", "first", "--out", "out"), ("train", "--run", "first", "--resume", "--extend", 9)):  # fmt: skip  # noqa: E501
        told = invoke(*words)
        assert told.exit_code == 2, told.output
        assert f"{tmp_path / 'gone'}: the dataset of this run is not where it was" in told.stderr
        assert "--dataset" in told.stderr
    moved = Path(shutil.copytree(dataset.folder, tmp_path / "moved"))
    assert trained_run("first", dataset=moved).load_dataset().folder == moved
    listed = moved / "dataset.json"
    listed.write_text(listed.read_text().replace(dataset.digest, "0" * 64))
    for words in (("evaluate", "first"), ("export", "first", "--out", "out"), ("train", "--run", "first", "--resume", "--extend", 9)):  # fmt: skip  # noqa: E501
        told = invoke(*words, "--dataset", moved)
        assert told.exit_code == 2
        assert f"found:   digest {'0' * 12}" in told.stderr


def tracked(dataset: Dataset) -> Run:
    """The run, known to MLflow."""
    run = load_run("first")
    tracker = start_tracking(open_tracking(Path("mlruns")), "first", {}, {}, run.metrics_log)
    assert tracker.finish("FINISHED", [], {})
    run = replace(run, run_id=tracker.run_id)
    run.save()
    return run


def test_a_run_is_renamed_and_removed_in_mlflow_too(store: Path, dataset: Dataset) -> None:
    run = tracked(dataset)
    client = mlflow_client(store)
    model = store / "model.tflite"
    model.write_bytes(b"TFL3")
    page = store / "report.html"
    page.write_text("<p>proven")
    assert log_export(run, model, {"quantisation": "int8"}, [page]) == ""
    (output,) = client.get_run(run.run_id).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.status, logged.source_run_id, logged.model_type) == ("READY", run.run_id, "tflite")
    assert (logged.params["quantisation"], logged.tags["run"]) == ("int8", "first")
    assert {file.path for file in client.list_logged_model_artifacts(logged.model_id)} == {
        "model.tflite",
        "report.html",
    }
    assert [file.path for file in client.list_artifacts(run.run_id, "export")] == ["export/report.html"]

    assert invoke("runs", "rename", "first", "../x").exit_code == 2
    (store / "runs/taken").mkdir()
    assert "there is a run of this name" in invoke("runs", "rename", "first", "taken").stderr
    told = invoke("runs", "rename", "first", "second")
    assert told.exit_code == 0, told.output
    assert (load_run("second").name, client.get_run(run.run_id).info.run_name) == ("second", "second")
    assert invoke("runs", "show", "first").exit_code == 2

    told = invoke("runs", "remove", "second", given="n\n")
    assert told.exit_code != 0
    assert "remove mlruns/runs/second" in told.stderr
    assert load_run("second").folder.exists()
    client.set_tag(run.run_id, "deployed.line1", "3-abc")
    told = invoke("runs", "remove", "second", "--yes")
    assert told.exit_code == 0, told.output
    assert "the network on line1" in told.stdout
    assert not (store / "runs/second").exists()
    assert client.get_run(run.run_id).info.lifecycle_stage == "active"
    assert "removed" in client.get_run(run.run_id).data.tags


def test_a_removed_run_is_deleted_in_mlflow(store: Path, dataset: Dataset) -> None:
    run = tracked(dataset)
    assert invoke("runs", "remove", "first", given="y\n").exit_code == 0
    assert mlflow_client(store).get_run(run.run_id).info.lifecycle_stage == "deleted"
    assert [path.name for path in (store / "runs").iterdir() if path.is_dir()] == []


def test_options_override_the_recipe_and_say_so(dataset: Dataset, tmp_path: Path) -> None:
    recipe = load_recipe(small_recipe(tmp_path))
    said: list[str] = []
    changed = overridden(recipe, dataset, batch_size=3, learning_rate=0.004, epochs=5, steps=None, tell=said.append)
    steps = -(-5 * dataset.counts["train"] // 3)
    assert (changed.train.batch_size, changed.train.num_steps) == (3, steps)
    assert changed.highest_learning_rate == pytest.approx(0.004)
    before, after = recipe.schedule, changed.schedule
    assert after.warmup_learning_rate == pytest.approx(before.warmup_learning_rate * 0.004 / 0.008)  # type: ignore[union-attr]
    assert after.total_steps == steps  # type: ignore[union-attr]
    assert [line.split()[0] for line in said] == ["--batch-size", "--learning-rate", "--epochs"]
    assert all("overrides the recipe's" in line for line in said)
    (tmp_path / "recipe.config").write_text(pipeline_text(changed.pipeline))
    assert load_recipe(tmp_path / "recipe.config").schedule == after, "what --resume reads is the same"
    said.clear()
    assert (
        overridden(recipe, dataset, batch_size=4, learning_rate=None, epochs=None, steps=8, tell=said.append) == recipe
    )
    assert said == []


def test_outputs_that_are_there_are_overwritten_by_force_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    check_place(page, None, force=False, ending=".html")
    page.write_text("old")
    with pytest.raises(InputError, match=r"in the way(.|\n)*--force"):
        check_place(page, force=False, ending=".html")
    check_place(page, force=True, ending=".html")
    with pytest.raises(InputError, match="in the way"):
        check_place(tmp_path, force=True, ending=".html")
    with pytest.raises(InputError, match="no such folder"):
        check_place(tmp_path / "no/page.html", force=True, ending=".html")
    labels = tmp_path / "dataset.json"
    labels.write_text("labels")
    for command in ("evaluate", "compare"):
        for words in (("--report", page), ("--report", labels), ("--report", labels, "--force")):
            told = invoke(command, "x", *words)
            assert (told.exit_code, "in the way" in told.stderr) == (2, True), told.stderr
        assert "or with --force that of a .html file\n" in told.stderr
    out = tmp_path / "out"
    with new_folder(out) as folder:
        (folder / "gate.json").write_text("old")
    with pytest.raises(InputError, match="in the way"), new_folder(out):
        pass
    with pytest.raises(InputError, match="in the way"), new_folder(out, over="other.json"):
        pass
    with pytest.raises(RuntimeError), new_folder(out, over="gate.json"):
        raise RuntimeError
    assert (out / "gate.json").read_text() == "old"
    with new_folder(out, over="gate.json") as folder:
        (folder / "gate.json").write_text("new")
    assert (out / "gate.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_run_that_broke_does_not_lead_in_circles(store: Path) -> None:
    State("broken", 3, why="the loss broke at step 3").save(load_run("first"))
    told = invoke("evaluate", "first", "--split", "val")
    assert "this run broke before there was anything to judge" in told.stderr
    assert "the loss broke at step 3" in told.stderr
    assert next_command(told).startswith("sealpin train RECIPE "), "--resume would break again"


def test_signals_are_noted_where_they_cannot_end_the_work_at_once() -> None:
    import os
    import signal

    before = signal.getsignal(signal.SIGTERM)
    interrupts = Interrupts(at_once=False)
    with interrupts.taken():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert interrupts.asked == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


JUDGED = {"metrics": {"AP": 0.2, "AP50": 0.4}, "threshold_chosen": "given", "split": "val"}


@pytest.fixture
def finished(store: Path) -> Run:
    """The run as its training leaves it, in MLflow too, and judged on val by hand."""
    run = load_run("first")
    tracker = start_tracking(open_tracking(store), "first", {}, {}, run.metrics_log)
    run = replace(run, run_id=tracker.run_id).keep(run.recipe())
    State("finished", STEPS, 3.0, STEPS, STEPS, 0.25).save(run)
    judge(run, 0.5)
    assert tracker.finish("FINISHED", run.artifacts(), {})
    return run


def judge(run: Run, score: float) -> None:
    said = {**JUDGED, **run.identity(), "thresholds": dict.fromkeys(run.classes, score), "choice": {"escape_cost": 3.0}}
    write_json(run.folder / "evaluation_val.json", said, sealed=True)


def next_command(told: Result) -> str:
    assert told.exit_code == 2, told.output
    return told.stderr.partition("  next:    ")[2].strip()


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("recipe.config", "height: 96", "height: 128", "the recipe of this run was changed"),
        ("recipe.config", "score_threshold: 0.01", "score_threshold: 2.0", "the recipe of this run was changed"),
        ("run.json", '"burr",\n  "spatter"', '"spatter",\n  "burr"', "the classes of this run were changed"),
        ("state.json", '"best_score": 0.25', '"best_score": 0.95', "this file of a run is damaged"),
        ("state.json", '"best_score": 0.25', "", "this file of a run is damaged"),
    ],
)
def test_what_a_run_is_judged_and_exported_by_is_told_when_it_was_changed_and_put_back(
    finished: Run, name: str, old: str, new: str, problem: str
) -> None:
    file = finished.folder / name
    text = file.read_text()
    assert old in text, text
    file.write_text(text.replace(old, new))
    for words in (("evaluate", "first", "--split", "val"), ("export", "first", "--out", "out"), ("compare", "first")):
        told = invoke(*words)
        assert f"{file}: {problem}" in told.stderr
        command = next_command(told)
    subprocess.run(shlex.split(command), check=True)
    assert file.read_text() == text
    assert invoke("evaluate", "first", "--split", "val").exit_code == 0


def test_an_evaluation_that_was_changed_or_cut_is_no_rule_and_is_made_anew_by_force(finished: Run) -> None:
    file = finished.folder / "evaluation_val.json"
    text = file.read_text()
    unsealed = json.dumps({key: value for key, value in json.loads(text).items() if key != "sha256"})
    for damaged in (text.replace("0.5", "0.99"), unsealed.replace("0.5", "0.99"), text[:-40], ""):
        file.write_text(damaged)
        for words in (
            ("export", "first", "--out", "out"),
            ("evaluate", "first"),
            ("evaluate", "first", "--split", "val"),
            ("promote", "first"),
            ("train", "--run", "first", "--resume", "--extend", 9),
        ):
            told = invoke(*words)
            assert f"{file}: this file of a run is damaged" in told.stderr
            assert next_command(told) == "sealpin evaluate first --split val --force"
        assert file.read_text() == damaged
    told = invoke(*shlex.split(next_command(told))[1:], "--json")
    assert told.exit_code == 0, told.output
    assert finished.evaluation("val")["thresholds"] == json.loads(told.stdout)["thresholds"]
    assert finished.evaluation("val")["choice"]["escape_cost"] is None, "nothing of it is believed"
    judge(finished, 0.5)
    assert invoke("evaluate", "first", "--split", "val", "--force").exit_code == 0
    assert finished.evaluation("val")["choice"]["escape_cost"] == 3, "a sound one is gone on from"


def test_an_evaluation_of_another_runs_weights_or_of_another_recipe_is_told(finished: Run) -> None:
    weights = finished.folder / f"weights/ckpt-{STEPS}.index"
    kept = weights.read_bytes()
    weights.write_bytes((finished.checkpoints / "ckpt-4.index").read_bytes())
    told = invoke("export", "first", "--out", "out")
    assert "was not evaluated on val, or not with these weights and this recipe" in told.stderr
    assert next_command(told) == "sealpin evaluate first --split val"
    weights.write_bytes(kept)
    replace(State.load(finished), best_sha256=hashlib.sha256(kept).hexdigest()).save(finished)
    finished.evaluation("val")
    weights.write_bytes((finished.checkpoints / "ckpt-4.index").read_bytes())
    for words in (["export", "first", "--out", "out"], *(["evaluate", "first", "--split", one] for one in SPLITS)):
        told = invoke(*words)
        assert told.exit_code == 2 and "not the weights that this run has kept as its best" in told.stderr
    weights.write_bytes(kept)
    finished.keep(finished.recipe().with_steps(STEPS + 1))
    with pytest.raises(InputError, match="or not with these weights and this recipe"):
        finished.evaluation("val")


def test_a_kill_while_a_recipe_is_changed_leaves_a_run_that_goes_on(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sealpin_training import run as module

    whole, longer = module.write_whole, finished.recipe().with_steps(STEPS + 1)
    for killed_at, steps in ((1, STEPS), (2, STEPS), (2, STEPS), (3, STEPS + 1), (4, STEPS + 1)):
        written: list[Path] = []

        def write(path: Path, data: bytes, written: list[Path] = written, killed_at: int = killed_at) -> None:
            written.append(path)
            if len(written) == killed_at:
                raise KeyboardInterrupt
            whole(path, data)

        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            patched.setattr(module, "write_whole", write)
            load_run("first").keep(longer)
        assert load_run("first").recipe().train.num_steps == steps
    assert len(load_run("first").trained_sha256) == 1


def test_a_run_of_an_earlier_sealpin_is_taken_as_it_is(store: Path) -> None:
    run = load_run("first")
    assert run.trained_sha256 == ()
    write_json(run.folder / "state.json", {**asdict(State("finished", STEPS, 3.0, STEPS, STEPS, 0.25))})
    recipe = run.folder / "recipe.config"
    recipe.write_text(recipe.read_text().replace("epsilon: 1e-07", "epsilon: 1e-06"))
    thresholds = dict.fromkeys(run.classes, 0.5)
    write_json(run.folder / "evaluation_val.json", {**JUDGED, "step": STEPS, "thresholds": thresholds})
    assert run.evaluation("val")["thresholds"] == thresholds
    assert invoke("evaluate", "first", "--split", "val").exit_code == 0
