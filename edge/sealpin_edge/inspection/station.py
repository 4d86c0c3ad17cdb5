"""The station: one loop that owns the PLC, and beside it threads for the inspection, recording and delivery.

PLC loop --job--> inspector --verdict--> PLC loop --finished part--> recorder --photos--> courier --> servers, store
        +--trigger--> trigger log                                        +--> display
"""

import contextlib
import logging
import shutil
import sqlite3
import threading
import time
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..camera import make_camera
from ..config.station import StationConfig
from ..delivery.courier import Courier
from ..delivery.outbox import Outbox
from ..delivery.results import ResultsApi
from ..display.page import Display
from ..display.screen import TOLD, VERDICT_S, Look, Screen, choose_screen
from ..display.shift import ShiftCounter
from ..error_code import ErrorCode
from ..errors import EnvironmentFault
from ..release.bundle import release_of
from ..release.golden import proven_model
from ..tasks.verdict import departures
from ..upload import make_uploader
from ..watch.events import Journal
from ..watch.metrics import Metrics
from .checks import CHECKS_TOLD, station_checks
from .inspector import CAMERA_OK, NOT_TRIED, Inspector, Job, not_inspected
from .lock import DataLock
from .loop import PlcLoop
from .recorder import Judge, Recorder
from .triggers import Trigger, TriggerLog

log = logging.getLogger(__name__)

WATCH_S = 0.5
STOP_S = 2.0


