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

from ..errors import NotTaken, Refused, SealpinError, Unavailable, in_words
from ..upload import Uploader
from .lane import FIRST_PAUSE_S, Lane, pause_s
from .outbox import Inspection, Item, Outbox
from .results import ResultsApi

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
# A stop waits so long for what is on its way, which is stored by then: well below the unit's TimeoutStopSec
STOP_S = 8.0


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
        sent_unstored: Callable[[int], None] = lambda number: None,
    ) -> None:
        """Delivered results are forgotten after `keep_days` days, 0 for never; what is stored waits while `judging`."""
        self._outbox = outbox
        self._uploader = uploader
        self._api = api
        self._store_first = store_first
        self._queue: queue.Queue[Shipment | None] = queue.Queue(QUEUE_PARTS)
        self._lanes = {"photos": Lane(), "results": Lane()}
        self._store_again_at = dict.fromkeys(self._lanes, 0.0)
        self._on_its_way: Shipment | None = None
        self._unstored: deque[Inspection] = deque()
        self._storing = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("photos", self._run_photos), ("results", self._run_results))
        ]
        self.lost = 0
        self._backlog: dict[str, tuple[int, float]] = {}
        self._housekeeping_at = 0.0
        self._broke_off: dict[str, tuple[int, int]] = {}
        self._keep_days = keep_days
        self._judging, self._sent_unstored = judging, sent_unstored

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Store what is queued and what is on its way, then give the running transfers STOP_S seconds to end.

        What is stored and arrives all the same is sent once more by the next shift, over itself.
        """
        self._stop.set()
        shipment = self._on_its_way
        left = self._keep(shipment) if shipment else None
        self._store_queued()
        self.nudge()  # not before, or it would be taken out of the queue with the rest
        while self._store_oldest():
            pass
        until = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if left and self._on_its_way:
            self._keep(left, or_lose=True)
        for inspection in list(self._unstored):
            self._lose(f"part {inspection.id}: its result is lost, it could be neither sent nor stored")

    @property
    def degraded(self) -> bool:
        """A server fails or is too slow, or something was refused and waits for a person."""
        return bool(self.troubles)

    @property
    def troubles(self) -> dict[str, str]:
        """What is wrong with each lane that is not well ("photos", "results"), in a line for people; else nothing."""
        told = {name: [lane.trouble] if lane.trouble else [] for name, lane in self._lanes.items()}
        for name, (aside, waits_s) in self._backlog.items():
            if aside:
                told[name].append(f"{aside} {name} refused and set aside: sealpin-edge outbox list")
            if waits_s > LATE_S:
                told[name].append(f"what waits is older than {LATE_S:.0f} s")
        return {name: "; ".join(reasons) for name, reasons in told.items() if reasons}

    @property
    def in_hand(self) -> int:
        """What waits in memory for a server, or for the store."""
        return self._queue.unfinished_tasks + len(self._unstored)

    @property
    def unstored(self) -> int:
        """Results that are in memory only: the disk did not take them, and no server has them yet."""
        return len(self._unstored)

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
        if self._stop.is_set():  # too late to be sent
            self._store_queued()

    def take_unstored(self, inspection: Inspection) -> None:
        """Hand over a result that the disk did not take: it is sent from memory, or stored once the disk works."""
        self._unstored.append(inspection)
        if len(self._unstored) > UNSTORED:
            self._lose(f"part {self._unstored.popleft().id}: its result is lost, the disk has failed for too long")
        while self._stop.is_set() and self._store_oldest():  # too late to be sent
            pass

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
        self._store_queued()
        if self._uploader:
            self._uploader.close()

    def _store_queued(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                if waiting := self._queue.get_nowait():
                    self._keep(waiting, or_lose=True)
                self._queue.task_done()

    def _run_results(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            self._keep_house()
            while not self._stop.is_set() and (self._settle_unstored() or self._drain("results")):
                self._keep_house()
        while self._settle_unstored():
            pass

    def _deliver_new(self, shipment: Shipment) -> None:
        assert self._uploader is not None
        lane = self._lanes["photos"]
        # In this order: either it is seen here that the station stops, or `stop` sees what is on its way
        self._on_its_way = shipment
        while shipment.photos and lane.open and not self._stop.is_set():
            name, data = shipment.photos[0]
            try:
                self._uploader.upload(name, data)
            except Unavailable as fault:
                self._lane_failed("photos", fault)
            except Refused as fault:
                # Stored all the same: the drainer will be refused once more and set it aside, where it is counted
                log.warning("photo refused: %s", fault)
                break
            except Exception as error:  # whatever a server does, the photo is kept and the courier goes on
                self._lane_failed("photos", error)
            else:
                lane.worked()
                log.debug("part %s: %s sent", shipment.id, name)
                self._on_its_way = shipment = replace(shipment, photos=shipment.photos[1:])
        self._keep(shipment, or_lose=True)
        self._on_its_way = None

    def _keep(self, shipment: Shipment, *, or_lose: bool = False) -> Shipment:
        """Store the photos; what the store does not take is left over, and counted as lost when this was their end."""
        left = []
        for name, data in shipment.photos:
            try:
                kept, why = self._outbox.store_photo(shipment.id, name, data, shipment.created_at), "the store is full"
            except Exception as error:  # a full or failing disk must not end the courier
                kept, why = False, str(error)
            if kept:
                log.debug("part %s: %s stored, to be sent later", shipment.id, name)
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
        if self._api is None or not lane.open:
            return self._store_oldest()
        try:
            self._api.put(inspection.id, inspection.result)
        except Refused as fault:
            self._lose(f"part {inspection.id}: its result is lost: {fault}")
        except Exception as fault:
            self._lane_failed("results", fault)
            if isinstance(fault, NotTaken):  # nothing to do but to let the others pass
                with self._storing:
                    self._unstored.rotate(-1)
            return self._settle_unstored()  # to the disk, now that this lane is closed
        else:
            lane.worked()
            log.debug("part %s: result sent", inspection.id)
            self._sent_unstored(inspection.number)
        with contextlib.suppress(ValueError):  # it went as the oldest of too many, or a stop has stored it
            self._unstored.remove(inspection)
        return True

    def _store_oldest(self) -> bool:
        """Put the oldest result in memory onto the disk; False when there is none, or the disk does not take it."""
        with self._storing:  # the lane's thread does, and `stop`
            if not self._unstored:
                return False
            inspection = self._unstored[0]
            try:
                self._outbox.record(inspection, send_result=self._api is not None)
            except Exception as error:
                log.debug("part %s is not stored yet: %s", inspection.id, error)
                return False
            with contextlib.suppress(ValueError):  # it was sent meanwhile
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
        try:
            item = self._outbox.oldest(name)
        except Exception as error:
            return self._leave_store(name, error)
        if item is None:
            return False
        try:
            self._send(item)
        except NotTaken as fault:
            return self._not_taken(item, fault)
        except Refused as fault:
            return self._set_aside(item, fault)
        except Exception as fault:  # Unavailable, or a fault of our own, which is not the store's either
            self._lane_failed(name, fault)
            self._blame(item)
            return False
        lane.worked()
        try:
            self._outbox.delivered(item)
        except Exception as error:
            return self._leave_store(name, error)
        return True

    def _blame(self, item: Item) -> None:
        """A server that breaks off at the same item again and again may break off because of it: others first then."""
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
            self._backlog = self._outbox.backlog()
        except Exception as error:  # a full disk: it will be refused and set aside later
            return self._leave_store(item.lane, error)
        log.error("set aside: %s", fault)
        return True

    def _leave_store(self, name: str, error: Exception) -> bool:
        """The store fails, not the server: what is new still goes out directly. False, as nothing was delivered."""
        self._store_again_at[name] = time.monotonic() + FIRST_PAUSE_S
        log.error("the store fails: %s", error)
        return False

    def _send(self, item: Item) -> None:
        if item.lane == "results":
            assert self._api is not None
            self._api.put(item.id, item.result)
            log.debug("part %s: result sent", item.id)
            return
        assert self._uploader is not None
        try:
            data = item.file.read_bytes()
        except OSError as error:
            raise Refused("the stored photo cannot be read", where=str(item.file), found=in_words(error)) from None
        if len(data) != item.bytes:
            found, allowed = f"{len(data)} bytes", f"{item.bytes} bytes"
            raise Refused("the stored photo is damaged", where=str(item.file), found=found, allowed=allowed)
        self._uploader.upload(item.name, data)
        log.debug("part %s: %s sent from the store", item.id, item.name)

    def _lane_failed(self, name: str, fault: Exception) -> None:
        """Pause the lane; each trouble is told once, when it begins."""
        lane, trouble = self._lanes[name], _in_a_line(fault)
        if _kind(trouble) != _kind(lane.trouble):
            ours = not isinstance(fault, SealpinError)
            log.warning("%s are stored until the server is back: %s", name, trouble if ours else fault, exc_info=ours)
        lane.failed(trouble, fault.retry_after_s if isinstance(fault, Unavailable) else 0.0)

    def _keep_house(self) -> None:
        """Every few seconds: what another process has changed, and what is old enough to be forgotten."""
        if time.monotonic() < self._housekeeping_at:
            return
        self._housekeeping_at = time.monotonic() + HOUSEKEEPING_S
        try:
            self._backlog = self._outbox.backlog()
            self._outbox.check()
            if self._keep_days:
                self._outbox.forget((datetime.now(UTC) - timedelta(days=self._keep_days)).isoformat())
        except Exception as error:  # a full or failing disk: the next time, perhaps
            log.error("the store fails: %s", error)


def _in_a_line(fault: Exception) -> str:
    """A fault as one line: what, and in brackets where and what was found."""
    if not isinstance(fault, SealpinError):
        return f"a fault of sealpin itself ({type(fault).__name__}: see the log)"
    about = " ".join(": ".join(filter(None, (fault.where, fault.found))).split())
    return f"{fault.problem} ({about})" if about else fault.problem


def _kind(trouble: str) -> str:
    """A trouble without where it met us: the next photo's is the same."""
    return trouble.partition(" (")[0]
