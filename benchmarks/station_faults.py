"""A table of injected faults and what became of each: verdicts, states, and what arrived afterwards.

    .venv/bin/python benchmarks/station_faults.py --model demo/model.tflite --photos demo/photos

Every fault gets a site of its own: two parts before it, six with it, two after it (the replayed photos are read one
ahead, so the first of six spoiled photos is still a good one); what a server has refused is then
sent again with `sealpin-edge outbox retry`. JSON on standard output, the table on standard error.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from machine import describe
from tqdm import tqdm

from sealpin_edge.errors import EnvironmentFault
from sealpin_simulation.line import Line
from sealpin_simulation.misbehaviour import API_FAULTS, ftp_faults
from sealpin_simulation.site import Site

BEFORE, DURING, AFTER = 2, 6, 2
INTERVAL_S = 0.3
AWAY_S = 3.0
Notes = dict[str, float]
Inject = Callable[[Site, Line, Notes], Callable[[], None]]


@dataclass(frozen=True)
class Fault:
    """What starts a fault, and returns what ends it; and the site that it needs."""

    inject: Inject
    site: dict[str, Any] = field(default_factory=dict)
    taught: bool = False


def faults() -> dict[str, Fault]:
    """Each fault by name."""
    found: dict[str, Fault] = {}
    for name, fault in ftp_faults().items():
        found[f"FTP server {name}"] = Fault(lambda site, line, notes, fault=fault: _ftp(site, fault))
    for name, answer in API_FAULTS.items():
        found[f"API {name}"] = Fault(lambda site, line, notes, answer=answer: _api(site, answer))
    found["both servers away"] = Fault(_away)
    found["disk full, servers away"] = Fault(_disk_full, {"disk_mb": 16})
    found["disk failing (EIO)"] = Fault(lambda site, line, notes: site.disk.fail("EIO"))
    found["disk turned read-only"] = Fault(lambda site, line, notes: site.disk.fail("EROFS"))
    found["disk read-only when the station starts"] = Fault(_read_only_start, {"disk_mb": 16})
    found["database overwritten with garbage while the station is killed"] = Fault(_broken_database)
    found["station killed (kill -9)"] = Fault(_killed)
    found["PLC away for 3 s"] = Fault(_plc_away)
    found["PLC takes requests and answers none for 3 s"] = Fault(_plc_stalled)
    found["PLC in STOP for 3 s"] = Fault(_plc_stop)
    found["photos too dark"] = Fault(_photos(lambda photo: photo // 40))
    found["photos white"] = Fault(_photos(lambda photo: photo // 40 + 250))
    found["photos out of focus"] = Fault(_photos(lambda photo: cv2.GaussianBlur(photo, (0, 0), 6)), taught=True)
    found["no part on the photos"] = Fault(_photos(_without_part), taught=True)
    found["photos of another size"] = Fault(_photos(lambda photo: photo[:-32]), taught=True)
    found["photos cut short"] = Fault(_cut_photos)
    return found


def _without_part(photo: Any) -> Any:
    """What the camera sees between two parts: the photo's darkest corner everywhere, with its grain."""
    height, width = photo.shape[0] // 8, photo.shape[1] // 8
    return np.tile(photo[:height, :width], (8, 8, 1))


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


