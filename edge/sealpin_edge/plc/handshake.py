"""The handshake with the PLC as a state machine without I/O: inputs and time in, outputs out.

    PREOP -> READY -> TRIGGERED -> ACQUIRED -> RESULT -> CLEARING -> READY;  any -> FAULT;  READY -> HALTED

Full mode follows the PLC's Enable, ResultAck and Reset. Simple mode has none of them: it is always enabled, holds a
result for the length of the OK pulse instead of waiting for an acknowledgement, and leaves FAULT when the trigger is
low. In both the trigger counts on its rising edge only, and must be seen low before the next one.
"""

from dataclasses import dataclass
from enum import Enum

from ..verdict import Verdict
from .block import ErrorCode, Inputs, Outputs


class State(Enum):
    """Where the handshake stands."""

    PREOP = "not ready"
    READY = "ready"
    TRIGGERED = "taking the photo"
    ACQUIRED = "judging"
    RESULT = "result given"
    CLEARING = "waiting for the next part"
    FAULT = "fault"
    HALTED = "halted"


@dataclass(frozen=True)
class Timers:
    """Seconds. `result_hold_s` is the OK pulse of simple mode; None selects full mode."""

    capture_s: float = 1.0
    inference_s: float = 3.0
    decision_deadline_s: float = 4.0
    result_ack_s: float = 2.0
    heartbeat_s: float = 0.5
    plc_dead_s: float = 2.0
    result_hold_s: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What an inspection came to. `cycle_ms` counts from the trigger."""

    token: int
    verdict: Verdict
    defects: int = 0
    error: ErrorCode = ErrorCode.NONE
    cycle_ms: int = 0


class Handshake:
    """One station's handshake. Call `step` every round, `acquired` and `judged` when an inspection gets there.

    `token` numbers inspections; `step` sets `start` to a new token in the round in which a trigger is accepted. News of
    another token than the running one is ignored, so a late result can never stand for the next part.
    """

    def __init__(self, timers: Timers) -> None:
        self.state = State.PREOP
        self.start: int | None = None
        self.token = 0
        self.part_seq = 0
        self._timers = timers
        self._simple = timers.result_hold_s is not None
        self._error = ErrorCode.NONE
        self._outcome: Outcome | None = None
        self._since = 0.0
        self._deadline = 0.0
        self._was_high = True
        self._missed = False
        self._needs_reset = False
        self._beat = 0
        self._beat_at = 0.0
        self._plc_beat: int | None = None
        self._plc_beat_at = 0.0
        self._plc_beats = False

    @property
    def error(self) -> ErrorCode:
        """What the PLC is told is wrong."""
        return self._error

    def connected(self, now: float) -> None:
        """A new connection stands: begin anew, and never with a result of the old one."""
        if not (self.state is State.FAULT and self._needs_reset):
            self._enter(State.PREOP, now)
        self._plc_beat, self._plc_beat_at, self._plc_beats = None, now, False

    def connection_lost(self, now: float) -> None:
        """The PLC is gone: whatever was going on is void."""
        self._fail(ErrorCode.PLC_SILENT, now, needs_reset=False)

    def halt(self, now: float) -> bool:
        """Stop taking parts, for an update or shutdown; False while a part is being judged."""
        if self.state in (State.READY, State.PREOP, State.CLEARING, State.FAULT):
            self._enter(State.HALTED, now)
        return self.state is State.HALTED

    def acquired(self, token: int, now: float) -> None:
        """The photo of inspection `token` is taken: the part may move."""
        if token == self.token and self.state is State.TRIGGERED:
            self._enter(State.ACQUIRED, now)

    def judged(self, outcome: Outcome, now: float) -> bool:
        """Inspection `outcome.token` is finished. False when its part is void: too late, reset, or the PLC was away."""
        awaited = outcome.token == self.token and self.state in (State.TRIGGERED, State.ACQUIRED)
        if awaited and now < self._deadline:
            self._outcome, self._error = outcome, outcome.error
            self._enter(State.RESULT, now)
            return True
        return False

    def step(self, inputs: Inputs, now: float, *, able: bool = True, degraded: bool = False) -> Outputs:
        """One round: take the PLC's inputs at time `now` (monotonic seconds), return what to write.

        `able` says whether the station can inspect at all; `degraded` that storage or network lag behind.
        """
        self.start = None
        rising = inputs.trigger and not self._was_high
        self._was_high = inputs.trigger
        self._watch_plc(inputs, now)
        if not self._simple and inputs.reset and self.state is not State.HALTED:
            self._missed, self._error, self._needs_reset = False, ErrorCode.NONE, False
            self._enter(State.PREOP, now)
        if rising and self.state not in (State.READY, State.PREOP, State.HALTED):
            self._missed = True
            if self._simple and self.state in (State.TRIGGERED, State.ACQUIRED, State.RESULT):
                # Two bits cannot say whose OK it is: with the next part in place, the last one's must not be seen
                self._enter(State.CLEARING, now)
        self._advance(inputs, now, rising, able)
        if now - self._beat_at >= self._timers.heartbeat_s:
            self._beat, self._beat_at = (self._beat + 1) % 256, now
        return self._outputs(degraded)

    def _advance(self, inputs: Inputs, now: float, rising: bool, able: bool) -> None:
        waited = now - self._since
        match self.state:
            case State.PREOP:
                if able and inputs.enable and not inputs.trigger and not inputs.reset:
                    self._enter(State.READY, now)
            case State.READY:
                if not (able and inputs.enable):
                    self._enter(State.PREOP, now)
                elif rising:
                    self.token += 1
                    self.start, self.part_seq = self.token, inputs.part_seq
                    self._missed, self._error, self._deadline = (
                        False,
                        ErrorCode.NONE,
                        now + self._timers.decision_deadline_s,
                    )
                    self._enter(State.TRIGGERED, now)
            case State.TRIGGERED | State.ACQUIRED:
                taking = self.state is State.TRIGGERED
                if now >= self._deadline:
                    self._fail(ErrorCode.DEADLINE, now, needs_reset=True)
                elif waited >= (self._timers.capture_s if taking else self._timers.inference_s):
                    self._fail(ErrorCode.CAMERA if taking else ErrorCode.INFERENCE, now, needs_reset=True)
            case State.RESULT:
                if self._timers.result_hold_s is not None:
                    if waited >= self._timers.result_hold_s:
                        self._enter(State.CLEARING, now)
                elif inputs.ack:
                    self._enter(State.CLEARING, now)
                elif waited >= self._timers.result_ack_s:
                    self._fail(ErrorCode.RESULT_NOT_ACKNOWLEDGED, now, needs_reset=True)
            case State.CLEARING:
                if not inputs.trigger and not inputs.ack:
                    self._enter(State.READY if able and inputs.enable else State.PREOP, now)
            case State.FAULT:
                heals = self._simple or not self._needs_reset
                if heals and not inputs.trigger and not self._plc_silent(now):
                    self._error = ErrorCode.NONE
                    self._enter(State.PREOP, now)

    def _watch_plc(self, inputs: Inputs, now: float) -> None:
        """A PLC that has shown a heartbeat must go on showing it."""
        if inputs.heartbeat != self._plc_beat:
            self._plc_beats = self._plc_beat is not None
            self._plc_beat, self._plc_beat_at = inputs.heartbeat, now
        elif self._plc_silent(now):
            self._fail(ErrorCode.PLC_SILENT, now, needs_reset=False)

    def _plc_silent(self, now: float) -> bool:
        return self._plc_beats and now - self._plc_beat_at >= self._timers.plc_dead_s

    def _fail(self, error: ErrorCode, now: float, *, needs_reset: bool) -> None:
        # A fault that a person must see is not hidden by one that heals by itself
        if self.state is State.HALTED or (self.state is State.FAULT and self._needs_reset and not needs_reset):
            return
        self._needs_reset, self._error = needs_reset, error
        self._enter(State.FAULT, now)

    def _enter(self, state: State, now: float) -> None:
        if state is not State.RESULT:
            self._outcome = None
        self.state, self._since = state, now

    def _outputs(self, degraded: bool) -> Outputs:
        state, outcome = self.state, self._outcome
        return Outputs(
            ready=state is State.READY,
            trigger_ack=state in (State.TRIGGERED, State.ACQUIRED, State.RESULT),
            busy=state in (State.TRIGGERED, State.ACQUIRED),
            acquired=state in (State.ACQUIRED, State.RESULT),
            result_valid=outcome is not None,
            ok=outcome is not None and outcome.verdict is Verdict.OK,
            ng=outcome is not None and outcome.verdict is Verdict.NG,
            fault=state is State.FAULT,
            heartbeat=self._beat,
            result_seq=self.part_seq if outcome else 0,
            error=self._error,
            degraded=degraded,
            missed_trigger=self._missed,
            defects=min(255, outcome.defects) if outcome else 0,
            cycle_ms=min(65535, outcome.cycle_ms) if outcome else 0,
        )
