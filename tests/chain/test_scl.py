"""The PLC's sample programs, run as they are on an emulated S7 every 10 ms, with a real station that breaks."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sealpin_edge.plc import family
from sealpin_simulation.plc import make_plc
from sealpin_simulation.site import Site
from tests.edge.scl import FunctionBlock
from tests.edge.scl_memory import Memory, Tag, Time, block_tags

SAMPLES = Path(__file__).parents[2] / "edge/plc"
CYCLE_S = 0.01
# Simple mode with a shorter deadline, and the sample's time for a verdict made of it as edge/PLC.md says
DEADLINE_MS, PULSE_MS = 2500, 500
TIMERS = f"decision_deadline_ms = {DEADLINE_MS}\ncapture_ms = 1900\ninference_ms = 2400\n"
VERDICT_MS = DEADLINE_MS + PULSE_MS + 500


class Cell:
    """A PLC with a sample program in it: every look at it is one of its cycles."""

    def __init__(self, site: Site, cut_off: list[Callable[[], None]], *, simple: bool = False) -> None:
        parse = family("s7").parse_address
        self.block = parse("DB100", "", bit=False)
        trigger, ok = (parse(text, "", bit=True) for text in ("M76.6", "M77.0"))
        self.plc = make_plc("s7", "127.0.0.1", site.plc_port, [self.block, trigger])
        if simple:
            tags = {'"sealpin_trigger"': Tag("Bool", trigger, True), '"sealpin_ok"': Tag("Bool", ok, False)}
            config = site.config.read_text().replace('mode = "full"', 'mode = "simple"')
            places = f'trigger = "M76.6"\nok = "M77.0"\nok_pulse_ms = {PULSE_MS}'
            site.config.write_text(config.replace('block = "DB100"', places) + TIMERS)
        else:
            tags = block_tags((SAMPLES / "sealpin_block.db").read_text(), 100)
        self.memory = Memory(self.plc, tags)
        name = "sealpin_simple.scl" if simple else "sealpin_full.scl"
        self.program = FunctionBlock((SAMPLES / name).read_text(), self.memory)
        self.inputs: dict[str, Any] = {"VerdictTime": Time(VERDICT_MS)} if simple else {"Run": True}
        self.plc.start()
        cut_off.append(self.plc.stop)

    def cycle(self, **inputs: Any) -> None:
        """One cycle of the PLC, with these inputs from now on."""
        self.inputs.update(inputs)
        self.program.cycle(time.monotonic(), **self.inputs)
        threading.Event().wait(CYCLE_S)

    def until(self, done: Callable[[], bool], timeout_s: float = 20.0) -> None:
        end = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < end, f"it did not happen in time; step {self.program['step']}"
            self.cycle()

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.cycle()

    def says(self, tag: str) -> Any:
        """What lies in the PLC's memory."""
        return self.memory.read(self.memory.tag(tag))

    def finish(self) -> str:
        """Wait for the verdict of the part in place, and take the part away."""
        self.until(lambda: bool(self.program["Done"]))
        told = self.verdict()
        self.leave()
        return told

    def verdict(self) -> str:
        program = self.program
        assert program["Good"] is not program["Reject"]
        return "good" if program["Good"] else "rejected"

    def leave(self) -> None:
        self.cycle(PartInPlace=False)
        assert not (self.program["Done"] or self.program["Good"]), "the next part has no verdict yet"

    def part(self) -> str:
        self.cycle(PartInPlace=True)
        return self.finish()

    def confirm(self) -> None:
        """The operator's button, pressed for a moment."""
        self.cycle(Confirm=True)
        self.cycle(Confirm=False)


def slow_photos(site: Site) -> None:
    """Good, bad, good, bad: the first, in which the station breaks, takes some tenths of a second to be judged."""
    for file in site.photos.iterdir():
        file.unlink()
    for number in range(4):
        photo = np.full((512, 640, 3), 120 + number, np.uint8)
        if number % 2:
            photo[192:256, 160:240] = (20, 20, 250)
        photo = photo if number else photo.repeat(7, axis=0).repeat(7, axis=1)
        cv2.imwrite(str(site.photos / f"{number}.png"), photo)


def at(site: Site, *states: str) -> Callable[[], bool]:
    """Whether the station says that it is there; not before it answers."""

    def ask() -> bool:
        try:
            return site.health()["state"] in states
        except OSError:
            return False

    return ask


