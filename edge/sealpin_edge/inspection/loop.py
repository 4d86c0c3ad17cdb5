"""The PLC loop: the one thread that owns the connection. Everything slow is on the other side of a queue."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from ..config.station import StationConfig
from ..error_code import ErrorCode
from ..errors import InputError, PlcFault
from ..ids import uuid7
from ..plc import Target, make_driver
from ..plc.block import Inputs, Outputs
from ..plc.exchange import Exchange, FullExchange, SimpleExchange
from ..plc.handshake import Handshake, Outcome, Timers
from ..plc.serial import SerialReader
from ..tasks.verdict import Verdict
from ..watch.events import HandshakeWatch, Journal
from ..watch.notify import ServiceManager
from .inspector import Acquired, Inspector, Job, Judged, not_inspected

log = logging.getLogger(__name__)

RECONNECT_S = 1.0
WATCHDOG_S = 1.0
# Without a part for so long the PLC is looked at a third as often: a line that stands wants no milliseconds
BUSY_S = 10.0
# The camera has its own time-out, and is given the time to say so: a dead one is NOT INSPECTED, a hung one Fault
CAPTURE_SLACK_S = 0.5


class PlcLoop:
    """Rounds with the PLC: a read, a step of the handshake, a write. Finished parts go to `take`, which never waits.

    `triggered` is told of every part before it is inspected, and never waits either; a verdict is held back until
    `on_record` says that this is on the disk. `journal` is told of what happens.
    `handshake` is for others to read only.
    """

    def __init__(
        self,
        config: StationConfig,
        inspector: Inspector,
        *,
        triggered: Callable[[Job], None],
        on_record: Callable[[], bool],
        take: Callable[[Judged], None],
        degraded: Callable[[], bool],
        journal: Journal,
        next_number: int,
    ) -> None:
        """`next_number` is the next part's, 0 while it is not known."""
        plc, timers = config.plc, config.timers
        self._config, self._inspector, self._journal = config, inspector, journal
        self._triggered, self._on_record, self._take, self._degraded = triggered, on_record, take, degraded
        self._full = config.station.mode == "full"
        timeout_s = timers.plc_operation_ms / 1000
        target = Target(plc.host, plc.port, timeout_s, plc.rack, plc.slot, plc.series, plc.unit)
        self._driver = make_driver(plc.driver, target)
        self._serial = SerialReader(
            self._driver,
            plc.address("serial"),
            plc.serial_length,
            plc.address("serial_ready"),
            timers.serial_ms / 1000,
            lambda text: journal.note("plc", text, logging.ERROR),
        )
        self._blind_s = timers.trigger_low_ms / 1000
        self.handshake = Handshake(
            Timers(
                capture_s=timers.capture_ms / 1000 + CAPTURE_SLACK_S,
                inference_s=timers.inference_ms / 1000,
                decision_deadline_s=timers.decision_deadline_ms / 1000,
                result_ack_s=timers.result_ack_ms / 1000,
                heartbeat_s=timers.heartbeat_ms / 1000,
                plc_dead_s=timers.plc_dead_ms / 1000,
                trigger_low_s=self._blind_s,
                result_hold_s=None if self._full else plc.ok_pulse_ms / 1000,
            ),
            plc.recipe,
        )
        self._watch = HandshakeWatch(self.handshake, full=self._full)
        self._manager = ServiceManager()
        self._number = next_number
        self._missed = 0
        self._last_seq, self._repeats = -1, False
        self._fed_at = 0.0
        self._begun_at = float("-inf")
        self._plc_trouble = ""
        self._held: Judged | None = None
        self._given: Judged | None = None
        self._delivered = False
        self.connected = False

    @property
    def serial_trouble(self) -> str:
        """Why parts go on without their serials; empty when they do not."""
        return self._serial.trouble

    def run(self, stop: threading.Event, plc_patience_s: float) -> None:
        """Serve the PLC until `stop` is set. One that goes away is waited for, for ever.

        Raises InputError when it has not answered once in `plc_patience_s` seconds from the start.
        """
        give_up_at = time.monotonic() + plc_patience_s
        self._manager.tell("READY=1")
        try:
            while not stop.is_set():
                try:
                    self._driver.connect()
                    give_up_at = float("inf")
                    self._serve(self._exchange(), stop)
                except PlcFault as fault:
                    self._lost(fault)
                    if time.monotonic() >= give_up_at:
                        raise _no_plc(fault, self._config) from None
                    stop.wait(RECONNECT_S)
        finally:
            self._manager.tell("STOPPING=1")
            self.connected = False
            self._driver.close()

    def finish(self) -> None:
        """After the inspector has ended: parts that the PLC got no verdict of are put away as not inspected."""
        self._take_news()
        if self._held is not None:
            self._take(self._void(self._held))
        self._hand_over()

    def _lost(self, fault: PlcFault) -> None:
        if self.connected or str(fault) != self._plc_trouble:
            what = "the connection is lost" if self.connected else "no connection"
            self._journal.note("plc", f"{what}: {fault}", logging.ERROR)
        self._plc_trouble = str(fault)
        self.connected = False
        self._serial.give_up()
        self.handshake.connection_lost(time.monotonic())
        for _ in self._watch.state_news():  # the lost connection says it all
            pass
        self._take_news()
        self._hand_over()
        self._feed_watchdog()

    def _exchange(self) -> Exchange:
        plc = self._config.plc
        block, trigger, ok = plc.address("block"), plc.address("trigger"), plc.address("ok")
        if self._full:
            assert block is not None
            return FullExchange(self._driver, block)
        assert trigger is not None and ok is not None
        return SimpleExchange(self._driver, trigger, ok)

    def _serve(self, exchange: Exchange, stop: threading.Event) -> None:
        """Rounds on one connection."""
        poll_s = self._config.timers.poll_ms / 1000
        exchange.clear()
        self._feed_watchdog()
        self._serial.try_out()
        self.handshake.connected(time.monotonic())
        self.connected, self._plc_trouble = True, ""
        self._journal.note("plc", f"connected, at {self._driver.name}", logging.INFO)
        while not (stop.is_set() and self.handshake.halt(time.monotonic())):
            looked_at = time.monotonic()
            inputs = exchange.read()
            self._take_news()
            outputs = self.handshake.step(
                inputs,
                time.monotonic(),
                looked_at=looked_at,
                able=self._inspector.idle,
                unfit=self._inspector.unfit,
                degraded=self._degraded(),
                disturbed=exchange.disturbed,
            )
            if self.handshake.start is not None:
                self._begin(self.handshake.start)
            # What was seen so long ago may not be so any more: it is looked at again before an OK is said
            if not (outputs.ok and time.monotonic() - looked_at > self._blind_s):
                exchange.write(outputs)
                self._told(outputs)
            self._note_news(inputs)
            self._feed_watchdog()  # each request to a slow PLC may take its whole time-out
            self._serial.poll(time.monotonic())
            self._put_away()
            self._feed_watchdog()
            busy = time.monotonic() - self._begun_at < BUSY_S
            self._wait_for_news(poll_s if busy else 3 * poll_s)
        exchange.clear()
        for text in self._watch.state_news():
            self._journal.note("plc", text, logging.INFO)

    def _begin(self, token: int) -> None:
        self._serial.give_up()
        self._put_away()
        self._begun_at = now = time.monotonic()
        job = self._job(token, now, self.handshake.part_seq)
        repeats, self._last_seq = self._full and job.part_seq == self._last_seq, job.part_seq
        if repeats and not self._repeats:
            self._journal.note("plc", f"PartSeq {job.part_seq} was the last part's too: the PLC must count its parts")
        self._repeats = repeats
        self._inspector.submit(job)
        self._triggered(job)
        self._serial.begin(now)
        log.debug("part %d triggered: id %s, PartSeq %d", job.number, job.id, job.part_seq)

    def _job(self, token: int, now: float, part_seq: int) -> Job:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        number = self._number
        self._number += number > 0
        return Job(token, str(uuid7()), at, now, part_seq, number)

    def _told(self, outputs: Outputs) -> None:
        """The PLC has it. What is on record of a part is what the PLC was told of it."""
        self.handshake.written(outputs)
        if self._given is None or self._delivered or not outputs.result_valid:
            return
        self._delivered = True
        if not (outputs.ok or outputs.ng) and self._given.verdict is not Verdict.NOT_INSPECTED:
            self._given = replace(self._given, verdict=Verdict.NOT_INSPECTED, error=outputs.error)

    def _note_news(self, inputs: Inputs) -> None:
        """Into the journal: what the PLC and the handshake have done; and on record, a part that nobody looks at."""
        for text in self._watch.news(inputs):
            self._journal.note("plc", text)
        if self.handshake.missed > self._missed:
            self._missed = self.handshake.missed
            job = self._job(0, time.monotonic(), inputs.part_seq)
            self._triggered(job)
            self._journal.note(
                "plc",
                f"a trigger came while the station was at {self.handshake.state.value!r}: part {job.number} is missed",
            )
            self._take(not_inspected(job, self._inspector.unfit or ErrorCode.MISSED_TRIGGER))

    def _wait_for_news(self, timeout_s: float) -> None:
        """Sleep until the next round, or until the inspector has something for the PLC."""
        try:
            event = self._inspector.events.get(timeout=timeout_s)
        except queue.Empty:
            return
        self._tell_handshake(event)

    def _take_news(self) -> None:
        if (held := self._held) is not None and self._on_record():
            self._held = None
            self._tell_handshake(held)
        while not self._inspector.events.empty():
            self._tell_handshake(self._inspector.events.get_nowait())

    def _tell_handshake(self, event: Acquired | Judged) -> None:
        now = time.monotonic()
        if isinstance(event, Acquired):
            self.handshake.acquired(event.job.token, now)
            return
        if not self._on_record():
            self._held = event
            return
        outcome = Outcome(event.job.token, event.verdict, len(event.findings), event.error, round(event.cycle_ms))
        if self.handshake.judged(outcome, now):
            self._given, self._delivered = event, False
        else:
            self._take(self._void(event))

    def _put_away(self) -> None:
        """Hand the part over once its serial is known; at once when its verdict was withdrawn before the PLC had it."""
        if not self.handshake.untold and not (self._delivered and self._serial.pending):
            self._hand_over()

    def _hand_over(self) -> None:
        if (judged := self._given) is not None:
            self._take(replace(judged, serial=self._serial.serial) if self._delivered else self._void(judged))
            self._given, self._delivered = None, False

    def _void(self, judged: Judged) -> Judged:
        """A part whose verdict the PLC did not get: to everybody else it must not look like a good one either."""
        why = self.handshake.why_void or ErrorCode.VERDICT_NOT_TAKEN
        log.error(
            "part %d: %s: the PLC did not take the verdict %s", judged.job.number, why.words, judged.verdict.value
        )
        error = judged.error or why
        return replace(judged, verdict=Verdict.NOT_INSPECTED, error=error, serial=self._serial.serial)

    def _feed_watchdog(self) -> None:
        """Only this loop does, and only while the inspector is not stuck: whatever hangs, systemd starts us anew."""
        now = time.monotonic()
        if now - self._fed_at >= WATCHDOG_S and not self._inspector.stuck:
            self._fed_at = now
            self._manager.tell(
                f"WATCHDOG=1\nSTATUS={self.handshake.state.value}, PLC {'connected' if self.connected else 'away'}"
            )


def _no_plc(fault: PlcFault, config: StationConfig) -> InputError:
    return InputError(
        "there is no PLC here",
        where=f"[plc] {fault.where}",
        found=f"{fault.problem}: {fault.found}",
        advice=f"{fault.advice}; or start before the PLC does",
        hint=f"sealpin-edge run --wait-for-plc {config.options}",
    )
