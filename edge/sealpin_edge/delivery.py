"""Photos and results on their way to the servers: at once where that works, else stored and drained later.

One thread does it all, away from the verdict's path. A lane whose server fails is left alone for a while that grows
with each failure, so an outage costs a cycle nothing; what comes meanwhile goes to the store.
"""

import contextlib
import logging
import queue
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .errors import NotTaken, Refused, Unavailable
from .outbox import Item, Outbox
from .results import ResultsApi
from .upload import Uploader

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
QUEUE_PARTS = 4
IDLE_S = 0.2
# An item that was not taken this often, while others were within the last minutes, is itself the trouble
ATTEMPTS = 10
LATELY_S = 600.0
HOUSEKEEPING_S = 5.0
# Times that a server may break off at one item before another is tried
SAME_ITEM = 3


@dataclass(frozen=True)
class Shipment:
    """The photos of one inspection: name on the server and JPEG bytes."""

    id: str
    created_at: str
    photos: tuple[tuple[str, bytes], ...]


class Lane:
    """Whether a server is worth trying now (a circuit breaker with growing, jittered pauses)."""

    def __init__(self) -> None:
        self._failures = 0
        self._closed_until = 0.0
        self._worked_at = float("-inf")

    @property
    def open(self) -> bool:
        """True when nothing failed lately, or the pause is over."""
        return time.monotonic() >= self._closed_until

    @property
    def healthy(self) -> bool:
        """True when the last attempt did not fail."""
        return self._failures == 0

    @property
    def worked_lately(self) -> bool:
        """True when the server took something within LATELY_S."""
        return time.monotonic() - self._worked_at < LATELY_S

    def failed(self, retry_after_s: float = 0.0) -> None:
        """Pause: twice as long after each failure in a row, give or take a fifth; longer when the server says so."""
        pause = _pause(self._failures) * random.uniform(0.8, 1.2)
        self._failures += 1
        self._closed_until = time.monotonic() + max(pause, retry_after_s)

    def worked(self) -> None:
        """Back to normal."""
        self._failures, self._closed_until = 0, 0.0
        self._worked_at = time.monotonic()


def _pause(failures: int) -> float:
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 10))


