"""The station: one loop that owns the PLC, and beside it threads for the inspection, recording and delivery.

PLC loop --job--> inspector --verdict--> PLC loop
                      |
                      +--finished part--> recorder --photos--> courier --> FTP, results API, store
                                             +--> display
"""

import contextlib
import logging
import queue
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from . import __version__
from .camera import make_camera
from .checks import Checks, load_limits
from .config import StationConfig
from .delivery import Courier
from .display import Display
from .errors import EnvironmentFault, InputError, PlcFault
from .golden import prove_on_golden
from .ids import uuid7
from .inspector import Acquired, Inspector, Job, Judged
from .model import Model
from .outbox import Outbox
from .plc import Target, make_driver
from .plc.exchange import Exchange, FullExchange, SimpleExchange
from .plc.handshake import Handshake, Outcome, Timers
from .recorder import Recorder
from .results import ResultsApi
from .upload import make_uploader
from .verdict import Verdict

log = logging.getLogger(__name__)

RECONNECT_S = 1.0


class Station:
    """A whole station, made from its config. `run` works until the stop event is set."""

    def __init__(self, config: StationConfig) -> None:
        """Load the model, open camera, store and display. Raises InputError or EnvironmentFault if one fails."""
        self._config = config
        timers = config.timers
        model = Model(config.model.file)
        if model.sha256 != config.model.sha256:
            raise InputError(
                "this is not the model that the station was given",
                where=f"[model] file = {config.model.file}",
                found=f"SHA-256 {model.sha256}",
                allowed=f"[model] sha256 = {config.model.sha256}",
                hint="unpack the bundle again: sealpin-edge unpack BUNDLE DIR",
            )
        for name in sorted(set(config.model.notice) - set(model.card.classes)):
            raise InputError(
                "the model knows no such category",
                where="[model] notice",
                found=name,
                allowed=", ".join(model.card.classes),
            )
        thresholds = model.thresholds(config.model.threshold, "[model] threshold")
        if config.model.golden:
            proven = prove_on_golden(model, thresholds, config.model.golden)
            log.info("%d golden photos are judged as they should be", proven)
        limits = load_limits(config.station.data_dir)
        self._model_sha256 = model.sha256
        self._outbox = Outbox(config.station.data_dir, config.station.store_mb * 1_000_000)
        server_s = timers.server_ms / 1000
        photos, results = config.photos, config.results
        self._courier = Courier(
            self._outbox,
            make_uploader(photos, server_s) if photos else None,
            ResultsApi(results, server_s) if results else None,
            store_first=bool(photos and photos.first == "store"),
            # Without a server to send them to, the results in the database are the only ones
            keep_days=config.station.keep_days if results else 0,
        )
        self._display = self._open_display()
        self._recorder = Recorder(
            config.station.name,
            model.card.classes,
            model.card.run_id,
            model.sha256,
            self._outbox,
            self._courier,
            self._display,
            send_results=results is not None,
        )
        camera = make_camera(config.camera, timers.capture_ms / 1000)
        self._inspector = Inspector(
            camera,
            Checks(limits, live=camera.live),
            model,
            thresholds,
            frozenset(config.model.notice),
            config.model.sha256,
        )
        plc = config.plc
        timeout_s = timers.plc_operation_ms / 1000
        target = Target(plc.host, plc.port, timeout_s, plc.rack, plc.slot, plc.series, plc.unit)
        self._driver = make_driver(plc.driver, target)
        self._handshake = Handshake(
            Timers(
                capture_s=timers.capture_ms / 1000,
                inference_s=timers.inference_ms / 1000,
                decision_deadline_s=timers.decision_deadline_ms / 1000,
                result_ack_s=timers.result_ack_ms / 1000,
                heartbeat_s=timers.heartbeat_ms / 1000,
                plc_dead_s=timers.plc_dead_ms / 1000,
                result_hold_s=plc.ok_pulse_ms / 1000 if config.station.mode == "simple" else None,
            )
        )
        self._connected = False
        self._plc_trouble = ""
        self._on_the_way: list[Judged] = []

    def run(self, stop: threading.Event, *, plc_patience_s: float = float("inf")) -> None:
        """Inspect parts until `stop` is set, then finish what is judged and put it away.

        A PLC that goes away is waited for, for ever. Raises InputError when it has not answered once in
        `plc_patience_s` seconds from the start.
        """
        for part in (self._inspector, self._recorder, self._courier, self._display):
            if part:
                part.start()
        log.info("station %s is up, model %s", self._config.station.name, self._model_sha256[:12])
        give_up_at = time.monotonic() + plc_patience_s
        try:
            while not stop.is_set():
                try:
                    self._driver.connect()
                    give_up_at = float("inf")
                    self._serve(self._exchange(), stop)
                except PlcFault as fault:
                    if str(fault) != self._plc_trouble:
                        log.error("%s", fault)
                    self._plc_trouble = str(fault)
                    self._connected = False
                    self._handshake.connection_lost(time.monotonic())
                    self._record(delivered=False)
                    if time.monotonic() >= give_up_at:
                        raise _no_plc(fault) from None
                    stop.wait(RECONNECT_S)
        finally:
            self._connected = False
            self._driver.close()
            self._inspector.stop(self._config.timers.inference_ms / 1000)
            self._take_news()
            self._record(delivered=False)
            self._recorder.stop()
            self._courier.stop()
            with contextlib.suppress(Exception):  # a failing disk: the next start leaves a number out
                self._outbox.close()
            if self._display:
                self._display.stop()

    def health(self) -> dict[str, Any]:
        """The /health document."""
        return {
            "station": self._config.station.name,
            "state": self._handshake.state.value,
            "version": __version__,
            "model_sha256": self._model_sha256,
            "plc": "connected" if self._connected else "not connected",
            "camera": self._config.camera.driver,
            "outbox": self._outbox_health(),
            "degraded": self._degraded,
            "lost": self._recorder.lost,
            "counts": {verdict.value: count for verdict, count in self._recorder.counts.items()},
            "last": self._recorder.last,
        }

    def _outbox_health(self) -> dict[str, Any]:
        try:
            since = self._outbox.oldest_stored_at()
            age = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() if since else 0.0
            return {**self._outbox.depth(), "oldest_s": round(age, 1), "dropped": self._outbox.dropped()}
        except Exception as error:  # a full or failing disk: the rest of the health is told all the same
            return {"photos": None, "results": None, "aside": None, "oldest_s": None, "error": str(error)}

    @property
    def _degraded(self) -> bool:
        return self._courier.degraded or self._recorder.lost > 0

    def _open_display(self) -> Display | None:
        address = self._config.display.address
        if address == "off":
            return None
        host, _, port = address.rpartition(":")
        try:
            return Display(host, int(port), self.health)
        except OSError as error:
            raise EnvironmentFault(
                "the display's address is not free",
                where=f"[display] address = {address}",
                found=str(error),
                hint="another station may be running; choose another port",
            ) from None

    def _exchange(self) -> Exchange:
        config = self._config
        if config.station.mode == "full":
            block = config.plc.address("block")
            assert block is not None
            return FullExchange(self._driver, block)
        trigger, ok = config.plc.address("trigger"), config.plc.address("ok")
        assert trigger is not None and ok is not None
        return SimpleExchange(self._driver, trigger, ok)

    def _serve(self, exchange: Exchange, stop: threading.Event) -> None:
        """Rounds with the PLC on one connection: a read, a step of the handshake, a write."""
        poll_s = self._config.timers.poll_ms / 1000
        exchange.clear()
        self._handshake.connected(time.monotonic())
        self._connected, self._plc_trouble = True, ""
        log.info("connected to the PLC at %s", self._driver.name)
        while not (stop.is_set() and self._handshake.halt(time.monotonic())):
            inputs = exchange.read()
            self._take_news()
            able = self._inspector.idle
            exchange.write(self._handshake.step(inputs, time.monotonic(), able=able, degraded=self._degraded))
            self._record(delivered=True)
            if self._handshake.start is not None:
                self._inspector.submit(self._job(self._handshake.start))
            self._wait_for_news(poll_s)
        exchange.clear()

    def _job(self, token: int) -> Job:
        triggered_at = time.monotonic()
        return Job(
            token,
            str(uuid7()),
            datetime.now(UTC).isoformat(timespec="milliseconds"),
            triggered_at,
            self._handshake.part_seq,
            self._read_serial(),
        )

    def _read_serial(self) -> str:
        """The part's serial from the PLC, empty when there is none, it is not ready, or it is not plain text."""
        address, ready = self._config.plc.address("serial"), self._config.plc.address("serial_ready")
        if address is None or (ready is not None and not self._driver.read_bit(ready)):
            return ""
        raw = self._driver.read_text(address, self._config.plc.serial_length)
        text = raw.split(b"\0")[0].decode("ascii", "replace").strip()
        return text if text.isprintable() and "\ufffd" not in text else ""

    def _wait_for_news(self, timeout_s: float) -> None:
        """Sleep until the next round, or until the inspector has something for the PLC."""
        try:
            event = self._inspector.events.get(timeout=timeout_s)
        except queue.Empty:
            return
        self._tell_handshake(event)

    def _take_news(self) -> None:
        while not self._inspector.events.empty():
            self._tell_handshake(self._inspector.events.get_nowait())

    def _tell_handshake(self, event: Acquired | Judged) -> None:
        now = time.monotonic()
        if isinstance(event, Acquired):
            self._handshake.acquired(event.job.token, now)
            return
        outcome = Outcome(event.job.token, event.verdict, len(event.detections), event.error, round(event.cycle_ms))
        if self._handshake.judged(outcome, now):
            self._on_the_way.append(event)
        else:
            self._recorder.take(_void(event))

    def _record(self, *, delivered: bool) -> None:
        """Hand finished parts to the recorder, once the PLC has their verdict; without that they are not inspected."""
        for judged in self._on_the_way:
            self._recorder.take(judged if delivered else _void(judged))
        self._on_the_way.clear()


def _void(judged: Judged) -> Judged:
    """A part whose verdict the PLC did not get: to everybody else it must not look like a good one either."""
    log.error("part %s: the PLC did not take the verdict %s", judged.job.id, judged.verdict.value)
    return replace(judged, verdict=Verdict.NOT_INSPECTED)


def _no_plc(fault: PlcFault) -> InputError:
    return InputError(
        "there is no PLC here",
        where=f"[plc] {fault.where}",
        found=fault.found,
        allowed=fault.hint,
        hint="to start before the PLC does: sealpin-edge run --wait-for-plc",
    )
