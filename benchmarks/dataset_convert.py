"""`sealpin dataset convert`, which checks everything, against a plain loop that checks nothing; and its memory.

    .venv/bin/python benchmarks/dataset_convert.py --labelled SRC --parts 400

SRC is a folder of photos with labelImg XML: it is grown tenfold by shifted crops, so that no two photos are the same.
Parts of 1024x1024 are rendered. Both programs run in turn, `--rounds` times, files in the page cache. The loop's time
is without the import of TensorFlow, convert's is the whole program's. JSON on standard output.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import psutil
from machine import describe

from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box

BIN = Path(sys.executable).parent
LOOP = Path(__file__).with_name("plain_loop.py")
SHIFT_PX = 16


def grow(src: Path, out: Path, copies: int) -> int:
    """Write each photo of `src` `copies` times, each crop shifted by another step; returns how many."""
    out.mkdir()
    xmls = {path.stem: path for path in src.rglob("*.xml")}
    count = 0
    for photo in sorted(src.rglob("*.jpg")):
        pixels = cv2.imread(str(photo))
        height, width = pixels.shape[:2]
        padded = cv2.copyMakeBorder(pixels, *[SHIFT_PX] * 4, cv2.BORDER_REFLECT)
        boxes = voc.read_boxes(xmls[photo.stem])
        for copy in range(copies):
            rng = np.random.default_rng([count, copy])
            x, y = rng.integers(0, 2 * SHIFT_PX + 1, 2).tolist()
            name = f"{photo.stem}_{copy}"
            cv2.imwrite(str(out / f"{name}.jpg"), padded[y : y + height, x : x + width])
            moved = [
                Box(
                    box.category,
                    max(0, box.xmin + SHIFT_PX - x),
                    max(0, box.ymin + SHIFT_PX - y),
                    min(width, box.xmax + SHIFT_PX - x),
                    min(height, box.ymax + SHIFT_PX - y),
                )
                for box in boxes
            ]
            kept = [box for box in moved if box.xmax - box.xmin > 2 and box.ymax - box.ymin > 2]
            voc.write(out / f"{name}.xml", f"{name}.jpg", width, height, kept)
            count += 1
    return count


def run(command: list[object]) -> tuple[float, str]:
    """Seconds, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - began, done.stdout


def peak_memory(command: list[object]) -> float:
    """The most memory in MB of a program and its processes together, shared pages counted once (PSS)."""
    process = psutil.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    most = 0.0
    while process.poll() is None:
        total = 0
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().pss
        most = max(most, total / 1e6)
        time.sleep(0.05)
    return most


def compare(src: Path, work: Path, rounds: int) -> dict[str, object]:
    """Both programs on one folder, in turn."""
    photos = len(list(src.glob("*.jpg")))
    ours, loop, loop_program = [], [], []
    for number in range(rounds + 1):  # the first warms the page cache
        seconds, _ = run([BIN / "sealpin", "dataset", "convert", src, work / "dataset"])
        shutil.rmtree(work / "dataset")
        whole, told = run([sys.executable, LOOP, src, work / "plain.tfrecord"])
        (work / "plain.tfrecord").unlink()
        if number:
            ours.append(seconds)
            loop.append(float(told.splitlines()[-1]))
            loop_program.append(whole)
    return {
        "photos": photos,
        "megabytes": round(sum(path.stat().st_size for path in src.glob("*.jpg")) / 1e6, 1),
        "convert_s": round(median(ours), 2),
        "convert_photos_per_s": round(photos / median(ours)),
        "plain_loop_s": round(median(loop), 2),
        "plain_loop_photos_per_s": round(photos / median(loop)),
        "plain_loop_with_import_s": round(median(loop_program), 2),
        "times_as_fast_as_the_loop": round(median(loop) / median(ours), 2),
        "times_as_fast_as_its_program": round(median(loop_program) / median(ours), 2),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        grow(arguments.labelled, work / "grown", 10)
        run([BIN / "sealpin", "dataset", "synth", work / "parts", "--parts", arguments.parts])
        results = {name: compare(work / name, work, arguments.rounds) for name in ("grown", "parts")}
        memory = {}
        photos = sorted((work / "grown").glob("*.jpg"))
        for count in (1000, len(photos)):
            some = work / f"first_{count}"
            some.mkdir()
            for path in photos[:count]:
                for file in (path, path.with_suffix(".xml")):
                    (some / file.name).hardlink_to(file)
            memory[str(count)] = round(peak_memory([BIN / "sealpin", "dataset", "convert", some, work / "dataset"]))
            shutil.rmtree(work / "dataset")
    document = {
        **describe("sealpin", "tensorflow", "protobuf", "lxml", "simplejpeg", "numpy"),
        "rounds": arguments.rounds,
        "results": results,
        "peak_mb_by_photos": memory,
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
