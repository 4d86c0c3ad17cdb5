"""The station: one loop that owns the PLC, and beside it threads for the inspection, recording and delivery.

PLC loop --job--> inspector --verdict--> PLC loop --finished part--> recorder --photos--> courier --> servers, store
                                                                         +--> display
"""

import contextlib
import logging
import shutil
import sqlite3
import threading
import time
from datetime import UTC, datetime
from typing import Any

from . import __version__
from .bundle import release_of
from .camera import make_camera
from .checks import Checks, load_limits
from .config import StationConfig
from .delivery import Courier
from .display import Display
from .errors import EnvironmentFault
from .golden import proven_model
from .inspector import Inspector
from .loop import PlcLoop
from .metrics import Metrics
from .outbox import Outbox
from .recorder import Recorder
from .results import ResultsApi
from .shift import ShiftCounter
from .upload import make_uploader

log = logging.getLogger(__name__)


class Station:
    """A whole station, made from its config. `run` works until the stop event is set."""

    def __init__(self, config: StationConfig) -> None:
        """Load and prove the model, open camera and display. Raises InputError or EnvironmentFault if one fails."""
        self._config = config
        timers, photos, results = config.timers, config.photos, config.results
        model, thresholds = proven_model(config)
        self._model_sha256, self._release = model.sha256, release_of(config.folder)
        self._started_at = time.monotonic()
        self._outbox = Outbox(config.station.data_dir, config.station.store_mb * 1_000_000)
        server_s = timers.server_ms / 1000
        self._courier = Courier(
            self._outbox,
            make_uploader(photos, server_s) if photos else None,
            ResultsApi(results, server_s) if results else None,
            store_first=bool(photos and photos.first == "store"),
            # Without a server to send them to, the results in the database are the only ones
            keep_days=config.station.keep_days if results else 0,
            judging=lambda: not self._inspector.idle,
        )
        self._metrics = Metrics(self.health)
        shift = ShiftCounter(config.display.shifts, datetime.now().astimezone())
        with contextlib.suppress(EnvironmentFault, sqlite3.Error):  # a failing disk: the counters begin with nothing
            shift.restore(self._outbox.verdicts_since(shift.since.astimezone(UTC).isoformat(timespec="milliseconds")))
        self._display = self._open_display()
        self._recorder = Recorder(
            config.station.name,
            model.card.classes,
            model.card.run_id,
            model.sha256,
            self._outbox,
            self._courier,
            self._display,
            self._metrics,
            shift,
            send_results=results is not None,
        )
        camera = make_camera(config.camera, timers.capture_ms / 1000)
        limits = load_limits(config.station.data_dir)
        self._taught = limits.width > 0
        if not self._taught:
            log.warning(
                "no camera limits in %s: only black, white and frozen photos are refused", config.station.data_dir
            )
        self._inspector = Inspector(
            camera,
            Checks(limits, live=camera.live),
            model,
            thresholds,
            frozenset(config.model.notice),
            config.model.sha256,
        )
        self._loop = PlcLoop(config, self._inspector, self._recorder.take, lambda: self._degraded)

    def run(self, stop: threading.Event, *, plc_patience_s: float = float("inf")) -> None:
        """Inspect parts until `stop` is set, then finish what is judged and put it away.

        A PLC that goes away is waited for, for ever. Raises InputError when it has not answered once in
        `plc_patience_s` seconds from the start.
        """
        for part in (self._inspector, self._recorder, self._courier, self._display):
            if part:
                part.start()
        log.info("station %s is up, model %s", self._config.station.name, self._model_sha256[:12])
        try:
            self._loop.run(stop, plc_patience_s)
        finally:
            self._inspector.stop(self._config.timers.inference_ms / 1000)
            self._loop.finish()
            self._recorder.stop()
            self._courier.stop()
            with contextlib.suppress(Exception):  # a failing disk: the next start leaves a number out
                self._outbox.close()
            if self._display:
                self._display.stop()

    def health(self) -> dict[str, Any]:
        """The /health document."""
        health = {
            "station": self._config.station.name,
            "state": self._loop.state,
            "error": self._loop.error,
            "version": __version__,
            "release": self._release,
            "model_sha256": self._model_sha256,
            "plc": "connected" if self._loop.connected else "not connected",
            "camera": self._config.camera.driver,
            "camera_taught": self._taught,
            "uptime_s": round(time.monotonic() - self._started_at),
            # In the order in which a part passes them, so that none is missed on its way
            "in_hand": self._recorder.in_hand + self._courier.in_hand,
            "outbox": self._outbox_health(),
            "degraded": self._degraded,
            "lost": self._recorder.lost + self._courier.lost,
            "shift_since": self._recorder.shift.since.isoformat(timespec="minutes"),
            "counts": {verdict.value: count for verdict, count in self._recorder.shift.counts.items()},
            "last": self._last(),
            "recent": list(self._recorder.recent),
        }
        return {**health, "alarms": _alarms(health, storing=not self._outbox.failing)}

    def _last(self) -> dict[str, Any] | None:
        """The newest part, with its age: the display's own clock may differ."""
        if (last := self._recorder.last) is None:
            return None
        age = time.monotonic() - last["judged_at"]
        return {**{key: value for key, value in last.items() if key != "judged_at"}, "age_s": round(age, 1)}

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

    def _open_display(self) -> Display | None:
        address = self._config.display.address
        if address == "off":
            return None
        host, _, port = address.rpartition(":")
        try:
            return Display(host, int(port), self.health, self._metrics.text)
        except OSError as error:
            raise EnvironmentFault(
                "the display's address is not free",
                where=f"[display] address = {address}",
                found=str(error),
                hint="another station may be running; choose another port",
            ) from None


def _alarms(health: dict[str, Any], *, storing: bool) -> list[str]:
    """What an operator must know at once."""
    found = []
    if health["plc"] != "connected":
        found.append("no connection to the machine (PLC)")
    elif health["state"] == "fault":
        found.append(f"fault: {health['error'] or 'see the log'}")
    elif health["state"] in ("not ready", "halted"):
        found.append(f"not ready: no part will be judged ({health['state']})")
    if not storing or health["outbox"].get("error"):
        dropped = health["outbox"].get("dropped", 0)
        found.append(f"the store is full or fails: {health['lost']} records lost, {dropped} photos dropped")
    return found
