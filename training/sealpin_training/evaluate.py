"""Judge a run on a split: COCO's table for the data scientist, parts OK and NG against truth for the factory."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sealpin_edge.detection import Detection, above, rejects
from sealpin_edge.errors import InputError
from sealpin_edge.files import write_whole
from sealpin_edge.photo import decode_photo, stretch

from .dataset.labels import Box
from .dataset.records import Record, read_records
from .network import build_network, detector, restore
from .progress import progress
from .run import Run

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
ESCAPE_COST = 10.0
GAP_SHARE = 0.25
BATCH = 8


@dataclass(frozen=True)
class Evaluation:
    """Result on one split. `metrics` are COCO's, in 0..1, and -1 where nothing of that size was labelled.

    A part is NG in truth when it has a labelled box; an escape is an NG part judged OK, a false reject the opposite.
    """

    split: str
    metrics: Mapping[str, float]
    threshold: float
    threshold_chosen: str
    parts: int
    bad_parts: int
    escapes: tuple[str, ...]
    false_rejects: tuple[str, ...]


def evaluate(run: Run, split: str, threshold: float | None = None) -> Evaluation:
    """Run the newest checkpoint over a split, write `evaluation_<split>.json` into the run and return it.

    Without `threshold`, val chooses one and every other split takes val's; with one, nothing is written. Raises
    InputError when the split is empty, the dataset has changed, or the run has no checkpoint.
    """
    dataset = run.load_dataset()
    if not dataset.counts[split]:
        raise InputError(f"the {split} split is empty", where=str(dataset.folder), allowed="a split with photos")
    records = list(read_records(dataset.folder, split, dataset.classes))
    found = _detect(run, records)
    truth = [bool(record.boxes) for record in records]
    if threshold is not None:
        chosen = "given"
    elif split == "val" and len(set(truth)) == 1:
        threshold = best_f1_threshold(records, found, run.classes)
        chosen = f"best F1 of boxes on val, which has no {'good' if truth[0] else 'bad'} parts"
    elif split == "val":
        threshold = choose_threshold([max((one.score for one in photo), default=0.0) for photo in found], truth)
        chosen = f"least cost on val, an escape counted as {ESCAPE_COST:g} false rejects"
    else:
        threshold, chosen = float(run.evaluation("val")["threshold"]), "on val"
    judged = [rejects(above(photo, dict.fromkeys(run.classes, threshold))) for photo in found]
    verdicts = list(zip(records, truth, judged, strict=True))
    evaluation = Evaluation(
        split,
        coco_metrics(records, found, run.classes),
        threshold,
        chosen,
        len(records),
        sum(truth),
        tuple(record.name for record, bad, reject in verdicts if bad and not reject),
        tuple(record.name for record, bad, reject in verdicts if reject and not bad),
    )
    if chosen != "given":  # a what-if must not become the threshold that export and the other splits take
        write_whole(run.folder / f"evaluation_{split}.json", (json.dumps(asdict(evaluation), indent=1) + "\n").encode())
    return evaluation


def choose_threshold(scores: Sequence[float], bad: Sequence[bool]) -> float:
    """A score in the widest gap in which the parts' verdicts cost least, nearer to the good parts.

    `scores` are the parts' highest scores in 0..1; a part is NG when its score reaches the threshold. An escape costs
    `ESCAPE_COST`, a false reject 1. Parts yet to come will fall into the gap from both sides, and those from above cost
    more: hence not its middle, but `GAP_SHARE` of the way up.
    """
    edges = sorted({0.0, 1.0, *scores})
    best = min(
        (
            sum(ESCAPE_COST for score, is_bad in zip(scores, bad, strict=True) if is_bad and score <= low)
            + sum(1.0 for score, is_bad in zip(scores, bad, strict=True) if not is_bad and score > low),
            low - high,
            low + GAP_SHARE * (high - low),
        )
        for low, high in pairwise(edges)
    )
    return round(best[2], 4)


def coco_metrics(
    records: Sequence[Record], found: Sequence[Sequence[Detection]], classes: Sequence[str]
) -> dict[str, float]:
    """COCO's twelve figures (pycocotools' COCOeval, bounding boxes), by name."""
    scorer = _coco(records, found, classes)
    if scorer is None:
        return dict.fromkeys(COCO_METRICS, 0.0 if any(record.boxes for record in records) else -1.0)
    with redirect_stdout(io.StringIO()):
        scorer.summarize()
    return {name: float(value) for name, value in zip(COCO_METRICS, scorer.stats, strict=True)}


def best_f1_threshold(records: Sequence[Record], found: Sequence[Sequence[Detection]], classes: Sequence[str]) -> float:
    """The score at which boxes have the best F1 at an overlap of a half, the mean over categories; 0.5 without any."""
    scorer = _coco(records, found, classes)
    if scorer is None:
        return 0.5
    # Axes of COCOeval's arrays: overlap, recall, category, size of object, number of detections
    precision, scores = (scorer.eval[key][0, :, :, 0, -1] for key in ("precision", "scores"))
    recall = scorer.params.recThrs[:, None]
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    best = [scores[column.argmax(), index] for index, column in enumerate(f1.T) if column.max() > 0]
    return round(float(np.mean(best)), 4) if best else 0.5


def _coco(records: Sequence[Record], found: Sequence[Sequence[Detection]], classes: Sequence[str]) -> Any:
    """An accumulated COCOeval; None where there is nothing to find, or nothing was found."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entry(photo: int, box: Box | Detection) -> dict[str, Any]:
        width, height = box.xmax - box.xmin, box.ymax - box.ymin
        return {
            "image_id": photo,
            "category_id": classes.index(box.category) + 1,
            "bbox": [box.xmin, box.ymin, width, height],
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


def _detect(run: Run, records: Sequence[Record]) -> list[list[Detection]]:
    recipe = run.recipe()
    model = build_network(recipe)
    restore(model, run.checkpoints)
    detect = detector(recipe, model)
    found = []
    for start in progress(range(0, len(records), BATCH), f"evaluate {len(records)} photos", "batch"):
        batch = records[start : start + BATCH]
        photos = [
            stretch(decode_photo(record.data, record.name), recipe.resizer.height, recipe.resizer.width)
            for record in batch
        ]
        outputs = [tensor.numpy() for tensor in detect(np.stack(photos))]
        for record, boxes, scores, classes, count in zip(batch, *outputs, strict=True):
            found.append(list(_detections(record, boxes[:count], scores, classes, run.classes)))
    return found


def _detections(record: Record, boxes: Any, scores: Any, classes: Any, names: Sequence[str]) -> Iterable[Detection]:
    for (ymin, xmin, ymax, xmax), score, label in zip(boxes, scores, classes, strict=False):
        yield Detection(
            names[int(label)],
            float(score),
            float(xmin) * record.width,
            float(ymin) * record.height,
            float(xmax) * record.width,
            float(ymax) * record.height,
        )
