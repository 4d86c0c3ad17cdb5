"""A split's photos as runs judged them, and what their maps are worth, for the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sealpin_edge.errors import InputError
from sealpin_edge.model.photo import Photo, decode_photo
from sealpin_edge.tasks.finding import Edges, HeatMap
from sealpin_edge.tasks.heat import hot_boxes
from sealpin_edge.tasks.verdict import Verdict, judge

from ....dataset.records import Record, RecordFile
from ....evaluation.choice import kept_rule
from ....evaluation.line import bad_parts
from ....evaluation.predict import predict_photos, trained_predictor
from ....run import Run
from .look import Look
from .methods import METHODS, Explainer
from .places import best_overlap, points_at

ESCAPE, FALSE_REJECT, OK, NG = "escape", "false reject", "rightly OK", "rightly NG"


@dataclass(frozen=True)
class Seen:
    """One photo through one run: what it was shown, labelled boxes in that, probabilities, and the maps by method."""

    photo: Photo
    boxes: Sequence[Edges]
    probabilities: Sequence[float]
    maps: dict[str, HeatMap]


@dataclass(frozen=True)
class Worth:
    """What a method's maps are worth on photos with labelled boxes: shares of 0..1, of so many photos."""

    photos: int
    pointing: float
    overlap: float


def check_runs(runs: Sequence[Run]) -> None:
    """Raise InputError unless all runs are classifiers, trained on one dataset."""
    for run in runs:
        if run.task != "classify":
            raise InputError(
                "this run's network has no class activation map",
                where=run.name,
                found=f"task {run.task}",
                allowed="a run on a dataset of whole photos: dataset convert --task classify",
                hint=f"sealpin evaluate {run.words}",
            )
        run.weights()
        run.load_dataset()
        if run.dataset_digest != runs[0].dataset_digest:
            raise InputError(
                "these runs were trained on different datasets",
                where=f"{runs[0].name}, {run.name}",
                allowed="runs on one dataset",
                hint=f"sealpin runs show {run.words}",
            )


def split_records(run: Run, split: str) -> list[Record]:
    """The split's photos."""
    dataset = run.load_dataset()
    return list(RecordFile(dataset.folder, split, dataset.classes))


def judged(run: Run, records: Sequence[Record]) -> list[str]:
    """Of each photo, whether it was judged rightly, by the rule that was chosen on val."""
    rule, _ = kept_rule(run)
    found = predict_photos(run.kind, run.recipe(), trained_predictor(run), records, run.classes, run.good)
    names = {(False, False): OK, (False, True): FALSE_REJECT, (True, False): ESCAPE, (True, True): NG}
    return [
        names[bad, judge(one, rule)[0] is not Verdict.OK]
        for one, bad in zip(found, bad_parts(records, rule.notice), strict=True)
    ]


def see(explainer: Explainer, record: Record, look: Look, category: int | None, layer: str) -> Seen:
    """Show a photo to a run's network."""
    pixels = decode_photo(record.data, record.name)
    photo, boxes = look.at(pixels, explainer.recipe, [box.edges for box in record.boxes])
    probabilities, maps = explainer.explain(photo, category, layer)
    return Seen(photo, boxes, probabilities, maps)


def worth(
    explainer: Explainer,
    records: Sequence[Record],
    look: Look,
    category: int | None,
    layer: str,
    share: float,
    tell: Callable[[float], object],
) -> dict[str, Worth]:
    """What each method's maps are worth on those photos that have labelled boxes; `tell` hears how far it is, 0..1.

    Hot places begin at this `share` of the hottest.
    """
    points: dict[str, list[bool]] = {name: [] for name in METHODS}
    overlaps: dict[str, list[float]] = {name: [] for name in METHODS}
    for number, record in enumerate(records, 1):
        if record.boxes:
            seen = see(explainer, record, look, category, layer)
            height, width = seen.photo.shape[:2]
            for name, heat in seen.maps.items() if seen.boxes else ():
                points[name].append(points_at(heat, seen.boxes, height, width))
                overlaps[name].append(best_overlap(hot_boxes(heat, height, width, share), seen.boxes))
        tell(number / len(records))
    return {
        name: Worth(len(points[name]), *(float(np.mean(one[name])) if one[name] else 0.0 for one in (points, overlaps)))
        for name in METHODS
    }
