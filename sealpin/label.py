"""sealpin label: photos on the screen, boxes out."""

from pathlib import Path

import click

from sealpin_edge.errors import quote


@click.command(short_help="Draw boxes around what is to be found, in labelImg.")
@click.argument("photos", type=click.Path(path_type=Path))
@click.option(
    "--classes", metavar="NAME,NAME", default="", help="What to choose from; else what the folder has, else burr."
)
def label(photos: Path, classes: str) -> None:
    """Open labelImg on the folder PHOTOS; a box around each defect is saved as XML beside its photo.

    W draws a box, Ctrl+S saves, D and A are the next and the previous photo. Space saves a photo as looked at: a good
    part, or a proposal that is right.
    """
    from sealpin_training.dataset.label import label as open_label_img

    open_label_img(photos, tuple(name.strip() for name in classes.split(",") if name.strip()))
    click.echo(f"next: sealpin dataset check {quote(photos)}")
