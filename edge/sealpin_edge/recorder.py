"""After the verdict: the marked photo, the operator's display, the result's row, and the photos on their way."""

import json
import logging
import queue
import re
import threading
import time
from collections import deque
from dataclasses import replace
from datetime import datetime
from typing import Any

from .delivery import Courier, Shipment
from .display import Display
from .inspector import Judged
from .metrics import Metrics
from .outbox import Inspection, Outbox
from .overlay import draw_overlay
from .photo import encode_jpeg
from .results import detection_json
from .shift import ShiftCounter
from .verdict import Verdict

log = logging.getLogger(__name__)

# What the photos of waiting parts may take of the memory; without them a part is small, and the last thing to be lost
QUEUE_BYTES = 64_000_000
QUEUE_PARTS = 1000
RECENT_PARTS = 20


class Recorder:
    """Takes finished inspections off the inspector's hands; everything here may be slow without delaying a verdict."""

    def __init__(
        self,
        station: str,
        classes: tuple[str, ...],
        run_id: str,
        model_sha256: str,
        outbox: Outbox,
        courier: Courier,
        display: Display | None,
        metrics: Metrics,
        shift: ShiftCounter,
        *,
        send_results: bool,
    ) -> None:
        self._station, self._classes, self._run_id, self._model_sha256 = station, classes, run_id, model_sha256
        self._outbox, self._courier, self._display, self._metrics = outbox, courier, display, metrics
        self._send_results = send_results
        self._queue: queue.Queue[Judged | None] = queue.Queue(QUEUE_PARTS)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self.lost = 0
        self.shift = shift
        self.recorded = 0
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
            held = sum(one.frame.photo.nbytes for one in self._queue.queue if one and one.frame)
        if judged.frame is not None and held and held + judged.frame.photo.nbytes > QUEUE_BYTES:
            self._lose()
            judged = replace(judged, frame=None)
            log.error("part %s is recorded without its photo: the disk is too slow", judged.job.id)
        try:
            self._queue.put_nowait(judged)
        except queue.Full:
            self._lose()
            log.error("part %s is not recorded: the disk is too slow", judged.job.id)

    def _lose(self) -> None:
        self.lost += 1
        self._outbox.note_trouble()

    def _run(self) -> None:
        while (judged := self._queue.get()) is not None:
            try:
                self._record(judged)
            except Exception:  # whatever it is, the line runs on, degraded
                self._lose()
                log.exception("part %s is not recorded", judged.job.id)
            self._queue.task_done()

    def _record(self, judged: Judged) -> None:
        job = judged.job
        self.recorded += 1
        self.shift.add(judged.verdict, datetime.now().astimezone())
        raw, marked = self._photos(judged)
        self.last = self._summary(judged)
        self.recent.append({key: self.last[key] for key in ("id", "number", "serial", "verdict", "at")})
        self._metrics.part(judged)
        if self._display:
            self._display.show(job.id, marked)
        name, stored = self._store(judged, with_photo=raw is not None)
        photos = [(f"{name}.jpg", raw)] if raw else []
        if judged.verdict is Verdict.NG and marked:
            photos.append((f"{name}_defects.jpg", marked))
        self._courier.ship(Shipment(job.id, job.created_at, tuple(photos)))
        self._courier.nudge()
        log.info(
            "part %s serial %s seq %d %s: %s, %d defects, photo %.1f, model %.1f, verdict after %.1f ms%s",
            job.id,
            judged.serial or "-",
            job.part_seq,
            judged.frame.source if judged.frame else "no photo",
            judged.verdict.value,
            len(judged.detections),
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
            marked = draw_overlay(judged.frame.photo, judged.verdict, judged.detections)
            return encode_jpeg(judged.frame.photo), encode_jpeg(marked, 90)
        except Exception:  # an empty photo, say: the result is recorded all the same
            log.exception("part %s cannot be drawn", judged.job.id)
            return None, None

    def _store(self, judged: Judged, *, with_photo: bool) -> tuple[str, bool]:
        """Commit the result, else let it go out from memory; returns the photos' name, and whether it was committed."""
        job, stem = judged.job, _file_stem(judged.serial)
        day = datetime.fromisoformat(job.created_at).astimezone().date()

        def inspection(name: str) -> Inspection:
            path = f"{name}.jpg" if with_photo and self._courier.takes_photos else ""
            result = json.dumps({**self._result(judged), "image_path": path})
            return Inspection(job.id, job.created_at, stem, judged.verdict.value, result, name)

        try:
            name = self._outbox.free_name(f"{day}/{stem or job.id}")
            self._outbox.record(inspection(name), send_result=self._send_results)
        except Exception as error:
            log.error("part %s: its result is not stored: %s", job.id, error)
            # Without the database only the id is known to be nobody else's
            name = f"{day}/{stem}_{job.id}" if stem else f"{day}/{job.id}"
            self._courier.take_unstored(inspection(name))
            return name, False
        return name, True

    def _summary(self, judged: Judged) -> dict[str, Any]:
        return {
            "id": judged.job.id,
            "verdict": judged.verdict.value,
            "number": self.recorded,
            "judged_at": time.monotonic(),
            "serial": judged.serial,
            "reason": judged.error.name.lower().replace("_", " ") if judged.error else "",
            "at": judged.job.created_at,
            "cycle_ms": round(judged.cycle_ms, 1),
            "model_ms": round(judged.model_ms, 1),
            "detections": [{"category": one.category, "score": round(one.score, 4)} for one in judged.detections],
        }

    def _result(self, judged: Judged) -> dict[str, Any]:
        found = ", ".join(f"{one.category} {one.score:.0%}" for one in judged.detections)
        return {
            "id": judged.job.id,
            "barcode": judged.serial,
            "created_at": judged.job.created_at,
            "station": self._station,
            "verdict": judged.verdict.value,
            "description": f"{judged.verdict.value}: {found}" if found else judged.verdict.value,
            "detections": [detection_json(one, self._classes) for one in judged.detections],
            "model_sha256": self._model_sha256,
            "run_id": self._run_id,
            "cycle_ms": round(judged.cycle_ms, 1),
            "model_ms": round(judged.model_ms, 1),
            "part_seq": judged.job.part_seq,
            "photo": judged.frame.source if judged.frame else "",
        }


def _file_stem(serial: str) -> str:
    """A serial as it can stand in a file name on any server."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", serial).lstrip(".")
