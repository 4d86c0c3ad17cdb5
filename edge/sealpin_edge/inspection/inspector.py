"""The inspection itself: photo, model, verdict, on its own thread, so that the PLC loop never waits for it."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..camera import Camera
from ..error_code import ErrorCode
from ..errors import EnvironmentFault, SealpinError, in_words
from ..model.photo import Frame
from ..tasks.finding import Finding, HeatMap
from ..tasks.model import Model
from ..tasks.verdict import Inference, Rule, Verdict, decide
from .checks import Checks

log = logging.getLogger(__name__)

STUCK_S = 30.0
# The processor is the PLC loop's until the verdict is out
PREPARE_AFTER_S = 0.03
# How often an idle station looks whether its camera is still there, and tries one that is not
WATCH_EVERY_S = 2.0
RETRY_S = 1.0
CAMERA_OK, NOT_TRIED = "ok", "it has not been tried yet"


@dataclass(frozen=True)
class Job:
    """A part to inspect. `triggered_at` is in monotonic seconds, `created_at` ISO 8601.

    `number` counts the station's parts, over all starts; 0 while the database cannot be read.
    """

    token: int
    id: str
    created_at: str
    triggered_at: float
    part_seq: int
    number: int = 0


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
    findings: tuple[Finding, ...]
    acquired_ms: float
    model_ms: float
    cycle_ms: float
    heat_map: HeatMap | None = None
    serial: str = ""


def not_inspected(job: Job, error: ErrorCode) -> Judged:
    """A part of which there is nothing but its trigger."""
    return Judged(job, Verdict.NOT_INSPECTED, error, None, (), acquired_ms=0.0, model_ms=0.0, cycle_ms=0.0)


class Inspector:
    """Runs one job at a time, on its own thread; news of it go to `events`.

    It looks after its camera: one that does not open, gives no photo, or falls silent while no part comes is tried
    again and again, and meanwhile `unfit` says that no part can be judged. `camera` is "ok", or what is wrong with it.
    """

    def __init__(
        self,
        open_camera: Callable[[], Camera],
        checks: Checks,
        model: Model,
        rule: Rule,
        expected_sha256: str,
    ) -> None:
        """Open the camera, if it lets itself be opened. Raises InputError when it can never be."""
        # Not SimpleQueue, though it is cheaper: its get never returns when a signal outlasts the time-out (Python 3.11)
        self.events: queue.Queue[Acquired | Judged] = queue.Queue()
        self.camera = NOT_TRIED
        self._open_camera, self._checks, self._model = open_camera, checks, model
        self._rule, self._expected_sha256 = rule, expected_sha256
        self._jobs: queue.Queue[Job | None] = queue.Queue(1)
        self._idle = threading.Event()
        self._idle.set()
        self._busy_since = 0.0
        self._thread = threading.Thread(target=self._run, name="inspector", daemon=True)
        self._camera: Camera | None = None
        try:
            self._camera = open_camera()
        except EnvironmentFault as fault:
            self._camera_fails(fault)

    @property
    def idle(self) -> bool:
        """Free for a job."""
        return self._idle.is_set()

    @property
    def unfit(self) -> ErrorCode:
        """Why no part can be judged; NONE when one can."""
        if self.camera != CAMERA_OK:
            return ErrorCode.CAMERA
        return self._checks.unfit

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
        if self._camera is not None:
            self._camera.close()

    def _run(self) -> None:
        pause_s = 0.0
        while True:
            try:
                job = self._jobs.get(timeout=pause_s)
            except queue.Empty:
                self._look_after_camera(prepare=pause_s == PREPARE_AFTER_S)
                pause_s = WATCH_EVERY_S if self.camera == CAMERA_OK else RETRY_S
                continue
            if job is None:
                return
            self.events.put(self._inspect(job))
            self._idle.set()
            pause_s = PREPARE_AFTER_S

    def _look_after_camera(self, *, prepare: bool) -> None:
        """Get it ready after a part, look whether it is still there while none comes, try one that is in trouble."""
        if self.camera != CAMERA_OK:
            self._try_camera()
            return
        assert self._camera is not None
        try:
            if prepare:
                self._camera.prepare()
            else:
                self._camera.watch()
        except Exception as error:  # whatever it is, no part is taken until the camera works again
            self._camera_fails(error)

    def _try_camera(self) -> None:
        """Open the camera if it is not, and take a photo that nobody judges."""
        try:
            if self._camera is None:
                self._camera = self._open_camera()
            self._camera.prepare()
            if self._camera.live:
                self._camera.capture()
            self.camera = CAMERA_OK
        except Exception as error:
            self._camera_fails(error)

    def _camera_fails(self, error: Exception) -> None:
        told = f"{error.problem} ({error.found})" if isinstance(error, SealpinError) else in_words(error)
        self.camera = told

    def _inspect(self, job: Job) -> Judged:
        verdict, error = Verdict.NOT_INSPECTED, ErrorCode.CAMERA
        frame: Frame | None = None
        findings: tuple[Finding, ...] = ()
        heat_map: HeatMap | None = None
        acquired_at = model_s = 0.0
        try:
            assert self._camera is not None
            frame = self._camera.capture()
            acquired_at = time.monotonic()
            self.events.put(Acquired(job))
            error = self._checks.fault(frame.photo)
            if error is not ErrorCode.NONE:
                log.error("part %d is not inspected: %s", job.number, error.words)
            else:
                error = ErrorCode.INFERENCE
                began = time.monotonic()
                reading = self._model.read(frame.photo)
                model_s, heat_map = time.monotonic() - began, reading.heat_map
                verdict, findings = decide(
                    Inference(frame.exposed_at, reading.findings, self._model.sha256),
                    self._rule,
                    triggered_at=job.triggered_at,
                    expected_sha256=self._expected_sha256,
                )
                error = ErrorCode.NONE if verdict is not Verdict.NOT_INSPECTED else ErrorCode.CAMERA
        except SealpinError as fault:
            log.error("part %d is not inspected: %s", job.number, fault)
            if frame is None:
                self._camera_fails(fault)
        except Exception as fault:  # whatever fails, the part is not OK and the line hears of it
            log.exception("part %d is not inspected", job.number)
            if frame is None:
                self._camera_fails(fault)
        return Judged(
            job,
            verdict,
            error,
            frame,
            findings,
            acquired_ms=max(0.0, acquired_at - job.triggered_at) * 1000,
            model_ms=model_s * 1000,
            cycle_ms=(time.monotonic() - job.triggered_at) * 1000,
            heat_map=heat_map,
        )
