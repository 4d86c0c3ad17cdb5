"""A training run on disk: `mlruns/runs/NAME`, readable by every later stage.

run.json         what was run, on what, with what            recipe.config   the recipe as trained
weights/         ckpt-N: best and last network              checkpoints/    the training's whole state, to resume
metrics.jsonl    every metric that was reported              state.json      how far it is
evaluation_<split>.json   curves.png                        warm_start.json what it started from
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, quote
from sealpin_edge.files import parse_json, write_whole

from .dataset.manifest import Dataset, load_dataset
from .recipe import Recipe, load_recipe

STORE = Path("mlruns")
# Which weights of a step were kept: the training's own, or their moving average
RAW, AVERAGED = "raw", "averaged"


@dataclass(frozen=True)
class Run:
    """One training run. `dataset` is the folder it was trained on; `recipe_sha256` is of the recipe as it was given.

    `start_from` is the checkpoint that its weights came from, empty for none. `resumed` has for each time that it was
    gone on with: step, command line, and what was not as before. `store` is the mlruns/ that it was read from.
    """

    name: str
    run_id: str
    recipe_name: str
    recipe_sha256: str
    seed: int
    classes: tuple[str, ...]
    dataset: str
    dataset_digest: str
    command: str
    evaluate_every: int
    patience: int | None
    start_from: str
    max_hours: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    resumed: tuple[Mapping[str, object], ...] = ()
    store: Path = STORE

    @property
    def folder(self) -> Path:
        """Where the run lives."""
        return run_folder(self.name, self.store)

    @property
    def words(self) -> str:
        """The run as it is named in a command: its name, and its mlruns/ where that is another one."""
        return run_words(self.name, self.store)

    @property
    def checkpoints(self) -> Path:
        """Folder of the training's state."""
        return self.folder / "checkpoints"

    @property
    def metrics_log(self) -> Path:
        """Every metric that was reported, a JSON object a line."""
        return self.folder / "metrics.jsonl"

    def artifacts(self) -> list[Path]:
        """The files that MLflow gets, as far as they are there."""
        names = ("recipe.config", "run.json", "state.json", "warm_start.json", "evaluation_val.json", "curves.png")
        return [self.folder / name for name in names if (self.folder / name).exists()]

    def result(self) -> dict[str, str]:
        """What MLflow is told of the network that is kept, as tags; empty before the first evaluation."""
        state = State.load(self)
        return {"weights": state.best} if state.best_step else {}

    def weights(self, which: str = "best") -> Path:
        """Checkpoint of the network alone: `best` by AP on val, or `last`. Raises InputError when there is none."""
        state = State.load(self)
        path = self.folder / "weights" / f"ckpt-{state.best_step if which == 'best' else state.evaluated_step}"
        if not path.with_suffix(".index").exists():
            raise InputError(
                "this run has no checkpoint",
                where=str(path),
                allowed="a run that was trained",
                hint=f"sealpin train --resume --run {self.words}",
            )
        return path

    def recipe(self) -> Recipe:
        """The recipe as it was trained, with the number of steps that this run was given."""
        return load_recipe(self.folder / "recipe.config")

    def load_dataset(self) -> Dataset:
        """The dataset it was trained on. Raises InputError when it is gone or was converted anew since."""
        if not Path(self.dataset).exists():
            raise InputError(
                "the dataset of this run is not where it was",
                where=self.dataset,
                allowed=f"digest {self.dataset_digest[:12]}",
                advice="name the place where it is now: --dataset DATASET",
            )
        dataset = load_dataset(Path(self.dataset))
        if dataset.digest != self.dataset_digest:
            raise InputError(
                "this dataset has changed since the run was trained on it",
                where=self.dataset,
                found=f"digest {dataset.digest[:12]}",
                allowed=f"digest {self.dataset_digest[:12]}",
                advice="train again, or name the dataset that it was trained on: --dataset DATASET",
            )
        return dataset

    def save(self) -> None:
        """Write run.json."""
        content = asdict(self)
        del content["store"]  # where it lies is no part of it: mlruns/ can be moved
        write_json(self.folder / "run.json", content)

    def evaluation(self, split: str) -> dict[str, Any]:
        """What `sealpin evaluate` (or the end of training, for val) wrote of the best network.

        Raises InputError when there is none, or it is of a network that another one has surpassed since.
        """
        found = self.last_evaluation(split)
        if found.get("step") != State.load(self).best_step:
            raise InputError(
                f"this run's best network was not evaluated on {split}",
                where=str(self.folder),
                hint=f"sealpin evaluate {self.words} --split {split}",
            )
        return found

    def last_evaluation(self, split: str) -> dict[str, Any]:
        """What was written last, of whichever network; empty when nothing was."""
        try:
            return read_json(self.folder / f"evaluation_{split}.json")
        except FileNotFoundError:
            return {}


