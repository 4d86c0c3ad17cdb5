"""A station that works for long: memory over 20,000 parts, and a day without network that drains afterwards.

    .venv/bin/python benchmarks/station_soak.py --model demo/model.tflite --photos demo/photos --parts 20000 --day 12343

Soak: servers at work all the time; memory is that of the station's process, after the first thousand parts and at the
end. Day: both servers are away for all parts, the store is bounded; then they are back. JSON on standard output.
"""

import argparse
import json
import shutil
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from machine import describe
from tqdm import tqdm

from sealpin_edge.model.photo import read_photo
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import Verdict, judge
from sealpin_simulation.site import Site

SETTLED = 1000
STORE_MB = 500
INTERVAL_S = 0.02
GOOD_TO_ONE_BAD = 39


def soak(model: Path, photos: Path, parts: int) -> dict[str, Any]:
    """Memory of a station over many parts."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), model, photos, first="upload")
        memory: list[float] = []

        def before_part(number: int) -> None:
            bar.update()
            if number % 100 == 0 and site.station:
                memory.append(psutil.Process(site.station.pid).memory_info().rss / 1e6)

        line = site.line(interval_s=INTERVAL_S, before_part=before_part)
        line.start()
        site.start()
        began = time.perf_counter()
        with tqdm(total=parts, unit="part", disable=None) as bar:
            report = line.run(parts)
        seconds = time.perf_counter() - began
        site.wait_until_drained(300)
        health = site.health()
        site.stop()
        line.stop()
        site.close()
    settled = SETTLED // 100
    return {
        "parts": len(report.parts),
        "seconds": round(seconds),
        "violations": report.violations,
        "memory_mb": {
            "after_1000": round(float(np.median(memory[settled : settled + 5])), 1),
            "at_the_end": round(float(np.median(memory[-5:])), 1),
            "most": round(max(memory), 1),
        },
        "lost": health["lost"],
    }


def mostly_good(model: Path, photos: Path, folder: Path) -> None:
    """Photos as a line gives them: one bad part in GOOD_TO_ONE_BAD and one."""
    station = Model(model)
    sorted_out: dict[Verdict, list[Path]] = {verdict: [] for verdict in Verdict}
    for photo in sorted(photos.glob("*.jpg")):
        verdict, _ = judge(station.read(read_photo(photo)).findings, station.rule())
        sorted_out[verdict].append(photo)
    folder.mkdir()
    for number, photo in enumerate(
        [*islice(cycle(sorted_out[Verdict.OK]), GOOD_TO_ONE_BAD), sorted_out[Verdict.NG][0]]
    ):
        shutil.copy(photo, folder / f"part_{number:03d}.jpg")


def day(model: Path, photos: Path, parts: int) -> dict[str, Any]:
    """A day's parts without network, then the network is back."""
    with tempfile.TemporaryDirectory() as folder:
        mostly_good(model, photos, Path(folder, "photos"))
        site = Site(Path(folder, "site"), model, Path(folder, "photos"), store_mb=STORE_MB)
        site.cut()
        most = 0.0

        def before_part(number: int) -> None:
            nonlocal most
            bar.update()
            if number % 200 == 0:
                most = max(most, site.health()["outbox"]["stored_mb"])

        line = site.line(interval_s=INTERVAL_S, before_part=before_part)
        line.start()
        site.start()
        began = time.perf_counter()
        with tqdm(total=parts, unit="part", disable=None) as bar:
            line.run(parts)
            produced_s = time.perf_counter() - began
            alone = [part.latency_ms for part in line.report.parts[-500:] if part.latency_ms]
            outbox = site.health()["outbox"]
            site.join()
            before, began = outbox["photos"] + outbox["results"], time.perf_counter()
            line.run(500)
            draining = [part.latency_ms for part in line.report.parts[-500:] if part.latency_ms]
            site.wait_until_drained(1800)
            drained_s = time.perf_counter() - began
        health = site.health()
        site.stop()
        line.stop()
        audit = site.audit()
        marked = len(list(site.uploads.rglob("*_defects.jpg")))
        rejected = [result for result in site.api.results.values() if result["verdict"] == "NG"]
        # The drop order: raw photos of good parts first, so those of bad ones must all be there
        there = {file.relative_to(site.uploads / "line").as_posix() for file in site.uploads.rglob("*.jpg")}
        dropped_bad = sum(result["image_path"] not in there for result in rejected)
        site.close()
    return {
        "parts": len(line.report.parts),
        "violations": line.report.violations,
        "produced_s": round(produced_s),
        "store_mb": {"allowed": STORE_MB, "most": round(most, 1)},
        "raw_photos_dropped": health["outbox"]["dropped"],
        "raw_photos_of_rejected_parts_dropped": dropped_bad,
        "lost": health["lost"],
        "waiting_items_when_the_network_was_back": before,
        "drained_s": round(drained_s, 1),
        "drained_items_per_s": round(before / drained_s, 1),
        "results_missing": len(audit.missing_results),
        "marked_photos_of_rejected_parts": [marked, len(rejected)],
        "trigger_to_verdict_ms_p50_p99": {
            "without network": [round(float(np.percentile(alone, q)), 1) for q in (50, 99)],
            "while draining": [round(float(np.percentile(draining, q)), 1) for q in (50, 99)],
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=20_000)
    parser.add_argument("--day", type=int, default=12_343)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    if arguments.parts:
        figures["soak"] = soak(arguments.model, arguments.photos, arguments.parts)
    if arguments.day:
        figures["day"] = day(arguments.model, arguments.photos, arguments.day)
    about = describe("sealpin-edge", "ai-edge-litert", "python-snap7")
    print(json.dumps({**about, "interval_s": INTERVAL_S, **figures}, indent=1))


if __name__ == "__main__":
    main()
