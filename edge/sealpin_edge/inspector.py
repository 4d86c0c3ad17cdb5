"""The inspection itself: photo, model, verdict, on its own thread, so that the PLC loop never waits for it."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass

from .camera import Camera, Frame
from .checks import Checks
from .detection import Detection
from .errors import SealpinError
from .model import Model
from .plc.block import ErrorCode
from .verdict import Inference, Verdict, decide

log = logging.getLogger(__name__)

STUCK_S = 30.0
# The processor is the PLC loop's until the verdict is out
PREPARE_AFTER_S = 0.03


@dataclass(frozen=True)
class Job:
    """A part to inspect. `triggered_at` is in monotonic seconds, `created_at` ISO 8601."""

    token: int
    id: str
    created_at: str
    triggered_at: float
    part_seq: int


@dataclass(frozen=True)
class Acquired:
    """The photo of a job is taken."""

    job: Job


@dataclass(frozen=True)
class Judged:
    """A job is finished; milliseconds count from the trigger but for `model_ms`. `serial` is the part's, if known."""

    job: Job
    verdict: Verdict
    error: ErrorCode
    frame: Frame | None
    detections: tuple[Detection, ...]
    acquired_ms: float
    model_ms: float
    cycle_ms: float
    serial: str = ""


class Inspector:
    """Runs one job at a time, on its own thread; news of it go to `events`."""

    def __init__(
        self,
        camera: Camera,
        checks: Checks,
        model: Model,
        thresholds: Mapping[str, float],
        notice: Set[str],
        expected_sha256: str,
    ) -> None:
        # Not SimpleQueue, though it is cheaper: its get never returns when a signal outlasts the time-out (Python 3.11)
        self.events: queue.Queue[Acquired | Judged] = queue.Queue()
        self._camera = camera
        self._checks = checks
        self._model = model
        self._thresholds = thresholds
        self._notice = notice
        self._expected_sha256 = expected_sha256
        self._jobs: queue.Queue[Job | None] = queue.Queue(1)
        self._idle = threading.Event()
        self._idle.set()
        self._busy_since = 0.0
        self._thread = threading.Thread(target=self._run, name="inspector", daemon=True)

    @property
    def idle(self) -> bool:
        """Free for a job."""
        return self._idle.is_set()

    @property
    def stuck(self) -> bool:
        """At one job for so long that it will not come back."""
        return not self.idle and time.monotonic() - self._busy_since > STUCK_S

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Inspect a part; only when `idle`."""
        self._busy_since = time.monotonic()
        self._idle.clear()
        self._jobs.put_nowait(job)

    def stop(self, timeout_s: float) -> None:
        """End after the running job, or leave it behind after the time-out."""
        with contextlib.suppress(queue.Full):  # full: a job hangs, and is left behind
            self._jobs.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)
        self._camera.close()

    def _run(self) -> None:
        prepared = True
        while True:
            try:
                job = self._jobs.get(timeout=None if prepared else PREPARE_AFTER_S)
            except queue.Empty:
                prepared = True
                self._prepare()
                continue
            if job is None:
                return
            self.events.put(self._inspect(job))
            self._idle.set()
            prepared = False

    def _prepare(self) -> None:
        try:
            self._camera.prepare()
        except Exception:  # the next capture will fail too, and is told then
            log.exception("the camera does not get ready")

    def _inspect(self, job: Job) -> Judged:
        verdict, error = Verdict.NOT_INSPECTED, ErrorCode.CAMERA
        frame: Frame | None = None
        detections: tuple[Detection, ...] = ()
        acquired_at = model_s = 0.0
        try:
            frame = self._camera.capture()
            acquired_at = time.monotonic()
            self.events.put(Acquired(job))
            error = self._checks.fault(frame.photo)
            if error is not ErrorCode.NONE:
                log.error("part %s is not inspected: %s", job.id, error.name.lower().replace("_", " "))
            else:
                error = ErrorCode.INFERENCE
                began = time.monotonic()
                found = self._model.detect(frame.photo)
                model_s = time.monotonic() - began
                verdict, detections = decide(
                    Inference(frame, found, self._model.sha256),
                    triggered_at=job.triggered_at,
                    expected_sha256=self._expected_sha256,
                    thresholds=self._thresholds,
                    notice=self._notice,
                )
                error = ErrorCode.NONE if verdict is not Verdict.NOT_INSPECTED else ErrorCode.CAMERA
        except SealpinError as fault:
            log.error("part %s is not inspected: %s", job.id, fault)
        except Exception:  # whatever fails, the part is not OK and the line hears of it
            log.exception("part %s is not inspected", job.id)
        return Judged(
            job,
            verdict,
            error,
            frame,
            detections,
            acquired_ms=max(0.0, acquired_at - job.triggered_at) * 1000,
            model_ms=model_s * 1000,
            cycle_ms=(time.monotonic() - job.triggered_at) * 1000,
        )