def _disk_full(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    site.wait_until_drained()
    site.cut()
    make_room = site.disk.fill()

    def end() -> None:
        make_room()
        site.join()

    return end


def _read_only_start(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    site.wait_until_drained()
    site.kill()
    line.forget_station()
    site.read_only = True
    site.start()
    return lambda: site.disk.mount_writable()


def _until_fault(site: Site, notes: Notes) -> None:
    began = time.monotonic()
    while site.health()["state"] != "fault":
        time.sleep(0.02)
    notes["fault_after_s"] = round(time.monotonic() - began, 2)
    time.sleep(max(0.0, AWAY_S - (time.monotonic() - began)))


def _until_ready(line: Line, notes: Notes) -> None:
    began = time.monotonic()
    line.wait_ready(10)
    notes["ready_again_after_s"] = round(time.monotonic() - began, 2)


def _plc_away(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    line.stop()
    _until_fault(site, notes)
    line.forget_station()
    line.start()
    _until_ready(line, notes)
    return lambda: None


def _plc_stalled(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    with line.stalled():
        _until_fault(site, notes)
    line.forget_station()
    _until_ready(line, notes)
    return lambda: None


def _plc_stop(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    line.stop_program()
    _until_fault(site, notes)
    line.forget_station()
    line.start_program()
    _until_ready(line, notes)
    return lambda: None


def _photos(change: Callable[[Any], Any]) -> Inject:
    def inject(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
        kept = {file: file.read_bytes() for file in site.photos.glob("*.jpg")}
        for file in kept:
            cv2.imwrite(str(file), change(cv2.imread(str(file))))
        return lambda: [file.write_bytes(data) for file, data in kept.items()] and None

    return inject


def _cut_photos(site: Site, line: Line, notes: Notes) -> Callable[[], None]:
    kept = {file: file.read_bytes() for file in site.photos.glob("*.jpg")}
    for file, data in kept.items():
        file.write_bytes(data[: len(data) // 2])
    return lambda: [file.write_bytes(data) for file, data in kept.items()] and None


@contextmanager
def a_site(model: Path, photos: Path, fault: Fault) -> Iterator[tuple[Site, Line]]:
    """A site with photos of its own, its station ready."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "photos")
        own.mkdir()
        for file in sorted(photos.glob("*.jpg"))[: BEFORE + DURING + AFTER]:
            shutil.copy(file, own)
        site = Site(Path(folder, "site"), model, own, **fault.site)
        if fault.taught:
            site.config.write_text(site.config.read_text().replace('checks = "off"\n', ""))
            _edge("teach-camera", "--config", site.config, own)
        line = site.line(interval_s=INTERVAL_S)
        line.start()
        site.start()
        try:
            yield site, line
        finally:
            line.stop()
            site.close()


def _edge(*arguments: object) -> None:
    program = Path(sys.executable).with_name("sealpin-edge")
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)


def outcome(model: Path, photos: Path, fault: Fault) -> dict[str, Any]:
    """Inject one fault and say what became of it."""
    with a_site(model, photos, fault) as (site, line):
        line.run(BEFORE)
        notes: Notes = {}
        end = fault.inject(site, line, notes)
        line.run(DURING)
        during = site.health()
        end()
        line.run(AFTER)
        aside = _settled(site)["aside"]
        if aside:
            _edge("outbox", "retry", "--config", site.config)
            _settled(site)
        with suppress(EnvironmentFault):
            site.wait_for(lambda: not site.health()["degraded"], 20)
        after = site.health()
        code = site.stop()
        verdicts = [part.verdict for part in line.report.parts]
        given = verdicts[BEFORE : BEFORE + DURING]
        audit = site.audit(line.report.parts)
        return {
            "verdicts_during": {verdict: given.count(verdict) for verdict in sorted(set(given))},
            "slowest_verdict_ms": round(max(part.latency_ms or 0 for part in line.report.parts), 1),
            "handshake": line.report.violations,
            "degraded_during": during["degraded"],
            "well_after": not after["degraded"],
            "set_aside_and_sent_again": aside,
            "photos_dropped": after["outbox"]["dropped"],
            "lost": after["lost"],
            "parts_on_record": len(audit.reported),
            "taken_by_the_plc_and_not_on_record": len(audit.unrecorded),
            "good_to_one_and_bad_to_the_other": len(audit.contradicted),
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
    parser.add_argument("--only", default="", help="faults with this in their name")
    arguments = parser.parse_args()
    table = {}
    for name, fault in tqdm(faults().items(), "fault", disable=None):
        if arguments.only in name:
            table[name] = outcome(arguments.model, arguments.photos, fault)
    for name, found in table.items():
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in found["verdicts_during"].items())
        missing = f"{found['results_missing']} results, {found['photos_missing']} photos missing"
        missing += f" ({found['photos_dropped']} dropped, {found['lost']} lost)"
        aside = f"{found['set_aside_and_sent_again']} aside"
        state = f"degraded {'yes' if found['degraded_during'] else 'no'}, {aside}, {missing}"
        print(f"{name:<62} {verdicts:<28} {state}", file=sys.stderr)
    print(json.dumps({**describe("sealpin-edge"), "faults": table}, indent=1))


if __name__ == "__main__":
    main()
