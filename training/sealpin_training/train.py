"""`sealpin train`: checks first, then a run folder, an MLflow run and the training; or a run that goes on."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sealpin_edge.errors import EnvironmentFault, InputError
from sealpin_edge.files import write_whole

from .curves import plot_curves
from .dataset.manifest import Dataset, load_dataset
from .dataset.records import RecordFile
from .distribution import is_chief
from .environment import command_line, environment
from .evaluation.evaluate import Evaluation, evaluate
from .recipe import Recipe, load_recipe
from .recipe.text import pipeline_text
from .run import STORE, Run, State, load_run, run_folder, write_json
from .tracking import Tracker, continue_tracking, open_tracking, read_metrics, start_tracking

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
    recipe = load_recipe(recipe_path)
    dataset = load_dataset(dataset_path)
    folder = run_folder(name)
    if any(folder.glob("checkpoints/ckpt-*.index")):
        raise InputError(
            "there is a run of this name",
            where=str(folder),
            allowed="a new name",
            hint=f"choose another --run, or go on with it: sealpin train --run {name} --resume",
        )
    check_fits(recipe, str(recipe_path), dataset)
    if recipe.differences and not options.accept_differences:
        raise InputError(
            "training cannot follow this recipe to the letter",
            where=str(recipe_path),
            found="\n           ".join(map(str, recipe.differences)),
            hint="change these fields, or train all the same with --accept-differences",
        )
    start = _start(recipe, recipe_path.parent, options.start_from)
    if options.steps:
        recipe = recipe.with_steps(options.steps)
    opened = open_tracking(STORE) if is_chief() else None
    if is_chief():
        shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed before its first checkpoint
        folder.mkdir(parents=True)
        (folder / "recipe.config").write_text(pipeline_text(recipe.pipeline), encoding="utf-8")
    run = Run(
        name=name,
        run_id="",
        recipe_name=recipe_path.stem,
        recipe_sha256=hashlib.sha256(recipe_path.read_bytes()).hexdigest(),
        seed=options.seed,
        classes=dataset.classes,
        dataset=str(dataset_path.resolve()),
        dataset_digest=dataset.digest,
        command=command_line(),
        evaluate_every=options.evaluate_every
        or max(LEAST_STEPS_BETWEEN, recipe.train.num_steps // EVALUATIONS_PER_RUN),
        patience=options.patience,
        start_from=str(start) if start else "",
        environment=environment(),
    )
    try:
        return _fit(run, recipe, dataset, options, State(), tell, opened)
    except BaseException:
        # A run with a checkpoint can be resumed; one without is only in the way of its name
        if is_chief() and not any(folder.glob("checkpoints/ckpt-*.index")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def resume(
    name: str,
    recipe_path: Path | None,
    dataset_path: Path | None,
    options: Options,
    extend: int | None,
    accept_changes: bool,
    tell: Tell,
) -> tuple[Run, Evaluation]:
    """Go on with a run where its last checkpoint stands; with `extend`, to so many steps in all.

    Raises InputError when it is finished, or when recipe or dataset are not those it began with and `accept_changes` is
    not given.
    """
    run = load_run(name)
    recipe, state = run.recipe(), State.load(run)
    if recipe_path:
        digest = hashlib.sha256(recipe_path.read_bytes()).hexdigest()
        if digest != run.recipe_sha256 and not accept_changes:
            raise InputError(
                "this recipe is not the one that the run began with",
                where=str(recipe_path),
                found=f"sha256 {digest[:12]}",
                allowed=f"sha256 {run.recipe_sha256[:12]}, as in {run.folder / 'recipe.config'}",
                hint="leave it out, or go on with the new one: --accept-changes",
            )
        if digest != run.recipe_sha256:
            recipe, run = (
                load_recipe(recipe_path).with_steps(recipe.train.num_steps),
                replace(run, recipe_sha256=digest),
            )
    dataset = load_dataset(dataset_path or Path(run.dataset))
    if dataset.digest != run.dataset_digest:
        if not accept_changes:
            raise InputError(
                "this dataset is not the one that the run began with",
                where=str(dataset.folder),
                found=f"digest {dataset.digest[:12]}",
                allowed=f"digest {run.dataset_digest[:12]}",
                hint="put the old one back, or go on with the new one: --accept-changes",
            )
        run = replace(run, dataset=str(dataset.folder.resolve()), dataset_digest=dataset.digest)
    check_fits(recipe, str(run.folder / "recipe.config"), dataset)
    if extend is not None:
        if extend <= recipe.train.num_steps:
            raise InputError(
                "an extended run must become longer",
                where="--extend",
                found=str(extend),
                allowed=f"more than {recipe.train.num_steps} steps",
            )
        recipe = recipe.with_steps(extend)
    elif state.status == "finished":
        raise InputError(
            "this run is finished",
            where=str(run.folder),
            found=f"{state.step} of {recipe.train.num_steps} steps",
            hint=f"sealpin train --run {name} --resume --extend {2 * state.step}",
        )
    write_whole(run.folder / "recipe.config", pipeline_text(recipe.pipeline).encode())
    run = replace(
        run,
        evaluate_every=options.evaluate_every or run.evaluate_every,
        patience=options.patience or run.patience,
    )
    return _fit(run, recipe, dataset, options, replace(state, status="running", why=""), tell)


def sync(name: str) -> int:
    """Send to MLflow what it missed of a run while its server was away; returns how many metrics entries it has.

    Raises EnvironmentFault when the server is still away.
    """
    run = load_run(name)
    state = State.load(run)
    tracker = continue_tracking(STORE, run.run_id, run.metrics_log)
    if not tracker.finish("FINISHED" if state.status in {"finished", "stopped"} else "FAILED", run.artifacts()):
        raise EnvironmentFault(
            "MLflow did not take everything",
            where=name,
            found=tracker.failure,
            hint=f"start its server, then again: sealpin runs sync {name}",
        )
    return len(read_metrics(run.metrics_log))


def check_fits(recipe: Recipe, path: str, dataset: Dataset) -> None:
    """Raise InputError when a dataset lacks a split, or has other classes than the recipe counts."""
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
        if len(records) != dataset.counts[split]:
            raise InputError(
                "the records are not those of dataset.json",
                where=str(dataset.folder),
                found=f"{len(records)} {split} records",
                allowed=str(dataset.counts[split]),
                hint="convert the dataset again",
            )
        for index in range(0, len(records), max(1, len(records) // RECORDS_CHECKED)):
            _ = records[index]  # raises for another list of classes


def _start(recipe: Recipe, recipe_folder: Path, start_from: str | None) -> Path | None:
    named = start_from if start_from is not None else recipe.train.fine_tune_checkpoint
    if not named or named == "scratch":
        return None
    from .warmstart import find_checkpoint

    return find_checkpoint(named, recipe_folder)


def _fit(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    options: Options,
    state: State,
    tell: Tell,
    opened: tuple[Any, str] | None = None,
) -> tuple[Run, Evaluation]:
    from .fit import Fit, Limits

    steps = recipe.train.num_steps
    limits = Limits(run.evaluate_every, run.patience, options.max_hours)
    start = Path(run.start_from) if run.start_from else None
    fit = Fit(recipe, dataset, run.folder, run.seed, start, limits)
    if fit.warm_start:
        tell(str(fit.warm_start))
        if is_chief():
            write_json(run.folder / "warm_start.json", asdict(fit.warm_start))
    if run.run_id:
        tell(f"resuming {run.name} at step {fit.step} of {steps}")
    tracker: Tracker | None = None
    if is_chief():
        if run.run_id:
            tracker = continue_tracking(STORE, run.run_id, run.metrics_log)
        else:
            assert opened
            tracker = start_tracking(opened, run.name, _params(recipe, dataset, options), _tags(run), run.metrics_log)
            run = replace(run, run_id=tracker.run_id)
        run.save()
    status = "FAILED"
    try:
        state = fit.run(run, tracker, state, tell)
        if state.why:
            tell(f"stopped at step {state.step}: {state.why}")
        evaluation = fit.judged() or evaluate(run, "val")
        status = "FINISHED"
        return run, evaluation
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        if tracker:
            plot_curves(run)
            if not tracker.finish(status, run.artifacts()):
                tell(f"MLflow did not take everything ({tracker.failure}); later: sealpin runs sync {run.name}")


def _params(recipe: Recipe, dataset: Dataset, options: Options) -> dict[str, object]:
    train = recipe.train
    return {
        "recipe": recipe.name,
        "backbone": recipe.backbone,
        "input": f"{recipe.resizer.width}x{recipe.resizer.height}",
        "batch_size": train.batch_size,
        "steps": train.num_steps,
        "seed": options.seed,
        "schedule": json.dumps({"kind": type(recipe.schedule).__name__, **asdict(recipe.schedule)})[:500],
        "start_from": options.start_from or train.fine_tune_checkpoint or "scratch",
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
