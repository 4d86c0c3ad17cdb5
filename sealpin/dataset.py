"""sealpin dataset: photos and labels in, TFRecords out."""

from pathlib import Path

import click

from sealpin_edge.errors import InputError
from sealpin_edge.program import answer, json_option

PATH = click.Path(path_type=Path)


@click.group()
def dataset() -> None:
    """Make, convert and look at datasets."""


@dataset.command()
@click.argument("out", type=PATH)
@click.option("--parts", default=160, show_default=True, help="How many parts to render.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other parts.")
def synth(out: Path, parts: int, seed: int) -> None:
    """Render photos of seal-pin parts with LabelImg XML into the new folder OUT, for demos and tests."""
    from sealpin_training.synthesize import synthesize

    bad = synthesize(out, parts, seed)
    click.echo(f"{parts} parts in {out}, {bad} of them with burrs")
    click.echo(f"next: sealpin dataset convert {out} DATASET")


@dataset.command()
@click.argument("src", type=PATH)
@click.argument("out", type=PATH)
@click.option("--merge", multiple=True, metavar="OLD=NEW", help="Fold a category into another; may be given again.")
@click.option("--seed", default=0, show_default=True, help="Deals photos to train, val and test.")
@json_option
def convert(src: Path, out: Path, merge: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Check the photos and LabelImg XML below SRC and write them as a dataset into the new folder OUT."""
    from sealpin_training.dataset import convert as convert_folder

    pairs = dict(pair.split("=", 1) for pair in merge if "=" in pair)
    if len(pairs) != len(merge) or not all(old and new for old, new in pairs.items()):
        raise InputError(
            "this names no two categories", where="--merge", found=", ".join(merge), allowed="OLD=NEW, once each"
        )
    result = convert_folder(src, out, merge=pairs, seed=seed)
    counts = ", ".join(f"{count} {split}" for split, count in result.counts.items())
    answer(
        {"photos": result.counts, "classes": result.classes, "digest": result.digest},
        as_json,
        f"{out}: {counts} photos; classes {', '.join(result.classes)}; digest {result.digest[:12]}\n"
        f"next: sealpin train RECIPE --dataset {out} --run NAME",
    )
