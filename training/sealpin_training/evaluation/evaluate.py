"""Judge a run on a split: COCO's table for the data scientist, parts OK and NG against truth for the factory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError
from sealpin_edge.tasks.finding import Detection
from sealpin_edge.tasks.verdict import Rule, judge

from ..dataset.records import Record, RecordFile, without_photos
from ..run import Run, State, write_json
from .boxes import BoxCount, count_boxes, shortcomings, told
from .choice import AS_CHOSEN, Choice, choose_rule, kept_rule
from .coco import CocoScore, coco_score
from .confusion import Confusion, confusion
from .detect import detect_photos, trained_detector
from .line import STEPS, Outcome, Share, bad_parts, curve, escapes_and_rejects, outcomes
from .threshold import part_scores


@dataclass(frozen=True)
class Evaluation:
    """Result on one split. A part is NG in truth when it has a labelled box of a category that rejects.

    `step` is the network's, `weights` tells which of its weights (State.best). An escape is an NG part judged OK, a
    false reject the opposite; both by name. `boxes` are by category, the worst found first. `by_threshold` and `curve`
    are outcomes with one threshold for all categories.
    """

    split: str
    step: int
    weights: str
    choice: Choice
    coco: CocoScore
    rule: Rule
    threshold_chosen: str
    parts: int
    bad_parts: int
    escapes: tuple[str, ...]
    false_rejects: tuple[str, ...]
    boxes: Mapping[str, BoxCount]
    by_threshold: tuple[Outcome, ...]
    curve: tuple[Outcome, ...]
    confusion: Confusion

    @property
    def metrics(self) -> Mapping[str, float]:
        """COCO's twelve figures."""
        return self.coco.metrics

    @property
    def escaped(self) -> Share:
        """Escapes among the bad parts."""
        return Share(len(self.escapes), self.bad_parts)

    @property
    def rejected(self) -> Share:
        """False rejects among the good parts."""
        return Share(len(self.false_rejects), self.parts - self.bad_parts)

    @property
    def found(self) -> str:
        """What is found of each class's boxes, in a sentence."""
        return told(self.boxes, self.rule)

    @property
    def line_told(self) -> str:
        """What the parts' verdicts say where parts of one kind are missing, in a sentence."""
        if self.bad_parts:
            return (
                f"All {self.parts} parts are bad, and {len(self.escapes)} escape:"
                " that says little as long as no good part shows what the same thresholds reject."
            )
        return (
            f"All {self.parts} parts are good, and {len(self.false_rejects)} are rejected:"
            " that says little as long as no bad part shows what the same thresholds let escape."
        )

    @property
    def caution(self) -> str:
        """What must be known of the figures, in a sentence; empty on photos that chose nothing."""
        chose = "These photos chose the step and the thresholds, so that they flatter: judge by --split test."
        return chose if self.split == "val" else ""

    @property
    def shortcomings(self) -> list[str]:
        """What must be said loudly of the network; empty when it finds something of everything."""
        boxes = {name: count.as_dict() for name, count in self.boxes.items()}
        return shortcomings({"split": self.split, "metrics": self.metrics, "boxes": boxes})

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """For JSON, and for later stages."""
        return {
            "split": self.split,
            "step": self.step,
            "weights": self.weights,
            "choice": {
                "escape_cost": self.choice.escape_cost,
                "max_false_rejects": self.choice.max_false_rejects,
            },
            "metrics": dict(self.metrics),
            "thresholds": dict(self.rule.thresholds),
            "notice": sorted(self.rule.notice),
            "threshold_chosen": self.threshold_chosen,
            "parts": self.parts,
            "bad_parts": self.bad_parts,
            "escapes": list(self.escapes),
            "false_rejects": list(self.false_rejects),
            "per_1000": {"escapes": self.escaped.as_dict(), "false_rejects": self.rejected.as_dict()},
            "boxes": {name: count.as_dict() for name, count in self.boxes.items()},
            "by_category": {name: dict(values) for name, values in self.coco.by_category.items()},
            "by_threshold": [
                {"threshold": threshold, "escapes": escapes.as_dict(), "false_rejects": false_rejects.as_dict()}
                for threshold, escapes, false_rejects in self.by_threshold
            ],
            "confusion": {"labels": [*classes, "nothing"], "counts": self.confusion.counts.tolist()},
            "precision_at_recall": {name: list(curve) for name, curve in self.coco.precision.items()},
        }


