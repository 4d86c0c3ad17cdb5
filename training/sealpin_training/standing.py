"""How far a run is, and who is at work on it: one process at a time, which holds a lock as long as it lives."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sealpin_edge.errors import InputError

from .checkpoints import steps_saved
from .progress import duration
from .run import STORE, Run, State, check_store, load_run, run_folder, run_names
from .tracking import read_metrics

TRAINING = "training"
_TRIES, _PAUSE_S = 5, 0.05  # another command that only looks has the lock for an instant


@dataclass(frozen=True)
class Standing:
    """Where a run stands. `status` is training, interrupted, finished, stopped or broken.

    `step` of `steps` is the last that was reported while it trains, else the one that --resume goes on from. `left_s`
    is how long the rest takes, evaluations apart, where that is known.
    """

    status: str
    step: int
    steps: int
    left_s: float | None = None

    def __str__(self) -> str:
        left = "" if self.left_s is None else f", about {duration(self.left_s)} left, evaluations apart"
        return f"step {self.step:,} of {self.steps:,}{left}"


def standing(run: Run) -> Standing:
    """Where a run stands, by its files and its lock."""
    state, steps = State.load(run), run.recipe().num_steps
    if at_work(run.name, run.store) == TRAINING:
        began = max((int(str(session["step"])) for session in run.resumed), default=0)
        reports = [one for one in read_metrics(run.metrics_log) if "train/steps_per_second" in one["metrics"]]
        if not reports or reports[-1]["step"] <= began:
            return Standing(TRAINING, began, steps)
        step, speed = reports[-1]["step"], reports[-1]["metrics"]["train/steps_per_second"]
        return Standing(TRAINING, step, steps, (steps - step) / speed)
    if state.status == "running":  # whoever wrote that is gone
        return Standing("interrupted", max(steps_saved(run.checkpoints), default=0), steps)
    return Standing(state.status, state.step, steps)


def trained_run(name: str, store: Path = STORE, dataset: Path | None = None) -> Run:
    """The run called `name`, which nobody is at work on; with the place where its dataset is now, if that is given.

    Raises InputError when there is no such run, or it is still being trained.
    """
    check_store(store)
    if doing := at_work(name, store):
        raise _busy(name, store, doing)
    run = load_run(name, store)
    return replace(run, dataset=str(dataset)) if dataset else run


@contextmanager
def locked(name: str, store: Path, doing: str) -> Iterator[None]:
    """Keep a run to oneself, for as long as the block or this process lasts; `doing` is what others are told.

    Raises InputError when another process has it.
    """
    path = _lock(name, store)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        for left in reversed(range(_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise _busy(name, store, path.read_text(encoding="utf-8")) from None
                time.sleep(_PAUSE_S)
        file.truncate(0)
        file.write(doing)
        file.flush()
        yield


def at_work(name: str, store: Path = STORE) -> str:
    """What another process is doing with a run; "" when there is none."""
    try:
        with open(_lock(name, store), encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() or "at work"
    except FileNotFoundError:
        pass
    return ""


def _lock(name: str, store: Path) -> Path:
    return run_folder(name, store).parent / f".{name}.lock"


def _busy(name: str, store: Path, doing: str) -> InputError:
    if doing != TRAINING:
        return InputError("another process is at work on this run", where=name, found=doing, advice="wait for its end")
    if name not in run_names(store):
        return InputError("still training", where=name, found="it is being set up", advice="wait for its end")
    run = load_run(name, store)
    return InputError(
        "still training",
        where=name,
        found=str(standing(run)),
        advice="wait for its end; Ctrl-C where it runs ends it now, and --resume goes on from there",
        hint=f"sealpin runs show {run.words}",
    )
