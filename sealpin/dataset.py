"""sealpin dataset: photos and labels in, TFRecords out."""

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealpin_edge.cli.program import Ordered, answer, check_place, json_option
from sealpin_edge.errors import InputError, printable, quote

from .options import force_option
from .rule import threshold_option

if TYPE_CHECKING:
    from sealpin_edge.tasks.verdict import Thresholds
    from sealpin_training.dataset.faults import Fault
    from sealpin_training.dataset.survey import Rules, Survey

PATH = click.Path(path_type=Path)
SHOWN = 5
MARKS = {"error": ("E", "red"), "warning": ("W", "yellow"), "note": ("n", "cyan")}

classes_option = click.option(
    "--classes", metavar="NAME,NAME", default="", help="The only classes that are right; else those that are found."
)
recipe_option = click.option(
    "--recipe", type=PATH, help="Hold photos and boxes against this recipe's input; else against 640x640."
)
workers_option = click.option("--workers", type=click.IntRange(1), help="Processes; one for each core unless given.")


task_option = click.option(
    "--task", metavar="[detect|classify]", default="detect", show_default=True,
    help="What the photos are to train: boxes, or a class for each whole photo, by folders, a table, masks or boxes.",
)  # fmt: skip
good_option = click.option(
    "--good",
    multiple=True,
    metavar="CLASS",
    callback=lambda _context, _option, names: tuple(filter(None, names)) if names else None,
    help='With --task classify: a class of good parts; else what sounds so. Repeatable; "" for none.',
)


@click.group(cls=Ordered, short_help="Check, repair, look at and convert photos and labels.")
def dataset() -> None:
    """Make, check, convert and look at datasets.

    Labels are labelImg's XML, YOLO's text files, a COCO JSON file, or the CSV of xml_to_csv.py: what lies in the folder
    is read.
    """


@dataset.command(short_help="Render parts to try things with.")
@click.argument("out", type=PATH)
@click.option("--parts", default=160, show_default=True, help="How many parts to render.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other parts.")
def synth(out: Path, parts: int, seed: int) -> None:
    """Render photos of seal-pin parts with LabelImg XML into the new folder OUT, for demos and tests."""
    from sealpin_training.synthesize import synthesize

    bad = synthesize(out, parts, seed)
    click.echo(f"{parts} parts in {out}, {bad} of them with burrs")
    click.echo(f"next: sealpin dataset check {quote(out)}")


