"""sealpin cam: where classifiers looked, in a browser."""

from pathlib import Path

import click

from .options import dataset_option, mlruns_option


@click.command(short_help="Look at where classifiers looked, in a browser.")
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Where the page is, on this machine."
)
@dataset_option
@mlruns_option
def cam(runs: tuple[str, ...], port: int, dataset: Path | None, store: Path) -> None:
    """Show photos by how they were judged, with heat maps of RUNS by several methods side by side.

    Brightness, turning and the recipe's augmentation are tried live, maps become boxes from a threshold on, and are
    measured against labelled boxes. The page is at http://127.0.0.1:PORT until Ctrl-C.
    """
    from sealpin_training.standing import trained_run
    from sealpin_training.tasks.classify.cam.serve import serve

    serve([trained_run(name, store, dataset) for name in dict.fromkeys(runs)], port)
