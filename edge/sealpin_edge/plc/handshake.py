"""The handshake with the PLC as a state machine without I/O: inputs and time in, outputs out.

    PREOP -> READY -> TRIGGERED -> ACQUIRED -> RESULT -> CLEARING -> READY;  any -> FAULT;  READY -> HALTED

Full mode follows the PLC's Enable, ResultAck and Reset. Simple mode has none of them: it is always enabled, holds a
result for the length of the OK pulse instead of waiting for an acknowledgement, and leaves FAULT when the trigger is
low. In both the trigger counts on its rising edge only, and must be seen low before the next one.

A verdict belongs to the part that lies there. Where the next one may have come meanwhile, because the station did not
look for so long that it could have missed the trigger's fall and rise, or because PartSeq has changed, it is withheld.
"""

from dataclasses import dataclass, replace
from enum import Enum

from ..error_code import ErrorCode
from ..tasks.verdict import Verdict
from .block import Inputs, Outputs


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
    """Seconds. `trigger_low_s` is how long the trigger is low at least between two parts.

    `result_hold_s` is the OK pulse of simple mode; None selects full mode.
    """

    capture_s: float = 1.0
    inference_s: float = 3.0
    decision_deadline_s: float = 4.0
    result_ack_s: float = 2.0
    heartbeat_s: float = 0.5
    plc_dead_s: float = 2.0
    trigger_low_s: float = 0.2
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
    another token than the running one is ignored, so a late result can never stand for the next part. `missed` counts
    the triggers that began no inspection, `why_void` is why the newest part's verdict was withdrawn, `error` what the
    PLC is told is wrong, `waits_for` which bit the PLC must set (Enable; Reset in a Fault) or, without a part under
    way, take back (Trigger, Reset, ResultAck) before the station gets Ready.
    """

    def __init__(self, timers: Timers, recipe: int = 0) -> None:
        """`recipe` is the RecipeId of full mode that this station can judge."""
        self.state = State.PREOP
        self.start: int | None = None
        self.token = 0
        self.part_seq = 0
        self.missed = 0
        self.why_void = ErrorCode.NONE
        self.error = ErrorCode.NONE
        self.waits_for = ""
        self._timers, self._recipe = timers, recipe
        self._simple = timers.result_hold_s is not None
        self._error = ErrorCode.NONE
        self._withheld = ErrorCode.NONE
        self._outcome: Outcome | None = None
        self._written = False
        self._ack_was_low = False
        self._ack_since: float | None = None
        self._since = 0.0
        self._deadline = 0.0
        self._looked_at: float | None = None
        self._was_high = True
        self._missed = False
        self._needs_reset = False
        self._disturbed_at = float("-inf")
        self._beat = 0
        self._beat_at = 0.0
        self._plc_beat: int | None = None
        self._plc_beat_at = 0.0
        self._plc_beats = False

    @property
    def untold(self) -> bool:
        """There is a result that the PLC has not got yet."""
        return self.state is State.RESULT and not self._written

    def connected(self, now: float) -> None:
        """A new connection stands: begin anew, and never with a result of the old one."""
        if self.state is not State.HALTED and not (self.state is State.FAULT and self._needs_reset):
            self._error = ErrorCode.NONE
            self._enter(State.PREOP, now)
        self._plc_beat, self._plc_beat_at, self._plc_beats = None, now, False
        self._looked_at, self._was_high = None, True

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
        if awaited and now >= self._deadline:
            self._fail(ErrorCode.DEADLINE, now, needs_reset=True)
        elif awaited:
            self._outcome, self._error, self._written = outcome, outcome.error, False
            self._enter(State.RESULT, now)
            if self._withheld:
                self._withhold(self._withheld)
            return True
        return False

    def written(self, outputs: Outputs) -> None:
        """What `step` returned is written into the PLC."""
        if outputs.result_valid and self.untold:
            self._written, self._since = True, self._looked_at or self._since  # its time begins when it is there

    def step(
        self,
        inputs: Inputs,
        now: float,
        *,
        looked_at: float | None = None,
        able: bool = True,
        unfit: ErrorCode = ErrorCode.NONE,
        degraded: bool = False,
        disturbed: bool = False,
    ) -> Outputs:
        """One round: take the PLC's inputs, read at time `now` (monotonic seconds), and return what to write.

        `looked_at` is when that read began, `now` unless given. `able` says whether the station is free for a part,
        `unfit` why it can judge none at all, `degraded` that storage or network lag behind, `disturbed` that somebody
        else has written the station's own bytes.
        """
        self.start = None
        rising = inputs.trigger and not self._was_high
        last_look, self._looked_at = self._looked_at, now if looked_at is None else looked_at
        self._was_high = inputs.trigger
        self._watch_plc(inputs, now)
        if disturbed:
            self._disturbed_at = now
            self._fail(ErrorCode.FOREIGN_WRITER, now, needs_reset=False)
        if not self._simple and inputs.reset and self.state is not State.HALTED:
            self._missed, self._error, self._needs_reset = False, ErrorCode.NONE, False
            self._drop(ErrorCode.VERDICT_NOT_TAKEN)
            self._enter(State.PREOP, now)
        blind = last_look is not None and now - last_look > self._timers.trigger_low_s
        if blind or rising or inputs.part_seq != self.part_seq:
            self._overtaken(now)
        self._advance(inputs, now, rising, able and not unfit, now if last_look is None else last_look)
        if rising and self.start is None and self.state is not State.HALTED:
            self._missed = True
            self.missed += 1
        if now - self._beat_at >= self._timers.heartbeat_s:
            self._beat, self._beat_at = (self._beat + 1) % 256, now
        if not inputs.ack or self.state not in (State.PREOP, State.CLEARING):
            self._ack_since = None
        elif self._ack_since is None:
            self._ack_since = now
        stuck = self._ack_since is not None and now - self._ack_since >= self._timers.result_ack_s
        waits = unfit if self.state is State.PREOP else ErrorCode.NONE
        self.error = waits or (ErrorCode.ACK_STUCK if stuck else self._error)
        self.waits_for = self._missing(inputs)
        return self._outputs(degraded)

    def _missing(self, inputs: Inputs) -> str:
        """What `waits_for` is; empty where the PLC has done its part."""
        if self.state is State.FAULT:
            return "Reset" if self._needs_reset and not self._simple else ""
        if self.state is not State.PREOP:
            return ""
        if not inputs.enable:
            return "Enable"
        return "Trigger" if inputs.trigger else "Reset" if inputs.reset else "ResultAck" if inputs.ack else ""

    def _overtaken(self, now: float) -> None:
        """Another part may lie there than the one that is judged: its verdict must not be taken for the other's."""
        if self.state not in (State.TRIGGERED, State.ACQUIRED, State.RESULT):
            return
        if self._simple:  # two bits cannot say whose OK it is: even one that stands is taken back
            self._drop(ErrorCode.OVERTAKEN)
            self._enter(State.CLEARING, now)
        elif self.untold or self.state is not State.RESULT:
            self._withhold(ErrorCode.OVERTAKEN)

    def _withhold(self, error: ErrorCode) -> None:
        """The part is not inspected, whatever its inspection comes to."""
        self._withheld = error
        if self._outcome is not None:
            self._outcome = replace(self._outcome, verdict=Verdict.NOT_INSPECTED, error=error)
            self._error = error

    def _drop(self, why: ErrorCode) -> None:
        """The part that was going on, if one was, gets no verdict any more."""
        if self.state in (State.TRIGGERED, State.ACQUIRED) or self.untold:
            self.why_void = why

    def _advance(self, inputs: Inputs, now: float, rising: bool, able: bool, low_at: float) -> None:
        """From state to state; `low_at` is when the trigger was last seen to be low, if it is high now."""
        waited = now - self._since
        match self.state:
            case State.PREOP:
                # An acknowledgement that stands already would end the result before anybody has read it
                if able and inputs.enable and not (inputs.trigger or inputs.reset or inputs.ack):
                    self._enter(State.READY, now)
            case State.READY:
                if not (able and inputs.enable) or inputs.ack:
                    self._enter(State.PREOP, now)
                elif rising:
                    self.token += 1
                    self.start, self.part_seq = self.token, inputs.part_seq
                    self._missed, self._error, self.why_void = False, ErrorCode.NONE, ErrorCode.NONE
                    other = not self._simple and inputs.recipe_id != self._recipe
                    self._withheld = ErrorCode.WRONG_RECIPE if other else ErrorCode.NONE
                    self._deadline = low_at + self._timers.decision_deadline_s
                    self._enter(State.TRIGGERED, now)
            case State.TRIGGERED | State.ACQUIRED:
                taking = self.state is State.TRIGGERED
                if now >= self._deadline:
                    self._fail(ErrorCode.DEADLINE, now, needs_reset=True)
                elif waited >= (self._timers.capture_s if taking else self._timers.inference_s):
                    self._fail(ErrorCode.CAMERA if taking else ErrorCode.INFERENCE, now, needs_reset=True)
            case State.RESULT if not self._written:
                self._ack_was_low = not inputs.ack
            case State.RESULT:
                if self._timers.result_hold_s is not None:
                    silent = self._outcome and self._outcome.verdict is not Verdict.OK
                    if silent or waited >= self._timers.result_hold_s:
                        self._enter(State.CLEARING, now)
                elif inputs.ack and self._ack_was_low:  # one that stood before acknowledges nothing
                    self._enter(State.CLEARING, now)
                elif waited >= self._timers.result_ack_s:
                    self._fail(ErrorCode.RESULT_NOT_ACKNOWLEDGED, now, needs_reset=True)
                else:
                    self._ack_was_low = self._ack_was_low or not inputs.ack
            case State.CLEARING:
                if not inputs.trigger and not inputs.ack:
                    self._enter(State.READY if able and inputs.enable else State.PREOP, now)
            case State.FAULT:
                heals = self._simple or not self._needs_reset
                undisturbed = now - self._disturbed_at >= self._timers.plc_dead_s
                if heals and undisturbed and not inputs.trigger and not self._plc_silent(now):
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
        self._drop(error)
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
            error=self.error,
            degraded=degraded,
            missed_trigger=self._missed,
            defects=min(255, outcome.defects) if outcome else 0,
            cycle_ms=min(65535, outcome.cycle_ms) if outcome else 0,
        )
