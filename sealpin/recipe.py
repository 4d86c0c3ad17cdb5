"""sealpin recipe: what a pipeline.config says, and what training makes of it."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from sealpin_edge.cli.program import Ordered, answer, json_option
from sealpin_edge.errors import quote

PATH = click.Path(path_type=Path)
KINDS = {"honoured": "honoured", "idle": "without effect", "fixed": "not followed"}
SHOWN = (*KINDS.values(), "not here")


@click.group(cls=Ordered, short_help="Write, check and compare recipes (pipeline.config).")
def recipe() -> None:
    """Training recipes: the Object Detection API's pipeline.config files."""


@recipe.command(short_help="Write a recipe fitted to a dataset.")
@click.argument("dataset", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--size",
    type=click.IntRange(32, 1024),
    help="Input, pixels; of boxes 320, 640 or 1024.  [default: 640; of whole photos 224]",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Photos a step.  [default: 8; of whole photos 16]")
@click.option(
    "--backbone",
    type=click.Choice(["mobilenet_v2", "resnet50_v1"]),
    help="Of boxes: what the features come from.  [default: mobilenet_v2]",
)
@click.option(
    "--model",
    type=click.Choice(["efficientnet_lite0", "efficientnet_b0", "mobilenet_v2", "resnet50"]),
    help="Of whole photos: the network.  [default: efficientnet_lite0]",
)
@click.option(
    "--aug",
    type=click.Choice(["none", "light", "medium", "heavy"]),
    help="Of whole photos: how much they are changed in training.  [default: light]",
)
@click.option("--frozen", is_flag=True, default=None, help="Of whole photos: train the last layer alone.")
@click.option("--start-from", metavar="WEIGHTS", help="Of whole photos: the backbone's weights.")
@json_option
def new(dataset: Path, out: Path, as_json: bool, **wishes: object) -> None:
    """Write a recipe fitted to a converted DATASET: its classes, steps for its size, and anchors for its boxes."""
    from sealpin_training.dataset.manifest import load_dataset
    from sealpin_training.tasks.task import task_named

    task = task_named(load_dataset(dataset).task)
    given = {name: value for name, value in wishes.items() if value is not None}
    for name in given:
        if name not in task.wishes:
            raise click.UsageError(f"--{name.replace('_', '-')} is not for a dataset of task {task.name}")
    made = task.new_recipe(dataset, out, given)
    fetch = f"{made.fetch} && " if made.fetch else ""
    text = (
        f"{out}: {made.classes} classes, {made.steps:,} steps{'; ' if made.told else ''}{made.told}\n"
        f"next: {fetch}sealpin train {quote(out)} --dataset {quote(dataset)} --run NAME"
    )
    answer({"recipe": str(out), "steps": made.steps, **made.facts, "weights": made.weights}, as_json, text)


@recipe.command(short_help="Tell what training cannot follow, and what will not work.")
@click.argument("path", type=PATH)
@click.option("--dataset", type=PATH, help="Also: does it fit this dataset?")
@click.option("--all", "every", is_flag=True, help="Also list the fields that are honoured.")
@json_option
@click.pass_context
def check(ctx: click.Context, path: Path, dataset: Path | None, every: bool, as_json: bool) -> None:
    """Tell what training makes of PATH, and first what will not work. Exit code 1 when it cannot follow a field."""
    from sealpin_training.dataset.manifest import load_dataset
    from sealpin_training.tasks.task import load_recipe, task_named
    from sealpin_training.train import check_fits

    found = load_recipe(path)
    if dataset:
        check_fits(found, str(path), load_dataset(dataset))
    wrong = task_named(found.task).problems(found, path)
    otherwise = {one.field: one.treatment for one in wrong if one.treatment}
    fields = [
        {"field": one.field, "value": one.shown, "treatment": otherwise.get(one.field, KINDS[one.kind])}
        | {"effect": one.effect}
        for one in found.settings()
        if not one.default
    ]
    counts = Counter(one["treatment"] for one in fields)
    lines = [
        f"{path}: {found.network}, {found.width}x{found.height},"
        f" {found.num_classes} classes, {found.num_steps:,} steps of {found.batch_size} photos",
        *(f"problem: {one}" for one in wrong),
        "fields that differ from their default: " + ", ".join(f"{counts[told]} {told}" for told in SHOWN),
    ]
    for told in SHOWN[0 if every else 1 : 2]:  # of the others the problems tell
        lines += [told]
        lines += [_line(one) for one in fields if one["treatment"] == told] or ["  none"]
    if not every:
        lines.append("--all lists those that are honoured, too")
    document = {"recipe": str(path), "problems": [asdict(one) for one in wrong], "fields": fields}
    answer({**document, "differences": counts["not followed"]}, as_json, "\n".join(lines))
    if counts["not followed"]:
        ctx.exit(1)


def _line(field: dict[str, str]) -> str:
    return f"  {field['field']} = {field['value']}" + (f": {field['effect']}" if field["effect"] else "")


@recipe.command(short_help="Show every value, defaults filled in.")
@click.argument("path", type=PATH)
@json_option
def show(path: Path, as_json: bool) -> None:
    """Every value of PATH with the API's defaults filled in, as training takes it."""
    from sealpin_training.tasks.task import load_recipe

    found = list(load_recipe(path).settings())
    text = "\n".join(f"{one.field} = {one.shown}{'  (default)' if one.default else ''}" for one in found)
    answer({one.field: one.shown for one in found}, as_json, text)


@recipe.command(short_help="Tell in what two recipes differ.")
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@json_option
def diff(a: Path, b: Path, as_json: bool) -> None:
    """What B says otherwise than A, defaults filled in. Comments and order do not count."""
    from sealpin_training.tasks.recipe import differing
    from sealpin_training.tasks.task import load_recipe

    found = differing(load_recipe(a), load_recipe(b))
    text = "\n".join(f"{field}: {old} -> {new}" for field, old, new in found) or "the same"
    answer({"differences": [{"field": f, "a": old, "b": new} for f, old, new in found]}, as_json, text)
