"""What a network finds of each class where its boxes begin to count, and what must be said of one that finds little."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.verdict import Rule, counted

from ...dataset.records import Record
from .confusion import paired

# A network with less AP50 than this finds almost nothing
ALMOST_NOTHING = 0.1


@dataclass(frozen=True)
class BoxCount:
    """One class's boxes: `labelled`, detections that count, and those of them that are `right` (overlap of a half)."""

    labelled: int
    detected: int
    right: int

    @property
    def precision(self) -> float:
        """Share of the detections that are right, 0..1; 0 without any."""
        return self.right / self.detected if self.detected else 0.0

    @property
    def recall(self) -> float:
        """Share of the labelled boxes that are found, 0..1; 0 without any."""
        return self.right / self.labelled if self.labelled else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0..1."""
        return 2 * self.right / (self.labelled + self.detected) if self.labelled + self.detected else 0.0

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        shares = {name: round(getattr(self, name), 4) for name in ("precision", "recall", "f1")}
        return {**asdict(self), **shares}


def count_boxes(
    records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: Sequence[str], rule: Rule
) -> dict[str, BoxCount]:
    """Each class's boxes and detections, paired within the class as COCO does, the worst found class first."""
    counts = {}
    for name in classes:
        labelled = detected = right = 0
        for record, detections in zip(records, found, strict=True):
            boxes = [box for box in record.boxes if box.category == name]
            counting = [one for one in counted(detections, rule) if one.category == name]
            labelled, detected = labelled + len(boxes), detected + len(counting)
            right += len(paired(boxes, counting)[0])
        counts[name] = BoxCount(labelled, detected, right)
    return dict(sorted(counts.items(), key=lambda item: item[1].recall if item[1].labelled else 2.0))


def told(counts: Mapping[str, BoxCount], rule: Rule) -> str:
    """What is found of the classes that are labelled, in a sentence; the worst found first, as `count_boxes` has it."""
    shown = {name: count for name, count in counts.items() if count.labelled}
    scores = {rule.thresholds[name] for name in shown}
    words = [
        f"{count.right} of {count.labelled} {name}"
        + (f" at {_score(rule.thresholds[name])}" if len(scores) > 1 else "")
        for name, count in shown.items()
    ]
    common = f" at {_score(scores.pop())}" if len(scores) == 1 else ""
    return f"finds {', '.join(words)}{common}" if words else "nothing is labelled"


def shortcomings(evaluation: Mapping[str, Any]) -> list[str]:
    """What must be said loudly of a network, by its evaluation as it is kept; one of an earlier sealpin says less."""
    said, split = [], evaluation["split"]
    ap50 = evaluation["metrics"].get("AP50", -1)
    if 0 <= ap50 < ALMOST_NOTHING:
        said.append(f"this network finds almost nothing: AP50 {ap50:.3f} on {split}")
    never = [
        f"{name} (0 of {count['labelled']})"
        for name, count in evaluation.get("boxes", {}).items()
        if count["labelled"] and not count["right"]
    ]
    if never:
        said.append(f"never found on {split}: {', '.join(never)}")
    return said


def _score(score: float) -> str:
    """0.00 would be no threshold."""
    return f"{score:.2f}" if score >= 0.1 else f"{score:.2g}"
