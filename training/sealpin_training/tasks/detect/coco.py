"""COCO's figures (pycocotools' COCOeval, bounding boxes), for all categories and each, with the curves behind them."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.tasks.finding import Finding

from ...dataset.labels import Box
from ...dataset.records import Record

COCO_METRICS = (
    "AP",
    "AP50",
    "AP75",
    "APsmall",
    "APmedium",
    "APlarge",
    "AR1",
    "AR10",
    "AR100",
    "ARsmall",
    "ARmedium",
    "ARlarge",
)


# At which COCO looks at precision; and the overlaps from which it counts a detection as right
RECALLS = np.linspace(0.0, 1.0, 101)
OVERLAPS = 10


@dataclass(frozen=True)
class Matches:
    """One category's detections, surest first: whose `photo` each is [N], and whether it is `right` [OVERLAPS, N].

    `labelled`: boxes on each photo [photos].
    """

    photo: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    labelled: npt.NDArray[np.int64]


@dataclass(frozen=True)
class CocoScore:
    """COCO's result on some photos; figures are in 0..1, and -1 where nothing of that kind was labelled.

    `precision` has, by category, the precision at an overlap of a half for recalls 0, 0.01, ... 1. `best_f1` is the
    score from which its boxes have the best F1 there, of each category of which any was found.
    """

    metrics: Mapping[str, float]
    by_category: Mapping[str, Mapping[str, float]]
    precision: Mapping[str, tuple[float, ...]]
    best_f1: Mapping[str, float]


def coco_score(records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: Sequence[str]) -> CocoScore:
    """Score detections, a sequence for each photo, against the photos' labels."""
    scorer = _scored(records, found, classes)
    if scorer is None:
        nothing = 0.0 if any(record.boxes for record in records) else -1.0
        return CocoScore(dict.fromkeys(COCO_METRICS, nothing), {}, {}, {})
    with redirect_stdout(io.StringIO()):
        scorer.summarize()
    metrics = {name: float(value) for name, value in zip(COCO_METRICS, scorer.stats, strict=True)}
    by_category, curves, best = {}, {}, {}
    for index, name in enumerate(classes):
        # Axes of COCOeval's arrays: overlap, recall, category, size of object, number of detections
        precision = scorer.eval["precision"][:, :, index, 0, -1]
        if (precision < 0).all():
            continue  # nothing of it was labelled
        boxes = sum(box.category == name for record in records for box in record.boxes)
        recall = scorer.eval["recall"][0, index, 0, -1]
        by_category[name] = {
            "AP": float(precision.mean()),
            "AP50": float(precision[0].mean()),
            "recall50": float(recall),
            "boxes": boxes,
        }
        curves[name] = tuple(round(float(value), 4) for value in precision[0])
        steps = scorer.params.recThrs
        f1 = 2 * precision[0] * steps / np.maximum(precision[0] + steps, 1e-9)
        if f1.max() > 0:
            best[name] = float(scorer.eval["scores"][0, f1.argmax(), index, 0, -1])
    return CocoScore(metrics, by_category, curves, best)


def matches(
    records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: Sequence[str]
) -> dict[str, Matches]:
    """Which detections COCO calls right, by category, at its overlaps 0.5, 0.55 ... 0.95, boxes of all sizes."""
    scorer = _scored(records, found, classes)
    result = {}
    for index, name in enumerate(classes):
        labelled = np.array([sum(box.category == name for box in record.boxes) for record in records])
        start = 0 if scorer is None else index * len(scorer.params.areaRng) * len(records)
        entries = [] if scorer is None else enumerate(scorer.evalImgs[start : start + len(records)])
        photos, scores, right = [], [], [np.zeros((OVERLAPS, 0), bool)]
        for photo, entry in entries:
            if entry:
                photos += [photo] * len(entry["dtScores"])
                scores += entry["dtScores"]
                right.append(entry["dtMatches"] > 0)
        order = np.argsort(-np.array(scores), kind="stable")
        result[name] = Matches(np.array(photos, np.int64)[order], np.concatenate(right, axis=1)[:, order], labelled)
    return result


def average_precision(matches: Mapping[str, Matches], times: npt.NDArray[np.int64]) -> float:
    """COCO's AP, 0..1, with each photo there so many `times` [photos]; 0 where nothing is labelled.

    What `coco_score` has for AP when each is there once.
    """
    found = []
    for one in matches.values():
        labelled = float(one.labelled @ times)
        if not labelled:
            continue
        weights = times[one.photo]
        detections = np.cumsum(weights)
        precision = np.zeros((len(one.right), len(RECALLS)))
        for row, right in zip(precision, one.right, strict=True):
            places = np.flatnonzero(right & (weights > 0))
            recalled = np.cumsum(weights[places])
            # The best precision at this recall or more
            best = np.maximum.accumulate((recalled / detections[places])[::-1])[::-1]
            reached = np.searchsorted(recalled / labelled, RECALLS, side="left")
            row[reached < len(best)] = best[reached[reached < len(best)]]
        found.append(precision.mean())
    return float(np.mean(found)) if found else 0.0


def _scored(records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: Sequence[str]) -> Any:
    """An accumulated COCOeval; None where there is nothing to find, or nothing was found."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entry(photo: int, box: Box | Finding) -> dict[str, Any]:
        xmin, ymin, xmax, ymax = box.edges
        width, height = xmax - xmin, ymax - ymin
        return {
            "image_id": photo,
            "category_id": classes.index(box.category) + 1,
            "bbox": [xmin, ymin, width, height],
            "area": width * height,
        }

    truth = [entry(photo, box) for photo, record in enumerate(records, start=1) for box in record.boxes]
    results = [entry(photo, one) | {"score": one.score} for photo, many in enumerate(found, start=1) for one in many]
    if not truth or not results:
        return None
    with redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [
                {"id": photo, "width": one.width, "height": one.height} for photo, one in enumerate(records, start=1)
            ],
            "categories": [{"id": number, "name": name} for number, name in enumerate(classes, start=1)],
            "annotations": [{**one, "id": number, "iscrowd": 0} for number, one in enumerate(truth, start=1)],
        }
        coco.createIndex()
        scorer = COCOeval(coco, coco.loadRes(results), "bbox")
        scorer.evaluate()
        scorer.accumulate()
    return scorer
