"""The gate: an exported file must judge the val photos as the trained network does, or it is not handed over.

The trained network speaks through the SavedModel, the file through the station's own code.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, log
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.errors import InputError, in_words
from sealpin_edge.files import parse_json
from sealpin_edge.model.photo import decode_photo
from sealpin_edge.model.runtime import read_model
from sealpin_edge.tasks.finding import Finding, overlap
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import Rule, Verdict, counted, judge, weighed
from sealpin_training.dataset.records import Record
from sealpin_training.evaluation.line import bad_parts
from sealpin_training.progress import progress
from sealpin_training.quiet import tensorflow
from sealpin_training.tasks.task import Task, task_named

GATE = "gate.json"
# A file loses no more than this share of the network's figure, whatever that is, nor of a class's findings that count
MAX_SHARE_LOST = 0.1
# Less AP than this is the order of a few boxes that find nothing
LEAST_DROP = 0.001
# Two boxes are the same where they overlap so much, as for COCO's AP50
LEAST_OVERLAP = 0.5
_ROUNDING = 1e-9
# A verdict is certain when the odds of the score that decides it are this many times off the threshold's
CERTAIN_ODDS = 3.0


@dataclass(frozen=True)
class Flip:
    """A part that the file judges otherwise than the network; `scores` are the highest ones, the network's first."""

    photo: str
    network: str
    file: str
    scores: tuple[float, float]
    certain: bool


@dataclass(frozen=True)
class Gate:
    """One file against the network, on so many photos.

    `figures` are those of the network and of the file by the task's `metric`, `by_category` the first of each category.
    Differences are the largest and the mean, of scores in 0..1 and of box edges in pixels of the photo, over findings
    that count or nearly do; `lost` of them have no counterpart. `counting` has, by category, how many of the network's
    findings count, and how many of those the file has lost: none of its own there counts or nearly does. `rejected` are
    the bad parts that are not OK by the network, and those of them that are by the file. `sha256` is the file's; gates
    of an earlier sealpin have none.
    """

    file: str
    photos: int
    metric: str
    figures: tuple[float, float]
    by_category: Mapping[str, tuple[float, float]]
    score_difference: tuple[float, float]
    box_difference: tuple[float, float]
    compared: int
    lost: int
    counting: Mapping[str, tuple[int, int]]
    rejected: tuple[int, int]
    flips: tuple[Flip, ...]
    max_drop: float
    sha256: str = ""

    @property
    def drop(self) -> float:
        """How much of the metric the file loses; negative when it gains."""
        return self.figures[0] - self.figures[1]

    @property
    def allowed_drop(self) -> float:
        """How much of it it may lose: `max_drop`, or where the network has little, a share of that."""
        return min(self.max_drop, max(LEAST_DROP, MAX_SHARE_LOST * self.figures[0]))

    @property
    def certain_flips(self) -> int:
        """How many parts are judged otherwise of which the network was certain."""
        return sum(flip.certain for flip in self.flips)

    @property
    def faults(self) -> list[str]:
        """Why the file is refused; empty when it is not."""
        found = []
        if self.drop > self.allowed_drop + _ROUNDING:
            told = f"{self.metric} {self.figures[1]:.4f} instead of {self.figures[0]:.4f}"
            found.append(f"{told}: more than {self.allowed_drop:.2g} is lost")
        found += [
            f"{name}: {lost} of {count} findings that count are lost, more than {MAX_SHARE_LOST:.0%}"
            for name, (count, lost) in self.counting.items()
            if lost > max(1, MAX_SHARE_LOST * count)
        ]
        caught, escaped = self.rejected
        if escaped > max(1, MAX_SHARE_LOST * caught):
            found.append(f"{escaped} of {caught} bad parts that the network rejects are OK by the file")
        found += [
            f"{flip.photo}: {flip.file} instead of {flip.network},"
            f" score {flip.scores[1]:.2f} instead of {flip.scores[0]:.2f}"
            for flip in self.flips
            if flip.certain
        ]
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "drop": round(self.drop, 5), "passed": not self.faults}


@dataclass(frozen=True)
class Judged:
    """A file's comparison, the rule it judges by, and what it found on each photo."""

    gate: Gate
    rule: Rule
    found: Sequence[Sequence[Finding]]


def network_findings(
    task: Task[Any], saved_model: Path, records: Sequence[Record], classes: Sequence[str], good: Sequence[str]
) -> list[list[Finding]]:
    """What a SavedModel finds on each photo, in the photo's pixels."""
    tf = tensorflow()

    serve = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    return [
        task.served_findings(
            serve(input_tensor=tf.constant(decode_photo(record.data, record.name)[None])), record, classes, good
        )
        for record in progress(records, "SavedModel", "photo")
    ]


def judge_file(
    path: Path, records: Sequence[Record], network: Sequence[Sequence[Finding]], max_drop: float | None = None
) -> Judged:
    """Judge the photos with a model file as a station does, and compare with what the network found on them.

    It may lose `max_drop` of the task's figure, or as much as the task allows.
    """
    model = Model(path)
    found = [
        model.read(decode_photo(record.data, record.name)).findings for record in progress(records, path.name, "photo")
    ]
    classes, rule = model.card.classes, model.rule()
    task = task_named(model.card.task)
    metric = task.proof
    before, after = (task.score(records, one, classes) for one in (network, found))
    scores, boxes, lost = _differences(network, found, rule.thresholds)
    flips = [_flip(record.name, one, two, rule) for record, one, two in zip(records, network, found, strict=True)]
    gate = Gate(
        path.name,
        len(records),
        metric,
        (before.metrics[metric], after.metrics[metric]),
        {name: (_first(row), _first(after.by_category.get(name, {}))) for name, row in before.by_category.items()},
        (max(scores, default=0.0), float(np.mean(scores)) if scores else 0.0),
        (max(boxes, default=0.0), float(np.mean(boxes)) if boxes else 0.0),
        len(scores) + lost,
        lost,
        _counting(network, found, rule),
        rejected(records, network, found, rule),
        tuple(flip for flip in flips if flip),
        task.allowed_drop(len(records)) if max_drop is None else max_drop,
        model.sha256,
    )
    return Judged(gate, rule, found)


