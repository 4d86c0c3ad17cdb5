"""sealpin export."""

from pathlib import Path

import click

from sealpin_edge.cli.program import Number, answer, json_option
from sealpin_edge.errors import SealpinError, quote

from .evaluate import warn
from .options import dataset_option, force_option, mlruns_option

SHOWN = 10


@click.command(short_help="Write a run as model files, proven against its network.")
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder for the files.")
@click.option(
    "--quantize",
    type=click.Choice(["float32", "float16", "dynamic", "int8", "none"]),
    callback=lambda ctx, option, given: tuple(dict.fromkeys("float32" if one == "none" else one for one in given)),
    multiple=True,
    default=["int8"],
    show_default=True,
    help="Arithmetic of the model file; given several times, a file for each. none: float32.",
)
@click.option(
    "--max-drop",
    type=Number(0, 1),
    help="What a file may lose on val: of AP, else 0.01; of a classifier's accuracy, else 0.005 or one photo.",
)
@click.option(
    "--keep-float", type=click.IntRange(min=0), default=0, help="With int8: so many layers stay float, the worst ones."
)
@dataset_option
@force_option
@mlruns_option
@json_option
def export(
    run: str,
    out: Path,
    quantize: tuple[str, ...],
    max_drop: float | None,
    keep_float: int,
    dataset: Path | None,
    force: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Write RUN as a SavedModel and as TFLite, proven to judge the val photos as the trained network does."""
    from sealpin_export.export import MODEL
    from sealpin_export.export import export as export_run
    from sealpin_export.gate import MAX_SHARE_LOST
    from sealpin_export.report import ExportStep
    from sealpin_training.registry import log_export, log_page
    from sealpin_training.standing import trained_run

    def tell(step: ExportStep) -> None:
        click.echo(f"{step.what:<32}{step.seconds:>7.1f} s{step.bytes / 1e6:>8.1f} MB  {step.path}", err=as_json)

    found = trained_run(run, store, dataset)
    done = export_run(found, out, quantize, tell, max_drop, keep_float, force)
    model, gates = out / MODEL, [gate.as_dict() for gate in done.gates]
    drop, flips = max(gate.drop for gate in done.gates), sum(len(gate.flips) for gate in done.gates)
    facts = {"quantisation": quantize[0], "drop": round(drop, 5), "verdict_flips": flips}
    missed = log_page(found, done.report, "export") if done.faults else log_export(found, model, facts, done.papers)
    if missed:
        click.echo(f"MLflow did not take the export: {missed}", err=True)
    lines = [
        f"{gate.file}: {gate.metric} {gate.figures[1]:.3f} against the network's {gate.figures[0]:.3f}, "
        f"{len(gate.flips)} of {gate.photos} parts judged otherwise, {gate.certain_flips} of them certain before"
        for gate in done.gates
    ]
    lines.append(f"report: {done.report}")
    warn(done.warnings)
    if not done.faults:
        lines.append(f"next: sealpin bundle make {quote(model)} --station STATION --out FILE")
    answer(
        {
            "files": [] if done.faults else sorted({*(str(step.path) for step in done.steps), *map(str, done.papers)}),
            "model": None if done.faults else str(model),
            "report": str(done.report),
            "gate": {"passed": not done.faults, "drop": round(drop, 5), "verdict_flips": flips},
            "gates": gates,
            "warnings": list(done.warnings),
        },
        as_json,
        "\n".join(lines),
    )
    if done.faults:
        more = len(done.faults) - SHOWN
        ways = ["train longer: there is little to lose yet"] if done.warnings else []
        ways += ["with --keep-float 5, or --quantize float16"] if "int8" in quantize and not keep_float else []
        ways += ["--quantize float32 loses nothing"] if "float32" not in quantize else []
        raise SealpinError(
            "the exported model does not judge as the trained network does; it was not kept",
            where=str(out),
            found="\n".join(done.faults[:SHOWN] + ([f"and {more} more"] if more > 0 else [])),
            allowed=f"at most {done.gates[0].max_drop:.2g} {done.gates[0].metric} less (--max-drop) and"
            f" {MAX_SHARE_LOST:.0%} of it, so many of a class's findings lost, and the same verdict for every part that"
            " was certain",
            advice="; ".join([f"look at {done.report}", *ways]),
        )
