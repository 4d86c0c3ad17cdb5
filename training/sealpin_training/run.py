"""A training run on disk: `mlruns/runs/NAME`, readable by every later stage.

run.json         what was run, on what, with what            recipe.config   the recipe as trained (Task.recipe_file)
weights/         ckpt-N: best and last network              checkpoints/    the training's whole state, to resume
metrics.jsonl    every metric that was reported              state.json      how far it is
evaluation_<split>.json   curves.png                        warm_start.json what it started from

What later stages decide by is held together: run.json has the SHA-256 of recipe.config, and its classes are the
dataset's; state.json and evaluations have that of their own content, and an evaluation those of the weights and recipe
that it judged. So an edit, a copy or a flipped bit is told; files of an earlier sealpin have none of it and are taken.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, quote
from sealpin_edge.files import parse_json, write_whole

from .dataset.manifest import Dataset, load_dataset
from .tasks.recipe import Recipe
from .tasks.task import Task, task_named

STORE = Path("mlruns")
# What a file has the SHA-256 of its own content as
SEAL = "sha256"
SEALED = ("weights_sha256", "best_weights")  # which only what is sealed has
# Which weights of a step were kept: the training's own, or their moving average
RAW, AVERAGED = "raw", "averaged"


@dataclass(frozen=True)
class Run:
    """One training run. `dataset` is the folder it was trained on; `recipe_sha256` is of the recipe as it was given.

    `start_from` is the checkpoint that its weights came from, empty for none. `resumed` has for each time that it was
    gone on with: step, command line, and what was not as before. `trained_sha256` is of recipe.config: of two, while
    one takes the other's place; of none in a run of an earlier sealpin. `store` is the mlruns/ that it was read from.
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
    trained_sha256: tuple[str, ...] = ()
    task: str = "detect"
    good: tuple[str, ...] = ()
    store: Path = STORE

    @property
    def categories(self) -> tuple[str, ...]:
        """What its network's findings can be called."""
        return self.kind.categories(self.classes, self.good)

    @property
    def kind(self) -> Task[Any]:
        """What it was trained for."""
        return task_named(self.task)

    @property
    def recipe_path(self) -> Path:
        """The recipe as trained."""
        return self.folder / self.kind.recipe_file

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
        names = (
            self.kind.recipe_file,
            "run.json",
            "state.json",
            "warm_start.json",
            "evaluation_val.json",
            "curves.png",
        )
        return [self.folder / name for name in names if (self.folder / name).exists()]

    def result(self) -> dict[str, str]:
        """What MLflow is told of the network that is kept, as tags; empty before the first evaluation."""
        state = State.load(self)
        return {"weights": state.best} if state.best_step else {}

    def weights(self, which: str = "best") -> Path:
        """Checkpoint of the network alone: `best` by the task's key metric on val, or `last`.

        Raises InputError when there is none, or the best is not the one that the training has kept.
        """
        state = State.load(self)
        path = self.folder / "weights" / f"ckpt-{state.best_step if which == 'best' else state.evaluated_step}"
        if not path.with_suffix(".index").exists():
            if state.status == "broken":  # it is repeatable: gone on with, it breaks again
                raise InputError(
                    "this run broke before there was anything to judge",
                    where=str(self.folder),
                    found=state.why,
                    advice=f"begin a new one, with a lower learning rate or with {self.recipe().words.clipping}",
                    hint="sealpin train RECIPE --dataset DATASET --run NAME",
                )
            raise InputError(
                "this run has no checkpoint",
                where=str(path),
                allowed="a run that was trained",
                hint=f"sealpin train --resume --run {self.words}",
            )
        index = path.with_suffix(".index")
        if which == "best" and state.best_sha256 and (found := sha256_of(index)) != state.best_sha256:
            raise InputError(
                "these are not the weights that this run has kept as its best",
                where=str(index),
                found=f"sha256 {found[:12]}",
                allowed=f"sha256 {state.best_sha256[:12]}, as in state.json",
                advice="copy the run again from where it was trained",
                hint=f"sealpin runs show {self.words}",
            )
        return path

    def recipe(self) -> Recipe:
        """The recipe as it was trained, with the number of steps that this run was given.

        Raises InputError when it was changed since.
        """
        path = self.recipe_path
        if (found := sha256_of(path)) and self.trained_sha256 and found not in self.trained_sha256:
            raise InputError(
                "the recipe of this run was changed since it was trained",
                where=str(path),
                found=f"sha256 {found[:12]}",
                allowed=f"sha256 {str(self.trained_sha256[-1])[:12]}, as in run.json",
                advice="put the old one back, or train on with this one: --resume --accept-changes",
                hint=self.put_back(path.name),
            )
        recipe: Recipe = self.kind.load_recipe(path)
        return recipe

    def keep(self, recipe: Recipe) -> "Run":
        """Write the recipe and run.json; returns the run, which knows that recipe by its hash."""
        data = recipe.text()
        run = replace(self, trained_sha256=(hashlib.sha256(data).hexdigest(),))
        # In this order: killed in between, the run is one that can be resumed as it was, or as it is to be
        if (self.folder / "run.json").exists() and (before := load_run(self.name, self.store)).trained_sha256:
            replace(before, trained_sha256=before.trained_sha256 + run.trained_sha256).save()
        write_whole(self.recipe_path, data)
        run.save()
        return run

    def check_classes(self, dataset: Dataset) -> None:
        """Raise InputError when the classes in run.json are not those of the very dataset that it was trained on."""
        if dataset.digest == self.dataset_digest and (dataset.classes, dataset.good) != (self.classes, self.good):
            raise InputError(
                "the classes of this run were changed since it was trained",
                where=str(self.folder / "run.json"),
                found=", ".join(map(str, self.classes)),
                allowed=f"{', '.join(dataset.classes)}, as in {dataset.folder}",
                advice="put the old file back",
                hint=self.put_back("run.json"),
            )

    def put_back(self, name: str) -> str:
        """The command that puts a file back as MLflow has kept it when the training ended; "" when it is not here."""
        kept = self.store / f"artifacts/{self.run_id}/artifacts/{name}"
        return f"cp {quote(kept)} {quote(self.folder / name)}" if self.run_id and kept.is_file() else ""

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
        self.check_classes(dataset)
        return dataset

    def save(self) -> None:
        """Write run.json."""
        content = asdict(self)
        del content["store"]  # where it lies is no part of it: mlruns/ can be moved
        write_json(self.folder / "run.json", content)

    def evaluation(self, split: str) -> dict[str, Any]:
        """What `sealpin evaluate` (or the end of training, for val) wrote of the best network.

        Raises InputError when there is none, or it is of a network that another one has surpassed since, or of another
        recipe.
        """
        found, now = self.last_evaluation(split), self.identity()
        # One of an earlier sealpin tells its step alone
        if found.get("step") != now["step"] or any(found.get(key, value) != value for key, value in now.items()):
            self.weights()  # none, or another run's, can be judged
            raise InputError(
                f"this run's best network was not evaluated on {split}, or not with these weights and this recipe",
                where=str(self.folder),
                hint=f"sealpin evaluate {self.words} --split {split}",
            )
        return found

    def identity(self) -> dict[str, Any]:
        """What an evaluation of the best network is of: its step, and the SHA-256 of its weights' index and recipe."""
        step = State.load(self).best_step
        # TensorFlow's index has a check sum of every tensor
        weights, recipe = self.folder / "weights" / f"ckpt-{step}.index", self.recipe_path
        return {"step": step, "weights_sha256": sha256_of(weights), "recipe_sha256": sha256_of(recipe)}

    def last_evaluation(self, split: str, *, anew: bool = False) -> dict[str, Any]:
        """What was written last, of whichever network; empty when nothing was.

        Raises InputError when it is damaged; `anew` says that it may be, and counts for nothing then.
        """
        try:
            return read_json(self.folder / f"evaluation_{split}.json")
        except FileNotFoundError:
            return {}
        except InputError as error:
            if anew:
                return {}
            error.advice = "judge it anew; how thresholds and notice were chosen is lost, unless it is said again"
            error.hint = f"sealpin evaluate {self.words} --split {split} --force"
            raise


