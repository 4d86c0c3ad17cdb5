"""`sealpin train --resume` and `sealpin runs sync`: what goes on with a run that there is."""

import hashlib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from sealpin_edge.errors import EnvironmentFault, InputError, quote

from .dataset.manifest import Dataset, load_dataset
from .distribution import is_chief
from .environment import command_line, environment
from .evaluation.evaluation import Evaluation
from .run import STORE, Run, State, check_store, load_run
from .standing import TRAINING, locked
from .tasks.recipe import Recipe
from .tasks.task import load_recipe
from .tracking import check_tracking, continue_tracking, read_metrics
from .train import Options, Tell, check_fits, check_followed, fit_run


def resume(
    name: str,
    recipe_path: Path | None,
    dataset_path: Path | None,
    options: Options,
    extend: int | None,
    accept_changes: bool,
    tell: Tell,
) -> tuple[Run, Evaluation]:
    """Go on with a run where its newest whole checkpoint stands; with `extend`, to so many steps in all.

    Raises InputError when it is finished, or when recipe or dataset are not those it began with and `accept_changes` is
    not given.
    """
    check_store(options.store)
    with locked(name, options.store, TRAINING) if is_chief() else nullcontext():
        run = load_run(name, options.store)
        state = State.load(run)
        run.last_evaluation("val")  # which the next one goes on from: a damaged one is told before long work
        run, recipe = _recipe(run, recipe_path, accept_changes, options.accept_differences)
        dataset = _dataset(run, dataset_path, accept_changes)
        check_fits(recipe, str(run.recipe_path), dataset)
        if extend is not None:
            if extend <= recipe.num_steps:
                raise InputError(
                    "an extended run must become longer",
                    where="--extend",
                    found=str(extend),
                    allowed=f"more than {recipe.num_steps} steps",
                )
            recipe = recipe.with_steps(extend)
        elif state.status == "finished":
            raise InputError(
                "this run is finished",
                where=str(run.folder),
                found=f"{state.step} of {recipe.num_steps} steps",
                hint=f"sealpin train --run {run.words} --resume --extend {2 * state.step}",
            )
        if is_chief():
            check_tracking(run.store)
        now = environment()
        from .checkpoints import newest_whole

        # state.json may have been written after the checkpoint that training goes on from
        session = {"step": newest_whole(run.checkpoints).step, "command": command_line()}
        session |= {key: value for key, value in now.items() if value != run.environment.get(key)}
        run = replace(
            run,
            dataset=str(dataset.folder.resolve()),
            dataset_digest=dataset.digest,
            evaluate_every=options.evaluate_every or run.evaluate_every,
            patience=options.patience or run.patience,
            max_hours=options.max_hours or run.max_hours,
            resumed=(*run.resumed, session),
        )
        return fit_run(run, recipe, dataset, state, tell)


def _recipe(run: Run, path: Path | None, accept_changes: bool, accept_differences: bool) -> tuple[Run, Recipe]:
    """The run's recipe, or with `accept_changes` the one at `path`, with as many steps as the run has."""
    if path is None:
        return run, run.recipe()
    given = load_recipe(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest == run.recipe_sha256:
        return run, run.recipe()
    if not accept_changes:
        raise InputError(
            "this recipe is not the one that the run began with",
            where=str(path),
            found=f"sha256 {digest[:12]}",
            allowed=f"sha256 {run.recipe_sha256[:12]}, as in {run.recipe_path}",
            advice="leave it out, or go on with the new one: --accept-changes",
        )
    recipe = given.with_steps(run.kind.load_recipe(run.recipe_path).num_steps)
    check_followed(recipe, str(path), accept_differences)
    return replace(run, recipe_sha256=digest), recipe


def _dataset(run: Run, path: Path | None, accept_changes: bool) -> Dataset:
    """The run's dataset, where it was or at `path`; with `accept_changes` another one of the same classes."""
    if path is None and not Path(run.dataset).exists():
        run.load_dataset()  # says where it may be now
    dataset = load_dataset(path or Path(run.dataset))
    if dataset.digest != run.dataset_digest and not accept_changes:
        raise InputError(
            "this dataset is not the one that the run began with",
            where=str(dataset.folder),
            found=f"digest {dataset.digest[:12]}",
            allowed=f"digest {run.dataset_digest[:12]}",
            advice="put the old one back, or go on with the new one: --accept-changes",
        )
    run.check_classes(dataset)
    if (dataset.classes, dataset.good) != (run.classes, run.good):
        raise InputError(
            "this dataset has other classes than the run was begun with",
            where=str(dataset.folder),
            found=", ".join(dataset.classes),
            allowed=", ".join(run.classes),
            advice="begin a new run that starts from this one",
            hint=f"sealpin train RECIPE --dataset {quote(dataset.folder)} --run NAME --start-from {quote(run.folder)}",
        )
    return dataset


def sync(name: str, store: Path = STORE) -> int:
    """Send to MLflow what it missed of a run while its server was away; returns how many metrics entries it has.

    Raises EnvironmentFault when the server is still away.
    """
    check_store(store)
    with locked(name, store, "sending to MLflow"):
        run = load_run(name, store)
        state = State.load(run)
        tracker = continue_tracking(store, run.run_id, run.metrics_log, {})
        status = "FINISHED" if state.status in {"finished", "stopped"} else "FAILED"
        if not tracker.finish(status, run.artifacts(), run.result()):
            raise EnvironmentFault(
                "MLflow did not take everything",
                where=name,
                found=tracker.failure,
                advice="start its server, then again",
                hint=f"sealpin runs sync {run.words}",
            )
        return len(read_metrics(run.metrics_log))
