"""MLflow: one run per training, in `mlruns/mlflow.db` or on the server that MLFLOW_TRACKING_URI names.

Metrics are written to the run's own folder first; a thread sends them on. A server that is away costs the training
nothing: what it missed is sent when it answers again, at the latest by the next `--resume` or `sealpin runs sync`.
"""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, SealpinError, in_words
from sealpin_edge.files import write_whole

from .mlflow_store import prepare_store

EXPERIMENT = "sealpin"
_SEND_EVERY_S = 2.0
_SYSTEM_EVERY_S = 10.0
_PATIENCE_S = 10.0  # for what is left to send when a run ends
_BATCH = 800  # MLflow takes 1000 metrics at a time


class Tracker:
    """One MLflow run that is being written, and the run's own log of metrics."""

    def __init__(self, connect: Callable[[], Any], run_id: str, log: Path) -> None:
        """`connect` gives MLflow's client, or raises; it is called until it does not.

        `log` is the metrics.jsonl to append to; what of it was sent is counted beside it, in metrics.sent.
        """
        self.run_id = run_id
        self.failure = ""
        self._connect, self._log, self._sent = cache(connect), log, log.with_suffix(".sent")
        self._recorded: dict[str, int] = {}  # "train" or "val" -> last step before the run was resumed
        whole = 0
        for end, entry in _entries(log, 0):
            whole = end
            for name in entry["metrics"]:
                self._recorded[name.partition("/")[0]] = entry["step"]
        if log.exists():
            os.truncate(log, whole)  # a power cut may have left half a line, or less than was counted as sent
        if self._count_sent() > whole:
            write_whole(self._sent, str(whole).encode())
        self._step = 0
        self._monitors = _monitors()
        self._stop, self._sending, self._writing = threading.Event(), threading.Lock(), threading.Lock()
        self._thread = threading.Thread(target=self._send_until_stopped, name="mlflow", daemon=True)
        self._thread.start()

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics of a training step; of a step that was recorded before the run was resumed, nothing."""
        if step <= self._recorded.get(next(iter(metrics)).partition("/")[0], -1):
            return
        self._step = step
        entry = {"step": step, "time_ms": int(time.time() * 1000), "metrics": {k: float(v) for k, v in metrics.items()}}
        with self._writing, open(self._log, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def finish(self, status: str, files: list[Path], tags: Mapping[str, str]) -> bool:
        """Send the rest, the files as artifacts, tags and the status; returns whether all of it arrived."""
        self._stop.set()
        self._thread.join(_PATIENCE_S)
        try:
            self._send()
            client = self._connect()
            for file in files:
                client.log_artifact(self.run_id, str(file))
            for key, value in tags.items():
                client.set_tag(self.run_id, key, value)
            client.set_terminated(self.run_id, status)
            return True
        except Exception as error:  # MLflow raises what its store does: requests, SQLAlchemy, its own
            self.failure = first_line(error)
            return False

    def _send_until_stopped(self) -> None:
        sampled = time.monotonic()
        while not self._stop.wait(_SEND_EVERY_S):
            try:
                if time.monotonic() - sampled >= _SYSTEM_EVERY_S:
                    sampled = time.monotonic()
                    self._sample_system()
                self._send()
                self.failure = ""
            except Exception as error:  # as in finish: whatever it is, the next round tries again
                self.failure = first_line(error)

    def _sample_system(self) -> None:
        """How busy processor, memory, disk and GPU are, beside the step that was reported last."""
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found |= {f"system/{name}": value for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        self.log(found, self._step)

    def _send(self) -> None:
        from mlflow.entities import Metric

        with self._sending:
            start = self._count_sent()
            batch: list[Any] = []
            for end, entry in _entries(self._log, start):
                batch += [
                    Metric(name, value, entry["time_ms"], entry["step"]) for name, value in entry["metrics"].items()
                ]
                if len(batch) > _BATCH:
                    self._send_batch(batch, end)
                    batch, start = [], end
            if batch:
                self._send_batch(batch, end)

    def _send_batch(self, batch: list[Any], end: int) -> None:
        self._connect().log_batch(self.run_id, batch)
        write_whole(self._sent, str(end).encode())

    def _count_sent(self) -> int:
        return int(self._sent.read_text()) if self._sent.exists() else 0


def _monitors() -> list[Any]:
    """MLflow's own monitors, for what this machine has."""
    from mlflow.exceptions import MlflowException
    from mlflow.system_metrics.metrics import cpu_monitor, disk_monitor, gpu_monitor

    found = [cpu_monitor.CPUMonitor(), disk_monitor.DiskMonitor()]
    with suppress(ImportError, RuntimeError, MlflowException):  # no GPU, or no library to ask it with
        found.append(gpu_monitor.GPUMonitor())
    return found


