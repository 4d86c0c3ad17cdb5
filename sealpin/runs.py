"""sealpin runs: the trainings that there are."""

import click

from sealpin_edge.errors import SealpinError
from sealpin_edge.program import Ordered, answer, json_option


@click.group(cls=Ordered, short_help="Look after the trainings in mlruns/.")
def runs() -> None:
    """The trainings in mlruns/."""


@runs.command("list", short_help="List the trainings: how far, how good.")
@json_option
def list_runs(as_json: bool) -> None:
    """Every run: how far it is, and its best AP on val."""
    from dataclasses import asdict

    from sealpin_training.run import Run, State, load_run, run_names

    found: dict[str, tuple[Run, State]] = {}
    damaged = []
    for name in run_names():
        try:
            run = load_run(name)
            found[name] = run, State.load(run)
        except SealpinError as error:
            damaged.append(f"{name:<20} {error.problem}")
    lines = [
        f"{name:<20} {state.status:<9} step {state.step:>7,}  AP {max(state.best_ap, 0):.3f} at {state.best_step:,}"
        f"  {run.recipe_name}"
        for name, (run, state) in found.items()
    ]
    document = {
        "runs": [{"run": name, "recipe": run.recipe_name, **asdict(state)} for name, (run, state) in found.items()]
    }
    answer(document, as_json, "\n".join([*lines, *damaged]) or "no runs yet")


@runs.command(short_help="Send to MLflow what it missed of a run.")
@click.argument("name")
@json_option
def sync(name: str, as_json: bool) -> None:
    """Send to MLflow what it missed of NAME while its server was away."""
    from sealpin_training.resume import sync as sync_run

    entries = sync_run(name)
    answer({"run": name, "reports": entries}, as_json, f"MLflow has all {entries} reports of {name}")
