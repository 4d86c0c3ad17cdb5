"""After the verdict: the marked photo, the operator's display, the result's row, and the photos on their way."""

import contextlib
import json
import logging
import queue
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..delivery.courier import Courier, Shipment
from ..delivery.outbox import Inspection, Outbox
from ..delivery.results import finding_json
from ..display.overlay import draw_overlay
from ..display.page import Display
from ..display.shift import ShiftCounter
from ..model.photo import encode_jpeg
from ..tasks.verdict import Rule, Verdict
from ..watch.events import Event
from ..watch.metrics import Metrics
from .inspector import Job, Judged

log = logging.getLogger(__name__)

# What the photos of waiting parts may take of the memory; without them a part is small, and the last thing to be lost
QUEUE_BYTES = 64_000_000
QUEUE_PARTS = 1000
RECENT_PARTS = 20


@dataclass(frozen=True)
class Judge:
    """Who judges: the station, and the model with its rule. `full` says whether the PLC numbers the parts (PartSeq)."""

    station: str
    full: bool
    classes: tuple[str, ...]
    run_id: str
    model_sha256: str
    rule: Rule


class Recorder:
    """Takes finished inspections off the inspector's hands; everything here may be slow without delaying a verdict."""

    def __init__(
        self,
        judge: Judge,
        outbox: Outbox,
        courier: Courier,
        display: Display | None,
        metrics: Metrics,
        shift: ShiftCounter,
        *,
        send_results: bool,
    ) -> None:
        self._judge = judge
        self._outbox, self._courier, self._display, self._metrics = outbox, courier, display, metrics
        self._send_results = send_results
        self._queue: queue.Queue[Judged | Event | None] = queue.Queue(QUEUE_PARTS)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self.lost = 0
        self.shift = shift
        self.last: dict[str, Any] | None = None
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT_PARTS)

    @property
    def in_hand(self) -> int:
        """Parts that are judged and not yet recorded."""
        return self._queue.unfinished_tasks

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def stop(self) -> None:
        """Record what is queued and end."""
        self._queue.put(None)
        self._thread.join()

    def take(self, judged: Judged) -> None:
        """Hand over a finished inspection. Never waits: when too many do, photos are lost, and counted."""
        with self._queue.mutex:
            held = sum(one.frame.photo.nbytes for one in self._queue.queue if isinstance(one, Judged) and one.frame)
        if judged.frame is not None and held and held + judged.frame.photo.nbytes > QUEUE_BYTES:
            self._lose()
            judged = replace(judged, frame=None)
            log.error("part %d is recorded without its photo: the disk is too slow", judged.job.number)
        try:
            self._queue.put_nowait(judged)
        except queue.Full:
            self._lose()
            log.error("part %d is not recorded: the disk is too slow", judged.job.number)

    def keep(self, event: Event) -> None:
        """Put an event into the database, if there is room to wait for it; the log has it in any case."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(event)

    def _lose(self) -> None:
        self.lost += 1
        self._outbox.note_trouble()

    def _run(self) -> None:
        while (news := self._queue.get()) is not None:
            try:
                if isinstance(news, Event):
                    self._outbox.note(news)
                else:
                    self._record(news)
            except Exception as error:  # whatever it is, the line runs on, degraded
                if isinstance(news, Event):
                    log.error("an event is not in the database: %s", error)
                else:
                    self._lose()
                    log.exception("part %d is not recorded", news.job.number)
            self._queue.task_done()

    def _record(self, judged: Judged) -> None:
        job = judged.job
        self.shift.add(judged.verdict, datetime.now().astimezone())
        raw, marked = self._photos(judged)
        if self._display:
            self._display.show(job.id, marked)  # before a page hears of the part, and asks for its photo
        self.last = self._summary(judged)
        self.recent.append({key: self.last[key] for key in ("id", "number", "part", "verdict", "reason", "at")})
        self._metrics.part(judged)
        name, stored = self._store(judged, with_photo=raw is not None)
        photos = [(f"{name}.jpg", raw)] if raw else []
        if judged.verdict is Verdict.NG and marked:
            photos.append((f"{name}_defects.jpg", marked))
        self._courier.ship(Shipment(job.id, job.created_at, tuple(photos)))
        self._courier.nudge()
        log.info(
            "part %d (PartSeq %d, serial %s, id %s): %s%s, %d found, photo %s %.1f, model %.1f, verdict %.1f ms%s",
            job.number,
            job.part_seq,
            judged.serial or "-",
            job.id,
            judged.verdict.value,
            f", {judged.error.words}" if judged.error else "",
            len(judged.findings),
            judged.frame.source if judged.frame else "none",
            judged.acquired_ms,
            judged.model_ms,
            judged.cycle_ms,
            "" if stored else ", not stored",
        )

    def _photos(self, judged: Judged) -> tuple[bytes | None, bytes | None]:
        """The photo and the marked photo as JPEG; None without a frame, or when it is none that can be drawn."""
        if judged.frame is None:
            return None, None
        try:
            marked = draw_overlay(judged.frame.photo, judged.verdict, judged.findings, judged.heat_map)
            return encode_jpeg(judged.frame.photo), encode_jpeg(marked, 90)
        except Exception:  # an empty photo, say: the result is recorded all the same
            log.exception("part %d cannot be drawn", judged.job.number)
            return None, None

    def _store(self, judged: Judged, *, with_photo: bool) -> tuple[str, bool]:
        """Commit the result, else let it go out from memory; returns the photos' name, and whether it was committed."""
        job, name = judged.job, photo_name(judged.job, judged.serial)
        path = f"{name}.jpg" if with_photo and self._courier.takes_photos else ""
        result = json.dumps({**self._result(judged), "image_path": path})
        inspection = Inspection(job.id, job.created_at, judged.serial, judged.verdict.value, result, name, job.number)
        try:
            self._outbox.record(inspection, send_result=self._send_results)
        except Exception as error:
            log.error("part %d: its result is not stored: %s", job.number, error)
            self._courier.take_unstored(inspection)
            return name, False
        return name, True

    def _summary(self, judged: Judged) -> dict[str, Any]:
        return {
            "id": judged.job.id,
            "verdict": judged.verdict.value,
            "number": judged.job.number,
            "part": judged.serial or str(judged.job.part_seq if self._judge.full else judged.job.number),
            "judged_at": time.monotonic(),
            "serial": judged.serial,
            "error": int(judged.error),
            "reason": judged.error.words,
            "at": judged.job.created_at,
            "cycle_ms": round(judged.cycle_ms, 1),
            "model_ms": round(judged.model_ms, 1),
            "detections": [{"category": one.category, "score": round(one.score, 4)} for one in judged.findings],
        }

    def _result(self, judged: Judged) -> dict[str, Any]:
        found = ", ".join(f"{one.category} {one.score:.0%}" for one in judged.findings)
        return {
            "id": judged.job.id,
            "barcode": judged.serial,
            "created_at": judged.job.created_at,
            "station": self._judge.station,
            "station_seq": judged.job.number,
            "verdict": judged.verdict.value,
            "error": int(judged.error),
            "reason": judged.error.words,
            "description": ": ".join(filter(None, (judged.verdict.value, judged.error.words, found))),
            "detections": [finding_json(one, self._judge.classes) for one in judged.findings],
            **self._judge.rule.as_dict(),
            "model_sha256": self._judge.model_sha256,
            "run_id": self._judge.run_id,
            "cycle_ms": round(judged.cycle_ms, 1),
            "model_ms": round(judged.model_ms, 1),
            "part_seq": judged.job.part_seq,
            "photo": judged.frame.source if judged.frame else "",
        }


def photo_name(job: Job, serial: str) -> str:
    """Where a part's photo lies on a server, without its ending: a folder for the day, then serial, time and id's end.

    A serial comes again: the part was trimmed, another station has it on the same server, the SD card is a new one. So
    time and id are always there, and no photo is written over by another part's.
    """
    at = datetime.fromisoformat(job.created_at).astimezone()
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", serial).lstrip(".")
    return f"{at.date()}/{stem}_{at:%H%M%S}_{job.id[-6:]}" if stem else f"{at.date()}/{job.id}"