@dataclass(frozen=True)
class State:
    """How far a run is. `status` is running, finished, stopped or broken; `seconds` count training, not evaluations.

    COCO's AP is -1 where nothing is labelled; below that, no evaluation was made yet. `not_better` evaluations in a row
    had no better AP. `best_weights` is RAW or AVERAGED; empty in runs of an earlier sealpin.
    """

    status: str = "running"
    step: int = 0
    seconds: float = 0.0
    evaluated_step: int = 0
    best_step: int = 0
    best_ap: float = -2.0
    not_better: int = 0
    why: str = ""
    best_weights: str = ""

    @property
    def best(self) -> str:
        """Which weights are the best, that is exported: "averaged weights of step 1,200"."""
        return f"{self.best_weights} weights of step {self.best_step:,}".lstrip()

    @classmethod
    def load(cls, run: Run) -> "State":
        """The state of a run; of one that was killed before it had any, the state at step 0."""
        try:
            content = read_json(path := run.folder / "state.json")
        except FileNotFoundError:
            return cls()
        if odd := sorted(name for name, value in content.items() if type(value) not in _KINDS.get(name, ())):
            raise _damaged(path, f"{odd[0]} = {str(content[odd[0]])[:60]}")
        return cls(**content)

    def save(self, run: Run) -> None:
        """Write state.json."""
        write_json(run.folder / "state.json", asdict(self))


# What JSON has for each field of a State
_KINDS: dict[str, tuple[type, ...]] = {
    item.name: {str: (str,), int: (int,), float: (int, float)}[type(item.default)] for item in fields(State)
}


def write_json(path: Path, content: Any) -> None:
    """A JSON file, whole or not at all."""
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote. Raises InputError when it is damaged, FileNotFoundError when it is not there."""
    try:
        content = parse_json(path.read_bytes())
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(content, dict):
        raise _damaged(path, f"a {type(content).__name__}")
    return content


def _damaged(path: Path, found: str) -> InputError:
    return InputError("this file of a run is damaged", where=str(path), found=found, allowed="what sealpin wrote")


def run_names(store: Path = STORE) -> list[str]:
    """All runs of a store."""
    return sorted(found.parent.name for found in (store / "runs").glob("*/run.json"))


def run_folder(name: str, store: Path = STORE) -> Path:
    """Folder of the run called `name`. Raises InputError for a name that is no plain name."""
    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name[0] in ".-":
        raise InputError(
            "this cannot name a run",
            where="--run",
            found=repr(name),
            allowed="letters, digits, '-', '_' and '.', the first of them a letter, a digit or '_'",
        )
    return store / "runs" / name


def run_words(name: str, store: Path) -> str:
    """A run as it is named in a command that is told."""
    return quote(name) + ("" if store == STORE else f" --mlruns {quote(store)}")


def check_store(store: Path) -> None:
    """Raise InputError when there are no runs because there is no mlruns/."""
    if not store.is_dir():
        raise InputError(
            f"there is no {store}/ here" if store == STORE else "there is no such folder",
            where=str(Path.cwd() if store == STORE else store),
            allowed="the folder that `sealpin train` was called in",
            advice="go there, or name its mlruns/ from here: --mlruns DIR",
        )


def load_run(name: str, store: Path = STORE) -> Run:
    """The run called `name`. Raises InputError with the names that there are."""
    path = run_folder(name, store) / "run.json"
    check_store(store)
    try:
        content = read_json(path)
    except OSError:
        raise InputError(
            "no such run",
            where=name,
            found=str(path),
            allowed=", ".join(run_names(store)) or f"no runs yet below {store}/",
            hint="sealpin train RECIPE --dataset DATASET --run NAME",
        ) from None
    try:
        lists = {key: tuple(content.get(key, ())) for key in ("classes", "resumed")}
        return Run(**{**content, **lists, "name": name, "store": store})
    except (TypeError, AttributeError) as error:
        raise InputError("this run's record is damaged", where=str(path), found=str(error)) from None
