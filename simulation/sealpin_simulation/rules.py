"""The rules of the handshake that a PLC can see broken: each breach in words, for the line's report."""

from collections.abc import Iterator
from dataclasses import dataclass

from sealpin_edge.plc.block import Inputs, Outputs


@dataclass
class Awaited:
    """What the line knows of the part that is in place, or was last.

    `verdicts` counts what came for it: results in full mode, OK pulses in simple mode. `given_up` says that the line
    has taken it as rejected without one.
    """

    number: int = 0
    verdicts: int = 0
    given_up: bool = False


def full_mode(before: Outputs, now: Outputs, inputs: Inputs, part: Awaited) -> Iterator[str]:
    """What is wrong with the station's newest write, `now`, after `before` and with the PLC's own `inputs`."""
    if now.ok and now.ng:
        yield "OK and NG together"
    if (now.ok or now.ng) and not now.result_valid:
        yield "a verdict without ResultValid"
    if now.ready and now.busy:
        yield "Ready and Busy together"
    if now.result_valid and before.result_valid:
        if (now.ok, now.ng, now.result_seq) != (before.ok, before.ng, before.result_seq):
            yield "the verdict changed while ResultValid stood"
    elif now.result_valid:
        part.verdicts += 1
        if now.result_seq != inputs.part_seq:
            yield f"the result is of part {now.result_seq}"
        if part.given_up:
            what = "OK" if now.ok else "a result"
            yield f"{what} for a part that was given up: is --verdict-timeout below decision_deadline_ms?"
        elif not inputs.trigger:
            yield "a result without a trigger"
        if part.verdicts > 1:
            yield f"{part.verdicts} results for one trigger"


def simple_mode(before: Outputs, now: Outputs, trigger: bool, part: Awaited) -> Iterator[str]:
    """What is wrong with an OK bit that the station has just written, the trigger being as it is."""
    if now.ok and not before.ok:
        part.verdicts += 1
        if part.given_up:
            yield ("OK for a part that was given up: is --verdict-timeout below decision_deadline_ms + ok_pulse_ms?")
        elif not trigger:
            yield "an OK pulse began while the trigger was low"
        if part.verdicts > 1:
            yield f"{part.verdicts} OK pulses for one trigger"
