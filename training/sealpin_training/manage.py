"""Renaming, removing and replacing runs, on disk and in MLflow."""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError

from .checkpoints import has_state
from .registry import in_mlflow
from .run import Run, load_run, run_folder
from .standing import locked


def rename_run(old: Run, name: str) -> tuple[Run, str]:
    """Give a run another name; returns it, and what MLflow did not take ("" when it did).

    Raises InputError when the name is taken, or somebody is at work on the run.
    """
    folder = run_folder(name, old.store)
    with locked(old.name, old.store, "renaming"), locked(name, old.store, "renaming"):
        if folder.exists():
            raise InputError("there is a run of this name", where=str(folder), allowed="a name that is free")
        old.folder.rename(folder)
        run = replace(load_run(name, old.store), name=name)
        run.save()
    return run, in_mlflow(run, lambda client: client.update_run(run.run_id, name=name))


def remove_run(run: Run) -> str:
    """Remove a run's folder and delete its MLflow run; returns why MLflow keeps it ("" when it does not).

    MLflow keeps what it deleted until `mlflow gc`; a run whose network is registered, or runs on a station, it goes on
    showing, marked as removed. Raises InputError when somebody is at work on the run.
    """
    with locked(run.name, run.store, "removing"):
        return _remove(run, run.folder)


@contextmanager
def replaced(run: Run, tell: Callable[[str], None]) -> Iterator[None]:
    """Train another run in the place of `run`, of whose name the caller has the lock.

    It is removed when the other one has a state to go on from; else it comes back.
    """
    aside = _aside(run.folder)
    if aside.exists():
        shutil.rmtree(aside)  # another one's, whose successor was killed
    run.folder.rename(aside)
    try:
        yield
    finally:
        if not has_state(run.folder):
            bring_back(run.folder)
        elif missed := _remove(run, aside):
            tell(f"the old run is removed, but not from MLflow: {missed}")


def bring_back(folder: Path) -> None:
    """Put back the run that was to be replaced in `folder`, unless the new one has a state: it may have been killed."""
    if _aside(folder).exists() and not has_state(folder):
        shutil.rmtree(folder, ignore_errors=True)
        _aside(folder).rename(folder)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.replaced")


def _remove(run: Run, folder: Path) -> str:
    """Remove a run that lies in `folder`; returns why MLflow keeps it."""
    gone = folder.with_name(f".{run.name}.{secrets.token_hex(4)}.removed")
    folder.rename(gone)  # it is gone at once, however long its files take
    shutil.rmtree(gone)
    return in_mlflow(run, lambda client: _delete(client, run))


def _delete(client: Any, run: Run) -> str:
    tags = client.get_run(run.run_id).data.tags
    stations = [tag.partition(".")[2] for tag in tags if tag.startswith("deployed.")]
    versions = [f"{one.name} version {one.version}" for one in client.search_model_versions(f"run_id = '{run.run_id}'")]
    if stations or versions:
        client.set_tag(run.run_id, "removed", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        kept = [*versions, *(f"the network on {station}" for station in stations)]
        return f"it is kept there as the run of {', '.join(kept)}"
    client.delete_run(run.run_id)
    return ""