class Courier:
    """Delivers shipments and drains the outbox. A server that station.toml does not name has no lane."""

    def __init__(
        self,
        outbox: Outbox,
        uploader: Uploader | None,
        api: ResultsApi | None,
        *,
        store_first: bool,
        keep_days: int = 0,
    ) -> None:
        """Delivered results are forgotten after `keep_days` days, 0 for never."""
        self._outbox = outbox
        self._uploader = uploader
        self._api = api
        self._store_first = store_first
        self._queue: queue.Queue[Shipment | None] = queue.Queue(QUEUE_PARTS)
        self._lanes = {"photos": Lane(), "results": Lane()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self.store_failures = 0
        self.lost = 0
        self._aside = 0
        self._housekeeping_at = 0.0
        self._broke_off: dict[str, tuple[int, int]] = {}
        self._keep_days = keep_days

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Store what is queued and end; waits for a running transfer's time-out at most."""
        self._stop.set()
        self._queue.put(None)
        self._thread.join()

    @property
    def degraded(self) -> bool:
        """A server fails, or something was refused and waits for a person."""
        return self._aside > 0 or not all(lane.healthy for lane in self._lanes.values())

    def ship(self, shipment: Shipment) -> None:
        """Hand over photos; goes straight to the store when the queue is full, so it never waits for a server."""
        if self._uploader is None:
            return
        if self._store_first:
            self._store(shipment.id, shipment.created_at, shipment.photos)
            return
        try:
            self._queue.put_nowait(shipment)
        except queue.Full:
            self._store(shipment.id, shipment.created_at, shipment.photos)

    def nudge(self) -> None:
        """Something was recorded: look at once."""
        with contextlib.suppress(queue.Full):  # full: it is awake already
            self._queue.put_nowait(None)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                shipment = self._queue.get(timeout=IDLE_S)
            except queue.Empty:
                shipment = None
            if shipment:
                self._deliver_new(shipment)
            while not self._stop.is_set() and self._queue.empty() and self._drain():
                pass
            self._keep_house()
        while not self._queue.empty():
            if waiting := self._queue.get_nowait():
                self._store(waiting.id, waiting.created_at, waiting.photos)
        if self._uploader:
            self._uploader.close()

    def _deliver_new(self, shipment: Shipment) -> None:
        assert self._uploader is not None
        lane = self._lanes["photos"]
        left = list(shipment.photos)
        while left and lane.open:
            name, data = left[0]
            try:
                self._uploader.upload(name, data)
            except Unavailable as fault:
                self._lane_failed("photos", fault)
            except Refused as fault:
                # Stored all the same: the drainer will be refused once more and set it aside, where it is counted
                log.warning("photo refused: %s", fault)
                break
            except Exception:  # whatever a server does, the photo is kept and the courier goes on
                lane.failed()
                log.exception("photo not sent")
            else:
                lane.worked()
                log.info("part %s: %s sent", shipment.id, name)
                left.pop(0)
        self._store(shipment.id, shipment.created_at, tuple(left))

    def _store(self, id: str, created_at: str, photos: tuple[tuple[str, bytes], ...]) -> None:
        for name, data in photos:
            try:
                kept = self._outbox.store_photo(id, name, data, created_at)
                self.store_failures = 0
                if kept:
                    log.info("part %s: %s stored, to be sent later", id, name)
            except Exception as error:  # a full or failing disk must not end the courier
                self.store_failures += 1
                self.lost += 1
                log.error("part %s: %s is lost, it could be neither sent nor stored: %s", id, name, error)

    def _drain(self) -> bool:
        """Deliver one item of each lane that is open; False when there was none."""
        return any([self._drain_lane(lane) for lane in self._lanes])

    def _drain_lane(self, name: str) -> bool:
        lane = self._lanes[name]
        server = self._uploader if name == "photos" else self._api
        if server is None or not lane.open:
            return False
        item = None
        try:
            item = self._outbox.oldest(name)
            if item is None:
                return False
            self._send(item)
            self._outbox.delivered(item)
        except NotTaken as fault:
            assert item is not None
            return self._not_taken(item, fault)
        except Unavailable as fault:
            self._lane_failed(name, fault)
            self._blame(item)
            return False
        except Refused as fault:
            assert item is not None
            return self._set_aside(item, fault)
        except Exception as error:  # the store itself fails: try again after a pause
            lane.failed()
            log.error("the store fails: %s", error)
            return False
        lane.worked()
        return True

    def _blame(self, item: Item | None) -> None:
        """A server that breaks off at the same item again and again may break off because of it: others first then."""
        if item is None:
            return
        number, times = self._broke_off.get(item.lane, (0, 0))
        times = times + 1 if number == item.number else 1
        if times >= SAME_ITEM:
            times = 0
            with contextlib.suppress(Exception):  # a failing store: the next time
                self._outbox.postpone(item, 0.0)
        self._broke_off[item.lane] = item.number, times

    def _not_taken(self, item: Item, fault: NotTaken) -> bool:
        """Others first, for the trouble may be this item's own; when it is clear that it is, out of their way."""
        lane = self._lanes[item.lane]
        if item.attempts + 1 >= ATTEMPTS and lane.worked_lately:
            return self._set_aside(item, fault)
        try:
            self._outbox.postpone(item, _pause(item.attempts))
        except Exception as error:
            log.error("the store fails: %s", error)
        self._lane_failed(item.lane, fault)
        return False

    def _set_aside(self, item: Item, fault: Refused | NotTaken) -> bool:
        try:
            self._outbox.set_aside(item, str(fault))
        except Exception as error:  # a full disk: it will be refused and set aside later
            self._lanes[item.lane].failed()
            log.error("the store fails: %s", error)
            return False
        self._aside += 1
        log.error("set aside: %s", fault)
        return True

    def _send(self, item: Item) -> None:
        if item.lane == "results":
            assert self._api is not None
            self._api.put(item.id, item.result)
            return
        assert self._uploader is not None
        try:
            data = item.file.read_bytes()
        except FileNotFoundError:
            raise Refused("the stored photo is gone", where=str(item.file)) from None
        self._uploader.upload(item.name, data)
        log.info("part %s: %s sent from the store", item.id, item.name)

    def _lane_failed(self, name: str, fault: Unavailable) -> None:
        if self._lanes[name].healthy:
            log.warning("%s are stored until the server is back: %s", name, fault)
        self._lanes[name].failed(fault.retry_after_s)

    def _keep_house(self) -> None:
        """Every few seconds: what another process has changed, and what is old enough to be forgotten."""
        if time.monotonic() < self._housekeeping_at:
            return
        self._housekeeping_at = time.monotonic() + HOUSEKEEPING_S
        try:
            self._aside = self._outbox.depth()["aside"]
            if self._keep_days:
                self._outbox.forget((datetime.now(UTC) - timedelta(days=self._keep_days)).isoformat())
            self.store_failures = 0
        except Exception as error:  # a full or failing disk: the next time, perhaps
            self.store_failures += 1
            log.error("the store fails: %s", error)
