"""sealpin pretrained: weights to start from."""

import click

from sealpin_edge.cli.program import Ordered, answer, json_option
from sealpin_edge.errors import quote


@click.group(cls=Ordered, short_help="Fetch weights to start a training from.")
def pretrained() -> None:
    """Weights to start a training from."""


@pretrained.command("list", short_help="List what can be fetched, and what is here.")
@json_option
def list_names(as_json: bool) -> None:
    """The models that can be fetched, and those that are there."""
    from sealpin_training.pretrained import FOLDER, NAMES

    here = {name: (FOLDER / name / "checkpoint").is_dir() for name in NAMES}
    text = "\n".join(f"{name}{'  (here)' if there else ''}" for name, there in here.items())
    answer({"models": [{"name": name, "here": there} for name, there in here.items()]}, as_json, text)


@pretrained.command(short_help="Fetch a model of the Object Detection API's zoo.")
@click.argument("name")
@click.option("--url", help="Another server that has the zoo's archives; the folder that holds NAME.tar.gz.")
@click.option("--sha256", help="What the archive must be; else as the first time.")
@json_option
def get(name: str, url: str | None, sha256: str | None, as_json: bool) -> None:
    """Fetch NAME from the Object Detection API's model zoo into pretrained/. A download that was cut goes on."""
    from sealpin_training.pretrained import ZOO
    from sealpin_training.pretrained import get as get_model

    path = get_model(name, url or ZOO, sha256)
    answer(
        {"checkpoint": str(path)},
        as_json,
        f'{path}\nadvice: fine_tune_checkpoint: "{path}" in a recipe, or with any recipe\n'
        f"next: sealpin train RECIPE --dataset DATASET --run NAME --start-from {quote(path)}",
    )
