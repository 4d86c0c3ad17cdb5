"""From the trigger bit set in the PLC emulator to the verdict bit readable there, less the model's own time.

    .venv/bin/python benchmarks/station_latency.py --model demo/model.tflite --photos demo/photos --parts 500

The emulator runs in this process, the station in its own, as on a line. JSON on standard output.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import describe

from sealpin_edge.simulation.line import Line
from sealpin_edge.simulation.servers import ResultsServer, free_port

WARM_UP = 20


def measure(model: Path, photos: Path, parts: int) -> dict[str, object]:
    """Play `parts` parts and return the figures, in milliseconds."""
    plc_port, api = free_port(), ResultsServer("t")
    api.start()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "station.toml")
        Path(folder, "token").write_text("t")
        config.write_text(
            f'[station]\nname = "bench"\nmode = "full"\n[plc]\nhost = "127.0.0.1"\nport = {plc_port}\nblock = "DB100"\n'
            f'[camera]\ndriver = "folder"\npath = "{photos.resolve()}"\n'
            f'[model]\nfile = "{model.resolve()}"\nsha256 = "{hashlib.sha256(model.read_bytes()).hexdigest()}"\n'
            f'[photos]\nurl = "file://{folder}/share"\n'
            f'[results]\nurl = "http://127.0.0.1:{api.port}/results"\ntoken_file = "token"\n'
            f'[display]\naddress = "127.0.0.1:{free_port()}"\n'
        )
        Path(folder, "share").mkdir()
        line = Line("127.0.0.1", plc_port, block="DB100", interval_s=0.1)
        line.start()
        with open(Path(folder, "log"), "wb") as log:
            command = [Path(sys.executable).with_name("sealpin-edge"), "run", "--config", config]
            station = subprocess.Popen(command, stderr=log)
            try:
                report = line.run(parts + WARM_UP)
            finally:
                station.terminate()
                station.wait(30)
                line.stop()
                api.stop()
    model_ms = {result["part_seq"]: result["model_ms"] for result in api.results.values()}
    judged = [part for part in report.parts[WARM_UP:] if part.latency_ms is not None and part.part_seq in model_ms]
    total = np.array([part.latency_ms for part in judged])
    models = np.array([model_ms[part.part_seq] for part in judged])
    return {
        "parts": len(judged),
        "violations": report.violations,
        "trigger_to_verdict": quantiles(total),
        "model": quantiles(models),
        "without_model": quantiles(total - models),
    }


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
    parser.add_argument("--parts", type=int, default=500)
    arguments = parser.parse_args()
    figures = measure(arguments.model, arguments.photos, arguments.parts)
    about = describe("sealpin-edge", "ai-edge-litert", "python-snap7", "opencv-python-headless")
    print(json.dumps({**about, "warm_up": WARM_UP, "ms": figures}, indent=1))


if __name__ == "__main__":
    main()
