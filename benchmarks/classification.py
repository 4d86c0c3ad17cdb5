"""Classification on public photos: accuracy, AUROC, where the network looked, and what int8 loses.

    python benchmarks/classification.py DATA NAME --weights WEIGHTS [--work FOLDER] [--seed N] [--steps N]

DATA has the folders of the sets as they are published; NAME is neu-det (six classes, split by blocks of numbers),
magnetic-tile (good against bad, split by thousands of numbers) or casting (good against bad, near-duplicates together).
Train, val and test are folders; val chooses weights and thresholds, and test is judged once.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import describe

from sealpin_edge.model.photo import decode_photo
from sealpin_edge.tasks.model import Model
from sealpin_training.dataset.duplicates import Groups
from sealpin_training.dataset.manifest import load_dataset
from sealpin_training.dataset.records import RecordFile
from sealpin_training.dataset.survey import Rules, survey
from sealpin_training.parallel import workers
from sealpin_training.tasks.classify.cam.places import points_at
from sealpin_training.tasks.classify.score import ClassifyScore

GOOD = {"neu-det": "", "magnetic-tile": "MT_Free", "casting": "ok"}


def neu_det(root: Path) -> Iterator[tuple[Path, str]]:
    """Each photo, and its place: of each class numbers 1 to 170 train, to 205 val, to 240 test."""
    for photo in sorted((root / "neu-det/images").glob("*.jpg")):
        category, _, number = photo.stem.rpartition("_")
        split = "train" if int(number) <= 170 else "val" if int(number) <= 205 else "test"
        yield photo, f"{split}/{category}/{photo.name}"


def magnetic_tile(root: Path) -> Iterator[tuple[Path, str]]:
    """One tile's photos have numbers close together: split by the thousands."""
    for photo in sorted((root / "magnetic-tile").rglob("*.jpg")):
        number = int(re.findall(r"\d+", photo.stem)[-1])
        digit = hashlib.md5(str(number // 1000).encode()).hexdigest()[0]
        split = "test" if digit in "01234" else "val" if digit in "56" else "train"
        category = photo.relative_to(root / "magnetic-tile").parts[0]
        for file in (photo, photo.with_suffix(".png")):
            yield file, f"{split}/{category}/{file.name}"


def casting(root: Path) -> Iterator[tuple[Path, str]]:
    """Near-duplicates stay together: split by the name of the first of them."""
    with workers(None) as pool:
        found = survey(root / "casting", Rules((224, 224), task="classify", whole=True), pool)
    groups = Groups(len(found.photos))
    for one, other in found.twins:
        groups.join(one, other)
    names = [photo.name for photo in found.photos]
    first: dict[int, str] = {}
    for place, name in enumerate(names):
        first[groups.of(place)] = min(name, first.get(groups.of(place), name))
    for place, name in enumerate(names):
        digit = hashlib.md5(first[groups.of(place)].encode()).hexdigest()[0]
        split = "test" if digit in "0123" else "val" if digit in "45" else "train"
        yield root / "casting" / name, f"{split}/{name}"


def call(*words: object) -> str:
    """What a command of sealpin's prints; its progress goes where ours does."""
    sealpin = Path(sys.executable).with_name("sealpin")
    done = subprocess.run([str(sealpin), *map(str, words)], stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(done.returncode)
    return done.stdout


def drop_neighbours(photos: Path, good: Sequence[str]) -> int:
    """Remove what is nearly a photo of another split, from train rather than val, and never from test."""
    answer = json.loads(call("dataset", "check", photos, *good, "--json"))
    pairs = [(one["file"], one["found"]) for one in answer["findings"] if one["kind"].endswith("across-splits")]
    gone = {min(pair, key=lambda name: ("train", "val", "test").index(name.partition("/")[0])) for pair in pairs}
    for name in gone:
        (photos / name).unlink()
        (photos / name).with_suffix(".png").unlink(missing_ok=True)
    return len(gone)


def pointing(model: Model, records: Sequence[Any]) -> tuple[int, int]:
    """In how many photos of bad parts with a labelled place the map is hottest in it, and how many there are."""
    hits = seen = 0
    for record in records:
        if not record.boxes or not record.defects:
            continue
        photo = decode_photo(record.data, record.name)
        heat = model.read(photo).heat_map
        assert heat is not None
        hits += points_at(heat, [box.edges for box in record.boxes], record.height, record.width)
        seen += 1
    return hits, seen


def judged(model: Model, records: Sequence[Any], classes: tuple[str, ...]) -> dict[str, float]:
    """A file's figures on a split."""
    found = [model.read(decode_photo(record.data, record.name)).findings for record in records]
    return {name: round(value, 4) for name, value in ClassifyScore(records, found, classes).metrics.items()}


def main() -> None:
    """Prepare, train, judge, export, judge the files, print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("name", choices=GOOD)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("classification"))
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--aug", default="light")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--frozen", action="store_true", help="train the last layer alone")
    parser.add_argument("--binary", action="store_true", help="fold all that is not good into one class")
    given = parser.parse_args()
    work = given.work / f"{given.name}{'-binary' if given.binary else ''}"
    good = ["--task", "classify", "--good", GOOD[given.name]]
    if not (work / "set").exists():
        shutil.rmtree(work, ignore_errors=True)
        for file, place in {"neu-det": neu_det, "magnetic-tile": magnetic_tile, "casting": casting}[given.name](
            given.data
        ):
            (work / "photos" / place).parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                shutil.copyfile(file, work / "photos" / place)
        drop_neighbours(work / "photos", good)
        categories = {path.name for path in (work / "photos").glob("*/*")} - {GOOD[given.name]}
        merge = [word for one in sorted(categories) for word in ("--merge", f"{one}=bad")] if given.binary else []
        call("dataset", "convert", work / "photos", work / "set", *good, *merge)
    recipe, run = work / f"{given.model}.yaml", f"{given.model}-{given.seed}"
    recipe.unlink(missing_ok=True)
    words = ["--model", given.model, "--aug", given.aug, "--size", given.size, "--batch-size", given.batch]
    words += ["--start-from", given.weights.resolve(), *(["--frozen"] if given.frozen else [])]
    call("recipe", "new", work / "set", recipe, *words)
    store = ["--mlruns", work / "mlruns"]
    began = time.monotonic()
    every = max(50, given.steps // 4)
    call("train", recipe, "--dataset", work / "set", "--run", run, "--steps", given.steps, "--seed", given.seed,
         "--evaluate-every", every, "--force", *store)  # fmt: skip
    took = time.monotonic() - began
    test = json.loads(call("evaluate", run, "--split", "test", "--json", "--force", *store))
    dataset = load_dataset(work / "set")
    records = list(RecordFile(work / "set", "test", dataset.classes))
    files: dict[str, Any] = {}
    for kind in ("float32", "int8"):
        out = work / f"{run}-{kind}"
        call("export", run, "--out", out, "--quantize", kind, "--force", *store)
        file = next(out.glob("*.tflite"), None)
        if file is None:
            files[kind] = {"refused": "by the gate"}
            continue
        model = Model(file)
        hits, seen = pointing(model, records)
        files[kind] = {"bytes": file.stat().st_size, **judged(model, records, dataset.classes)}
        files[kind] |= {"pointing": round(hits / seen, 4), "pointed_at": seen} if seen else {}
    told = describe("tensorflow", "tf-models-official", "ai-edge-litert") | {
        "set": given.name, "binary": given.binary, "model": given.model, "frozen": given.frozen, "aug": given.aug,
        "size": given.size, "batch": given.batch, "seed": given.seed, "steps": given.steps,
        "photos": dict(dataset.counts), "training_s": round(took), "test": test, "files": files,
    }  # fmt: skip
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
