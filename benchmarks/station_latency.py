"""From the trigger bit set in the PLC emulator to the verdict bit readable there, less the model's own time.

    .venv/bin/python benchmarks/station_latency.py --model demo/model.tflite --photos demo/photos --parts 2000

The emulator runs in this process, the station and the servers in others, as on a line. Blocks of parts with FTP server
and results API at work take turns with blocks in which both are black holes: they take connections and do not answer.
Then parts pile up without the servers, and 300 are judged while what is stored goes out.
Also: seconds from start to Ready, CPU and memory of an idle station, memory at the end. JSON on standard output.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from machine import describe
from tqdm import tqdm

from sealpin_simulation.servers import FtpServer, ResultsServer
from sealpin_simulation.site import API_TOKEN, FTP_PASSWORD, Site

WARM_UP = 20
BLOCKS = 8
INTERVAL_S = 0.1
IDLE_S = 20.0
BACKLOG, BACKLOG_INTERVAL_S, DRAINING = 3000, 0.01, 300


def serve(folder: str, ports: tuple[int, int]) -> None:
    """The servers, in a process of their own."""
    FtpServer(Path(folder), "station", FTP_PASSWORD, ports[0]).start()
    ResultsServer(API_TOKEN, ports[1]).start()
    signal.pause()


def measure(model: Path, photos: Path, parts: int) -> dict[str, Any]:
    """Play `parts` parts of each kind and return the figures, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), model, photos, first="upload")
        site.cut()
        servers = multiprocessing.get_context("spawn").Process(
            target=serve, args=(str(site.uploads), (site.ftp.port, site.api.port)), daemon=True
        )
        servers.start()
        assert servers.pid
        line = site.line(interval_s=INTERVAL_S)
        line.start()
        began = time.perf_counter()
        site.start()
        line._wait(lambda: line._outputs.ready, 30)
        ready_s = time.perf_counter() - began
        idle = _idle(site)
        line.run(WARM_UP)
        kinds = ["servers up", "servers are black holes"] * (BLOCKS // 2)
        size = parts // (BLOCKS // 2)
        for kind in tqdm(kinds, "block", disable=None):
            # A stopped process takes connections, since the kernel does, and answers nothing
            os.kill(servers.pid, signal.SIGCONT if kind == "servers up" else signal.SIGSTOP)
            line.run(size)
        # What piles up without the servers is drained while the next parts are judged
        os.kill(servers.pid, signal.SIGSTOP)
        line.interval_s = BACKLOG_INTERVAL_S
        line.run(BACKLOG)
        line.interval_s = INTERVAL_S
        waiting = sum(site.health()["outbox"][lane] for lane in ("photos", "results"))
        os.kill(servers.pid, signal.SIGCONT)
        line.run(DRAINING)
        left = sum(site.health()["outbox"][lane] for lane in ("photos", "results"))
        assert site.station
        memory = psutil.Process(site.station.pid).memory_info().rss / 1e6
        drained_s = site.wait_until_drained(300)
        site.stop()
        line.stop()
        servers.kill()
        with closing(sqlite3.connect(site.folder / "data/station.db")) as db:
            rows = [json.loads(row[0]) for row in db.execute("SELECT result FROM inspection ORDER BY sequence")]
    model_ms = [row["model_ms"] for row in rows]
    figures: dict[str, Any] = {}
    places = {
        kind: [
            place
            for block, name in enumerate(kinds)
            if name == kind
            for place in range(WARM_UP + block * size, WARM_UP + (block + 1) * size)
        ]
        for kind in dict.fromkeys(kinds)
    }
    end = len(line.report.parts)
    for kind, chosen in {**places, "draining what was stored": list(range(end - DRAINING, end))}.items():
        total = np.array([line.report.parts[place].latency_ms for place in chosen], float)
        models = np.array([model_ms[place] for place in chosen])
        figures[kind] = {
            "parts": len(chosen),
            "trigger_to_verdict": quantiles(total),
            "model": quantiles(models),
            "without_model": quantiles(total - models),
        }
    return {
        "ms": figures,
        "violations": line.report.violations,
        "start_to_ready_s": round(ready_s, 2),
        "idle": idle,
        "memory_mb": round(memory, 1),
        "stored_items_before_and_after_draining": [waiting, left],
        "drained_s": round(drained_s, 1),
    }


def _idle(site: Site) -> dict[str, float]:
    """CPU of one core and memory of a station that waits for parts."""
    assert site.station
    process = psutil.Process(site.station.pid)
    before = process.cpu_times()
    time.sleep(IDLE_S)
    after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return {"cpu_percent": round(100 * spent / IDLE_S, 2), "memory_mb": round(process.memory_info().rss / 1e6, 1)}


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Median, p95, p99 and maximum, rounded to 0.01."""
    return {
        name: round(float(np.percentile(values, q)), 2)
        for name, q in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=2000)
    arguments = parser.parse_args()
    figures = measure(arguments.model, arguments.photos, arguments.parts)
    about = describe("sealpin-edge", "ai-edge-litert", "python-snap7", "opencv-python-headless")
    print(json.dumps({**about, "warm_up": WARM_UP, "interval_s": INTERVAL_S, **figures}, indent=1))


if __name__ == "__main__":
    main()
