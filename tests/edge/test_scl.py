"""The PLC's samples: their data block is the station's, and what runs them understands SCL and takes nothing else."""

from pathlib import Path

import pytest

from sealpin_edge.error_code import ErrorCode
from sealpin_edge.plc.address import Address
from sealpin_edge.plc.block import (
    BLOCK_BYTES,
    STATION_OFFSET,
    Inputs,
    Outputs,
    decode_inputs,
    encode_inputs,
    encode_outputs,
)
from sealpin_simulation.plc import SimulatedPlc, make_plc

from .scl import FunctionBlock
from .scl_memory import Memory, SclError, Tag, block_tags

SAMPLES = Path(__file__).parents[2] / "edge/plc"
BLOCK = Address("DB", 0, db=100)
# A member of the data block and the field of block.py that it is
FIELDS = {
    "Enable": "enable", "Trigger": "trigger", "ResultAck": "ack", "Reset": "reset", "PlcHeartbeat": "heartbeat",
    "PartSeq": "part_seq", "RecipeId": "recipe_id",
    "Ready": "ready", "TriggerAck": "trigger_ack", "Busy": "busy", "Acquired": "acquired",
    "ResultValid": "result_valid", "PartOK": "ok", "PartNG": "ng", "Fault": "fault", "StationHeartbeat": "heartbeat",
    "ResultSeq": "result_seq", "ErrorCode": "error", "Degraded": "degraded", "MissedTrigger": "missed_trigger",
    "Defects": "defects", "CycleMs": "cycle_ms",
}  # fmt: skip


@pytest.fixture
def plc() -> SimulatedPlc:
    """Memory that nobody serves."""
    return make_plc("s7", "127.0.0.1", 0, [BLOCK, Address("M", 76)])


def test_the_data_block_has_every_field_where_the_station_reads_and_writes_it(plc: SimulatedPlc) -> None:
    tags = block_tags((SAMPLES / "sealpin_block.db").read_text(), 100)
    memory = Memory(plc, tags)
    names = {name.partition(".")[2] for name in tags}
    assert {name for name in names if not name.startswith("Spare")} == {*FIELDS, "BlockVersion"}
    for name, field in FIELDS.items():
        tag = tags[f'"sealpin".{name}']
        value = True if tag.type == "Bool" else ErrorCode.NO_PART if field == "error" else 2
        given = {field: value}
        inputs = Inputs(**given) if tag.writable else Inputs()  # type: ignore[arg-type]
        outputs = Outputs() if tag.writable else Outputs(**given)  # type: ignore[arg-type]
        plc.write(BLOCK, encode_inputs(inputs) + encode_outputs(outputs))
        told = {one: memory.read(tags[f'"sealpin".{one}']) for one in names - {"BlockVersion"}}
        assert {one for one, found in told.items() if found} == {name}
        assert told[name] == value
        assert tag.writable == (tag.address.number < STATION_OFFSET)
    version = tags['"sealpin".BlockVersion']
    assert (version.address.number, memory.read(version)) == (BLOCK_BYTES - 1, 1)


TRIGGER, OK = Address("M", 76, 6), Address("M", 77, 0)


def program(body: str, plc: SimulatedPlc) -> FunctionBlock:
    declared = "VAR_INPUT a : Bool; n : UInt; END_VAR VAR x : Bool; m : UInt; t : TON_TIME; END_VAR"
    tags = {'"trigger"': Tag("Bool", TRIGGER, True), '"ok"': Tag("Bool", OK, False)}
    return FunctionBlock(f'FUNCTION_BLOCK "f" {declared} BEGIN {body} END_FUNCTION_BLOCK', Memory(plc, tags))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("FALSE AND FALSE OR TRUE", True),
        ("NOT FALSE AND FALSE", False),
        ("TRUE OR TRUE AND FALSE", True),
        ("#n + 1 = 8 AND #n <> 8", True),
        ("10 - 2 - 1 = 7", True),
        ("NOT (#n < 7 OR #n > 7)", True),
        ("T#1s > T#999ms", True),
    ],
)
def test_expressions_bind_as_in_scl(expression: str, value: bool, plc: SimulatedPlc) -> None:
    made = program(f"#x := {expression};", plc)
    made.cycle(0.0, n=7)
    assert made["x"] is value


def test_a_timer_delays_and_starts_anew(plc: SimulatedPlc) -> None:
    made = program("#t(IN := #a, PT := T#200ms); #x := #t.Q;", plc)
    seen = []
    for tenth, given in enumerate([True, True, True, True, False, True, True, True]):
        made.cycle(tenth / 10, a=given)
        seen.append(made["x"])
    assert seen == [False, False, True, True, False, False, False, True]


def test_branches_are_taken_one_at_a_time(plc: SimulatedPlc) -> None:
    body = """CASE #m OF
        0: IF #n = 1 THEN #m := 1; ELSIF #n = 2 THEN #m := 2; ELSE #m := 7; END_IF;
        1: "trigger" := TRUE;
        ELSE #m := 0;
    END_CASE; // a comment
    """
    for given, steps in ((1, [1, 1]), (2, [2, 0]), (3, [7, 0])):
        made = program(body, plc)
        told = []
        for _ in range(2):
            made.cycle(0.0, n=given)
            told.append(made["m"])
        assert told == steps
    assert plc.read_bit(TRIGGER)


