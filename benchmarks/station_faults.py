"""A table of injected faults and what became of each: verdicts, states, and what arrived afterwards.

    .venv/bin/python benchmarks/station_faults.py --model demo/model.tflite --photos demo/photos

Every fault gets a site of its own: two parts before it, six with it, two after it. JSON on standard output, the table
on standard error.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
from machine import describe
from tqdm import tqdm

from sealpin_edge.simulation.line import Line
from sealpin_edge.simulation.misbehaviour import API_FAULTS, ftp_faults
from sealpin_edge.simulation.site import Site

BEFORE, DURING, AFTER = 2, 6, 2
INTERVAL_S = 0.3
Notes = dict[str, float]
Inject = Callable[[Site, Line, Notes], Callable[[], None]]


def faults() -> dict[str, Inject]:
    """Each fault by name: what starts it, and returns what ends it."""
    found: dict[str, Inject] = {}
    for name, fault in ftp_faults().items():
        found[f"FTP server {name}"] = lambda site, line, notes, fault=fault: _ftp(site, fault)
    for name, answer in API_FAULTS.items():
        found[f"API {name}"] = lambda site, line, notes, answer=answer: _api(site, answer)
    found["both servers away"] = _away
    found["database overwritten with garbage while the station is killed"] = _broken_database
    found["station killed (kill -9)"] = _killed
    found["PLC away for 3 s"] = _plc_away
    found["photos too dark"] = lambda site, line, notes: _photos(site, lambda photo: photo // 40)
    found["photos white"] = lambda site, line, notes: _photos(site, lambda photo: photo // 40 + 250)
    found["photos cut short"] = _cut_photos
    return found


def _ftp(site: Site, fault: tuple[str, Any]) -> Callable[[], None]:
    site.ftp.stop()
    site.ftp.misbehave(*fault)
    site.ftp.start()

    def end() -> None:
        site.ftp.stop()
        site.ftp.behave()
        site.ftp.start()

    return end


def _api(site: Site, answer: Any) -> Callable[[], None]:
    site.api.misbehaviour = answer

    def end() -> None:
        site.api.misbehaviour = None

    return end


def _away(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    site.cut()
    return site.join


def _killed(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    site.kill()
    line.forget_station()
    site.start()
    return lambda: None


def _broken_database(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    site.wait_until_drained()
    site.kill()
    for file in (site.folder / "data").glob("station.db-*"):
        file.unlink()
    (site.folder / "data/station.db").write_bytes(b"garbage" * 5000)
    line.forget_station()
    site.start()
    return lambda: None


def _plc_away(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    began = time.monotonic()
    line.stop()  # which takes snap7's server a second, so this is an upper bound
    while site.health()["state"] != "fault":
        time.sleep(0.02)
    notes["fault_after_s"] = round(time.monotonic() - began, 2)
    time.sleep(3 - (time.monotonic() - began))
    line.forget_station()
    line.start()
    began = time.monotonic()
    line._wait(lambda: line._outputs.ready, 10)
    notes["ready_again_after_s"] = round(time.monotonic() - began, 2)
    return lambda: None


def _photos(site: Site, change: Callable[[Any], Any]) -> Callable[[], None]:
    kept = {file: file.read_bytes() for file in site.photos.glob("*.jpg")}
    for file in kept:
        cv2.imwrite(str(file), change(cv2.imread(str(file))))
    return lambda: [file.write_bytes(data) for file, data in kept.items()] and None


def _cut_photos(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    kept = {file: file.read_bytes() for file in site.photos.glob("*.jpg")}
    for file, data in kept.items():
        file.write_bytes(data[: len(data) // 2])
    return lambda: [file.write_bytes(data) for file, data in kept.items()] and None


@contextmanager
def a_site(model: Path, photos: Path) -> Iterator[tuple[Site, Line]]:
    """A site with photos of its own, its station ready."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "photos")
        own.mkdir()
        for file in sorted(photos.glob("*.jpg"))[: BEFORE + DURING + AFTER]:
            shutil.copy(file, own)
        site = Site(Path(folder, "site"), model, own)
        line = site.line(interval_s=INTERVAL_S)
        line.start()
        site.start()
        try:
            yield site, line
        finally:
            line.stop()
            site.close()


def outcome(model: Path, photos: Path, inject: Inject) -> dict[str, Any]:
    """Inject one fault and say what became of it."""
    with a_site(model, photos) as (site, line):
        line.run(BEFORE)
        notes: Notes = {}
        end = inject(site, line, notes)
        line.run(DURING)
        during = site.health()
        end()
        line.run(AFTER)
        outbox = _settled(site)
        after = site.health()
        code = site.stop()
        verdicts = [part.verdict for part in line.report.parts]
        given = verdicts[BEFORE : BEFORE + DURING]
        audit = site.audit()
        return {
            "verdicts_during": {verdict: given.count(verdict) for verdict in sorted(set(given))},
            "slowest_verdict_ms": round(max(part.latency_ms or 0 for part in line.report.parts), 1),
            "handshake": line.report.violations,
            "degraded_during": during["degraded"],
            "well_after": not after["degraded"],
            "set_aside": outbox["aside"],
            "lost": after["lost"],
            "results_missing": len(audit.missing_results),
            "photos_missing": len(audit.missing_photos),
            "exit_code": code,
            **notes,
        }


def _settled(site: Site, timeout_s: float = 45.0) -> dict[str, Any]:
    """The outbox once nothing waits, or as it is when that takes too long."""
    end = time.monotonic() + timeout_s
    while True:
        outbox = dict(site.health()["outbox"])
        if outbox["photos"] == outbox["results"] == 0 or time.monotonic() > end:
            return outbox
        time.sleep(0.1)


def main() -> None:
    """Inject all faults and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    arguments = parser.parse_args()
    table = {}
    for name, inject in tqdm(faults().items(), "fault", disable=None):
        table[name] = outcome(arguments.model, arguments.photos, inject)
    for name, found in table.items():
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in found["verdicts_during"].items())
        missing = f"{found['results_missing']} results, {found['photos_missing']} photos missing"
        state = f"degraded {'yes' if found['degraded_during'] else 'no'}, {found['set_aside']} aside, {missing}"
        print(f"{name:<62} {verdicts:<28} {state}", file=sys.stderr)
    print(json.dumps({**describe("sealpin-edge"), "faults": table}, indent=1))


if __name__ == "__main__":
    main()