def ready(site: Site) -> Callable[[], bool]:
    return at(site, "ready")


def busy(site: Site) -> Callable[[], bool]:
    return at(site, "taking the photo", "judging")


def verdicts(site: Site) -> list[tuple[int, str]]:
    results = sorted(site.api.results.values(), key=lambda one: one["station_seq"])
    return [(one["part_seq"], one["verdict"]) for one in results]


def test_full_mode_sorts_parts_and_enable_holds_them(site: Site, cut_off: list[Callable[[], None]]) -> None:
    cell = Cell(site, cut_off)
    site.start()
    assert [cell.part() for _ in range(4)] == ["good", "rejected", "good", "rejected"]
    assert not cell.program["NotInspected"] and not cell.program["Alarm"]
    cell.until(lambda: cell.says('"sealpin".Ready'))
    cell.cycle(Run=False)
    cell.until(lambda: not cell.says('"sealpin".Ready'))
    cell.cycle(PartInPlace=True)
    cell.run(0.3)
    assert not cell.says('"sealpin".Trigger') and not cell.program["Done"]
    cell.cycle(Run=True)
    assert cell.finish() == "good"
    cell.until(lambda: len(site.api.results) == 5)
    assert verdicts(site) == [(1, "OK"), (2, "NG"), (3, "OK"), (4, "NG"), (5, "OK")]


def test_full_mode_rejects_what_was_not_inspected(site: Site, cut_off: list[Callable[[], None]]) -> None:
    broken = site.photos / "part_000.jpg"
    broken.write_bytes(broken.read_bytes()[:2000])
    cell = Cell(site, cut_off)
    site.start()
    cell.cycle(PartInPlace=True)
    cell.until(lambda: cell.program["Done"])
    assert (cell.program["NotInspected"], cell.program["ErrorCode"], cell.program["Alarm"]) == (True, 1, False)
    assert cell.finish() == "rejected"
    assert cell.part() == "rejected"  # the second photo is of a bad part
    assert cell.part() == "good"


def test_full_mode_rejects_and_alarms_when_the_station_is_killed_in_the_middle(
    site: Site, cut_off: list[Callable[[], None]]
) -> None:
    slow_photos(site)
    cell = Cell(site, cut_off)
    site.start()
    cell.cycle(PartInPlace=True)
    cell.until(lambda: cell.says('"sealpin".Busy'))
    site.kill()
    cell.until(lambda: cell.program["Alarm"])
    assert cell.program["Cause"] == 4 and cell.finish() == "rejected"
    cell.cycle(PartInPlace=True)
    cell.confirm()
    cell.run(0.3)
    assert cell.says('"sealpin".Reset') and cell.program["Alarm"], "nobody is there to obey"
    site.start()
    assert cell.finish() == "good"
    assert not cell.program["Alarm"] and not cell.says('"sealpin".Reset')


def test_full_mode_gives_no_part_to_a_station_that_was_killed_while_ready(
    site: Site, cut_off: list[Callable[[], None]]
) -> None:
    cell = Cell(site, cut_off)
    site.start()
    cell.until(lambda: cell.says('"sealpin".Ready') and cell.program["Alive"])
    site.kill()
    cell.until(lambda: not cell.program["Alive"])
    cell.cycle(PartInPlace=True)
    cell.run(0.3)
    assert cell.says('"sealpin".Ready') and not cell.says('"sealpin".Trigger')
    site.start()
    assert cell.finish() == "good"
    cell.until(lambda: cell.says('"sealpin".Ready'))
    site.kill()  # and at once the next part: nobody can know yet
    assert cell.part() == "rejected"
    assert cell.program["Alarm"] and cell.program["Cause"] in (1, 4)


def test_full_mode_gives_no_part_the_ok_of_one_in_which_the_station_froze(
    site: Site, cut_off: list[Callable[[], None]]
) -> None:
    slow_photos(site)
    cell = Cell(site, cut_off)
    site.start()
    cell.cycle(PartInPlace=True)
    cell.until(lambda: cell.says('"sealpin".Busy'))
    assert site.station
    site.station.send_signal(signal.SIGSTOP)
    assert cell.finish() == "rejected"
    assert cell.program["Alarm"]
    cell.cycle(PartInPlace=True)  # a bad one
    cell.confirm()
    cell.run(0.3)
    site.station.send_signal(signal.SIGCONT)
    assert cell.finish() == "rejected"
    assert not cell.program["Alarm"]
    assert cell.part() == "good"
    cell.until(lambda: len(site.api.results) == 3)
    assert verdicts(site) == [(1, "NOT INSPECTED"), (2, "NG"), (3, "OK")]


