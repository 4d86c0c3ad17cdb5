"""Which category is taken for which, and which boxes were missed or made up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sealpin_edge.tasks.finding import Finding, overlap
from sealpin_edge.tasks.verdict import Rule, counted

from ...dataset.labels import Box
from ...dataset.records import Record

LEAST_OVERLAP = 0.5


class Miss(NamedTuple):
    """A labelled box that no detection found: its photo by index, and the box."""

    photo: int
    box: Box


class Alarm(NamedTuple):
    """A detection where nothing is labelled: its photo by index, and the detection."""

    photo: int
    found: Finding


@dataclass(frozen=True)
class Confusion:
    """`counts` [classes + 1, classes + 1]: rows are labels, columns detections; the last stand for nothing there.

    `misses` are the largest first, `alarms` the surest first.
    """

    counts: npt.NDArray[np.int64]
    misses: tuple[Miss, ...]
    alarms: tuple[Alarm, ...]


def confusion(
    records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: Sequence[str], rule: Rule
) -> Confusion:
    """Pair detections that count with labels that they overlap by a half, surest first, any category."""
    counts = np.zeros((len(classes) + 1,) * 2, np.int64)
    misses, alarms = [], []
    for photo, (record, detections) in enumerate(zip(records, found, strict=True)):
        pairs, free, wrong = paired(record.boxes, counted(detections, rule))
        for box, one in pairs:
            counts[classes.index(box.category), classes.index(one.category)] += 1
        for one in wrong:
            counts[-1, classes.index(one.category)] += 1
            alarms.append(Alarm(photo, one))
        for box in free:
            counts[classes.index(box.category), -1] += 1
            misses.append(Miss(photo, box))
    misses.sort(key=lambda miss: -(miss.box.xmax - miss.box.xmin) * (miss.box.ymax - miss.box.ymin))
    alarms.sort(key=lambda alarm: -alarm.found.score)
    return Confusion(counts, tuple(misses), tuple(alarms))


def paired(
    boxes: Iterable[Box], detections: Iterable[Finding]
) -> tuple[list[tuple[Box, Finding]], list[Box], list[Finding]]:
    """Each detection, the surest first, with the free box that it overlaps most, by a half at least.

    Returns the pairs, the boxes that are left, and the detections that are.
    """
    pairs, free, wrong = [], list(boxes), []
    for one in sorted(detections, key=lambda d: -d.score):
        best = max(free, key=lambda box: overlap(box.edges, one.edges), default=None)
        if best is None or overlap(best.edges, one.edges) < LEAST_OVERLAP:
            wrong.append(one)
        else:
            free.remove(best)
            pairs.append((best, one))
    return pairs, free, wrong
