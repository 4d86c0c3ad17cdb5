"""The 24 bytes that PLC and station share in full mode, and what they mean.

    PLC writes      0.0 Enable  0.1 Trigger  0.2 ResultAck  0.3 Reset | 1 PlcHeartbeat | 2-3 PartSeq | 4-5 RecipeId
    station writes  8.0 Ready 8.1 TriggerAck 8.2 Busy 8.3 Acquired 8.4 ResultValid 8.5 OK 8.6 NG 8.7 Fault
                    9 StationHeartbeat | 10-11 ResultSeq | 12-13 ErrorCode | 14.0 Degraded 14.1 MissedTrigger
                    15 defect count | 16-17 CycleMs | 18-22 spare | 23 block version

Words are big-endian, as in every S7. No byte has two writers: writing a bit can mean reading and writing its byte.
"""

import struct
from dataclasses import dataclass, fields

from ..error_code import ErrorCode

BLOCK_BYTES = 24
STATION_OFFSET = 8
BLOCK_VERSION = 1


@dataclass(frozen=True)
class Inputs:
    """What the PLC says (bytes 0 to 7)."""

    enable: bool = False
    trigger: bool = False
    ack: bool = False
    reset: bool = False
    heartbeat: int = 0
    part_seq: int = 0
    recipe_id: int = 0


@dataclass(frozen=True)
class Outputs:
    """What the station says (bytes 8 to 23)."""

    ready: bool = False
    trigger_ack: bool = False
    busy: bool = False
    acquired: bool = False
    result_valid: bool = False
    ok: bool = False
    ng: bool = False
    fault: bool = False
    heartbeat: int = 0
    result_seq: int = 0
    error: ErrorCode = ErrorCode.NONE
    degraded: bool = False
    missed_trigger: bool = False
    defects: int = 0
    cycle_ms: int = 0


_INPUT_BITS = ("enable", "trigger", "ack", "reset")
_OUTPUT_BITS = ("ready", "trigger_ack", "busy", "acquired", "result_valid", "ok", "ng", "fault")
_STATUS_BITS = ("degraded", "missed_trigger")
_INPUTS = struct.Struct(">BBHHxx")
_OUTPUTS = struct.Struct(">BBHHBBH5xB")
assert _INPUTS.size == STATION_OFFSET and _INPUTS.size + _OUTPUTS.size == BLOCK_BYTES
assert {field.name for field in fields(Inputs)} >= set(_INPUT_BITS)


def encode_inputs(inputs: Inputs) -> bytes:
    """Bytes 0 to 7, as a PLC would write them."""
    return _INPUTS.pack(_to_byte(inputs, _INPUT_BITS), inputs.heartbeat, inputs.part_seq, inputs.recipe_id)


def decode_inputs(data: bytes) -> Inputs:
    """Read bytes 0 to 7."""
    bits, heartbeat, part_seq, recipe_id = _INPUTS.unpack(data)
    return Inputs(**_from_byte(bits, _INPUT_BITS), heartbeat=heartbeat, part_seq=part_seq, recipe_id=recipe_id)


def encode_outputs(outputs: Outputs) -> bytes:
    """Bytes 8 to 23, as the station writes them."""
    return _OUTPUTS.pack(
        _to_byte(outputs, _OUTPUT_BITS),
        outputs.heartbeat,
        outputs.result_seq,
        outputs.error,
        _to_byte(outputs, _STATUS_BITS),
        outputs.defects,
        outputs.cycle_ms,
        BLOCK_VERSION,
    )


def decode_outputs(data: bytes) -> Outputs:
    """Read bytes 8 to 23."""
    bits, heartbeat, result_seq, error, status, defects, cycle_ms, _ = _OUTPUTS.unpack(data)
    return Outputs(
        **_from_byte(bits, _OUTPUT_BITS),
        **_from_byte(status, _STATUS_BITS),
        heartbeat=heartbeat,
        result_seq=result_seq,
        error=ErrorCode(error),
        defects=defects,
        cycle_ms=cycle_ms,
    )


def _to_byte(record: Inputs | Outputs, names: tuple[str, ...]) -> int:
    return sum(getattr(record, name) << bit for bit, name in enumerate(names))


def _from_byte(byte: int, names: tuple[str, ...]) -> dict[str, bool]:
    return {name: bool(byte >> bit & 1) for bit, name in enumerate(names)}
