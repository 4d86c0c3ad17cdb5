"""The recorder: photos that are too many for the memory, and one that cannot be drawn, cost no result."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from sealpin_edge.delivery.courier import Courier
from sealpin_edge.delivery.outbox import Outbox
from sealpin_edge.display.shift import ShiftCounter
from sealpin_edge.error_code import ErrorCode
from sealpin_edge.ids import uuid7
from sealpin_edge.inspection.inspector import Job, Judged
from sealpin_edge.inspection.recorder import QUEUE_BYTES, Judge, Recorder, photo_name
from sealpin_edge.model.photo import Frame
from sealpin_edge.tasks.verdict import Rule, Verdict
from sealpin_edge.upload import make_uploader
from sealpin_edge.upload.section import PhotosSection
from sealpin_edge.watch.metrics import Metrics

JOB = Job(1, "", "2026-05-04T00:00:00.000+00:00", 0.0, 1)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path)


@pytest.fixture
def recorder(outbox: Outbox, tmp_path: Path) -> Recorder:
    courier = Courier(outbox, make_uploader(PhotosSection(f"file://{tmp_path}/away"), 1.0), None, store_first=True)
    shift = ShiftCounter(("06:00",), datetime.now().astimezone())
    metrics = Metrics(dict)
    judge = Judge("line", True, ("PR",), "", "", Rule({"PR": 0.5}))
    return Recorder(judge, outbox, courier, None, metrics, shift, send_results=True)


def part(number: int, shape: tuple[int, int, int]) -> Judged:
    frame = Frame(np.zeros(shape, np.uint8), 0.0, "camera")
    job = replace(JOB, id=f"part-{number}", number=number + 1)
    return Judged(job, Verdict.OK, ErrorCode.NONE, frame, (), 1.0, 2.0, 3.0)


def recorded(outbox: Outbox) -> dict[str, str]:
    return {item.id: json.loads(item.result)["image_path"] for item in outbox.items() if item.lane == "results"}


def test_photos_that_wait_are_bounded_by_their_size_and_every_result_is_kept(
    recorder: Recorder, outbox: Outbox
) -> None:
    shape = (QUEUE_BYTES // 3 // 4000 - 1, 4000, 3)
    assert np.prod(shape) < QUEUE_BYTES < 2 * np.prod(shape)
    for number in range(3):
        recorder.take(part(number, shape))
    assert outbox.failing
    recorder.start()
    recorder.stop()
    assert recorder.lost == 2
    assert {id: bool(path) for id, path in recorded(outbox).items()} == {
        "part-0": True, "part-1": False, "part-2": False,
    }  # fmt: skip


def test_a_photo_that_cannot_be_drawn_costs_no_result(recorder: Recorder, outbox: Outbox) -> None:
    recorder.take(part(0, (0, 0, 3)))
    recorder.start()
    recorder.stop()
    assert recorded(outbox) == {"part-0": ""}


def test_no_photo_has_the_name_of_another_ones() -> None:
    """A serial comes again: judged again, on another station, after a new SD card; and it may be any text."""
    first, again = (replace(JOB, id=str(uuid7())) for _ in range(2))
    names = {photo_name(job, serial) for job in (first, again) for serial in ("A", "A_1", "A_defects", "../etc/A", "")}
    raw, marked = {f"{name}.jpg" for name in names}, {f"{name}_defects.jpg" for name in names}
    assert len(names) == 10 and not raw & marked
    assert all(name.count("/") == 1 and "/." not in name for name in names)
    assert photo_name(first, "A").rpartition("/")[2].startswith("A_")