@dataclass(frozen=True)
class State:
    """How far a run is. `status` is running, finished, stopped or broken; `seconds` count training, not evaluations.

    `best_score` is the task's key `metric` on val, which may be -1 where nothing is labelled; below that, no evaluation
    was made yet. `highest` is the highest of all, which `not_better` evaluations in a row did not exceed.
    `best_weights` is RAW or AVERAGED, `best_sha256` the hash of their index; both are empty in runs of an earlier
    sealpin.
    """

    status: str = "running"
    step: int = 0
    seconds: float = 0.0
    evaluated_step: int = 0
    best_step: int = 0
    best_score: float = -2.0
    highest: float = -2.0
    not_better: int = 0
    why: str = ""
    best_weights: str = ""
    best_sha256: str = ""
    metric: str = "AP"

    @property
    def best(self) -> str:
        """Which weights are the best, that is exported: "averaged weights of step 1,200"."""
        return f"{self.best_weights} weights of step {self.best_step:,}".lstrip()

    @classmethod
    def load(cls, run: Run) -> "State":
        """The state of a run; of one that was killed before it had any, the state at step 0."""
        try:
            content = read_json(path := run.folder / "state.json")
            if "best_ap" in content:  # of an earlier sealpin
                content["best_score"] = content.pop("best_ap")
            if "best_score" in content:
                content.setdefault("highest", content["best_score"])
            if odd := sorted(name for name, value in content.items() if type(value) not in _KINDS.get(name, ())):
                raise _damaged(path, f"{odd[0]} = {str(content[odd[0]])[:60]}")
        except FileNotFoundError:
            return cls()
        except InputError as error:
            error.advice, error.hint = "put the old file back", run.put_back("state.json")
            raise
        return cls(**content)

    def save(self, run: Run) -> None:
        """Write state.json."""
        write_json(run.folder / "state.json", asdict(self), sealed=True)


