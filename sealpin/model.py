"""sealpin model and predict: what a model file is, and what it finds."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealpin_edge.cli.program import Ordered, answer, json_option
from sealpin_edge.errors import printable

from .options import force_option
from .rule import good_option, notice_option, threshold_option

if TYPE_CHECKING:
    from sealpin_edge.tasks.verdict import Thresholds

PATH = click.Path(path_type=Path)
labels_option = click.option("--labels", type=PATH, help="A label file, for a model that carries none.")


@click.group(cls=Ordered, short_help="Look into model files.")
def model() -> None:
    """Model files: sealpin's and other people's."""


@model.command(short_help="Tell what a model file is, and whether a station runs it.")
@click.argument("file", type=PATH)
@labels_option
@good_option
@json_option
def show(file: Path, labels: Path | None, good: tuple[str, ...] | None, as_json: bool) -> None:
    """What FILE is: inputs, outputs, labels, metadata, operators, and whether a station can run it."""
    from sealpin_edge.model.label_file import read_labels
    from sealpin_export.gate import check_proven
    from sealpin_export.show import describe_model, text

    check_proven(file)
    description = describe_model(file, read_labels(labels), good)
    answer(description, as_json, text(description))


@click.command(short_help="Judge photos with a model file.")
@click.argument("file", metavar="MODEL", type=PATH)
@click.argument("photos", type=PATH)
@click.option("--overlays", type=PATH, help="A folder for the photos with verdict and boxes drawn in.")
@click.option("--xml", type=PATH, help="A folder for the boxes as Pascal VOC XML.")
@force_option
@threshold_option("Score from which a box counts; else the model's own.")
@notice_option("A category that is shown and does not reject; else the model's own.")
@labels_option
@good_option
@json_option
def predict(
    file: Path,
    photos: Path,
    overlays: Path | None,
    xml: Path | None,
    force: bool,
    threshold: "Thresholds | None",
    notice: frozenset[str] | None,
    labels: Path | None,
    good: tuple[str, ...] | None,
    as_json: bool,
) -> None:
    """Judge PHOTOS, a photo or a folder, with MODEL."""
    from sealpin_edge.model.label_file import read_labels
    from sealpin_edge.tasks.model import Model
    from sealpin_export.gate import check_proven
    from sealpin_export.predict import predict as predict_photos

    detector = Model(file, labels=read_labels(labels), good=good)
    check_proven(file, detector.sha256)
    rule = detector.rule(threshold, notice, where="--{}")
    found = list(predict_photos(detector, photos, rule=rule, overlays=overlays, xml=xml, force=force))
    lines = [
        printable(
            f"{one.verdict.value:<14}{one.photo}  "
            + (one.why or ", ".join(f"{box.category} {box.score:.0%}" for box in one.findings))
        )
        for one in found
    ]
    counts = {verdict: sum(one.verdict.value == verdict for one in found) for verdict in ("OK", "NG", "NOT INSPECTED")}
    lines.append(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    answer({"photos": [one.as_dict() for one in found]}, as_json, "\n".join(lines))
