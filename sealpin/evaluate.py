"""sealpin evaluate, compare and promote: how good a run is, which is better, and which goes on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealpin_edge.cli.program import Number, answer, check_place, json_option

from .options import dataset_option, force_option, mlruns_option
from .rule import notice_option, threshold_option

if TYPE_CHECKING:
    from sealpin_edge.tasks.verdict import Thresholds
    from sealpin_training.evaluation.evaluation import Evaluation

PATH = click.Path(path_type=Path)
SPLIT = click.Choice(["train", "val", "test"])
SHOWN = 10


@click.command(short_help="Judge a run's network: its figures, parts OK and NG.")
@click.argument("run")
@click.option("--split", type=SPLIT, default="test", show_default=True, help="The photos to judge.")
@threshold_option("What if a box counted from this score, not from the one chosen on val?")
@click.option(
    "--escape-cost",
    type=Number(min=0, min_open=True),
    help="With --split val: choose thresholds anew, an escape counted as so many false rejects.",
)
@click.option(
    "--max-false-rejects",
    type=Number(0, 1000),
    help="With --split val: choose a threshold anew, for at most so many of 1,000 good parts rejected.",
)
@notice_option("A category that the station only shows: with --split val the model's own from now on.")
@click.option("--report", type=PATH, help="Also write an HTML page with curves and a gallery.")
@dataset_option
@force_option
@mlruns_option
@json_option
def evaluate(
    run: str,
    split: str,
    threshold: "Thresholds | None",
    escape_cost: float | None,
    max_false_rejects: float | None,
    notice: frozenset[str] | None,
    report: Path | None,
    dataset: Path | None,
    force: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Judge RUN on a split: its field's figures, and parts OK and NG against truth."""
    from sealpin_training.evaluation.choice import Choice
    from sealpin_training.evaluation.evaluate import evaluate as evaluate_run
    from sealpin_training.registry import log_page
    from sealpin_training.standing import trained_run

    if sum(choice is not None for choice in (threshold, escape_cost, max_false_rejects)) > 1:
        raise click.UsageError("--threshold, --escape-cost and --max-false-rejects exclude each other")
    check_place(report, force=force, ending=".html")
    choice = Choice(threshold, escape_cost, max_false_rejects, notice)
    found = trained_run(run, store, dataset)
    evaluation = evaluate_run(found, split, choice, report, anew=force)
    if report and (missed := log_page(found, report, "evaluation")):
        click.echo(f"MLflow did not take the page: {missed}", err=True)
    text = table(evaluation) + (f"\nreport: {report}" if report else "")
    warn(evaluation.shortcomings)
    answer(document(evaluation), as_json, f"{text}\nnext: sealpin export {found.words} --out DIR")


@click.command(short_help="Put runs side by side.")
@click.argument("runs", nargs=-1, required=True)
@click.option("--split", type=SPLIT, default="val", show_default=True, help="The photos to judge on.")
@click.option("--report", type=PATH, help="Also write an HTML page with the curves side by side.")
@force_option
@mlruns_option
@json_option
def compare(runs: tuple[str, ...], split: str, report: Path | None, force: bool, store: Path, as_json: bool) -> None:
    """Put RUNS side by side: figures, speed on this machine, size, training time, and where their recipes differ."""
    from sealpin_training.evaluation.compare import compare_runs, write_report

    check_place(report, force=force, ending=".html")
    comparison = compare_runs(runs, split, store)
    if report:
        write_report(comparison, report)
    answer(comparison.as_dict(), as_json, str(comparison) + (f"\nreport: {report}" if report else ""))


@click.command(short_help="Register a run's network with MLflow, as the candidate.")
@click.argument("run")
@click.option("--product", default="", help="What it is for, a part or a line; else as the dataset's folder is called.")
@mlruns_option
@json_option
def promote(run: str, product: str, store: Path, as_json: bool) -> None:
    """Put RUN's best network into MLflow's registry, as the `candidate` of its product."""
    from sealpin_training.registry import promote as promote_run
    from sealpin_training.standing import trained_run

    found = trained_run(run, store)
    version = promote_run(found, product)
    warn(found.kind.shortcomings(found.evaluation("val")))
    text = f"{version.model} version {version.number} is the candidate\nnext: sealpin export {found.words} --out DIR"
    answer({"run": run, "model": version.model, "version": version.number, "alias": "candidate"}, as_json, text)


def warn(words: Sequence[str]) -> None:
    """Say loudly what must not be overlooked, apart from the answer."""
    for text in words:
        click.secho(f"WARNING: {text}", fg="red", bold=True, err=True)


def document(evaluation: "Evaluation") -> dict[str, Any]:
    """An evaluation for a script."""
    return {
        "task": evaluation.task,
        **evaluation.metrics,
        "split": evaluation.split,
        "weights": evaluation.weights,
        "thresholds": dict(evaluation.rule.thresholds),
        "notice": sorted(evaluation.rule.notice),
        "parts": evaluation.parts,
        "escapes": len(evaluation.escapes),
        "false_rejects": len(evaluation.false_rejects),
        "escapes_per_1000": evaluation.escaped.as_dict(),
        "false_rejects_per_1000": evaluation.rejected.as_dict(),
        "by_category": {name: dict(values) for name, values in evaluation.score.by_category.items()},
        **evaluation.account.answer(),
        "shortcomings": evaluation.shortcomings,
    }


def table(evaluation: "Evaluation") -> str:
    """An evaluation for a person."""
    from sealpin_training.tasks.score import grid

    rows = [
        f"{evaluation.score.title} on {evaluation.split} ({evaluation.parts} photos), {evaluation.weights}",
        *grid(evaluation.metrics),
        *evaluation.score.lines,
        f"what counts: {evaluation.rule} ({evaluation.threshold_chosen})",
        f"it {evaluation.account.told}",
        *evaluation.account.lines,
        *_line(evaluation),
        *filter(None, [evaluation.caution]),
    ]
    for what, names in (("escape", evaluation.escapes), ("false reject", evaluation.false_rejects)):
        rows += [f"  {what}: {name}" for name in names[:SHOWN]]
        rows += [f"  ... and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return "\n".join(rows)


def _line(evaluation: "Evaluation") -> list[str]:
    """Parts OK and NG against truth, where there are good and bad ones."""
    bad, good = evaluation.bad_parts, evaluation.parts - evaluation.bad_parts
    if not (bad and good):
        return [f"parts: {evaluation.line_told}"]
    escapes, false_rejects = len(evaluation.escapes), len(evaluation.false_rejects)
    return [
        f"parts   {'truth':<8}{'judged OK':>12}{'judged NG':>12}   per 1,000 (95 % interval)",
        f"        {'good':<8}{good - false_rejects:>12}{false_rejects:>12}   false rejects: {evaluation.rejected}",
        f"        {'bad':<8}{escapes:>12}{bad - escapes:>12}   escapes: {evaluation.escaped}",
    ]
