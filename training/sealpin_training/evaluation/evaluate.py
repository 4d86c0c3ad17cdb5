"""Judge a run on a split: COCO's table for the data scientist, parts OK and NG against truth for the factory."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.detection import Detection
from sealpin_edge.errors import InputError
from sealpin_edge.verdict import Rule, check_rule, judge

from ..dataset.records import Record, RecordFile, without_photos
from ..run import Run, State, write_json
from .coco import CocoScore, coco_score
from .confusion import Confusion, confusion
from .detect import detect_photos, trained_detector
from .line import ESCAPE_COST, STEPS, Share, choose_threshold, escapes_and_rejects, threshold_for_false_rejects


@dataclass(frozen=True)
class Choice:
    """How a threshold is to be chosen: given, by what an escape costs, or by how many false rejects are allowed.

    With none of them, as it was chosen last.
    """

    threshold: float | None = None
    escape_cost: float | None = None
    max_false_rejects: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Result on one split. A part is NG in truth when it has a labelled box of a category that rejects.

    `step` is the network's. An escape is an NG part judged OK, a false reject the opposite; both by name.
    """

    split: str
    step: int
    choice: Choice
    coco: CocoScore
    threshold: float
    rule: Rule
    threshold_chosen: str
    parts: int
    bad_parts: int
    escapes: tuple[str, ...]
    false_rejects: tuple[str, ...]
    by_threshold: tuple[tuple[float, Share, Share], ...]
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

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """For JSON, and for later stages."""
        return {
            "split": self.split,
            "step": self.step,
            "choice": asdict(self.choice),
            "metrics": dict(self.metrics),
            "threshold": self.threshold,
            "threshold_chosen": self.threshold_chosen,
            "parts": self.parts,
            "bad_parts": self.bad_parts,
            "escapes": list(self.escapes),
            "false_rejects": list(self.false_rejects),
            "per_1000": {"escapes": self.escaped.as_dict(), "false_rejects": self.rejected.as_dict()},
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
    choice: Choice = Choice(),
    report: Path | None = None,
    detect: Any = None,
    notice: Set[str] = frozenset(),
) -> Evaluation:
    """Run the best network (`detect`, if it is loaded already) over a split and judge what it finds.

    val chooses the threshold that every other split and the export take; with `choice.threshold`, or with `notice`, the
    categories that a station only shows, nothing is kept. `report` is an HTML file to write. Raises InputError when the
    split is empty, the dataset has changed, the run has no checkpoint, or another split than val is to choose a
    threshold.
    """
    if split != "val" and (choice.escape_cost is not None or choice.max_false_rejects is not None):
        raise InputError(
            "a threshold is chosen on val only: on the others it would fit itself to what it is to be tested with",
            where=f"--split {split}",
            advice=f"choose it with --split val, then evaluate --split {split} without",
        )
    dataset = run.load_dataset()
    if not dataset.counts[split]:
        raise InputError(f"the {split} split is empty", where=str(dataset.folder), allowed="a split with photos")
    detect = detect or trained_detector(run)
    records = RecordFile(dataset.folder, split, dataset.classes)
    found = detect_photos(run.recipe(), detect, records, run.classes)
    evaluation = judge_photos(run, split, without_photos(records), found, choice, notice)
    if report:
        from .report import write_report

        write_report(run, evaluation, records, found, report)
    return evaluation


def judge_photos(
    run: Run,
    split: str,
    records: Sequence[Record],
    found: Sequence[Sequence[Detection]],
    choice: Choice = Choice(),
    notice: Set[str] = frozenset(),
) -> Evaluation:
    """What detections on a split's photos are worth; also written into the run, unless it is a what-if (`evaluate`)."""
    if split == "val" and choice == Choice():
        choice = Choice(**run.last_evaluation("val").get("choice", {}))
    coco = coco_score(records, found, run.classes)
    check_rule(Rule(dict.fromkeys(run.classes, 0.0), notice), "--notice")
    bad = [any(box.category not in notice for box in record.boxes) for record in records]
    scores = [max((one.score for one in photo if one.category not in notice), default=0.0) for photo in found]
    threshold, chosen = _threshold(run, split, choice, coco, scores, bad)

    def rule_from(score: float) -> Rule:
        return Rule(dict.fromkeys(run.classes, score), notice)

    def judged(rule: Rule) -> tuple[list[int], list[int]]:
        return escapes_and_rejects([judge(photo, rule)[0] for photo in found], bad)

    escapes, false_rejects = judged(rule := rule_from(threshold))
    evaluation = Evaluation(
        split,
        State.load(run).best_step,
        choice,
        coco,
        threshold,
        rule,
        chosen,
        len(records),
        sum(bad),
        tuple(records[place].name for place in escapes),
        tuple(records[place].name for place in false_rejects),
        tuple(
            (step, Share(len(escaped), sum(bad)), Share(len(rejected), len(bad) - sum(bad)))
            for step, (escaped, rejected) in ((step, judged(rule_from(step))) for step in STEPS)
        ),
        confusion(records, found, run.classes, rule),
    )
    if (
        choice.threshold is None and not notice
    ):  # a what-if must not become the threshold that export and the other splits take
        write_json(run.folder / f"evaluation_{split}.json", evaluation.as_dict(run.classes))
    return evaluation


def _threshold(
    run: Run, split: str, choice: Choice, coco: CocoScore, scores: Sequence[float], bad: Sequence[bool]
) -> tuple[float, str]:
    if choice.threshold is not None:
        return choice.threshold, "given"
    if split != "val":
        return float(run.evaluation("val")["threshold"]), "on val"
    if len(set(bad)) == 1:
        kind = "good" if bad[0] else "bad"
        if choice.escape_cost is not None or choice.max_false_rejects is not None:
            raise InputError(
                f"a threshold cannot be weighed without {kind} parts",
                where=f"{run.dataset}: val",
                hint=f"add photos of {kind} parts, or give it: --threshold",
            )
        return coco.best_f1, f"best F1 of boxes on val, which has no {kind} parts"
    if choice.max_false_rejects is not None:
        threshold = threshold_for_false_rejects(scores, bad, choice.max_false_rejects)
        return threshold, f"at most {choice.max_false_rejects:g} false rejects per 1,000 good parts on val"
    cost = ESCAPE_COST if choice.escape_cost is None else choice.escape_cost
    return choose_threshold(scores, bad, cost), f"least cost on val, an escape counted as {cost:g} false rejects"