@pytest.mark.parametrize(
    "body",
    [
        "#y := TRUE;", "#x := 1;", "#m := TRUE;", "#a := TRUE;", "IF #n THEN #x := TRUE; END_IF;", "#x := #n AND #a;",
        '"ok" := TRUE;', '"other" := TRUE;', "#x := TRUE", "WHILE #a DO #x := TRUE; END_WHILE;", "#m := #n - 1;",
        "#t(IN := #a, PT := 200);", "#x := #a > #x;", "#m := 65535 + 1;", "#x := #n = #a;", "IF #a THEN #x := TRUE;",
    ],
)  # fmt: skip
def test_what_no_plc_would_take_is_refused(body: str, plc: SimulatedPlc) -> None:
    with pytest.raises(SclError):
        program(body, plc).cycle(0.0, n=0)


class Station:
    """The full mode sample on memory that the test writes as a station would; a cycle is 0.1 s."""

    def __init__(self, plc: SimulatedPlc) -> None:
        self.plc, self.now, self.beat = plc, 0.0, 0
        tags = block_tags((SAMPLES / "sealpin_block.db").read_text(), 100)
        self.program = FunctionBlock((SAMPLES / "sealpin_full.scl").read_text(), Memory(plc, tags))
        self.run(1, Run=True)

    def run(self, cycles: int, **inputs: bool) -> None:
        for _ in range(cycles):
            self.now += 0.1
            self.program.cycle(self.now, **inputs)

    def say(self, **said: object) -> Inputs:
        """Write it with a new heartbeat, and let the PLC run; what that says then."""
        self.beat = (self.beat + 1) % 256
        outputs = Outputs(heartbeat=self.beat, **said)  # type: ignore[arg-type]
        self.plc.write(BLOCK.at(STATION_OFFSET), encode_outputs(outputs))
        self.run(3)
        return decode_inputs(self.plc.read(BLOCK, STATION_OFFSET))

    def begin(self) -> int:
        """Take a part; its PartSeq."""
        self.run(1, PartInPlace=True)
        told = self.say(ready=True)
        assert told.trigger
        self.say(trigger_ack=True, busy=True)
        return told.part_seq

    def result(self, seq: int, **said: bool) -> Inputs:
        return self.say(trigger_ack=True, result_valid=True, result_seq=seq, **said)


def test_the_sample_takes_no_result_of_another_part_and_gives_this_one_up(plc: SimulatedPlc) -> None:
    station = Station(plc)
    seq = station.begin()
    for _ in range(20):
        assert not station.result(seq - 1, ok=True).ack
    assert (station.program["Good"], station.program["Reject"], station.program["Cause"]) == (False, True, 2)
    assert not station.result(seq, ok=True).ack and not station.program["Good"], "now it is too late"


def test_the_sample_counts_a_verdict_that_is_not_withdrawn_and_begins_no_other_part(plc: SimulatedPlc) -> None:
    station = Station(plc)
    seq = station.begin()
    assert station.result(seq, ok=True).ack
    for _ in range(5):
        told = station.result(seq, ok=True)
    assert (station.program["Good"], station.program["Alarm"], station.program["Cause"]) == (True, True, 5)
    assert (told.ack, told.part_seq) == (False, seq)
    station.run(1, PartInPlace=False)
    station.run(1, PartInPlace=True)
    assert not station.program["Good"], "that was the last part's"
    assert not station.say(ready=True).trigger
    assert station.result(0).reset is False
    station.run(1, Confirm=True)
    assert station.result(0).reset, "until the station has obeyed"
    assert not station.say().reset
    assert station.say(ready=True).trigger and not station.program["Alarm"]


def test_the_sample_gives_a_part_that_came_in_the_middle_no_verdict_of_the_last_one(plc: SimulatedPlc) -> None:
    station = Station(plc)
    seq = station.begin()
    station.run(1, PartInPlace=False)
    station.run(1, PartInPlace=True)
    assert station.result(seq, ok=True).ack
    assert not station.program["Good"]
    station.say()
    assert not (station.program["Good"] or station.program["Done"])
    assert station.say(ready=True).part_seq == seq + 1


def test_the_samples_part_seq_goes_from_65535_to_1_and_an_ok_with_ng_is_no_ok(plc: SimulatedPlc) -> None:
    station = Station(plc)
    plc.write(BLOCK, encode_inputs(Inputs(part_seq=65535)))
    assert station.begin() == 1
    station.result(1, ok=True, ng=True)
    assert station.program["Reject"] and not station.program["Good"]


def simple_verdict(plc: SimulatedPlc, ok: str) -> tuple[str, bool]:
    """What the simple mode sample says of a part, and whether it alarms; `ok` is the OK bit, 0.1 s a sign.

    A sign of `^` is an OK that begins before the trigger has risen.
    """
    tags = {'"sealpin_trigger"': Tag("Bool", TRIGGER, True), '"sealpin_ok"': Tag("Bool", OK, False)}
    made = FunctionBlock((SAMPLES / "sealpin_simple.scl").read_text(), Memory(plc, tags))
    now, seen = 0.0, list(ok)
    while not made["Done"] and now < 20.0:
        if plc.read_bit(TRIGGER) or seen[:1] == ["^"]:
            plc.write_bit(OK, bool(seen) and seen.pop(0) in "^#")
        now += 0.1
        made.cycle(now, PartInPlace=now > 0.35)
    return ("good" if made["Good"] else "rejected" if made["Reject"] else "none"), made["Alarm"]


@pytest.mark.parametrize(
    ("ok", "told"),
    [
        ("___#####___", ("good", False)),
        ("", ("rejected", False)),
        ("_" * 60 + "#####", ("rejected", False)),  # too late
        ("___#____", ("rejected", False)),  # taken back
        ("___" + "#" * 40, ("rejected", True)),  # it does not end
        ("^^^^^^^^_", ("none", True)),  # not asked for
    ],
)
def test_the_simple_sample_takes_one_whole_pulse_in_time(ok: str, told: tuple[str, bool], plc: SimulatedPlc) -> None:
    assert simple_verdict(plc, ok) == told