# What JSON has for each field of a State
_KINDS: dict[str, tuple[type, ...]] = {
    item.name: {str: (str,), int: (int,), float: (int, float)}[type(item.default)] for item in fields(State)
}


def write_json(path: Path, content: Any, *, sealed: bool = False) -> None:
    """A JSON file, whole or not at all; a `sealed` one has a SHA-256 of what is in it."""
    if sealed:
        content = {**content, SEAL: _seal(content)}
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote. Raises InputError when it is damaged or changed, FileNotFoundError when it is gone."""
    try:
        content = parse_json(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}")
        told = content.pop(SEAL, None)
        if told is None and any(content.get(key) for key in SEALED):
            raise ValueError(f"its {SEAL} is gone")
        if told is not None and told != _seal(content):
            raise ValueError("it was changed since it was written")
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    return content


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """A file's SHA-256; "" when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _damaged(path: Path, found: str) -> InputError:
    return InputError("this file of a run is damaged", where=str(path), found=found, allowed="what sealpin wrote")


def run_names(store: Path = STORE) -> list[str]:
    """All runs of a store."""
    return sorted(found.parent.name for found in (store / "runs").glob("[!.]*/run.json"))  # others are on their way out


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
        lists = {key: tuple(content.get(key, ())) for key in ("classes", "resumed", "trained_sha256", "good")}
        if not isinstance(content.get("task", "detect"), str):
            raise TypeError(f"task = {str(content['task'])[:60]}")
        return Run(**{**content, **lists, "name": name, "store": store})
    except (TypeError, AttributeError) as error:
        raise InputError("this run's record is damaged", where=str(path), found=str(error)) from None
