"""MLflow: one run per training, in `mlruns/mlflow.db` with its artifacts beside it."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXPERIMENT = "sealpin"


class Tracker:
    """One MLflow run that is being written."""

    def __init__(self, client: Any, run_id: str) -> None:
        self.run_id = run_id
        self._client = client

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics of a training step."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        self._client.log_batch(self.run_id, [Metric(name, float(value), now, step) for name, value in metrics.items()])

    def keep(self, file: Path) -> None:
        """Copy a file to the run's artifacts."""
        self._client.log_artifact(self.run_id, str(file))


@contextmanager
def tracked_run(store: Path, name: str, params: Mapping[str, object], tags: Mapping[str, str]) -> Iterator[Tracker]:
    """Open a new MLflow run below `store`; it ends FINISHED, FAILED on an exception, or KILLED on Ctrl-C."""
    client, experiment = _client(store)
    run = client.create_run(experiment, run_name=name, tags=dict(tags))
    tracker = Tracker(client, run.info.run_id)
    status = "FAILED"
    try:
        for key, value in params.items():
            client.log_param(tracker.run_id, key, value)
        yield tracker
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        client.set_terminated(tracker.run_id, status)


def _client(store: Path) -> tuple[Any, str]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    store.mkdir(parents=True, exist_ok=True)
    # Absolute: a relative SQLite address would make another database in every folder that the program is called from
    client = mlflow.MlflowClient(f"sqlite:///{store.resolve()}/mlflow.db")
    found = client.get_experiment_by_name(EXPERIMENT)
    if found:
        return client, found.experiment_id
    return client, client.create_experiment(EXPERIMENT, artifact_location=(store.resolve() / "artifacts").as_uri())
