"""sealpin train."""

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sealpin_edge.cli.program import Number, answer, json_option

from .evaluate import document, table, warn
from .options import mlruns_option

PATH = click.Path(path_type=Path)
OF_A_NEW_RUN = ("steps", "epochs", "batch_size", "learning_rate", "seed", "start_from", "keep_predictor", "force")


@click.command(short_help="Train a recipe on a dataset, and evaluate it on val.")
@click.argument("recipe", type=PATH, required=False)
@click.option(
    "--dataset", type=PATH, help="A folder that `sealpin dataset convert` wrote; with --resume, where it is now."
)
@click.option("--run", "name", required=True, help="A name for this run: new, or with --resume one that there is.")
@click.option("--steps", type=click.IntRange(min=1), help="Override the recipe: its schedule in so many steps.")
@click.option("--epochs", type=click.IntRange(min=1), help="Override the recipe: see every photo so many times.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Override the recipe: photos a step.")
@click.option(
    "--learning-rate",
    type=Number(min=0, min_open=True),
    help="Override the recipe: its highest rate; the schedule is scaled to it.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed.")
@click.option(
    "--start-from",
    metavar="PATH",
    help="Override the recipe: begin with a checkpoint or a run; or: scratch.",
)
@click.option("--keep-predictor", is_flag=True, help="With --start-from RUN: also its predictor, for the same classes.")
@click.option("--evaluate-every", type=click.IntRange(min=1), metavar="STEPS", help="Judge on val every so many steps.")
@click.option("--patience", type=click.IntRange(min=1), help="Stop after so many evaluations without a better one.")
@click.option("--max-hours", type=Number(min=0, min_open=True), help="Stop after so many hours of training.")
@click.option("--resume", "go_on", is_flag=True, help="Go on with the run where its last checkpoint stands.")
@click.option("--extend", type=click.IntRange(min=1), metavar="STEPS", help="With --resume: train to so many in all.")
@click.option("--accept-differences", is_flag=True, help="Train although fields of the recipe cannot be followed.")
@click.option("--accept-changes", is_flag=True, help="With --resume: take another recipe or a changed dataset.")
@click.option(
    "--force",
    is_flag=True,
    help="Train in the place of a run of this name, which is removed once the new one has a checkpoint.",
)
@mlruns_option
@json_option
def train(
    recipe: Path | None,
    dataset: Path | None,
    name: str,
    go_on: bool,
    extend: int | None,
    accept_changes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train RECIPE and evaluate it on val; tracked with MLflow."""
    from sealpin_training.quiet import ask_for_onednn

    ask_for_onednn()
    from sealpin_training.interrupt import Interrupted
    from sealpin_training.resume import resume
    from sealpin_training.train import Options
    from sealpin_training.train import train as train_recipe

    def tell(text: str) -> None:
        click.echo(text, err=True)

    given = [
        name
        for name in OF_A_NEW_RUN
        if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if options["steps"] and options["epochs"]:
        raise click.UsageError("--steps and --epochs exclude each other")
    if go_on and given:
        raise click.UsageError(
            f"--{given[0].replace('_', '-')} belongs to a new run; a longer one: --resume --extend N"
        )
    if not go_on and (extend or accept_changes):
        raise click.UsageError("--extend and --accept-changes belong to --resume")
    try:
        if go_on:
            run, evaluation = resume(name, recipe, dataset, Options(**options), extend, accept_changes, tell)
        elif recipe is None or dataset is None:
            raise click.UsageError("a new run needs RECIPE and --dataset; one that there is goes on with --resume")
        else:
            run, evaluation = train_recipe(recipe, dataset, name, Options(**options), tell)
    except Interrupted as interrupted:
        tell(interrupted.told)
        sys.exit(interrupted.exit_code)
    text = f"{table(evaluation)}\nrun {run.name} is in {run.folder}\nnext: sealpin evaluate {run.words} --split test"
    warn(evaluation.shortcomings)
    answer({"run": run.name, "run_id": run.run_id, **document(evaluation)}, as_json, text)
