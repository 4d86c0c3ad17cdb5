"""`sealpin train`: checks first, then a run folder, an MLflow run and the training."""

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, quote
from sealpin_edge.files import write_whole

from .curves import plot_curves
from .dataset.manifest import Dataset, load_dataset
from .dataset.records import RecordFile
from .distribution import check_batch, is_chief
from .environment import command_line, environment
from .evaluation.evaluate import Evaluation, evaluate
from .recipe import Recipe, load_recipe
from .recipe.text import pipeline_text
from .run import STORE, Run, State, locked, run_folder, write_json
from .tracking import Tracker, continue_tracking, open_tracking, start_tracking

Tell = Callable[[str], None]
EVALUATIONS_PER_RUN = 50
RECORDS_CHECKED = 500
LEAST_STEPS_BETWEEN = 250


@dataclass(frozen=True)
class Options:
    """How to train. `start_from` overrides the recipe's fine_tune_checkpoint: a path, or "scratch"."""

    steps: int | None = None
    seed: int = 0
    start_from: str | None = None
    evaluate_every: int | None = None
    patience: int | None = None
    max_hours: float | None = None
    accept_differences: bool = False


def train(recipe_path: Path, dataset_path: Path, name: str, options: Options, tell: Tell) -> tuple[Run, Evaluation]:
    """Train and evaluate on val; the run is `mlruns/runs/NAME` below the current folder, and one MLflow run.

    Raises InputError before anything is written when the recipe cannot be followed (and `accept_differences` is not
    given), does not fit the dataset, or the name is taken.
    """
    recipe, dataset = load_recipe(recipe_path), load_dataset(dataset_path)
    run_folder(name)
    check_fits(recipe, str(recipe_path), dataset)
    check_followed(recipe, str(recipe_path), options.accept_differences)
    start = _start(recipe, recipe_path.parent, options.start_from)
    with locked(name) if is_chief() else nullcontext():
        return _train(recipe, recipe_path, dataset, start, name, options, tell)


