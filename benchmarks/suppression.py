"""What suppression costs and gives: how many anchors of each class it looks at, and how many boxes it keeps of them.

    .venv/bin/python benchmarks/suppression.py --run NAME --photo PHOTO

NAME is a run in `mlruns/runs` of the current folder, evaluated on val. Each variant is a float32 model file of the same
weights: milliseconds are of PHOTO in turns, AP is that of the val photos through the station's code. JSON on standard
output.
"""

import argparse
import json
import os
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from machine import describe

from sealpin_edge.model.photo import decode_photo, read_photo
from sealpin_edge.tasks.benchmark import benchmark
from sealpin_edge.tasks.model import Model
from sealpin_export.export import model_card, trained_network, write_model
from sealpin_training.dataset.records import RecordFile
from sealpin_training.run import Run, load_run
from sealpin_training.tasks.detect import graph
from sealpin_training.tasks.detect.coco import coco_score

ALL = 1 << 30
VARIANTS = ((ALL, 100), (1000, 100), (300, 100), (100, 100), (ALL, 20), (300, 20))  # anchors, boxes of each class
KEPT = re.compile(r"max_detections_per_class: \d+")
SUPPRESSION = "batch_non_max_suppression {"


def with_boxes(run: Run, kept: int) -> Run:
    """A copy of the run below the current folder, its recipe with so many boxes of a class."""
    copy = replace(run, name=f"kept_{kept}", trained_sha256=())
    text = KEPT.sub("", (copy.folder / "recipe.config").read_text())
    (copy.folder / "recipe.config").write_text(
        text.replace(SUPPRESSION, f"{SUPPRESSION} max_detections_per_class: {kept}")
    )
    return copy


def measure(run: Run, photo: Path, photos: int, work: Path) -> list[dict[str, object]]:
    """One row for each variant."""
    dataset = run.load_dataset()
    records = list(RecordFile(dataset.folder, "val", dataset.classes))
    for kept in {kept for _, kept in VARIANTS}:
        shutil.copytree(run.folder, work / run.folder.with_name(f"kept_{kept}"))
    os.chdir(work)
    files, rows = [], []
    for anchors, kept in VARIANTS:
        graph.SUPPRESSED = anchors
        changed = with_boxes(run, kept)
        path = work / f"{anchors}_{kept}.tflite"
        write_model(
            changed,
            trained_network(changed),
            model_card(changed, "none"),
            path.with_suffix(""),
            path,
        )
        model = Model(path)
        found = [model.read(decode_photo(record.data, record.name)).findings for record in records]
        ap = coco_score(records, found, run.classes).metrics["AP"]
        rows.append({"anchors": anchors if anchors != ALL else "all", "kept": kept, "AP": round(ap, 4)})
        files.append(path)
    for row, timing in zip(rows, benchmark(files, (1,), photos, read_photo(photo)), strict=True):
        row |= {"invoke_ms": timing.stages["invoke"], "p99_ms": timing.p99_ms}
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=100, help="how often for each")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(load_run(asked.run), asked.photo.resolve(), asked.photos, Path(folder))
    print(json.dumps({"rows": rows, **describe("ai-edge-litert", "tensorflow")}, indent=1))
