"""A training run on disk: `mlruns/runs/NAME`, readable by every later stage without TensorFlow.

recipe.config   the recipe as trained        run.json              who, what, when, digests, MLflow's run id
checkpoints/    ckpt-N                       evaluation_<split>.json
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError
from sealpin_edge.files import write_whole

from .dataset.manifest import Dataset, load_dataset
from .recipe import Recipe, load_recipe

STORE = Path("mlruns")


@dataclass(frozen=True)
class Run:
    """One training run. `dataset` is the folder it was trained on, `steps` what was asked for."""

    name: str
    run_id: str
    steps: int
    seed: int
    classes: tuple[str, ...]
    dataset: str
    dataset_digest: str
    recipe_sha256: str

    @property
    def folder(self) -> Path:
        """Where the run lives, below the current folder."""
        return run_folder(self.name)

    @property
    def checkpoints(self) -> Path:
        """Folder of TensorFlow checkpoints."""
        return self.folder / "checkpoints"

    def recipe(self) -> Recipe:
        """The recipe with the number of steps that this run was given."""
        return load_recipe(self.folder / "recipe.config").with_steps(self.steps)

    def load_dataset(self) -> Dataset:
        """The dataset it was trained on. Raises InputError when it is gone or was converted anew since."""
        dataset = load_dataset(Path(self.dataset))
        if dataset.digest != self.dataset_digest:
            raise InputError(
                "this dataset has changed since the run was trained on it",
                where=self.dataset,
                found=f"digest {dataset.digest[:12]}",
                allowed=f"digest {self.dataset_digest[:12]}",
                hint=f"train again, or put the old dataset back: run {self.name}",
            )
        return dataset

    def save(self) -> None:
        """Write run.json."""
        write_whole(self.folder / "run.json", (json.dumps(asdict(self), indent=1) + "\n").encode())

    def evaluation(self, split: str) -> dict[str, Any]:
        """What `sealpin evaluate` (or the end of training, for val) wrote. Raises InputError when there is none."""
        path = self.folder / f"evaluation_{split}.json"
        if not path.exists():
            raise InputError(
                f"this run was not evaluated on {split}",
                where=str(self.folder),
                hint=f"sealpin evaluate {self.name} --split {split}",
            )
        result: dict[str, Any] = json.loads(path.read_text())
        return result


def run_folder(name: str) -> Path:
    """Folder of the run called `name`. Raises InputError for a name that is no plain name."""
    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name.startswith("."):
        raise InputError(
            "this cannot name a run", where="--run", found=repr(name), allowed="letters, digits, '-', '_' and '.'"
        )
    return STORE / "runs" / name


def load_run(name: str) -> Run:
    """The run called `name`. Raises InputError with the names that there are."""
    path = run_folder(name) / "run.json"
    try:
        content = json.loads(path.read_text())
        return Run(**{**content, "classes": tuple(content["classes"])})
    except (OSError, ValueError, TypeError, KeyError):
        names = sorted(found.parent.name for found in path.parent.parent.glob("*/run.json"))
        raise InputError(
            "no such run",
            where=name,
            found=str(path),
            allowed=", ".join(names) or f"no runs yet below {STORE}/",
            hint="sealpin train RECIPE --dataset DATASET --run NAME",
        ) from None