def read_metrics(log: Path) -> list[dict[str, Any]]:
    """A run's metrics.jsonl: {"step", "time_ms", "metrics"} each; an incomplete last line is left out."""
    return [entry for _, entry in _entries(log, 0)]


def _entries(log: Path, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The log's whole lines from byte `start` on, each with the byte after it."""
    if not log.exists():
        return
    with open(log, "rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            start += len(line)
            yield start, json.loads(line)


def open_tracking(store: Path) -> tuple[Any, str]:
    """MLflow's client and the experiment for new runs. Raises InputError when MLFLOW_TRACKING_URI leads nowhere."""
    client = mlflow_client(store)
    try:
        return client, _experiment(client, store)
    except SealpinError:
        raise
    except Exception as error:
        raise _unreachable(error) from None


def start_tracking(
    opened: tuple[Any, str],
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    log: Path,
    datasets: Sequence[Any] = (),
) -> Tracker:
    """Begin a new MLflow run, with what it is trained on (mlflow.entities.DatasetInput).

    Raises InputError when its server went away.
    """
    client, experiment = opened
    try:
        run = client.create_run(experiment, run_name=name, tags=dict(tags))
        for key, value in params.items():
            client.log_param(run.info.run_id, key, value)
        client.log_inputs(run.info.run_id, list(datasets))
    except Exception as error:
        raise _unreachable(error) from None
    return Tracker(lambda: client, run.info.run_id, log)


def continue_tracking(store: Path, run_id: str, log: Path, tags: Mapping[str, str]) -> Tracker:
    """Go on with an MLflow run, with what is new of `tags`; while its server is away, with the run's own log."""

    def connect() -> Any:
        client = mlflow_client(store)
        client.update_run(run_id, status="RUNNING")
        for key, value in tags.items():
            client.set_tag(run_id, key, value)
        return client

    return Tracker(connect, run_id, log)


def mlflow_client(store: Path) -> Any:
    """MLflow's client, for the server of MLFLOW_TRACKING_URI or the database in `store`.

    Raises InputError when it cannot be reached, or is a newer MLflow's.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # which is for --json
    # A server that is away: the sender tries again itself, and training must not end minutes later for it
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    import mlflow

    for noisy in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    store.mkdir(parents=True, exist_ok=True)
    address = _address(store)
    prepare_store(address)
    try:
        return mlflow.MlflowClient(address)
    except Exception as error:
        raise _unreachable(error) from None


def check_tracking(store: Path) -> None:
    """Keep a copy of a store that MLflow will migrate (mlflow_store.py); InputError when it is a newer MLflow's."""
    prepare_store(_address(store))


def has_tracking(store: Path) -> bool:
    """Whether there is anything that MLflow could know of the runs in `store`: a server, or its database."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (store / "mlflow.db").exists()


def _address(store: Path) -> str:
    # Absolute: a relative SQLite address would make another database in every folder that the program is called from
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{store.resolve()}/mlflow.db"


def _experiment(client: Any, store: Path) -> str:
    if found := client.get_experiment_by_name(EXPERIMENT):
        if found.lifecycle_stage == "deleted":
            raise ValueError(f"its experiment {EXPERIMENT!r} is deleted: mlflow experiments restore")
        return str(found.experiment_id)
    place = None if os.environ.get("MLFLOW_TRACKING_URI") else (store.resolve() / "artifacts").as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=place))


def first_line(error: Exception) -> str:
    """An error's message as one line; its kind where it has none."""
    return in_words(error)


def _without_password(text: str) -> str:
    return re.sub(r"(://[^/@\s:]*):[^/@\s]*@", r"\1:***@", text)


def _unreachable(error: Exception) -> InputError:
    address = os.environ.get("MLFLOW_TRACKING_URI")
    return InputError(
        "MLflow cannot be reached",
        where=f"MLFLOW_TRACKING_URI={_without_password(address)}" if address else "mlruns/mlflow.db",
        found=_without_password(first_line(error)),
        allowed="the address of an MLflow server, http://HOST:PORT, or sqlite:////FOLDER/mlflow.db",
        advice="mend it, or unset MLFLOW_TRACKING_URI to track in mlruns/",
    )
