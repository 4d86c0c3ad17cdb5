"""A line: the PLC's program that places parts, raises the trigger, waits for the verdict, and checks the rules."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sealpin_edge.config.station import TimersSection
from sealpin_edge.errors import InputError
from sealpin_edge.plc import family
from sealpin_edge.plc.block import STATION_OFFSET, Inputs, Outputs, decode_outputs, encode_inputs
from sealpin_edge.plc.section import PlcSection

from . import rules
from .plc import make_plc

HEARTBEAT_S = 0.2
STATION_DEAD_S = 2.0
SETTLE_S = 0.3
# A station with the default times has said what it has to say by then, its last write being on its way
VERDICT_S = (TimersSection.decision_deadline_ms + PlcSection.ok_pulse_ms + 2 * TimersSection.plc_operation_ms) / 1000
TRIGGER_LOW_S = TimersSection.trigger_low_ms / 1000


@dataclass
class LinePart:
    """What the PLC saw of one part. `latency_ms` is from the trigger set to the verdict readable; None without one."""

    number: int
    part_seq: int
    verdict: str = "NONE"
    latency_ms: float | None = None
    station_cycle_ms: int = 0
    defects: int = 0
    error_code: int = 0
    bits: dict[str, bool] = field(default_factory=dict)


@dataclass
class LineReport:
    """All that was played: its parts, and every breach of the handshake's rules."""

    parts: list[LinePart] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every part got a verdict and no rule was broken."""
        return not self.violations and all(part.verdict in ("OK", "NG") for part in self.parts)


class Line:
    """A PLC of the family `driver` that plays parts against a station: full mode (`block`) or simple (two bits).

    `before_part(number)` is called before each part is placed; a part that gets no verdict in `verdict_timeout_s` is
    taken as rejected and the line goes on. Whatever `interval_s` is, simple mode's trigger stays low between two parts
    for as long as a station must be told of it.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        driver: str = "s7",
        block: str = "",
        trigger: str = "",
        ok: str = "",
        interval_s: float = 1.0,
        verdict_timeout_s: float = VERDICT_S,
        before_part: Callable[[int], None] = lambda number: None,
    ) -> None:
        if bool(block) == bool(trigger or ok) or bool(trigger) != bool(ok):
            raise InputError(
                "a line has either a block or two bits", allowed="--block DB100, or --trigger BIT and --ok BIT"
            )
        parse_address = family(driver).parse_address
        self._block = parse_address(block, "--block", bit=False) if block else None
        self._trigger = parse_address(trigger, "--trigger", bit=True) if trigger else None
        self._ok = parse_address(ok, "--ok", bit=True) if ok else None
        places = [place for place in (self._block, self._trigger, self._ok) if place]
        self._plc = make_plc(driver, host, port, places)
        self._plc.written = self._on_write
        self._plc.client_added = self._on_connect
        self.interval_s, self._verdict_timeout_s, self._before_part = interval_s, verdict_timeout_s, before_part
        self._changed = threading.Condition()
        self._inputs = Inputs()
        self._outputs = Outputs()
        self._fresh_connection = False
        self._off = threading.Event()
        self._written_at = 0.0
        self._part = rules.Awaited()
        self._low_at = 0.0
        self._station_beat_at = 0.0
        self._dead = False
        self.connects = 0
        self.report = LineReport()

    def start(self) -> None:
        """Switch the PLC on: a station may connect."""
        self._plc.start()
        self.start_program()

    def stop(self) -> None:
        """Switch the PLC off."""
        self.stop_program()
        self._plc.stop()

    def start_program(self) -> None:
        """Turn the PLC's switch to RUN."""
        self._off.clear()
        self._station_beat_at, self._dead = 0.0, False
        self._set(enable=True)
        threading.Thread(target=self._beat, name="plc heartbeat", daemon=True).start()

    def stop_program(self) -> None:
        """Turn the PLC's switch to STOP: its memory is served and nothing in it changes."""
        self._off.set()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """While this is held the PLC takes requests and answers none, as over a link that is dead at one end."""
        place = self._block or self._trigger
        assert place
        with self._plc.lock(place):
            yield
            self._station_beat_at = 0.0  # it could not write

    def run(self, parts: int, stop: threading.Event | None = None, ready_timeout_s: float = 60.0) -> LineReport:
        """Play so many parts. The report has fewer parts when `stop` is set or no station gets ready in time."""
        stop = stop or threading.Event()
        play = self._play_full if self._block else self._play_simple
        for number in range(1, parts + 1):
            self._before_part(number)
            if stop.is_set() or not play(number, ready_timeout_s):
                break
            stop.wait(self.interval_s)
        return self.report

    @property
    def outputs(self) -> Outputs:
        """What the station says now."""
        return self._outputs

    def wait_ready(self, timeout_s: float) -> bool:
        """Whether a station got Ready within that time. One that was killed while Ready leaves the bit set for ever."""
        return self._wait(lambda: self._outputs.ready and not self._dead, timeout_s)

    def forget_station(self) -> None:
        """The station was killed: what it wrote last is not true any more, and the next one is waited for."""
        with self._changed:
            self._outputs = Outputs()
            self._station_beat_at, self._dead = 0.0, False

    def _play_full(self, number: int, ready_timeout_s: float) -> bool:
        if not self.wait_ready(ready_timeout_s):
            self._violation(f"part {number}: no station got Ready within {ready_timeout_s:g} s")
            return False
        part = LinePart(number, len(self.report.parts) % 65535 + 1)  # unique, over several runs too
        self.report.parts.append(part)
        self._part = rules.Awaited(number)
        self._set(part_seq=part.part_seq)
        triggered = time.perf_counter()
        self._set(trigger=True)
        if self._wait(lambda: self._is_of(part.part_seq), self._verdict_timeout_s):
            outputs = self._outputs
            part.latency_ms = (self._written_at - triggered) * 1000
            part.verdict = "OK" if outputs.ok else "NG" if outputs.ng else "NOT INSPECTED"
            part.station_cycle_ms, part.defects, part.error_code = outputs.cycle_ms, outputs.defects, int(outputs.error)
            part.bits = {"ResultValid": True, "OK": outputs.ok, "NG": outputs.ng, "Fault": outputs.fault}
            self._set(ack=True, trigger=False)
            if not self._wait(lambda: not self._outputs.result_valid, 2.0):
                self._violation(f"part {number}: the result was not withdrawn after ResultAck")
        else:
            self._violation(f"part {number}: no verdict within {self._verdict_timeout_s:g} s")
            self._part.given_up = True
            self._set(trigger=False, reset=True)
            # Until it has been seen: what the station was at is over then
            self._wait(lambda: not (self._outputs.trigger_ack or self._outputs.fault), STATION_DEAD_S)
        self._set(ack=False, reset=False)
        return True

    def _play_simple(self, number: int, ready_timeout_s: float) -> bool:
        assert self._trigger and self._ok
        if not self._wait(lambda: self.connects > 0 and not self._fresh_connection, ready_timeout_s):
            self._violation(f"part {number}: no station connected within {ready_timeout_s:g} s")
            return False
        if number == 1:
            self._off.wait(SETTLE_S)  # two bits cannot say Ready: the station must have seen the trigger low
        self._off.wait(max(0.0, self._low_at + TRIGGER_LOW_S - time.monotonic()))
        if self._plc.read_bit(self._ok):
            self._violation(f"part {number}: an OK pulse is still there when the trigger is to rise")
            if not self._wait(lambda: not self._outputs.ok, ready_timeout_s):
                return False
        part = LinePart(number, number)
        self.report.parts.append(part)
        self._part = awaited = rules.Awaited(number)
        triggered = time.perf_counter()
        self._plc.write_bit(self._trigger, True)
        if self._wait(lambda: awaited.verdicts > 0, self._verdict_timeout_s):
            part.verdict, part.latency_ms = "OK", (self._written_at - triggered) * 1000
            if self._wait(lambda: not self._outputs.ok, 11.0):
                part.bits = {"OK": True}
            else:
                self._violation(f"part {number}: the OK pulse does not end")
        else:
            # Such a line has one lamp: no OK in time is a reject
            part.verdict, part.bits = "NG", {"OK": False}
            awaited.given_up = True
        self._plc.write_bit(self._trigger, False)
        self._low_at = time.monotonic()
        return True

    def _on_connect(self) -> None:
        with self._changed:
            self._fresh_connection = True
            self.connects += 1
            self._changed.notify_all()

    def _on_write(self) -> None:
        """The station has written: keep what it says now, and check it."""
        with self._changed:
            self._written_at = time.perf_counter()
            before = self._outputs
            if self._block:
                data = self._plc.read(self._block.at(STATION_OFFSET), 16)
                if self._fresh_connection and any(data):
                    self._violation("the first write after a connect is not zeroes")
                self._outputs = decode_outputs(data)
                self._check(before, self._outputs)
            elif self._ok and self._trigger:
                self._outputs = Outputs(ok=self._plc.read_bit(self._ok))
                if self._fresh_connection and self._outputs.ok:
                    self._violation("the first write after a connect is not zero")
                trigger = self._plc.read_bit(self._trigger)
                self._report(rules.simple_mode(before, self._outputs, trigger, self._part))
            self._fresh_connection = False
            self._changed.notify_all()

    def _check(self, before: Outputs, now: Outputs) -> None:
        if now.heartbeat != before.heartbeat:
            self._dead = False
        if now == Outputs():
            self._station_beat_at = 0.0  # it has taken leave, or has just come: it promises nothing that it could break
        elif now.heartbeat != before.heartbeat or not self._station_beat_at:
            self._station_beat_at = time.monotonic()
        if self._block and self._plc.read(self._block, STATION_OFFSET) != encode_inputs(self._inputs):
            self._report(["the station wrote to the PLC's bytes"])
        self._report(rules.full_mode(before, now, self._inputs, self._part))

    def _report(self, breaches: Iterable[str]) -> None:
        for text in breaches:
            self._violation(f"part {self._part.number}: {text}")

    def _is_of(self, part_seq: int) -> bool:
        """Whether there is a result, and of this part: another one's is none."""
        return self._outputs.result_valid and self._outputs.result_seq == part_seq

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for something that the station writes."""
        with self._changed:
            return self._changed.wait_for(done, timeout_s)

    def _beat(self) -> None:
        """The PLC's cyclic part: its own heartbeat goes on whatever the line does, and the station's is watched."""
        while not self._off.wait(HEARTBEAT_S):
            self._set(heartbeat=self._inputs.heartbeat % 255 + 1)
            if self._station_beat_at and time.monotonic() - self._station_beat_at > STATION_DEAD_S:
                self._violation(f"the station's heartbeat stood still for {STATION_DEAD_S:g} s")
                self._station_beat_at, self._dead = 0.0, True

    def _set(self, **changes: Any) -> None:
        """Change the PLC's own bytes, all in one go."""
        if self._block:
            with self._changed:
                self._inputs = Inputs(**{**vars(self._inputs), **changes})
                self._plc.write(self._block, encode_inputs(self._inputs))

    def _violation(self, text: str) -> None:
        self.report.violations.append(text)