class Station:
    """A whole station, made from its config. `run` works until the stop event is set."""

    def __init__(self, config: StationConfig) -> None:
        """Load and prove the model, open display and camera, one that does not open yet excepted.

        Raises InputError or EnvironmentFault when one fails, or another station runs with the same data.
        """
        self._config = config
        timers, photos, results = config.timers, config.photos, config.results
        model, self._rule = proven_model(config)
        with contextlib.suppress(OSError):  # a disk that fails does not keep the station from judging
            config.station.data_dir.mkdir(parents=True, exist_ok=True)
        self._departures = departures(self._rule, model.rule())
        self._lock = DataLock(config.station.data_dir)
        self._model_sha256, self._release = model.sha256, release_of(config.folder)
        self._started_at = time.monotonic()
        self._outbox = Outbox(config.station.data_dir, config.station.store_mb * 1_000_000)
        server_s = timers.server_ms / 1000
        self._triggers = TriggerLog(config.station.data_dir, self._outbox.note_trouble)
        self._courier = Courier(
            self._outbox,
            make_uploader(photos, server_s) if photos else None,
            ResultsApi(results, server_s) if results else None,
            store_first=bool(photos and photos.first == "store"),
            # Without a server to send them to, the results in the database are the only ones
            keep_days=config.station.keep_days if results else 0,
            judging=lambda: not self._inspector.idle,
            sent_unstored=self._triggers.settle,
        )
        self._metrics = Metrics(self.health)
        shift = ShiftCounter(config.display.shifts, datetime.now().astimezone())
        with contextlib.suppress(EnvironmentFault, sqlite3.Error):  # a failing disk: the counters begin with nothing
            self._outbox.open()
            shift.restore(self._outbox.verdicts_since(shift.since.astimezone(UTC).isoformat(timespec="milliseconds")))
        self._display = self._open_display()
        full = config.station.mode == "full"
        self._recorder = Recorder(
            Judge(config.station.name, full, model.card.names, model.card.run_id, model.sha256, self._rule),
            self._outbox,
            self._courier,
            self._display,
            self._metrics,
            shift,
            send_results=results is not None,
        )
        self._checks = station_checks(config)
        self._inspector = Inspector(
            lambda: make_camera(config.camera, timers.capture_ms / 1000),
            self._checks,
            model,
            self._rule,
            config.model.sha256,
        )
        self._journal = Journal(self._recorder.keep)
        next_number, self._unrecorded = self._count_on()
        self._loop = PlcLoop(
            config,
            self._inspector,
            triggered=self._note_trigger,
            on_record=lambda: self._triggers.written,
            take=self._recorder.take,
            degraded=lambda: self._degraded,
            journal=self._journal,
            next_number=next_number,
        )
        self._newest: Job | None = None
        self._told: dict[str, str] = {}
        self._ended = threading.Event()

    def run(self, stop: threading.Event, *, plc_patience_s: float = float("inf")) -> None:
        """Inspect parts until `stop` is set, then finish what is judged and put it away.

        A PLC that goes away is waited for, for ever. Raises InputError when it has not answered once in
        `plc_patience_s` seconds from the start.
        """
        for part in (self._triggers, self._inspector, self._recorder, self._courier, self._display):
            if part:
                part.start()
        self._journal.note("station", self._begins(), logging.INFO)
        for lost in self._unrecorded:
            self._recorder.take(not_inspected(lost, ErrorCode.NOT_RECORDED))
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        try:
            self._loop.run(stop, plc_patience_s)
        finally:
            self._ended.set()
            self._inspector.stop(self._config.timers.inference_ms / 1000)
            self._loop.finish()
            self._journal.note("station", "stopped", logging.INFO)
            self._recorder.stop()
            self._courier.stop()
            self._triggers.stop(STOP_S)
            with contextlib.suppress(Exception):  # a failing disk: the next start sees that it was not told
                self._outbox.close()
            if self._display:
                self._display.stop()
            self._lock.free()

    def _count_on(self) -> tuple[int, list[Job]]:
        """The next part's number, 0 while the disk does not say it; and the parts that the last run left unrecorded."""
        if (numbering := self._outbox.numbering) is None:
            return 0, []
        found = self._triggers.read()
        lost = [
            Job(0, one.id, one.created_at, 0.0, one.part_seq, one.number)
            for one in found
            if one.store == numbering.store and one.number > numbering.recorded and not one.settled
        ]
        return max([numbering.recorded, *(one.number for one in found)]) + numbering.left_out + 1, lost

    def _note_trigger(self, job: Job) -> None:
        self._newest = job
        store = self._outbox.numbering.store if self._outbox.numbering else ""
        self._triggers.note(Trigger(job.number, job.id, job.created_at, job.part_seq, store))

    def _begins(self) -> str:
        """What the log and the database say of the start."""
        name, lost = self._config.station.name, len(self._unrecorded)
        told = f"{name!r} is up, version {__version__}, model {self._model_sha256[:12]}, counts {self._rule}"
        told += f"; {CHECKS_TOLD[self._checks.state]}"
        cut_off = lost or (self._outbox.numbering and self._outbox.numbering.cut_off)
        return (f"it was cut off before: {lost} parts were not recorded; now " if cut_off else "") + told

    def _watch(self) -> None:
        """Notes in the journal what changes around the station."""
        while not self._ended.wait(WATCH_S):
            camera = [] if self._inspector.camera in (CAMERA_OK, NOT_TRIED) else [self._inspector.camera]
            for kind, now in (("camera", camera), ("degraded", self._degraded_by())):
                # In brackets are addresses and a server's words, which differ from part to part
                causes = "; ".join(text.partition(" (")[0] for text in now)
                if causes != self._told.get(kind, ""):
                    told = "; ".join(now) or "all is well again"
                    self._journal.note(kind, told, logging.WARNING if now else logging.INFO)
                self._told[kind] = causes

    def health(self) -> dict[str, Any]:
        """The /health document."""
        last = self._recorder.last  # once: the screen's verdict and the photo beside it are of one part
        screen = self._screen(last)
        health = {
            "station": self._config.station.name,
            "state": self._loop.handshake.state.value,
            "error": self._loop.handshake.error.words,
            "version": __version__,
            "release": self._release,
            "model_sha256": self._model_sha256,
            "plc": "connected" if self._loop.connected else "not connected",
            "camera": self._inspector.camera,
            "camera_driver": self._config.camera.driver,
            "checks": self._checks.state,
            "serial": self._loop.serial_trouble or "ok",
            # What the config lets pass: to be seen for as long as it does
            "hints": [*self._departures, *([CHECKS_TOLD["off"]] if self._checks.state == "off" else [])],
            **self._rule.as_dict(),
            "uptime_s": round(time.monotonic() - self._started_at),
            # In the order in which a part passes them, so that none is missed on its way
            "in_hand": self._recorder.in_hand + self._courier.in_hand,
            "outbox": self._outbox_health(),
            "degraded": self._degraded,
            "degraded_by": self._degraded_by(),
            "missed_triggers": self._loop.handshake.missed,
            "lost": self._recorder.lost + self._courier.lost,
            "shift_since": self._recorder.shift.since.isoformat(timespec="minutes"),
            "counts": {verdict.value: count for verdict, count in self._recorder.shift.counts.items()},
            "last": _with_age(last) if last else None,
            "recent": list(self._recorder.recent),
            "events": [vars(event) for event in list(self._journal.recent)],
        }
        beside = _alarms(health, screen, storing=not self._outbox.failing)
        alarms = [str(screen), *beside] if screen.look is Look.TROUBLE else beside
        return {**health, "screen": {**vars(screen), "beside": beside}, "alarms": alarms}

    def _screen(self, last: dict[str, Any] | None) -> Screen:
        """What the operator is to see; `last` is the recorder's. Cheap: each display asks some times a second."""
        # Only read, and by a thread that may see it between two of its steps: the next look is a tenth of a second away
        handshake, newest, now = self._loop.handshake, self._newest, time.monotonic()
        recorded = [part["id"] for part in list(self._recorder.recent)]
        return choose_screen(
            handshake.state,
            handshake.error,
            connected=self._loop.connected,
            unfit=self._inspector.unfit,
            waits_for=handshake.waits_for,
            last=last,
            age_s=now - last["judged_at"] if last else 0.0,
            # One that was lost on its way is not waited for for ever
            pending=newest is not None and newest.id not in recorded and now - newest.triggered_at <= VERDICT_S,
        )

    def _glance(self) -> object:
        """What a display is told of at once when it changes."""
        last = self._recorder.last
        return self._screen(last), last and last["id"]

    def _outbox_health(self) -> dict[str, Any]:
        try:
            return {
                **self._outbox.depth(),
                "oldest_s": round(self._outbox.oldest_age_s(), 1),
                "dropped": self._outbox.dropped(),
                "stored_mb": round(self._outbox.stored_bytes() / 1e6, 1),
                "disk_free_mb": round(shutil.disk_usage(self._config.station.data_dir).free / 1e6),
            }
        except Exception as error:  # a full or failing disk: the rest of the health is told all the same
            return {"photos": None, "results": None, "aside": None, "oldest_s": None, "error": str(error)}

    @property
    def _degraded(self) -> bool:
        return self._courier.degraded or self._outbox.failing

    def _degraded_by(self) -> list[str]:
        """What lags behind, and why."""
        found = [f"{lane}: {why}" for lane, why in self._courier.troubles.items()]
        if (unstored := self._courier.unstored) > 0:
            found.append(f"{unstored} results are in memory only")
        return [*found, "the disk is full or fails"] if self._outbox.failing else found

    def _open_display(self) -> Display | None:
        address = self._config.display.address
        if address == "off":
            return None
        host, _, port = address.rpartition(":")
        try:
            return Display(host, int(port), self.health, self._metrics.text, self._glance)
        except OSError as error:
            raise EnvironmentFault(
                "the display's address is not free",
                where=f"[display] address = {address}",
                found=str(error),
                advice="another station may be running; choose another port",
            ) from None


def _with_age(last: dict[str, Any]) -> dict[str, Any]:
    """The newest part, with its age: the display's own clock may differ."""
    age = time.monotonic() - last["judged_at"]
    return {**{key: value for key, value in last.items() if key != "judged_at"}, "age_s": round(age, 1)}


def _alarms(health: dict[str, Any], screen: Screen, *, storing: bool) -> list[str]:
    """What an operator must know at once, beside what the screen says."""
    found = []
    if health["camera"] != CAMERA_OK:
        found.append(f"camera: {health['camera']}")
    if health["checks"] == "not taught" and screen.told != TOLD[ErrorCode.NOT_TAUGHT][0]:
        found.append(CHECKS_TOLD[health["checks"]])
    if health["serial"] != "ok":
        found.append(f"no serials: {health['serial']}")
    if not storing or health["outbox"].get("error"):
        dropped = health["outbox"].get("dropped", 0)
        found.append(f"the store is full or fails: {health['lost']} records lost, {dropped} photos dropped")
    return found
