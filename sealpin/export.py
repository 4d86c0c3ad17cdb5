"""sealpin export."""

from pathlib import Path

import click

from sealpin_edge.program import answer, json_option


@click.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder for the files.")
@click.option("--quantize", type=click.Choice(["none", "int8"]), default="int8", show_default=True)
@json_option
def export(run: str, out: Path, quantize: str, as_json: bool) -> None:
    """Write RUN as a SavedModel and as a TFLite model that tells everything needed to use it."""
    from sealpin_export.export import ExportStep
    from sealpin_export.export import export as export_run
    from sealpin_training.run import load_run

    files: list[str] = []

    def report(step: ExportStep) -> None:
        files.append(str(step.path))
        click.echo(f"{step.what:<30}{step.seconds:>7.1f} s{step.bytes / 1e6:>8.1f} MB  {step.path}", err=as_json)

    model = export_run(load_run(run), out, quantize, report)
    answer(
        {"files": sorted(set(files)), "model": str(model)},
        as_json,
        f"next: sealpin bundle {model} --station station.toml --out FILE",
    )
