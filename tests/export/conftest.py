"""A small run that learnt to find coloured squares, and its export."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sealpin_edge.model.photo import encode_jpeg
from sealpin_training.dataset.convert import convert
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.run import Run, load_run
from tests.conftest import CELL, GRID, SIDE, part_photo
from tests.training.conftest import small_recipe
from tests.training.shallow import shallow

STEPS = 120
PARTS = 60


def write_labelled(folder: Path) -> None:
    """Photos with none to four squares, and their XML."""
    folder.mkdir()
    random = np.random.default_rng(5)
    for number in range(PARTS):
        cells = random.permutation(GRID * GRID)[: number % 5]
        burrs = [(("PR", "QA")[cell % 2], int(cell % GRID), int(cell // GRID)) for cell in cells]
        boxes = [
            Box(category, column * CELL, row * CELL, (column + 1) * CELL, (row + 1) * CELL)
            for category, column, row in burrs
        ]
        name = f"part_{number:03d}"
        (folder / f"{name}.jpg").write_bytes(encode_jpeg(part_photo(*burrs, seed=number)))
        (folder / f"{name}.xml").write_bytes(voc.encode(f"{name}.jpg", SIDE, SIDE, boxes))


@pytest.fixture(scope="package", autouse=True)
def shallow_networks() -> Iterator[None]:
    """The network is not the subject here: tests/training/shallow.py."""
    with shallow():
        yield


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, shallow_networks: None) -> Path:
    """A folder with mlruns/runs/small."""
    from sealpin_training.train import Options, train

    folder = tmp_path_factory.mktemp("export")
    write_labelled(folder / "labelled")
    convert(folder / "labelled", folder / "dataset", processes=1)
    before = Path.cwd()
    os.chdir(folder)
    try:
        recipe = small_recipe(
            folder,
            ("num_steps: 8", f"num_steps: {STEPS}"),
            ("total_steps: 8", f"total_steps: {STEPS}"),
            ("warmup_steps: 2", "warmup_steps: 20"),
        )
        _, evaluation = train(recipe, folder / "dataset", "small", Options(evaluate_every=STEPS), lambda _: None)
        print(evaluation.metrics)
        assert evaluation.metrics["AP50"] > 0.9, "it learnt too little to tell a good export from a bad one"
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def run(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The run, with its folder as the current one."""
    monkeypatch.chdir(trained)
    return load_run("small")


@pytest.fixture(scope="package")
def exported(trained: Path) -> Iterator[Path]:
    """The run's export: int8 as model.tflite, and the three others."""
    from sealpin_export.export import QUANTISATIONS, export

    before = Path.cwd()
    os.chdir(trained)
    try:
        done = export(load_run("small"), trained / "out", ("int8", *QUANTISATIONS), lambda _: None, max_drop=0.05)
        assert not done.faults
    finally:
        os.chdir(before)
    return trained / "out"
