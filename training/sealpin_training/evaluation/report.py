"""An evaluation as one HTML page: figures, curves, confusion, and a gallery of the worst misses and false alarms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sealpin_edge.files import write_whole

from .. import html
from ..dataset.records import Record
from ..run import Run
from .evaluation import Evaluation


def write_report(run: Run, evaluation: Evaluation, records: Sequence[Record], path: Path) -> None:
    """Write the page; `records` have their photos. It needs nothing beside it: the pictures are inside."""
    parts = [
        *map(html.warning, evaluation.shortcomings),
        html.paragraph(
            f"Run {run.name} ({run.recipe_name}), {evaluation.weights}, on {evaluation.split} of"
            f" {Path(run.dataset).name}: {evaluation.parts} photos, {evaluation.bad_parts} of bad parts."
            f" What counts: {evaluation.rule} ({evaluation.threshold_chosen})."
        ),
        *_line(evaluation),
        html.heading("What counts"),
        html.paragraph(f"It {evaluation.account.told}. {evaluation.caution}"),
        *evaluation.account.figures(),
        html.heading("Escapes and false rejects over the threshold"),
        html.paragraph("With one threshold for all categories that reject; the dashed lines are those that hold."),
        html.picture(html.chart(lambda figure: _over_thresholds(figure, evaluation)), "escapes and false rejects"),
        html.details("as a table", _threshold_table(evaluation)),
        *evaluation.account.pictures(records),
    ]
    write_whole(path, html.page(f"Evaluation of {run.name}", parts))


def _line(evaluation: Evaluation) -> list[str]:
    """Escapes and false rejects, where there are parts of both kinds: else either is nothing to be glad of."""
    if not 0 < evaluation.bad_parts < evaluation.parts:
        return [html.paragraph(evaluation.line_told)]
    return [html.table(("", "per 1,000 (95 % interval)", "seen"), _line_rows(evaluation))]


def _line_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    return [
        (told, str(share), f"{share.count} of {share.parts} {kind} parts")
        for told, share, kind in (
            ("escapes", evaluation.escaped, "bad"),
            ("false rejects", evaluation.rejected, "good"),
        )
    ]


def _threshold_table(evaluation: Evaluation) -> str:
    return html.table(
        ("threshold", "escapes per 1,000 bad parts", "false rejects per 1,000 good parts"),
        [(f"{step:.2f}", str(escapes), str(rejects)) for step, escapes, rejects in evaluation.by_threshold],
    )


def _over_thresholds(figure: Any, evaluation: Evaluation) -> None:
    axes = figure.subplots()
    steps, escapes, false_rejects = zip(*evaluation.curve, strict=True)
    for shares, told, colour in (
        (escapes, "escapes per 1,000 bad parts", "C3"),
        (false_rejects, "false rejects per 1,000 good parts", "C0"),
    ):
        if not shares[0].parts:
            continue
        # A share holds from the score before up to its own: "steps-pre", from 0 on
        seen = [share.per_1000 for share in (shares[0], *shares)]
        low, high = zip(*(share.bounds for share in (shares[0], *shares)), strict=True)
        axes.plot([0, *steps], seen, color=colour, label=told, drawstyle="steps-pre")
        axes.fill_between([0, *steps], low, high, color=colour, alpha=0.15, step="pre")
    reject = [name for name in evaluation.rule.thresholds if name not in evaluation.rule.notice]
    for score in sorted({evaluation.rule.thresholds[name] for name in reject}):
        names = ", ".join(name for name in reject if evaluation.rule.thresholds[name] == score)
        axes.axvline(score, color="#444444", linestyle="--")
        # Upright, since thresholds lie close together
        place = {"xycoords": ("data", "axes fraction"), "xytext": (2, 0), "textcoords": "offset points"}
        axes.annotate(names, (score, 0.98), rotation=90, va="top", fontsize=8, **place)
    axes.set(xlabel="threshold", ylabel="per 1,000", xlim=(0, 1), ylim=(0, None))
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
