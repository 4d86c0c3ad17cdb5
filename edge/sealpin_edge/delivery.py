"""Photos and results on their way to the servers: at once where that works, else stored and drained later.

One thread for each lane, away from the verdict's path, so that neither server waits for the other's. A lane whose
server fails is left alone for a while that grows with each failure: an outage costs a cycle nothing, and what comes
meanwhile goes to the store. When it is the store that fails, photos and results go out from memory.
"""

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from .errors import NotTaken, Refused, Unavailable
from .lane import FIRST_PAUSE_S, Lane, pause_s
from .outbox import Inspection, Item, Outbox
from .results import ResultsApi
from .upload import Uploader

log = logging.getLogger(__name__)

QUEUE_PARTS = 4
IDLE_S = 0.5
# An item that was not taken this often, while others were within the last minutes, is itself the trouble
ATTEMPTS = 10
HOUSEKEEPING_S = 5.0
GIVE_WAY_S = 0.5
LOOK_S = 0.005
# Times that a server may break off at one item before another is tried
SAME_ITEM = 3
# Older than this, what waits says that a server is too slow, or hangs where no time-out reaches
LATE_S = 60.0
# Results that a failing disk did not take wait in memory
UNSTORED = 1000


@dataclass(frozen=True)
class Shipment:
    """The photos of one inspection: name on the server and JPEG bytes."""

    id: str
    created_at: str
    photos: tuple[tuple[str, bytes], ...]


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
        judging: Callable[[], bool] = lambda: False,
    ) -> None:
        """Delivered results are forgotten after `keep_days` days, 0 for never; what is stored waits while `judging`."""
        self._outbox = outbox
        self._uploader = uploader
        self._api = api
        self._store_first = store_first
        self._queue: queue.Queue[Shipment | None] = queue.Queue(QUEUE_PARTS)
        self._lanes = {"photos": Lane(), "results": Lane()}
        self._store_again_at = dict.fromkeys(self._lanes, 0.0)
        self._unstored: deque[Inspection] = deque()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("photos", self._run_photos), ("results", self._run_results))
        ]
        self.lost = 0
        self._aside = 0
        self._late = False
        self._housekeeping_at = 0.0
        self._broke_off: dict[str, tuple[int, int]] = {}
        self._keep_days = keep_days
        self._judging = judging

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Store what is queued and end; waits for a running transfer's time-out at most."""
        self._stop.set()
        self.nudge()
        for thread in self._threads:
            thread.join()

    @property
    def degraded(self) -> bool:
        """A server fails or is too slow, or something was refused and waits for a person."""
        return self._aside > 0 or self._late or not all(lane.healthy for lane in self._lanes.values())

    @property
    def in_hand(self) -> int:
        """What waits in memory for a server, or for the store."""
        return self._queue.unfinished_tasks + len(self._unstored)

    @property
    def takes_photos(self) -> bool:
        """Whether there is anywhere to send photos to."""
        return self._uploader is not None

    def ship(self, shipment: Shipment) -> None:
        """Hand over photos; goes straight to the store when the queue is full, so it never waits for a server."""
        if self._uploader is None:
            return
        if self._store_first:
            shipment = self._keep(shipment)
        if not shipment.photos:
            return
        try:
            self._queue.put_nowait(shipment)
        except queue.Full:
            self._keep(shipment, or_lose=True)

    def take_unstored(self, inspection: Inspection) -> None:
        """Hand over a result that the disk did not take: it is sent from memory, or stored once the disk works."""
        self._unstored.append(inspection)
        if len(self._unstored) > UNSTORED:
            self._lose(f"part {self._unstored.popleft().id}: its result is lost, the disk has failed for too long")

    def nudge(self) -> None:
        """Something was recorded: look at once."""
        self._wake.set()
        if self._queue.empty():  # else it is awake already, and the room is for photos
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(None)

    def _run_photos(self) -> None:
        while not self._stop.is_set():
            try:
                shipment = self._queue.get(timeout=IDLE_S)
            except queue.Empty:
                pass
            else:
                if shipment:
                    self._deliver_new(shipment)
                self._queue.task_done()
            while not self._stop.is_set() and self._queue.empty() and self._drain("photos"):
                pass
        while not self._queue.empty():
            if waiting := self._queue.get_nowait():
                self._keep(waiting, or_lose=True)
        if self._uploader:
            self._uploader.close()

    def _run_results(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            self._keep_house()
            while not self._stop.is_set() and (self._settle_unstored() or self._drain("results")):
                self._keep_house()
        while self._settle_unstored():
            pass
        for inspection in self._unstored:
            self._lose(f"part {inspection.id}: its result is lost, it could be neither sent nor stored")

    def _deliver_new(self, shipment: Shipment) -> None:
        assert self._uploader is not None
        lane = self._lanes["photos"]
        while shipment.photos and lane.open:
            name, data = shipment.photos[0]
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
                shipment = replace(shipment, photos=shipment.photos[1:])
        self._keep(shipment, or_lose=True)

    def _keep(self, shipment: Shipment, *, or_lose: bool = False) -> Shipment:
        """Store the photos; what the store does not take is left over, and counted as lost when this was their end."""
        left = []
        for name, data in shipment.photos:
            try:
                kept, why = self._outbox.store_photo(shipment.id, name, data, shipment.created_at), "the store is full"
            except Exception as error:  # a full or failing disk must not end the courier
                kept, why = False, str(error)
            if kept:
                log.info("part %s: %s stored, to be sent later", shipment.id, name)
            else:
                left.append((name, data))
                if or_lose:
                    self._lose(f"part {shipment.id}: {name} is lost, it could be neither sent nor stored: {why}")
        return replace(shipment, photos=tuple(left))

    def _lose(self, message: str) -> None:
        self.lost += 1
        self._outbox.note_trouble()
        log.error(message)

    def _settle_unstored(self) -> bool:
        """Send or store the oldest result that the disk did not take; False when there is none, or neither works."""
        if not self._unstored:
            return False
        inspection, lane = self._unstored[0], self._lanes["results"]
        try:
            if self._api and lane.open:
                self._api.put(inspection.id, inspection.result)
                lane.worked()
                log.info("part %s: result sent", inspection.id)
            else:
                self._outbox.record(inspection, send_result=self._api is not None)
        except NotTaken as fault:  # nothing to do but to let the others pass
            self._unstored.rotate(-1)
            self._lane_failed("results", fault)
            return self._settle_unstored()
        except Unavailable as fault:
            self._lane_failed("results", fault)
            return self._settle_unstored()  # to the disk, now that this lane is closed
        except Refused as fault:
            self._lose(f"part {inspection.id}: its result is lost: {fault}")
        except Exception as error:
            log.debug("part %s is not stored yet: %s", inspection.id, error)
            return False
        with contextlib.suppress(ValueError):  # there were too many, and it went as the oldest
            self._unstored.remove(inspection)
        return True

    def _give_way(self) -> None:
        """What was stored can wait until a part is judged; not for ever, on a line without pauses."""
        until = time.monotonic() + GIVE_WAY_S
        while self._judging() and time.monotonic() < until and not self._stop.is_set():
            time.sleep(LOOK_S)

    def _drain(self, name: str) -> bool:
        """Deliver the next item of a lane; False when there is none, or it does not go."""
        lane = self._lanes[name]
        server = self._uploader if name == "photos" else self._api
        if server is None or not lane.open or time.monotonic() < self._store_again_at[name]:
            return False
        self._give_way()
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
        except Exception as error:
            self._leave_store(name, error)
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
            self._outbox.postpone(item, pause_s(item.attempts))
        except Exception as error:
            log.error("the store fails: %s", error)
        self._lane_failed(item.lane, fault)
        return False

    def _set_aside(self, item: Item, fault: Refused | NotTaken) -> bool:
        try:
            self._outbox.set_aside(item, str(fault))
        except Exception as error:  # a full disk: it will be refused and set aside later
            self._leave_store(item.lane, error)
            return False
        self._aside += 1
        log.error("set aside: %s", fault)
        return True

    def _leave_store(self, name: str, error: Exception) -> None:
        """The store fails, not the server: what is new still goes out directly."""
        self._store_again_at[name] = time.monotonic() + FIRST_PAUSE_S
        log.error("the store fails: %s", error)

    def _send(self, item: Item) -> None:
        if item.lane == "results":
            assert self._api is not None
            self._api.put(item.id, item.result)
            log.info("part %s: result sent", item.id)
            return
        assert self._uploader is not None
        try:
            data = item.file.read_bytes()
        except OSError as error:
            raise Refused("the stored photo cannot be read", where=str(item.file), found=str(error)) from None
        if len(data) != item.bytes:
            found, allowed = f"{len(data)} bytes", f"{item.bytes} bytes"
            raise Refused("the stored photo is damaged", where=str(item.file), found=found, allowed=allowed)
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
            self._late = self._outbox.oldest_age_s() > LATE_S
            self._outbox.check()
            if self._keep_days:
                self._outbox.forget((datetime.now(UTC) - timedelta(days=self._keep_days)).isoformat())
        except Exception as error:  # a full or failing disk: the next time, perhaps
            log.error("the store fails: %s", error)
