"""sealpin train and evaluate."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealpin_edge.program import answer, json_option

if TYPE_CHECKING:
    from sealpin_training.evaluate import Evaluation

PATH = click.Path(path_type=Path)
SHOWN = 10


@click.command()
@click.argument("recipe", type=PATH)
@click.option("--dataset", type=PATH, required=True, help="A folder that `sealpin dataset convert` wrote.")
@click.option("--run", "name", required=True, help="A new name for this run.")
@click.option("--steps", type=click.IntRange(min=1), help="Squeeze the recipe's schedule into so many steps.")
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@click.option("--accept-differences", is_flag=True, help="Train although fields of the recipe cannot be followed.")
@json_option
def train(
    recipe: Path, dataset: Path, name: str, steps: int | None, seed: int, accept_differences: bool, as_json: bool
) -> None:
    """Train RECIPE (an Object Detection API pipeline.config) and evaluate it on val; tracked in mlruns/mlflow.db."""
    from sealpin_training.train import train as train_recipe

    run, evaluation = train_recipe(recipe, dataset, name, steps=steps, seed=seed, accept_differences=accept_differences)
    text = f"{_report(evaluation)}\nrun {run.name} is in {run.folder}\nnext: sealpin evaluate {run.name} --split test"
    answer({"run": run.name, "run_id": run.run_id, **_document(evaluation)}, as_json, text)


@click.command()
@click.argument("run")
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="Score from which a burr counts; else the one chosen on val."
)
@json_option
def evaluate(run: str, split: str, threshold: float | None, as_json: bool) -> None:
    """Judge RUN on a split: COCO's table, and parts OK and NG against truth."""
    from sealpin_training.evaluate import evaluate as evaluate_run
    from sealpin_training.run import load_run

    evaluation = evaluate_run(load_run(run), split, threshold)
    answer(_document(evaluation), as_json, f"{_report(evaluation)}\nnext: sealpin export {run} --out DIR")


def _document(evaluation: "Evaluation") -> dict[str, Any]:
    return {
        **evaluation.metrics,
        "split": evaluation.split,
        "threshold": evaluation.threshold,
        "parts": evaluation.parts,
        "escapes": len(evaluation.escapes),
        "false_rejects": len(evaluation.false_rejects),
    }


def _report(evaluation: "Evaluation") -> str:
    bad, good = evaluation.bad_parts, evaluation.parts - evaluation.bad_parts
    escapes, false_rejects = len(evaluation.escapes), len(evaluation.false_rejects)
    rows = [
        f"COCO on {evaluation.split} ({evaluation.parts} photos)",
        _metrics(evaluation.metrics),
        f"parts at threshold {evaluation.threshold:.2f} ({evaluation.threshold_chosen})",
        f"  {'truth':<8}{'judged OK':>12}{'judged NG':>12}",
        f"  {'good':<8}{good - false_rejects:>12}{false_rejects:>12}   false rejects: {false_rejects}",
        f"  {'bad':<8}{escapes:>12}{bad - escapes:>12}   escapes: {escapes}",
    ]
    for what, names in (("escape", evaluation.escapes), ("false reject", evaluation.false_rejects)):
        rows += [f"  {what}: {name}" for name in names[:SHOWN]]
        rows += [f"  ... and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return "\n".join(rows)


def _metrics(metrics: Mapping[str, float]) -> str:
    cells = [f"{name:>9} {'-' if value < 0 else f'{value:.3f}':>6}" for name, value in metrics.items()]
    return "\n".join("  " + "".join(cells[start : start + 3]) for start in range(0, len(cells), 3))
