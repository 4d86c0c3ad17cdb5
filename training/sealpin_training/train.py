"""`sealpin train`: checks first, then a run folder, an MLflow run and the training."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, quote

from .checkpoints import has_state, steps_saved
from .curves import plot_curves
from .dataset.manifest import Dataset, load_dataset
from .dataset.records import RecordFile
from .distribution import check_batch, is_chief
from .environment import command_line, environment
from .evaluation.evaluate import evaluate
from .evaluation.evaluation import Evaluation
from .interrupt import Interrupted
from .manage import bring_back, replaced
from .overrides import overridden
from .registry import dataset_input
from .run import STORE, Run, State, load_run, read_json, run_folder, run_words, write_json
from .standing import TRAINING, locked
from .tasks.recipe import Recipe
from .tasks.task import load_recipe, task_named
from .tracking import Tracker, continue_tracking, open_tracking, start_tracking

Tell = Callable[[str], None]
EVALUATIONS_PER_RUN = 50
RECORDS_CHECKED = 500
LEAST_STEPS_BETWEEN = 250


@dataclass(frozen=True)
class Options:
    """How to train. `steps`, `epochs`, `batch_size` and `learning_rate` override the recipe (overrides.py).

    `start_from` overrides the weights that it names: a path, a run, or "scratch"; with `keep_predictor` the predictor
    of the run that is started from is loaded too. `store` is the mlruns/ to write into; with `force`, a run of the same
    name makes way.
    """

    steps: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    start_from: str | None = None
    evaluate_every: int | None = None
    patience: int | None = None
    max_hours: float | None = None
    accept_differences: bool = False
    store: Path = STORE
    force: bool = False
    keep_predictor: bool = False


def train(recipe_path: Path, dataset_path: Path, name: str, options: Options, tell: Tell) -> tuple[Run, Evaluation]:
    """Train and evaluate on val; the run is `mlruns/runs/NAME` below the current folder, and one MLflow run.

    Raises InputError before anything is written when the recipe cannot be followed (and `accept_differences` is not
    given), does not fit the dataset, or the name is taken; Interrupted at Ctrl-C or SIGTERM.
    """
    recipe, dataset = load_recipe(recipe_path), load_dataset(dataset_path)
    run_folder(name, options.store)
    recipe = overridden(
        recipe,
        dataset,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        epochs=options.epochs,
        steps=options.steps,
        tell=tell,
    )
    check_fits(recipe, str(recipe_path), dataset)
    check_followed(recipe, str(recipe_path), options.accept_differences)
    start = _start(recipe, recipe_path.parent, options)
    if options.keep_predictor:
        recipe = with_predictor_of(start, recipe, dataset.classes)
    with locked(name, options.store, TRAINING) if is_chief() else nullcontext():
        return _train(recipe, recipe_path, dataset, start, name, options, tell)


def _train(
    recipe: Recipe, recipe_path: Path, dataset: Dataset, start: Path | None, name: str, options: Options, tell: Tell
) -> tuple[Run, Evaluation]:
    folder = run_folder(name, options.store)
    making_way = _making_way(folder, start, name, options, tell)
    opened = open_tracking(options.store) if is_chief() else None
    with making_way:
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
            good=dataset.good,
            dataset=str(dataset.folder.resolve()),
            dataset_digest=dataset.digest,
            command=command_line(),
            evaluate_every=options.evaluate_every or max(LEAST_STEPS_BETWEEN, recipe.num_steps // EVALUATIONS_PER_RUN),
            patience=options.patience,
            max_hours=options.max_hours,
            start_from=str(start) if start else "",
            environment=environment(),
            task=recipe.task,
            store=options.store,
        )
        try:
            return fit_run(run, recipe, dataset, State(metric=run.kind.headline[0]), tell, opened)
        except BaseException:
            # A run with a checkpoint can be resumed; one without is only in the way of its name
            if is_chief() and not has_state(folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _making_way(
    folder: Path, start: Path | None, name: str, options: Options, tell: Tell
) -> AbstractContextManager[None]:
    """For the time of a training in `folder`: a run that is there makes way for it."""
    if is_chief():
        bring_back(folder)
    if has_state(folder):
        if not options.force:
            raise InputError(
                "there is a run of this name",
                where=str(folder),
                allowed="a new name, or --force to train in its place",
                advice="choose another --run, or go on with it",
                hint=f"sealpin train --run {run_words(name, options.store)} --resume",
            )
        if start and folder.resolve() in (start.resolve(), *start.resolve().parents):
            raise InputError(
                "a run cannot start from the one whose place it takes",
                where="--start-from",
                found=str(start),
                advice="give the old one another name, and start from that",
                hint=f"sealpin runs rename {run_words(name, options.store)} NEW",
            )
        if is_chief():
            return replaced(load_run(name, options.store), tell)
    return nullcontext()


def check_followed(recipe: Recipe, path: str, accept_differences: bool) -> None:
    """Raise InputError when training does something else than the recipe says, unless that is accepted."""
    if recipe.differences and not accept_differences:
        raise InputError(
            "training cannot follow this recipe to the letter",
            where=path,
            found="\n".join(map(str, recipe.differences)),
            advice="change these fields, or train all the same with --accept-differences",
        )


def check_fits(recipe: Recipe, path: str, dataset: Dataset) -> None:
    """Raise InputError when a dataset lacks a split, is for another task or has other classes.

    Also when the devices cannot share a batch.
    """
    if recipe.task != dataset.task:
        raise InputError(
            "the recipe and the dataset are for different tasks",
            where=path,
            found=f"{recipe.task}; {dataset.folder}: {dataset.task}",
            allowed="the same task",
            advice="take a recipe for this dataset's task, or convert the photos for the recipe's",
            hint=f"sealpin recipe new {quote(dataset.folder)} RECIPE",
        )
    if recipe.num_classes != len(dataset.classes):
        raise InputError(
            "the recipe and the dataset disagree about the classes",
            where=f"{path}: {recipe.words.classes}",
            found=f"{recipe.num_classes}; {dataset.folder}: {len(dataset.classes)}, {', '.join(dataset.classes)}",
            allowed="the same number",
            advice=f"set {recipe.words.classes.rpartition('.')[2]}: {len(dataset.classes)},"
            " or convert with --merge OLD=NEW",
        )
    for split in ("train", "val"):
        if not dataset.counts[split]:
            raise InputError(f"the {split} split is empty", where=str(dataset.folder), advice="convert more photos")
        records = RecordFile(dataset.folder, split, dataset.classes)
        for index in range(0, len(records), max(1, len(records) // RECORDS_CHECKED)):
            _ = records[index]  # raises for another list of classes
    check_batch(recipe.batch_size)  # last: it takes TensorFlow's import


def _start(recipe: Recipe, recipe_folder: Path, options: Options) -> Path | None:
    named = options.start_from if options.start_from is not None else recipe.start_from
    if not named or named == "scratch":
        return None
    return task_named(recipe.task).find_start(named, recipe_folder, options.store)


def with_predictor_of(start: Path | None, recipe: Recipe, classes: Sequence[str]) -> Recipe:
    """The recipe, to start from all of a run's network: also from its predictor, which knows these classes.

    Raises InputError when `start` is no run, or its classes are others, or in another order.
    """
    folders = (start, *start.parents[:2]) if start else ()  # or one of its checkpoints
    folder = next((one for one in folders if (one / "run.json").is_file()), None)
    if folder is None:
        raise InputError(
            "a predictor is kept of a run, of which it is known what it was trained on",
            where="--keep-predictor",
            found=str(start or "nothing to start from"),
            allowed="--start-from with a run of sealpin",
            advice='of any other checkpoint a recipe takes it with fine_tune_checkpoint_type: "full"',
        )
    known = tuple(read_json(folder / "run.json")["classes"])
    if known != tuple(classes):
        raise InputError(
            "the predictor of this run is for other classes",
            where=f"--keep-predictor, {folder}",
            found=", ".join(known),
            allowed=", ".join(classes),
            advice="start without --keep-predictor: backbone and FPN know no classes",
        )
    return recipe.starting_with_all()


def fit_run(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    state: State,
    tell: Tell,
    opened: tuple[Any, str] | None = None,
) -> tuple[Run, Evaluation]:
    """Train a run that is new (`opened` is where MLflow is), or goes on at `state`, to its end, and judge it on val.

    Raises InputError when the state that it should go on from is damaged, and there is no older one.
    """
    from .fit import Fit, Limits

    steps = recipe.num_steps
    limits = Limits(run.evaluate_every, run.patience, run.max_hours)
    start = Path(run.start_from) if run.start_from else None
    training = Fit(recipe, dataset, run.folder, run.seed, start, limits)
    _check_state(run, state, training.step, training.damaged, tell)
    if training.warm_start:
        tell(str(training.warm_start))
    for problem in run.kind.cautions(recipe):
        tell(str(problem))
    if run.run_id:
        tell(f"resuming {run.name} at step {training.step} of {steps}")
    tracker: Tracker | None = None
    if is_chief():
        if run.run_id:
            tags = {**_tags(run), "steps": str(steps)}
            tracker = continue_tracking(run.store, run.run_id, run.metrics_log, tags)
        else:
            assert opened
            params, inputs = _params(run, recipe, dataset), [dataset_input(dataset)]
            tracker = start_tracking(opened, run.name, params, _tags(run), run.metrics_log, inputs)
            run = replace(run, run_id=tracker.run_id)
        if training.warm_start:
            write_json(run.folder / "warm_start.json", asdict(training.warm_start))
        replace(state, status="running", why="").save(run)
        run = run.keep(recipe)
    status = "FAILED"
    with training.interrupts.taken():
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
        except Interrupted as interrupted:
            status, interrupted.told = "KILLED", _stopped(run, steps)
            raise
        finally:
            if tracker and not tracker.finish(status, run.artifacts(), run.result()):
                tell(f"MLflow did not take everything ({tracker.failure}); later: sealpin runs sync {run.words}")


def _check_state(run: Run, state: State, step: int, damaged: Mapping[str, str], tell: Tell) -> None:
    """Tell from where a run goes on whose newest state is damaged. Raises InputError when no older one is whole."""
    found = "\n".join(f"{name}: {why}" for name, why in damaged.items())
    if not step and (damaged or state.evaluated_step):
        best = run.folder / "weights" / f"ckpt-{state.best_step}"
        raise InputError(
            "this run has no state that it could go on from",
            where=str(run.checkpoints),
            found=found or "no checkpoint",
            allowed="one that is whole, as a backup may have it",
            advice="begin a new run with the best weights of this one",
            hint=f"sealpin train RECIPE --dataset DATASET --run NAME --start-from {quote(best)}",
        )
    if damaged:
        tell(f"damaged: {found}\ngoing on from the newest whole checkpoint, of step {step}; the damaged are set aside")


def _stopped(run: Run, steps: int) -> str:
    step = max(steps_saved(run.checkpoints), default=0)
    if not step:
        return f"stopped before the first of {steps:,} steps was saved: nothing is kept"
    return f"stopped at {step:,} of {steps:,}; go on: sealpin train --run {run.words} --resume"


def _params(run: Run, recipe: Recipe, dataset: Dataset) -> dict[str, object]:
    return {
        "task": recipe.task,
        "recipe": recipe.name,
        "backbone": recipe.network,
        "input": f"{recipe.width}x{recipe.height}",
        "batch_size": recipe.batch_size,
        "steps": recipe.num_steps,
        "seed": run.seed,
        "schedule": json.dumps(recipe.schedule_told)[:500],
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