def _first(figures: Mapping[str, float]) -> float:
    """The first of a category's figures; 0 where nothing of it was found."""
    return next(iter(figures.values()), 0.0)


def check_proven(path: Path, sha256: str = "") -> bool:
    """Whether the gate.json beside a model file has proven it; of a file without one, as of someone else's, it has not.

    `sha256` is the file's, where it is known already. Raises InputError when it has proven another file of this name
    than this one.
    """
    beside = path.with_name(GATE)
    if not beside.is_file():
        return False
    sha256 = sha256 or hashlib.sha256(read_model(path)).hexdigest()
    try:
        gates = [gate for gate in parse_json(beside.read_bytes()) if gate["file"] == path.name]
        unproven = [gate for gate in gates if gate["passed"] is not True]
        proven = [str(gate["sha256"]) for gate in gates if "sha256" in gate]  # an earlier sealpin did not say which
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            "this file of an export is damaged",
            where=str(beside),
            found=in_words(error),
            allowed="what sealpin wrote",
            hint="sealpin export RUN --out DIR",
        ) from None
    if unproven:
        raise InputError(
            "this model file did not pass its gate",
            where=str(beside),
            found=f"{path.name}: not passed",
            allowed="a file that judges as its network does",
            hint="sealpin export RUN --out DIR",
        )
    if proven not in ([], [sha256]):
        raise InputError(
            "this is not the model file that the export has proven",
            where=str(path),
            found=f"SHA-256 {sha256}",
            allowed=f"SHA-256 {proven[0]}, as in {beside}",
            advice="copy the export again, or make it anew; a model of another origin belongs into a folder of its own",
            hint="sealpin export RUN --out DIR",
        )
    return bool(proven)


def margin(found: Sequence[Finding], rule: Rule) -> float:
    """How far the part's verdict is from turning: log odds of the score that decides it, less the threshold's."""
    return max(
        (_log_odds(one.score) - _log_odds(rule.thresholds[one.category]) for one in _rejecting(found, rule)),
        default=-inf,
    )


def _rejecting(found: Sequence[Finding], rule: Rule) -> list[Finding]:
    """The findings that could reject a part, whatever their score, as `judge` weighs them."""
    return [one for one in weighed(found, rule.notice) if one.category not in rule.notice]


def _log_odds(score: float) -> float:
    score = min(max(score, 1e-9), 1 - 1e-9)
    return log(score / (1 - score))


def _flip(photo: str, network: Sequence[Finding], file: Sequence[Finding], rule: Rule) -> Flip | None:
    before, after = (judge(found, rule)[0] for found in (network, file))
    if before is after:
        return None
    best = [max((one.score for one in _rejecting(found, rule)), default=0.0) for found in (network, file)]
    # A file that gives no judgement has not got the network's
    certain = after is Verdict.NOT_INSPECTED or abs(margin(network, rule)) > log(CERTAIN_ODDS)
    return Flip(photo, before.value, after.value, (best[0], best[1]), certain)


def _counting(
    network: Sequence[Sequence[Finding]], file: Sequence[Sequence[Finding]], rule: Rule
) -> dict[str, tuple[int, int]]:
    """Of each category: how many of the network's findings count, and how many of those the file has lost."""
    counts = dict.fromkeys(rule.thresholds, (0, 0))
    for ones, twos in zip(network, file, strict=True):
        near = [two for two in weighed(twos, rule.notice) if two.score >= rule.thresholds[two.category] / 2]
        for one in counted(ones, rule):
            count, lost = counts[one.category]
            counts[one.category] = count + 1, lost + (_peer(one, near) is None)
    return counts


def rejected(
    records: Sequence[Record], network: Sequence[Sequence[Finding]], file: Sequence[Sequence[Finding]], rule: Rule
) -> tuple[int, int]:
    """How many bad parts are not OK by the network, and how many of those are by the file."""
    truth = bad_parts(records, rule.notice)
    caught = [
        twos
        for bad, ones, twos in zip(truth, network, file, strict=True)
        if bad and judge(ones, rule)[0] is not Verdict.OK
    ]
    return len(caught), sum(judge(twos, rule)[0] is Verdict.OK for twos in caught)


def _peer(one: Finding, among: Sequence[Finding]) -> Finding | None:
    """The finding of the same category that overlaps it most, by a half at least."""
    peers = [two for two in among if two.category == one.category and overlap(one.box, two.box) >= LEAST_OVERLAP]
    return max(peers, key=lambda two: overlap(one.box, two.box), default=None)


def _differences(
    network: Sequence[Sequence[Finding]], file: Sequence[Sequence[Finding]], thresholds: Mapping[str, float]
) -> tuple[list[float], list[float], int]:
    """Of the network's findings from half the threshold on: how far scores and edges of their counterparts are."""
    scores, boxes, lost = [], [], 0
    for ones, twos in zip(network, file, strict=True):
        for one in ones:
            if one.score < thresholds[one.category] / 2:
                continue
            peer = _peer(one, twos)
            if peer is None:
                lost += 1
                continue
            scores.append(abs(one.score - peer.score))
            boxes += [max(abs(a - b) for a, b in zip(one.box, peer.box, strict=True))] if one.box and peer.box else []
    return scores, boxes, lost
