"""Whether photos tell two runs apart: AP of a draw is COCO's own, chance is told from more than chance."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin_edge.tasks.benchmark import Load, loaded
from sealpin_edge.tasks.finding import Edges, Finding
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import Record
from sealpin_training.evaluation.apart import difference, mcnemar
from sealpin_training.tasks.detect.coco import coco_score
from sealpin_training.tasks.detect.score import DetectScore

CLASSES = ("PR", "QA")


def photos(count: int, seed: int) -> list[Record]:
    """Photos of no pixels with one to three boxes, some of either class."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        corners = rng.integers(0, 300, (rng.integers(1, 4), 2)).tolist()
        boxes = tuple(Box(CLASSES[(number + x) % 2], x, y, x + 60, y + 60) for x, y in corners)
        made.append(Record(f"{number}.jpg", b"", 400, 400, boxes))
    return made


def detections(records: Sequence[Record], seed: int, off: float) -> list[list[Finding]]:
    """Each box found, `off` pixels from its place on average, beside a false one."""
    rng = np.random.default_rng(seed)
    found = []
    for record in records:
        many = [Finding("PR", float(rng.uniform(0, 0.5)), Edges(0, 0, 50, 50))]
        for box in record.boxes:
            dx, dy = rng.normal(0, off, 2).tolist()
            score = float(rng.uniform(0.3, 1))
            many.append(Finding(box.category, score, Edges(box.xmin + dx, box.ymin + dy, box.xmax + dx, box.ymax + dy)))
        found.append(many)
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12), st.floats(0, 20), st.data())
def test_ap_of_photos_drawn_several_times_is_cocos(seed: int, count: int, off: float, data: st.DataObject) -> None:
    records = photos(count, seed)
    found = detections(records, seed + 1, off)
    times = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count).filter(any))
    drawn = [place for place, often in enumerate(times) for _ in range(often)]
    wanted = coco_score([records[place] for place in drawn], [found[place] for place in drawn], CLASSES).metrics["AP"]
    assert DetectScore(records, found, CLASSES).resampled(np.array(times)) == pytest.approx(wanted, abs=1e-9)


def test_where_nothing_is_found_or_nothing_labelled() -> None:
    records = photos(3, 0)
    assert DetectScore(records, [[], [], []], CLASSES).resampled(np.ones(3, np.int64)) == 0
    empty = [Record(one.name, b"", 400, 400, ()) for one in records]
    assert DetectScore(empty, [[], [], []], CLASSES).resampled(np.ones(3, np.int64)) == 0


def compared(count: int, off: tuple[float, float], wrong: tuple[list[bool], list[bool]]) -> str:
    records = photos(count, 0)
    one, two = (DetectScore(records, detections(records, seed, off[seed]), CLASSES) for seed in (0, 1))
    return str(difference(("one", "two"), "AP", (one, two), wrong))


def test_few_photos_cannot_tell_runs_of_one_kind_apart_and_enough_tell_a_worse_one() -> None:
    right = [False] * 24
    same = compared(24, (3.0, 3.0), (right, right))
    assert same.startswith("two against one: 24 photos cannot tell these apart. AP ")
    worse = compared(24, (3.0, 20.0), (right, [True] * 6 + right[6:]))
    assert worse.startswith("two against one: more than chance on 24 photos: AP and verdicts. AP -")
    assert "6 parts are judged wrong by two alone, 0 by one alone" in worse
    assert compared(24, (3.0, 20.0), (right, right)) == compared(24, (3.0, 20.0), (right, right)), "seeded"


@pytest.mark.parametrize(
    ("one", "other", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (1, 8, 0.0390625), (5, 5, 1.0)]
)
def test_verdicts_are_weighed_as_mcnemar_does(one: int, other: int, p: float) -> None:
    assert mcnemar(one, other) == mcnemar(other, one) == pytest.approx(p)


def test_a_machine_that_others_use_is_told_from_one_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stat = "cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 ...\n"
    ours = f"1 (a (b) c) S {'0 ' * 10}{{own}} 0 0 0\n"
    now = {"busy": 100, "idle": 100, "own": 50}

    def read(path: Path, *_: object, **__: object) -> str:
        return stat.format(**now) if str(path) == "/proc/stat" else ours.format(**now)

    monkeypatch.setattr(Path, "read_text", read)
    load = Load()
    now.update(busy=180, idle=120, own=120)  # 70 of the 80 were ours
    assert load.share() == pytest.approx(0.1)
    assert loaded(load.share()) == ""
    now.update(busy=280, idle=120)
    assert "others took 55% of the processors meanwhile" in loaded(load.share())
