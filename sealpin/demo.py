"""sealpin demo."""

from pathlib import Path

import click


@click.command(short_help="Show the whole chain on rendered parts.")
@click.argument("out", type=click.Path(path_type=Path), default=Path("demo"))
@click.option(
    "--task",
    type=click.Choice(["detect", "classify"]),
    default="detect",
    show_default=True,
    help="Boxes around defects, or good against bad by the whole photo.",
)
def demo(out: Path, task: str) -> None:
    """Show the whole chain on rendered parts, in the folder OUT: from photos to the OK bit in a PLC."""
    from sealpin_export.demo import run_demo

    run_demo(out, task)
