"""A small dataset and a small recipe: a training of a few steps takes seconds."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealpin_training import mlflow_store, tracking
from sealpin_training.dataset.convert import convert
from sealpin_training.dataset.manifest import Dataset
from sealpin_training.tasks.recipe import shipped_recipes

from .dataset import corpus
from .shallow import shallow

# Reference data that is not part of the repository: see CONTRIBUTING.md
REFERENCE_DATA = Path(os.environ.get("SEALPIN_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))

SMALL = (
    ("height: 320 width: 320", "height: 96 width: 96"),
    ("depth_multiplier: 0.5", "depth_multiplier: 0.35"),
    ("additional_layer_depth: 64", "additional_layer_depth: 24"),
    ("depth: 64", "depth: 16"),
    ("decay: 0.9 scale", "decay: 0.3 scale"),
    ("batch_size: 8", "batch_size: 4"),
    ("num_steps: 1200", "num_steps: 8"),
    ("total_steps: 1200", "total_steps: 8"),
    ("warmup_steps: 125", "warmup_steps: 2"),
)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A converted dataset of the clean photos of corpus.py; classes PR and QA."""
    folder = tmp_path_factory.mktemp("small")
    corpus.write_clean(folder / "labelled")
    return convert(folder / "labelled", folder / "dataset", processes=1)[0]


@pytest.fixture(scope="session", autouse=True)
def new_stores_are_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow brings a new SQLite store through all its migrations, for seconds: here the first one alone."""
    template = tmp_path_factory.mktemp("mlflow") / "mlflow.db"

    def copy_or_prepare(address: str) -> None:
        path = mlflow_store._database(address)
        if path and path.parent.is_dir() and not path.exists():
            if not template.exists():
                import mlflow

                mlflow.MlflowClient(f"sqlite:///{template}")
            shutil.copy(template, path)
        mlflow_store.prepare_store(address)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tracking, "prepare_store", copy_or_prepare)
        yield


@pytest.fixture(scope="module")
def shallow_networks() -> Iterator[None]:
    """For modules whose subject is not the network: shallow.py."""
    with shallow():
        yield


def small_recipe(folder: Path, *changes: tuple[str, str]) -> Path:
    """The demo's recipe, smaller, with these replacements in its text."""
    text = (shipped_recipes() / "ssd_mobilenet_v2_fpnlite_320x320_demo.config").read_text()
    for old, new in (*SMALL, *changes):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "small_96x96.config"
    path.write_text(text)
    return path
