"""Cuts and attacks while a bundle is deployed to a stand-in station over sshd, and what came of each.

    .venv/bin/python benchmarks/deploy_faults.py --model demo/export/model.tflite --photos demo/photos > table.json

Needs root, openssh-server and `make wheels`. The faults are those of tests/deploy/faults.py, with the slow ones: a
release that ends after 20 s of its 30 s trial, an upload and an installation that are cut in their midst, a deploying
program that is killed, a connection that hangs. Every row: what the toolkit said, what ran then, and whether the next
deploy got through. JSON on standard output, a line for each on standard error.
"""

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from machine import describe

sys.path.insert(0, str(Path(__file__).parents[1]))

from sealpin_edge.release.bundle import Bundle
from sealpin_export.deploy.deploy import Outcome
from sealpin_export.deploy.fleet import in_waves
from sealpin_export.deploy.inventory import Device
from tests.deploy.faults import ATTACKS, SLOW_ATTACKS, STEPS, cut, kill_agent
from tests.deploy.workshop import Station, Workshop, missing, with_code

HEALED_S = 200.0


@dataclass(frozen=True)
class Row:
    """One fault: `runs` is the release that runs afterwards, "old" or "new"; `well_s` how soon it was Ready."""

    fault: str
    result: str
    told: str
    runs: str
    well_s: float
    next_deploy: str
    violations: list[str]


def rows(workshop: Workshop, station: Station) -> list[Row]:
    """Play all of them on one station, one after the other."""
    made = []
    for attack in (*ATTACKS, *SLOW_ATTACKS):
        made.append(played(attack.name, workshop, station, lambda attack=attack: attack.play(workshop, station)))
    for how in ("power", "cable"):
        for step in STEPS:
            target = fresh(workshop) if step in ("send", "environment") else workshop.second
            made.append(
                played(
                    f"{how} cut at: {step}",
                    workshop,
                    station,
                    lambda step=step, how=how, target=target: cut(station, target, step, how),
                    target,
                )
            )
    for name, play in (
        ("power cut in the midst of the installation", lambda target: later(station, target, "environment", 3.0)),
        ("the deploying program killed while it watches", lambda target: kill_agent(station, target)),
        ("the connection hangs while it watches", lambda target: hanging(station, target)),
    ):
        target = fresh(workshop)
        made.append(played(name, workshop, station, lambda play=play, target=target: play(target), target))
    return [*made, canary(workshop, station)]


def played(
    name: str, workshop: Workshop, station: Station, play: Callable[[], Outcome], target: Bundle | None = None
) -> Row:
    """One fault from a station that runs the first bundle, and back to it."""
    before = station.running(HEALED_S)
    station.line.report.violations.clear()
    outcome = play()
    began = time.monotonic()
    after = station.running(HEALED_S)
    well_s = time.monotonic() - began
    runs = "old" if after == before else "new" if target is None or after == target.manifest.release else after
    station.wait_until_free()
    again = station.deploy(target or workshop.second, allow_downgrade=True)
    back = station.deploy(workshop.first, allow_downgrade=True)
    assert station.running() == workshop.first.manifest.release, back
    told = outcome.why.splitlines()[0].replace(f"{workshop.folder}/", "") if outcome.why else ""
    row = Row(name, outcome.result, told, runs, round(well_s, 1), f"{again.result}, {back.result}", breaches(station))
    tell(row)
    return row


def canary(workshop: Workshop, station: Station) -> Row:
    """A bundle that is not well, to a canary and then to another station: the other is not touched."""
    other = workshop.station("other")
    by_name = {"line1": station, "other": other}
    (bad,) = (attack for attack in ATTACKS if attack.name == "starts, but never gets Ready")
    try:
        outcomes = in_waves(
            [[station.device], [other.device]], lambda device: bad.play(workshop, by_name[device.name]), 0
        )
        before = workshop.first.manifest.release
        runs = "old" if {station.running(HEALED_S), other.running()} == {before} else "new"
        touched = [line["event"] for line in other.ask("status")["history"]] != ["deployed"]
    finally:
        other.close()
    row = Row(
        "a bad bundle to a canary, then to the others", ", ".join(one.result for one in outcomes), outcomes[1].why,
        runs, 0.0, "the other station was touched" if touched else "", breaches(station),
    )  # fmt: skip
    tell(row)
    return row


def breaches(station: Station) -> list[str]:
    """Of the handshake; that the station is silent without power, or stopped, is none."""
    return [told for told in station.line.report.violations if "heartbeat" not in told]


def tell(row: Row) -> None:
    """A line on standard error."""
    print(f"{row.fault:<52} {row.result:<12} {row.runs:<5} {row.well_s:>6} s  {row.told[:80]}", file=sys.stderr)


def fresh(workshop: Workshop) -> Bundle:
    """A bundle of which the station has neither all files nor the environment."""
    code = f"\nMADE = {time.time()}\n"
    return workshop.remade(workshop.second, lambda found, said: with_code(found, "__init__.py", code))


def later(station: Station, made: Bundle, step: str, seconds: float) -> Outcome:
    """The power goes some seconds after a step began."""

    def progress(device: Device, reached: str, done: int, total: int) -> None:
        if reached == step:
            threading.Timer(seconds, station.machine.cut_power).start()

    outcome = station.deploy(made, progress=progress)
    station.machine.boot()
    return outcome


def hanging(station: Station, made: Bundle) -> Outcome:
    """The toolkit's ssh stops, as behind a network that swallows everything; it goes on when all is over."""

    def progress(device: Device, reached: str, done: int, total: int) -> None:
        if reached == "watch":
            for child in psutil.Process().children():
                if child.name() == "ssh":
                    child.send_signal(signal.SIGSTOP)
                    threading.Timer(120.0, child.send_signal, (signal.SIGCONT,)).start()

    return station.deploy(made, progress=progress)


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    arguments = parser.parse_args()
    if why := missing():
        parser.error(why)
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder), arguments.model, arguments.photos)
        station = workshop.station()
        try:
            found = rows(workshop, station)
        finally:
            station.close()
    about = describe("sealpin-edge", "ai-edge-litert")
    print(json.dumps({**about, "faults": [asdict(row) for row in found]}, indent=1))


if __name__ == "__main__":
    main()