def _train(
    recipe: Recipe, recipe_path: Path, dataset: Dataset, start: Path | None, name: str, options: Options, tell: Tell
) -> tuple[Run, Evaluation]:
    folder = run_folder(name)
    if any(folder.glob("*/ckpt-*.index")):
        raise InputError(
            "there is a run of this name",
            where=str(folder),
            allowed="a new name",
            advice="choose another --run, or go on with it",
            hint=f"sealpin train --run {quote(name)} --resume",
        )
    if options.steps:
        recipe = recipe.with_steps(options.steps)
    opened = open_tracking(STORE) if is_chief() else None
    if is_chief():
        shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed before its first checkpoint
        folder.mkdir(parents=True)
    run = Run(
        name=name,
        run_id="",
        recipe_name=recipe_path.stem,
        recipe_sha256=hashlib.sha256(recipe_path.read_bytes()).hexdigest(),
        seed=options.seed,
        classes=dataset.classes,
        dataset=str(dataset.folder.resolve()),
        dataset_digest=dataset.digest,
        command=command_line(),
        evaluate_every=options.evaluate_every
        or max(LEAST_STEPS_BETWEEN, recipe.train.num_steps // EVALUATIONS_PER_RUN),
        patience=options.patience,
        max_hours=options.max_hours,
        start_from=str(start) if start else "",
        environment=environment(),
    )
    try:
        return fit_run(run, recipe, dataset, State(), tell, opened)
    except BaseException:
        # A run with a checkpoint can be resumed; one without is only in the way of its name
        if is_chief() and not any(folder.glob("*/ckpt-*.index")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def check_followed(recipe: Recipe, path: str, accept_differences: bool) -> None:
    """Raise InputError when training does something else than the recipe says, unless that is accepted."""
    if recipe.differences and not accept_differences:
        raise InputError(
            "training cannot follow this recipe to the letter",
            where=path,
            found="\n           ".join(map(str, recipe.differences)),
            hint="change these fields, or train all the same with --accept-differences",
        )


def check_fits(recipe: Recipe, path: str, dataset: Dataset) -> None:
    """Raise InputError when a dataset lacks a split or has other classes, or the devices cannot share a batch."""
    if recipe.ssd.num_classes != len(dataset.classes):
        raise InputError(
            "the recipe and the dataset disagree about the classes",
            where=f"{path}: model.ssd.num_classes",
            found=f"{recipe.ssd.num_classes}; {dataset.folder}: {len(dataset.classes)}, {', '.join(dataset.classes)}",
            allowed="the same number",
            hint=f"set num_classes: {len(dataset.classes)}, or convert with --merge OLD=NEW",
        )
    for split in ("train", "val"):
        if not dataset.counts[split]:
            raise InputError(f"the {split} split is empty", where=str(dataset.folder), hint="convert more photos")
        records = RecordFile(dataset.folder, split, dataset.classes)
        for index in range(0, len(records), max(1, len(records) // RECORDS_CHECKED)):
            _ = records[index]  # raises for another list of classes
    check_batch(recipe.train.batch_size)  # last: it takes TensorFlow's import


def _start(recipe: Recipe, recipe_folder: Path, start_from: str | None) -> Path | None:
    named = start_from if start_from is not None else recipe.train.fine_tune_checkpoint
    if not named or named == "scratch":
        return None
    from .warmstart import find_checkpoint

    return find_checkpoint(named, recipe_folder)


def fit_run(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    state: State,
    tell: Tell,
    opened: tuple[Any, str] | None = None,
) -> tuple[Run, Evaluation]:
    """Train a run that is new (`opened` is where MLflow is), or goes on at `state`, to its end, and judge it on val."""
    from .fit import Fit, Limits

    steps = recipe.train.num_steps
    limits = Limits(run.evaluate_every, run.patience, run.max_hours)
    start = Path(run.start_from) if run.start_from else None
    training = Fit(recipe, dataset, run.folder, run.seed, start, limits)
    if training.warm_start:
        tell(str(training.warm_start))
    if run.run_id:
        tell(f"resuming {run.name} at step {training.step} of {steps}")
    tracker: Tracker | None = None
    if is_chief():
        if run.run_id:
            tags = {**_tags(run), "steps": str(steps)}
            tracker = continue_tracking(STORE, run.run_id, run.metrics_log, tags)
        else:
            assert opened
            tracker = start_tracking(opened, run.name, _params(run, recipe, dataset), _tags(run), run.metrics_log)
            run = replace(run, run_id=tracker.run_id)
        if training.warm_start:
            write_json(run.folder / "warm_start.json", asdict(training.warm_start))
        # In this order: killed in between, the run is one that can be resumed as it was, or as it is to be
        replace(state, status="running", why="").save(run)
        write_whole(run.folder / "recipe.config", pipeline_text(recipe.pipeline).encode())
        run.save()
    status = "FAILED"
    try:
        state = training.run(run, tracker, state, tell)
        if state.why:
            tell(f"stopped at step {state.step}: {state.why}")
        evaluation = training.judged() or evaluate(run, "val")
        if is_chief():
            plot_curves(run)
            state.save(run)
        status = "FINISHED"
        return run, evaluation
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        if tracker and not tracker.finish(status, run.artifacts()):
            tell(f"MLflow did not take everything ({tracker.failure}); later: sealpin runs sync {quote(run.name)}")


def _params(run: Run, recipe: Recipe, dataset: Dataset) -> dict[str, object]:
    train = recipe.train
    return {
        "recipe": recipe.name,
        "backbone": recipe.backbone,
        "input": f"{recipe.resizer.width}x{recipe.resizer.height}",
        "batch_size": train.batch_size,
        "steps": train.num_steps,
        "seed": run.seed,
        "schedule": json.dumps({"kind": type(recipe.schedule).__name__, **asdict(recipe.schedule)})[:500],
        "start_from": run.start_from or "scratch",
        "classes": ", ".join(dataset.classes)[:500],
        "photos_train": dataset.counts["train"],
        "dataset": str(dataset.folder),
        "differences": "; ".join(difference.field for difference in recipe.differences) or "none",
    }


def _tags(run: Run) -> dict[str, str]:
    return {
        "recipe_sha256": run.recipe_sha256,
        "dataset_digest": run.dataset_digest,
        "command": run.command,
        **run.environment,
    }