def evaluate(
    run: Run,
    split: str,
    choice: Choice = AS_CHOSEN,
    report: Path | None = None,
    detect: Any = None,
    anew: bool = False,
) -> Evaluation:
    """Run the best network (`detect`, if it is loaded already) over a split and judge what it finds.

    val chooses the rule, thresholds and notice, that every other split and the export take; of a choice that is none of
    val's, nothing is kept. `report` is an HTML file to write. `anew` passes over a last evaluation that is damaged.
    Raises InputError when it is and must not be, the split is empty, the dataset has changed, the run has no
    checkpoint, or another split than val is to choose thresholds.
    """
    if split != "val" and (choice.escape_cost is not None or choice.max_false_rejects is not None):
        raise InputError(
            "thresholds are chosen on val only: on the others they would fit themselves to what they are tested with",
            where=f"--split {split}",
            advice=f"choose them on val, then judge {split} without",
            hint=f"sealpin evaluate {run.words} --split val",
        )
    choice.check(run.classes)
    if split == "val":  # what is not there, or damaged, is told before long work
        run.last_evaluation("val", anew=anew)
    else:
        kept_rule(run)
    records, found = found_on(run, split, detect)
    evaluation = judge_photos(run, split, without_photos(records), found, choice, anew)
    if report:
        from .report import write_report

        write_report(run, evaluation, records, found, report)
    return evaluation


def found_on(run: Run, split: str, detect: Any = None) -> tuple[RecordFile, list[list[Detection]]]:
    """A split's photos, and what a run's best network finds on each.

    Raises InputError when the split is empty, the dataset has changed, or the run has no checkpoint.
    """
    dataset = run.load_dataset()
    if not dataset.counts[split]:
        raise InputError(f"the {split} split is empty", where=str(dataset.folder), allowed="a split with photos")
    records = RecordFile(dataset.folder, split, dataset.classes)
    return records, detect_photos(run.recipe(), detect or trained_detector(run), records, run.classes)


def judge_photos(
    run: Run,
    split: str,
    records: Sequence[Record],
    found: Sequence[Sequence[Detection]],
    choice: Choice = AS_CHOSEN,
    anew: bool = False,
) -> Evaluation:
    """What detections on a split's photos are worth; also written into the run, unless it is a what-if (`Choice`).

    On val it goes on from what was chosen last; `anew` passes over that where it is damaged.
    """
    if split == "val":
        choice = choice.after(run.last_evaluation("val", anew=anew))
    coco = coco_score(records, found, run.classes)
    rule, chosen = choose_rule(run, split, choice, coco, records, found)
    bad = bad_parts(records, rule.notice)
    escapes, false_rejects = escapes_and_rejects([judge(photo, rule)[0] for photo in found], bad)
    scores = part_scores(found, run.classes, rule.notice)
    state = State.load(run)
    evaluation = Evaluation(
        split,
        state.best_step,
        state.best,
        choice,
        coco,
        rule,
        chosen,
        len(records),
        sum(bad),
        tuple(records[place].name for place in escapes),
        tuple(records[place].name for place in false_rejects),
        count_boxes(records, found, run.classes, rule),
        tuple(outcomes(scores, bad, STEPS)),
        tuple(curve(scores, bad)),
        confusion(records, found, run.classes, rule),
    )
    if choice.kept(split):  # a what-if must not become what export and the other splits take
        content = {**evaluation.as_dict(run.classes), **run.identity()}
        write_json(run.folder / f"evaluation_{split}.json", content, sealed=True)
    return evaluation
