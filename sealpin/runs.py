"""sealpin runs: the trainings that there are."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealpin_edge.cli.program import Ordered, answer, json_option
from sealpin_edge.errors import SealpinError

from .options import mlruns_option

if TYPE_CHECKING:
    from sealpin_training.run import Run


@click.group(cls=Ordered, short_help="Look after the trainings in mlruns/.")
def runs() -> None:
    """The trainings in mlruns/."""


@runs.command("list", short_help="Every run: how far it is, how good.")
@mlruns_option
@json_option
def list_runs(store: Path, as_json: bool) -> None:
    """Every run: how far it is, and its best figure on val."""
    from sealpin_training.run import load_run, run_names

    found, damaged = [], []
    for name in run_names(store):
        try:
            found.append(facts(load_run(name, store)))
        except SealpinError as error:
            damaged.append(f"{name:<20} {error.problem}")
    lines = [
        f"{one['run']:<20} {one['status']:<11} step {one['step']:>7,} of {one['steps']:>7,}  {score(one):<42}"
        f"  {one['recipe']}"
        for one in found
    ]
    nothing = f"no runs yet in {store}/" if store.is_dir() else f"there is no {store}/ here; --mlruns DIR names another"
    answer({"runs": found}, as_json, "\n".join([*lines, *damaged]) or nothing)


@runs.command(short_help="What a run was trained with, how far it is, how good.")
@click.argument("name")
@mlruns_option
@json_option
def show(name: str, store: Path, as_json: bool) -> None:
    """What NAME was trained with and on, how far it is, and how good."""
    from sealpin_training.run import load_run

    run = load_run(name, store)
    recipe, one = run.recipe(), facts(run)
    rows = {
        "run": f"{run.name}, in {run.folder}",
        "status": f"{one['status']}, {one['standing']}" + (f": {one['why']}" if one["why"] else ""),
        "on val": score(one),
        "recipe": f"{run.recipe_name}, sha256 {run.recipe_sha256[:12]}; as trained: {run.recipe_path}",
        "network": f"{recipe.network}, {recipe.width}x{recipe.height}",
        "steps": f"{recipe.num_steps:,} of {recipe.batch_size} photos, seed {run.seed}",
        "learning rate": f"{recipe.highest_learning_rate:g} at its highest",
        "dataset": f"{run.dataset}, digest {run.dataset_digest[:12]}",
        "classes": ", ".join(run.classes),
        "started from": run.start_from or "scratch",
        "command": run.command,
        "gone on with": "; ".join(f"{each['command']} at step {each['step']}" for each in run.resumed) or "never",
        "MLflow": run.run_id,
    }
    document = {**one, **{key: value for key, value in asdict(run).items() if key not in {"name", "store"}}}
    answer(
        {**document, "folder": str(run.folder)}, as_json, "\n".join(f"{key:<14}{text}" for key, text in rows.items())
    )


@runs.command(short_help="Give a run another name.")
@click.argument("old")
@click.argument("new")
@mlruns_option
@json_option
def rename(old: str, new: str, store: Path, as_json: bool) -> None:
    """Call the run OLD from now on NEW, in MLflow too. Model files that were exported of it still name OLD."""
    from sealpin_training.manage import rename_run
    from sealpin_training.standing import trained_run

    run, missed = rename_run(trained_run(old, store), new)
    text = f"{old} is called {run.name} now, in {run.folder}" + (f"; but not in MLflow: {missed}" if missed else "")
    answer({"run": run.name, "was": old, "folder": str(run.folder), "mlflow": missed}, as_json, text)


@runs.command(short_help="Remove a run and its weights, for good.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@mlruns_option
@json_option
def remove(name: str, yes: bool, store: Path, as_json: bool) -> None:
    """Remove the run NAME with its weights, and delete it in MLflow. Exports and bundles made of it stay."""
    from sealpin_training.manage import remove_run
    from sealpin_training.standing import trained_run

    run = trained_run(name, store)
    size = sum(file.stat().st_size for file in run.folder.rglob("*") if file.is_file())
    if not yes:
        told = f"remove {run.folder} ({facts(run)['standing']}, {score(facts(run))}, {size / 1e6:.0f} MB) for good?"
        click.confirm(told, abort=True, err=True)
    missed = remove_run(run)
    text = f"{name} is removed" + (f"; in MLflow {missed}" if missed else ", and deleted in MLflow until `mlflow gc`")
    answer({"removed": name, "bytes": size, "mlflow": missed}, as_json, text)


@runs.command(short_help="Send to MLflow what it missed of a run.")
@click.argument("name")
@mlruns_option
@json_option
def sync(name: str, store: Path, as_json: bool) -> None:
    """Send to MLflow what it missed of NAME while its server was away."""
    from sealpin_training.resume import sync as sync_run

    entries = sync_run(name, store)
    answer({"run": name, "reports": entries}, as_json, f"MLflow has all {entries} reports of {name}")


def facts(run: "Run") -> dict[str, Any]:
    """How far a run is and how good, for a script; `best_score` is None before the first evaluation."""
    from sealpin_training.run import State
    from sealpin_training.standing import standing

    state, now = State.load(run), standing(run)
    return {
        "run": run.name,
        "recipe": run.recipe_name,
        **asdict(state),
        "status": now.status,
        "step": now.step,
        "steps": now.steps,
        "standing": str(now),
        "best_score": None if state.best_score < -1 else state.best_score,
        "best": state.best,
    }


def score(one: Mapping[str, Any]) -> str:
    """How good a run is, for a person; `one` as `facts` gives it."""
    if one["best_score"] is None:
        return "not evaluated yet"
    return f"{one['metric']} {max(one['best_score'], 0):.3f}, {one['best']}"
