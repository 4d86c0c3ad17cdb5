"""What each task's demo shows: its recipe, and what its model must reach on parts that it has never seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sealpin_edge.model.photo import decode_photo
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import UNSURE
from sealpin_training.dataset.formats.voc import read_boxes
from sealpin_training.dataset.records import Record
from sealpin_training.tasks.classify.score import auroc
from sealpin_training.tasks.detect.coco import coco_score


@dataclass(frozen=True)
class Show:
    """`convert` and `export` are options of these commands. `figure` is what `measure` gives, and `least` at least."""

    recipe: str
    convert: Sequence[str]
    export: Sequence[str]
    figure: str
    measure: Callable[[Model, Sequence[Path]], float]
    least: float


def _ap50(model: Model, photos: Sequence[Path]) -> float:
    records, found = [], []
    for photo in photos:
        pixels = decode_photo(photo.read_bytes(), str(photo))
        records.append(Record(photo.name, b"", pixels.shape[1], pixels.shape[0], read_boxes(photo.with_suffix(".xml"))))
        found.append(model.read(pixels).findings)
    return coco_score(records, found, model.card.classes).metrics["AP50"]


def _auroc(model: Model, photos: Sequence[Path]) -> float:
    doubts, bad = [], []
    for photo in photos:
        found = model.read(decode_photo(photo.read_bytes(), str(photo))).findings
        doubts.append(next(one.score for one in found if one.category == UNSURE))
        bad.append(bool(read_boxes(photo.with_suffix(".xml"))))
    return auroc(np.array(doubts), np.array(bad))


SHOWS = {
    # Of 31 boxes on val, one that fits less well is 0.01 AP already
    "detect": Show(
        "ssd_mobilenet_v2_fpnlite_320x320_demo.config", (), ("--max-drop", "0.03"), "AP50", _ap50, least=0.85
    ),
    "classify": Show(
        "mobilenet_v2_demo.yaml",
        ("--task", "classify", "--merge", "PR=bad", "--merge", "QA=bad"),
        (),
        "AUROC",
        _auroc,
        least=0.85,
    ),
}
"""By the task's name."""