@dataset.command(short_help="Tell all that is wrong with photos and labels.")
@click.argument("src", type=PATH)
@classes_option
@task_option
@good_option
@recipe_option
@workers_option
@json_option
def check(
    src: Path,
    classes: str,
    task: str,
    good: tuple[str, ...] | None,
    recipe: Path | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Look at every photo and label below SRC and tell everything that is wrong. Exit code 1 if there is an error."""
    from sealpin_training.dataset.survey import survey
    from sealpin_training.parallel import workers as processes

    with processes(workers) as pool:
        rules = _rules(classes, recipe, task, good)
        found = survey(src, rules, pool)
    errors, warnings = found.count("error"), found.count("warning")
    photos = sum(entry.photo is not None for entry in found.source.entries)
    answer(
        {
            "photos": photos,
            "errors": errors,
            "warnings": warnings,
            "format": found.source.format,
            "findings": [finding.as_dict() for finding in found.findings],
        },
        as_json,
        f"{_findings_text(found.findings)}{photos} photos, labels in {found.source.format} format: "
        f"{errors} errors, {warnings} warnings, {found.count('note')} notes\n{_after_check(found, src, rules)}",
    )
    if errors:
        raise click.exceptions.Exit(1)


@dataset.command(short_help="Write a repaired copy, and list every change.")
@click.argument("src", type=PATH)
@click.argument("out", type=PATH)
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Give a class another name; may be given again.")
@classes_option
@task_option
@good_option
@workers_option
@json_option
def fix(
    src: Path,
    out: Path,
    rename: tuple[str, ...],
    classes: str,
    task: str,
    good: tuple[str, ...] | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Write a repaired copy of SRC, labels as labelImg XML, into the new folder OUT, and list every change.

    SRC itself is never touched. With labels of another format this is the way to labelImg.
    """
    from dataclasses import asdict

    from sealpin_training.dataset.fix import fix as fix_folder

    new_names = _pairs(rename, "--rename")
    rules = _rules(classes, None, task, good)
    kept, changes = fix_folder(src, out, rename=new_names, rules=rules, processes=workers)
    labelled = rules.whole or any(out.rglob("*.xml"))
    lines = [
        printable(
            f"{change.file}{f' object {change.object}' if change.object else ''}: {change.change} ({change.kind})"
        )
        for change in changes[:SHOWN]
    ]
    more = [f"... and {len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
    answer(
        {"photos": kept, "changes": [asdict(change) for change in changes]},
        as_json,
        "\n".join(
            [
                *lines,
                *more,
                f"{kept} photos in {out}, {len(changes)} changes, all in {out / 'changes.csv'}",
                *([f"next: sealpin dataset check {quote(out)}" + _renamed(rules, new_names).words] if labelled else []),
                *([f"next: sealpin label {quote(out)}"] if kept and not labelled else []),
            ]
        ),
    )


@dataset.command(short_help="Tell how many, how large and where boxes are.")
@click.argument("src", type=PATH)
@task_option
@good_option
@recipe_option
@click.option("--report", type=PATH, metavar="HTML", help="Also write a page with charts and examples.")
@force_option
@workers_option
@json_option
def stats(
    src: Path,
    task: str,
    good: tuple[str, ...] | None,
    recipe: Path | None,
    report: Path | None,
    force: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Tell what is below SRC: counts, sizes of boxes against the recipe's anchors, where they sit, good and bad."""
    from sealpin_training.dataset.report import table, write_report
    from sealpin_training.dataset.stats import statistics
    from sealpin_training.dataset.survey import survey
    from sealpin_training.parallel import workers as processes
    from sealpin_training.tasks.detect.anchors import Anchors
    from sealpin_training.tasks.detect.recipe import load_recipe

    check_place(report, force=force, ending=".html")
    rules = _rules("", None, task, good)
    if recipe and rules.whole:
        raise click.UsageError("--recipe tells the anchors of boxes: it is not for --task classify")
    anchors = [Anchors.of(load_recipe(recipe))] if recipe else [Anchors(), Anchors(320, 320)]
    with processes(workers) as pool:
        found = survey(src, rules, pool)
    inputs = [statistics(found, one) for one in anchors]
    told = []
    if found.count("error"):
        check = f"sealpin dataset check {quote(src)}{rules.words}"
        told.append(f"{found.count('error')} errors, whose boxes are not counted: {check}")
    if report:
        write_report(found, inputs, report)
        told.append(f"charts: {report}")
    others = [{key: one.as_dict()[key] for key in ("input", "classes")} for one in inputs[1:]]
    answer(inputs[0].as_dict() | {"other_inputs": others}, as_json, "\n".join([table(inputs), *told]))


@dataset.command(short_help="Draw photos with their boxes onto contact sheets.")
@click.argument("src", type=PATH)
@click.argument("out", type=PATH)
@task_option
@good_option
@workers_option
def preview(src: Path, out: Path, task: str, good: tuple[str, ...] | None, workers: int | None) -> None:
    """Draw every photo below SRC with its boxes onto contact sheets (PNG) in the new folder OUT."""
    from sealpin_training.dataset.preview import preview as draw

    sheets = draw(src, out, _rules("", None, task, good), processes=workers)
    click.echo(f"{sheets} sheets: {out / 'sheet-001.png'}" + (f" to {sheets:03d}" if sheets > 1 else ""))


@dataset.command(short_help="Propose boxes with a model, for a person to look at.")
@click.argument("photos", type=PATH)
@click.option("--model", required=True, type=PATH, help="A model file of sealpin export.")
@threshold_option("The least score; else the model's own.")
@json_option
def prelabel(photos: Path, model: Path, threshold: "Thresholds | None", as_json: bool) -> None:
    """Write a model's proposals as XML beside each photo below PHOTOS that has no labels.

    They count as unlabelled until a person has opened and saved them: sealpin label PHOTOS, Space when all is right.
    """
    from sealpin_export.gate import check_proven
    from sealpin_training.dataset.prelabel import prelabel as propose

    check_proven(model)
    done = propose(photos, model, threshold)
    told = [f"{name}: this photo cannot be read" for name in done.unreadable]
    answer(
        {
            "photos": done.photos,
            "boxes": done.boxes,
            "labelled": done.labelled,
            "unreadable": list(done.unreadable),
        },
        as_json,
        "\n".join(
            [
                *told,
                f"{done.photos} proposals with {done.boxes} boxes; {done.labelled} photos have labels already",
                f"next: sealpin label {quote(photos)}",
            ]
        ),
    )


@dataset.command(short_help="Write photos and labels as a dataset for training.")
@click.argument("src", type=PATH)
@click.argument("out", type=PATH)
@click.option("--merge", multiple=True, metavar="OLD=NEW", help="Fold a category into another; may be given again.")
@click.option("--seed", default=0, show_default=True, help="Deals photos to train, val and test.")
@click.option("--group", default="", metavar="REGEX", help="Photos whose names match alike show one part: one split.")
@click.option("--keep", type=PATH, metavar="DATASET", help="An earlier dataset whose photos stay in their splits.")
@click.option("--unlabelled", type=click.Choice(["leave", "good"]), default="leave", show_default=True,
              help="Leave photos without labels out, or take them as good parts.")  # fmt: skip
@classes_option
@task_option
@good_option
@workers_option
@json_option
def convert(
    src: Path,
    out: Path,
    merge: tuple[str, ...],
    seed: int,
    group: str,
    keep: Path | None,
    unlabelled: str,
    classes: str,
    task: str,
    good: tuple[str, ...] | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Check the photos and labels below SRC and write them as a dataset into the new folder OUT.

    70 % of the photos go to train, 15 % each to val and test, unless SRC has folders train, val (valid) and test.
    Photos of the same shot stay together.
    """
    from sealpin_training.dataset.convert import Plan
    from sealpin_training.dataset.convert import convert as convert_folder
    from sealpin_training.dataset.manifest import load_dataset

    plan = Plan(_pairs(merge, "--merge"), seed, group, keep, unlabelled == "good", _rules(classes, None, task, good))
    result, found = convert_folder(src, out, plan, processes=workers)
    counts = ", ".join(f"{count} {split}" for split, count in result.counts.items())
    check = f"sealpin dataset check {quote(src)}{plan.rules.words}"
    told, good_parts = [], sum(result.counts.values()) - len(result.bad)
    waiting = found.unlabelled & found.unplaced
    if waiting:
        told.append(f"{len(waiting)} photos left out until a person has looked at them: sealpin label {quote(src)}")
    if without := sorted(found.unlabelled - waiting):
        some = printable(f"{', '.join(without[:SHOWN])}{', ...' if len(without) > SHOWN else ''}")
        told.append(
            f"{len(without)} photos without labels left out; --unlabelled good takes them as good parts"
            if unlabelled == "leave"
            else f"{len(without)} photos without labels are good parts now, by --unlabelled good: {some}"
        )
    if warnings := found.count("warning"):
        told.append(f"{warnings} warnings: {check}")
    if keep:
        told += result.changes(load_dataset(keep))
    following = f"next: sealpin train RECIPE --dataset {quote(out)} --run NAME"
    if empty := [split for split in ("train", "val") if not result.counts[split]]:
        told.append(f"no photo is in {' and '.join(empty)}, so that nothing can be trained: label more")
        ours = found.source.format == "voc"  # else what drew these boxes draws more of them
        following = (
            f"next: sealpin label {quote(src)}"
            if ours
            else f"next: sealpin dataset check {quote(src)}{plan.rules.words}"
        )
    elif not result.counts["test"]:
        told.append(
            "no photo is in test: val chooses checkpoint and thresholds, so that its figures flatter; label more"
        )
    answer(
        {
            "photos": result.counts,
            "good": good_parts,
            "classes": result.classes,
            "digest": result.digest,
            "unlabelled": len(found.unlabelled),
            "warnings": found.count("warning"),
        },
        as_json,
        "\n".join(
            [
                *told,
                f"{out}: {counts} photos, {good_parts} of them good parts; classes {', '.join(result.classes)};"
                f" digest {result.digest[:12]}",
                following,
            ]
        ),
    )


def _after_check(found: "Survey", src: Path, rules: "Rules") -> str:
    """The line of the next command: it does what the findings' advice says, and holds the folder against the same."""
    from sealpin_training.dataset.faults import KINDS

    kinds = {one.kind for one in found.findings if one.severity == "error"}
    same_classes = rules.words
    if not kinds:
        return f"next: sealpin dataset convert {quote(src)} OUT" + same_classes
    if kinds == {"no-boxes"} and found.source.format == "voc":
        return f"next: sealpin label {quote(src)}" + same_classes
    told_by_name = any("--rename" in KINDS[kind].hint for kind in kinds)
    if kinds != {"no-boxes"} and not told_by_name and not any(KINDS[kind].fix for kind in kinds):
        return f"next: sealpin dataset check {quote(src)}" + same_classes  # when done by hand
    return f"next: sealpin dataset fix {quote(src)} OUT" + " --rename OLD=NEW" * told_by_name + same_classes


def _renamed(rules: "Rules", renamed: Mapping[str, str]) -> "Rules":
    """The rules for a copy in which classes have other names."""
    from dataclasses import replace

    classes = dict.fromkeys(renamed.get(name, name) for name in rules.classes)
    good = None if rules.good is None else tuple(dict.fromkeys(renamed.get(name, name) for name in rules.good))
    return replace(rules, classes=tuple(classes), good=good)


def _class_names(classes: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in classes.split(",") if name.strip())


def _rules(classes: str, recipe: Path | None, task: str, good: tuple[str, ...] | None) -> "Rules":
    from sealpin_training.dataset.survey import Rules
    from sealpin_training.tasks.task import load_recipe, task_named

    kind = task_named(task)
    if good is not None and not kind.whole:
        raise click.UsageError("--good belongs to --task classify: a part with boxes is good when it has none")
    size = kind.input_size
    if recipe is not None:
        found = load_recipe(recipe)
        size = found.width, found.height
    return Rules(size, _class_names(classes), kind.name, kind.whole, good)


def _pairs(given: tuple[str, ...], option: str) -> Mapping[str, str]:
    pairs = dict(pair.split("=", 1) for pair in given if "=" in pair)
    if len(pairs) != len(given) or not all(old and new for old, new in pairs.items()):
        raise InputError(
            "this names no two categories", where=option, found=", ".join(given), allowed="OLD=NEW, once each"
        )
    return pairs


def _findings_text(findings: "list[Fault]") -> str:
    """Findings by kind, the worst first, a few of each."""
    from sealpin_training.dataset.faults import KINDS

    lines = []
    for kind, group in groupby(findings, key=lambda finding: finding.kind):
        members = list(group)
        row = KINDS[kind]
        mark, colour = MARKS[row.severity]
        lines.append(click.style(f"{mark} {kind}", fg=colour, bold=True) + f"  {len(members)}x  {row.problem}")
        for one in members[:SHOWN]:
            place = f"{one.file} object {one.number}" if one.number else one.file
            allowed = one.allowed or row.allowed
            lines.append(printable(f"    {place}: {one.found}" + (f"; allowed: {allowed}" if allowed else "")))
        if len(members) > SHOWN:
            lines.append(f"    ... and {len(members) - SHOWN} more (--json lists all)")
        lines.append(f"    advice: {row.advice}")
    return "".join(line + "\n" for line in lines)
