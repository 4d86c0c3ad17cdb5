"""What happened at this station, apart from its parts: in the log, in the database, and on the page.

"Why did the line stop at 13:45:44?" is answered by these: faults and what ended them, the PLC's Enable and Reset, its
connection, triggers that were missed, camera, servers and disk, start and end.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..error_code import ErrorCode
from ..plc.block import Inputs
from ..plc.handshake import Handshake, State

log = logging.getLogger(__name__)

RECENT = 20
# A part's way through the handshake: none of it is an event
_AT_WORK = (State.READY, State.TRIGGERED, State.ACQUIRED, State.RESULT, State.CLEARING)


@dataclass(frozen=True)
class Event:
    """Something that happened: when (ISO 8601, UTC), to what ("plc", "camera", ...), and what, in words."""

    at: str
    kind: str
    text: str


class Journal:
    """Takes events from any thread; `keep` puts each into the database and never waits."""

    def __init__(self, keep: Callable[[Event], None]) -> None:
        self._keep = keep
        self.recent: deque[Event] = deque(maxlen=RECENT)

    def note(self, kind: str, text: str, level: int = logging.WARNING) -> None:
        """Something happened now."""
        log.log(level, "%s: %s", kind, text)
        event = Event(datetime.now(UTC).isoformat(timespec="milliseconds"), kind, text)
        self.recent.append(event)
        self._keep(event)


class HandshakeWatch:
    """Tells what has happened between PLC and station from one round to the next."""

    def __init__(self, handshake: Handshake, *, full: bool) -> None:
        self._handshake, self._full = handshake, full
        self._enable = True
        self._reset = False
        self._was: tuple[State, str] = (State.HALTED, "")

    def news(self, inputs: Inputs) -> Iterator[str]:
        """What is new, in sentences, since the last call."""
        if self._full and inputs.enable != self._enable:
            yield f"the PLC has switched Enable {'on' if inputs.enable else 'off: no part will be judged'}"
        if self._full and inputs.reset and not self._reset:
            yield "the PLC has pulsed Reset"
        self._enable, self._reset = inputs.enable, inputs.reset
        yield from self.state_news()

    def state_news(self) -> Iterator[str]:
        """What is new with the handshake's state alone."""
        state = State.READY if self._handshake.state in _AT_WORK else self._handshake.state
        error = self._handshake.error
        if error is ErrorCode.ACK_STUCK:
            state = State.PREOP  # no part is taken, whatever the state is called
        why = f"error {int(error)}, {error.words}" if error else ""
        was, (before, _) = self._was, self._was
        self._was = state, why if state is not State.READY else ""
        if self._was == was:
            return
        if state is State.FAULT:
            yield f"Fault: {why}"
        elif state is State.PREOP:
            yield ("the Fault is over, " if before is State.FAULT else "") + "not Ready" + (f": {why}" if why else "")
        elif state is State.HALTED:
            yield "halted: no part will be judged"
        else:
            yield ("the Fault is over, " if before is State.FAULT else "") + "Ready"
