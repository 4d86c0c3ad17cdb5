"""What edge/PLC.md tells the PLC's programmer: its diagrams are played, its tables and times held against the code."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge.config.station import TimersSection
from sealpin_edge.error_code import ErrorCode
from sealpin_edge.plc.block import BLOCK_VERSION, STATION_OFFSET, Inputs, Outputs, encode_inputs, encode_outputs
from sealpin_edge.plc.handshake import Handshake, Outcome, Timers
from sealpin_edge.plc.section import PlcSection
from sealpin_edge.plc.words import to_words
from sealpin_edge.tasks.verdict import Verdict

FOLDER = Path(__file__).parents[2] / "edge"
PAGE = (FOLDER / "PLC.md").read_text()
# How the page calls a field of block.py; PLC.md has the other names as they are, but for their capitals
NAMES = {
    "ResultAck": "ack", "PlcHeartbeat": "heartbeat", "StationHeartbeat": "heartbeat", "ErrorCode": "error",
    "OK": "ok", "NG": "ng",
}  # fmt: skip


def cells(heading: str) -> list[list[str]]:
    """The table under a heading line."""
    lines = PAGE.split(heading, 1)[1].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def field_of(name: str) -> str:
    return NAMES.get(name) or re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


# The block


def places(s7: str, melsec: str, modbus: str) -> tuple[tuple[int, int, int], ...]:
    """Where each family's cell says that a field lies: its first bit, counted from the block's first, and how many."""
    found = []
    if m := re.fullmatch(r"DBX(\d+)\.([0-7])", s7):
        byte, bit, size = int(m[1]), int(m[2]), 1
    else:
        m = re.fullmatch(r"DB([BW])(\d+)", s7)
        assert m, s7
        byte, bit, size = int(m[2]), 0, 8 if m[1] == "B" else 16
        assert size == 8 or byte % 2 == 0
    # Bits of a word, its lower byte being the block's second
    found.append((byte // 2, bit + (8 if byte % 2 == 0 and size < 16 else 0), size))
    for cell, base, of_bit in ((melsec, "D654", r"\.([0-9A-F])"), (modbus, "HR100", r" bit (\d+)")):
        m = re.fullmatch(rf"([A-Z]+)(\d+)(?:{of_bit}| bits (\d+)-(\d+))?", cell)
        assert m and m[1] == base.rstrip("0123456789"), cell
        word = int(m[2]) - int(base.lstrip("DHR"))
        if m[3]:
            found.append((word, int(m[3], 16 if base == "D654" else 10), 1))
        else:
            low, high = int(m[4] or 0), int(m[5] or 15)
            found.append((word, low, high - low + 1))
    return tuple(found)


def value(words: list[int], place: tuple[int, int, int]) -> int:
    word, bit, size = place
    return words[word] >> bit & (1 << size) - 1


def test_every_field_of_the_block_lies_where_the_table_says_in_each_family() -> None:
    table = {name: (writes, places(*rest)) for name, writes, *rest in cells("| field | writes | S7, `DB100` |")}
    record = {"PLC": Inputs, "station": Outputs}
    for kind, cls in record.items():
        told = {field_of(name) for name, (writes, _) in table.items() if writes == kind} - {"block_version"}
        assert told == {field.name for field in fields(cls)}
    for name, (writes, found) in table.items():
        assert len(set(found)) == 1, f"{name}: the three families' places differ: {found}"
        if name == "BlockVersion":
            words = to_words(encode_inputs(Inputs()) + encode_outputs(Outputs()))
            assert value(words, found[0]) == BLOCK_VERSION
            continue
        field = field_of(name)
        size = found[0][2]
        given: Any = ErrorCode.ACK_STUCK if field == "error" else size == 1 or (1 << size) - 3
        said = {"PLC": Inputs(), "station": Outputs()}
        said[writes] = replace(said[writes], **{field: given})
        words = to_words(encode_inputs(said["PLC"]) + encode_outputs(said["station"]))  # type: ignore[arg-type]
        others = {one: value(words, place[0]) for one, (_, place) in table.items() if one not in (name, "BlockVersion")}
        assert value(words, found[0]) == given, name
        assert not any(others.values()), (name, others)
        assert (writes == "PLC") == (found[0][0] < STATION_OFFSET // 2)


# The times


def milliseconds(text: str) -> int:
    """`decision_deadline_ms` + 2 x `plc_operation_ms`, with the defaults of these keys."""
    sections = (TimersSection, PlcSection)
    total = 0
    for term in text.split(" + "):
        m = re.fullmatch(r"(?:(\d+) × |(half of ))?`(\w+)`", term)
        assert m, text
        total += (
            int(m[1] or 1)
            * next(getattr(section, m[3]) for section in sections if hasattr(section, m[3]))
            // (2 if m[2] else 1)
        )
    return total


def test_every_time_is_what_it_is_made_of_and_the_samples_keep_it() -> None:
    samples = (FOLDER / "plc/sealpin_full.scl").read_text() + (FOLDER / "plc/sealpin_simple.scl").read_text()
    kept = {name: int(number) * (1 if unit == "ms" else 1000) for name, number, unit in re.findall(
        r"(\w+) : Time := T#(\d+)(ms|s);", samples
    )}  # fmt: skip
    named = set()
    for heading in ("| full mode: the PLC waits for | at most |", "| simple mode | time |"):
        for what, time, made, *_ in cells(heading):
            seconds = float(time.removesuffix(" s"))
            if made != "the line's own":
                assert 1000 * seconds == milliseconds(made), what
            name = re.search(r"`(\w+Time)`", what)
            if name:
                named.add(name[1])
                assert kept[name[1]] >= 1000 * seconds, what
    assert named == set(kept)


# The diagrams

COLUMN_S = 0.1
ROWS = (
    "Ready", "PartSeq", "Trigger", "TriggerAck", "Busy", "Acquired", "ResultValid", "OK", "NG", "ResultSeq",
    "ResultAck", "Reset", "Fault", "ErrorCode",
)  # fmt: skip
PLC_ROWS = ("PartSeq", "Trigger", "ResultAck", "Reset")
# What the PLC does in the columns, and what becomes of the part: from which column on a field is what
Scene = tuple[dict[int, dict[str, Any]], dict[int, Outcome | None]]
SCENES: dict[str, Scene] = {
    "A good part": (
        {0: {"part_seq": 6}, 2: {"part_seq": 7}, 3: {"trigger": True}, 10: {"ack": True, "trigger": False},
         12: {"ack": False}},
        {6: None, 8: Outcome(1, Verdict.OK)},
    ),
    "A part that is not inspected: neither OK nor NG, and the ErrorCode says why": (
        {0: {"part_seq": 7}, 2: {"part_seq": 8}, 3: {"trigger": True}, 8: {"ack": True, "trigger": False},
         10: {"ack": False}},
        {6: Outcome(1, Verdict.NOT_INSPECTED, error=ErrorCode.CAMERA)},
    ),
    "A Fault, here that the model is too slow: Reset stands until it is gone": (
        {0: {"part_seq": 8}, 2: {"part_seq": 9}, 3: {"trigger": True}, 10: {"trigger": False}, 12: {"reset": True},
         14: {"reset": False}},
        {5: None},
    ),
}  # fmt: skip


def diagram(scene: str) -> str:
    """Play a scene and draw it: a column is a look of the station at the PLC."""
    does, becomes = SCENES[scene]
    handshake, inputs, said = Handshake(Timers(inference_s=0.35)), Inputs(enable=True), Outputs()
    rows: dict[str, str] = {name: "" for name in ROWS}
    for column in range(18):
        now = 1.0 + column * COLUMN_S
        inputs = replace(inputs, **does.get(column, {}))
        for name in ROWS:
            shown = getattr(inputs if name in PLC_ROWS else said, field_of(name))
            rows[name] += ("##" if shown else "__") if isinstance(shown, bool) else f"{int(shown) or '_'}" * 2
        if column in becomes:
            outcome = becomes[column]
            if outcome:
                handshake.judged(outcome, now)
            else:
                handshake.acquired(1, now)
        said = handshake.step(inputs, now)
        handshake.written(said)
    changing = {name: row for name, row in rows.items() if set(row) != {"_"}}
    return "\n".join(f"    {'PLC' if name in PLC_ROWS else '':4}{name:12} {row}" for name, row in changing.items())


@pytest.mark.parametrize("scene", SCENES)
def test_the_diagrams_are_what_the_handshake_does(scene: str) -> None:
    assert f"{scene}:\n\n{diagram(scene)}\n" in PAGE
