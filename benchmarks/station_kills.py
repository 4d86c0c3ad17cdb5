"""kill -9 at random moments and at named points of the outbox: what was stored arrives, what the PLC took is on record.

    .venv/bin/python benchmarks/station_kills.py --model demo/model.tflite --photos demo/photos --kills 500

Servers come and go meanwhile, so that parts are stored and drained. JSON on standard output.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from machine import describe
from tqdm import tqdm

from sealpin_simulation.crash import POINTS
from sealpin_simulation.site import Site

SEED = 6
# What a station that dies must not do to the line; that a dying one gives no verdict is no breach
EXCUSED = ("no verdict within", "heartbeat stood still", "was not withdrawn", "no station got Ready")


def measure(model: Path, photos: Path, kills: int) -> dict[str, object]:
    """Kill the station `kills` times and compare what it reported with what arrived."""
    chance, points = random.Random(SEED), [f"{when} {name}" for name in POINTS for when in ("before", "after")]
    died: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), model, photos)
        line = site.line(verdict_timeout_s=0.5)
        line.start()
        stop = threading.Event()
        shift = threading.Thread(target=line.run, args=(1 << 30, stop, 1e6), daemon=True)
        shift.start()
        there = True
        for number in tqdm(range(kills), "kill", disable=None):
            if chance.random() < 0.3:
                (site.cut if there else site.join)()
                there = not there
            point = min(points, key=lambda point: died[point]) if number % 2 else "any moment"
            if number % 2:
                count = str(chance.randint(1, 8))
                site.start((sys.executable, "-m", "sealpin_simulation.crash", point, count))
            else:
                site.start()
            assert site.station
            if chance.random() < 0.8:  # the others die while they start
                line.forget_station()
                while not line.wait_ready(0.05) and site.station.poll() is None:
                    pass
            until = time.monotonic() + chance.uniform(0.0, 1.2)
            while time.monotonic() < until and site.station.poll() is None:
                time.sleep(0.005)
            died[point if site.station.poll() is not None else "any moment"] += 1
            site.kill()
        stop.set()
        if not there:
            site.join()
        site.start()
        shift.join(30)
        drained_s = site.wait_until_drained(300)
        clean_exit = site.stop()
        line.stop()
        audit = site.audit(line.report.parts)
        not_recorded = sum(result["error"] == 9 for result in site.api.results.values())
        site.close()
    breaches = [text for text in line.report.violations if not any(excuse in text for excuse in EXCUSED)]
    return {
        "kills": kills,
        "died_at": dict(died),
        "points_never_reached": [point for point in points if not died[point]],
        "parts_placed": len(line.report.parts),
        "reported_as_stored": len(audit.reported),
        "results_missing": len(audit.missing_results),
        "photos_missing": len(audit.missing_photos),
        "photos_with_other_bytes": len(audit.wrong_photos),
        "taken_by_the_plc": sum(part.verdict != "NONE" for part in line.report.parts),
        "taken_by_the_plc_and_not_on_record": len(audit.unrecorded),
        "good_to_one_and_bad_to_the_other": len(audit.contradicted),
        "numbers_left_out": len(audit.left_out),
        "on_record_as_not_recorded": not_recorded,
        "reported_twice": len(audit.reported) - len(set(audit.reported)),
        "stored_but_killed_before_the_report": audit.unreported,
        "handshake_breaches": breaches,
        "last_drain_s": round(drained_s, 1),
        "exit_code_at_the_end": clean_exit,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=500)
    arguments = parser.parse_args()
    figures = measure(arguments.model, arguments.photos, arguments.kills)
    print(json.dumps({**describe("sealpin-edge", "python-snap7"), "seed": SEED, **figures}, indent=1))


if __name__ == "__main__":
    main()
