"""How long a deploy to stand-in stations takes, over real sshd: a changed model, nothing, a rollback, many at once.

    .venv/bin/python benchmarks/deploy_speed.py --model demo/export/model.tflite --photos demo/photos --stations 20

Needs root, openssh-server and `make wheels`. All of them share this machine's cores with the toolkit. Each trial is
watched for a second instead of 30. JSON on standard output.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from machine import describe

sys.path.insert(0, str(Path(__file__).parents[1]))

from sealpin_edge.release.bundle import Bundle
from sealpin_export.deploy.deploy import Outcome
from sealpin_export.deploy.inventory import Device
from tests.deploy.workshop import WATCH_S, Station, Workshop, missing

ROUNDS = 5


def other_model(workshop: Workshop, number: int) -> Bundle:
    """A bundle with another model file, which judges as the first."""
    path = workshop.folder / f"model{number}.tflite"
    shutil.copyfile(workshop.model, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = f"number {number}".encode()
    return workshop.bundle(str(number), model=path)


def timed(station: Station, made: Bundle | None) -> tuple[Outcome, float, int]:
    """A deploy, or a rollback without a bundle: what came of it, seconds, bytes sent."""
    sent = 0

    def progress(device: Device, step: str, done: int, total: int) -> None:
        nonlocal sent
        sent = max(sent, done)

    began = time.perf_counter()
    outcome = station.deploy(made, progress=progress) if made else station.rollback()
    return outcome, time.perf_counter() - began, sent


def measure(workshop: Workshop, stations: int) -> dict[str, Any]:
    """All figures, in seconds."""
    rows: dict[str, list[float]] = {"changed model": [], "nothing changed": [], "rollback": []}
    bytes_sent = []
    station = workshop.station()
    for number in range(2, 2 + ROUNDS):
        made = other_model(workshop, number)
        for name, bundle, result in (
            ("changed model", made, "deployed"),
            ("nothing changed", made, "unchanged"),
            ("rollback", None, "deployed"),
        ):
            outcome, seconds, sent = timed(station, bundle)
            assert outcome.result == result, outcome
            rows[name].append(round(seconds, 2))
            if name == "changed model":
                bytes_sent.append(sent)
    station.close()
    fleet = [workshop.station(f"line{number}") for number in range(stations)]
    made = other_model(workshop, 99)
    began = time.perf_counter()
    with ThreadPoolExecutor(stations) as pool:
        outcomes = list(pool.map(lambda one: timed(one, made), fleet))
    together = time.perf_counter() - began
    for one in fleet:
        one.close()
    return {
        "seconds": rows,
        "bytes_sent": bytes_sent,
        "bundle_bytes": made.path.stat().st_size,
        "at_once": {
            "stations": stations,
            "deployed": sum(outcome.result == "deployed" for outcome, _, _ in outcomes),
            "seconds": round(together, 1),
            "why_not": [outcome.why for outcome, _, _ in outcomes if outcome.why],
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--stations", type=int, default=20)
    arguments = parser.parse_args()
    if why := missing():
        parser.error(why)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Workshop(Path(folder), arguments.model, arguments.photos), arguments.stations)
    about = describe("sealpin-edge", "ai-edge-litert")
    print(json.dumps({**about, "watch_s": WATCH_S, **figures}, indent=1))


if __name__ == "__main__":
    main()