def test_full_mode_resets_a_fault_when_the_operator_confirms(site: Site, cut_off: list[Callable[[], None]]) -> None:
    slow_photos(site)
    site.config.write_text(site.config.read_text() + "decision_deadline_ms = 600\ncapture_ms = 50\ninference_ms = 20\n")
    cell = Cell(site, cut_off)
    site.start()
    assert cell.part() == "rejected"
    assert (cell.program["Alarm"], cell.program["Cause"], cell.program["ErrorCode"]) == (True, 3, 2)
    cell.run(0.5)
    assert cell.says('"sealpin".Fault'), "a Fault does not go by itself"
    cell.confirm()
    cell.until(lambda: cell.says('"sealpin".Ready'))
    assert not cell.program["Alarm"] and cell.program["Cause"] == 0


def test_simple_mode_sorts_parts(site: Site, cut_off: list[Callable[[], None]]) -> None:
    cell = Cell(site, cut_off, simple=True)
    site.start()
    cell.until(ready(site))
    assert [cell.part() for _ in range(5)] == ["good", "rejected", "good", "rejected", "good"]
    assert not cell.program["Alarm"]


def test_simple_mode_rejects_and_alarms_when_the_station_is_killed_while_it_judges(
    site: Site, cut_off: list[Callable[[], None]]
) -> None:
    slow_photos(site)
    cell = Cell(site, cut_off, simple=True)
    site.start()
    cell.until(ready(site))
    cell.cycle(PartInPlace=True)
    cell.until(busy(site))
    site.kill()
    assert cell.finish() == "rejected"
    assert not cell.program["Alarm"]
    assert [cell.part(), cell.part()] == ["rejected", "rejected"]
    assert cell.program["Alarm"], "three rejects in a row"
    site.start()
    cell.until(ready(site))
    cell.cycle(PartInPlace=True)
    cell.run(0.3)
    assert not cell.says('"sealpin_trigger"'), "no part is begun before somebody has looked"
    cell.confirm()
    assert cell.finish() == "good"


def test_simple_mode_takes_no_ok_that_does_not_end(site: Site, cut_off: list[Callable[[], None]]) -> None:
    cell = Cell(site, cut_off, simple=True)
    site.start()
    cell.until(ready(site))
    cell.cycle(PartInPlace=True)
    cell.until(lambda: cell.says('"sealpin_ok"'))
    site.kill()
    assert cell.finish() == "rejected"
    assert cell.program["Alarm"] and cell.says('"sealpin_ok"')
    cell.cycle(PartInPlace=True)
    cell.confirm()
    cell.run(0.3)
    assert not cell.says('"sealpin_trigger"')
    site.start()
    cell.until(lambda: not cell.says('"sealpin_ok"'))
    cell.confirm()
    assert cell.finish() == "good"


def test_simple_mode_gives_no_part_the_ok_of_one_in_which_the_station_froze(
    site: Site, cut_off: list[Callable[[], None]]
) -> None:
    slow_photos(site)
    cell = Cell(site, cut_off, simple=True)
    site.start()
    cell.until(ready(site))
    cell.cycle(PartInPlace=True)
    cell.until(busy(site))
    assert site.station
    site.station.send_signal(signal.SIGSTOP)
    assert cell.finish() == "rejected"
    cell.cycle(PartInPlace=True)
    cell.until(lambda: cell.says('"sealpin_trigger"'))
    site.station.send_signal(signal.SIGCONT)
    assert cell.finish() == "rejected"
    cell.until(ready(site))
    assert not cell.program["Alarm"], "no OK has come late"
    assert cell.part() == "rejected"  # its own verdict: the second photo is of a bad part
    assert cell.program["Alarm"]
    cell.confirm()
    assert cell.part() == "good"
    cell.until(lambda: len(site.api.results) == 3)
    assert [verdict for _, verdict in verdicts(site)] == ["NOT INSPECTED", "NG", "OK"]
