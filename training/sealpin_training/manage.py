"""Renaming and removing runs, on disk and in MLflow."""

import secrets
import shutil
import time
from dataclasses import replace
from typing import Any

from sealpin_edge.errors import InputError

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
        gone = run.folder.with_name(f".{run.name}.{secrets.token_hex(4)}.removed")
        run.folder.rename(gone)  # it is gone at once, however long its files take
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
