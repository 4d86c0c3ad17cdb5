"""Tracking with a real MLflow server that goes away and comes back."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sealpin_edge.errors import EnvironmentFault, InputError
from sealpin_simulation.servers import free_port
from sealpin_training import mlflow_store
from sealpin_training.tracking import continue_tracking, mlflow_client, open_tracking, read_metrics, start_tracking


class Server:
    """`mlflow server` on loopback, with its database in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = Path(sys.executable).with_name("mlflow")
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/server.db", "--artifacts-destination", self.folder]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        self.process = subprocess.Popen(
            [program, "server", *store, *address],
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=2).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                assert self.process.poll() is None
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = Server(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found.address)
    found.start()
    yield found
    found.stop()


def test_what_a_dead_server_missed_is_sent_when_it_is_back(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    tracker = start_tracking(open_tracking(tmp_path), "run", {"steps": 30}, {"tag": "x"}, log)
    for step in range(10):
        tracker.log({"train/loss": 1.0 / (step + 1), "train/rate": 0.1}, step)
    server.stop()
    for step in range(10, 20):
        tracker.log({"train/loss": 1.0 / (step + 1)}, step)
    (tmp_path / "note.txt").write_text("kept")
    assert not tracker.finish("FINISHED", [tmp_path / "note.txt"], {})
    assert tracker.failure
    assert len(read_metrics(log)) == 20, "the run's own log has all of it"
    again = continue_tracking(tmp_path, tracker.run_id, log, {})
    again.log({"train/loss": 9.0}, 19)  # reported before: not again
    again.log({"train/loss": 0.01}, 20)
    assert not again.finish("FINISHED", [], {})
    server.start()
    last = continue_tracking(tmp_path, tracker.run_id, log, {"tag": "y"})
    assert last.finish("FINISHED", [tmp_path / "note.txt"], {}), last.failure
    client = mlflow_client(tmp_path)
    history = client.get_metric_history(tracker.run_id, "train/loss")
    assert sorted((entry.step, entry.value) for entry in history) == [
        *((step, 1.0 / (step + 1)) for step in range(20)),
        (20, 0.01),
    ]
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    assert client.get_run(tracker.run_id).data.tags["tag"] == "y"
    assert [file.path for file in client.list_artifacts(tracker.run_id)] == ["note.txt"]


def test_a_line_that_a_power_cut_left_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    log = tmp_path / "metrics.jsonl"
    tracker = start_tracking(open_tracking(tmp_path), "run", {}, {}, log)
    tracker.log({"train/loss": 1.0}, 1)
    assert tracker.finish("KILLED", [], {})
    with open(log, "a") as file:
        file.write('{"step": 2, "time_ms"')
    again = continue_tracking(tmp_path, tracker.run_id, log, {})
    again.log({"train/loss": 0.5}, 2)
    assert again.finish("FINISHED", [], {})
    assert [entry["step"] for entry in read_metrics(log)] == [1, 2]


@pytest.fixture(scope="module")
def old_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as an MLflow of years ago left it, made by MLflow's own migrations."""
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    path = tmp_path_factory.mktemp("old") / "mlflow.db"
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(f"sqlite:///{path}")
    revisions = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revisions[-4])
    engine.dispose()
    return path


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return str(next(database.execute("SELECT version_num FROM alembic_version"))[0])


def test_an_older_store_is_copied_before_it_is_migrated_and_once(
    old_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copy(old_store, tmp_path))
    before = revision(path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    open_tracking(tmp_path / "mlruns")
    (copy,) = tmp_path.glob("mlflow.db.before-*")
    said = capsys.readouterr().err
    assert f"{path} is an older MLflow's (schema {before})" in said
    assert str(copy) in said
    assert revision(copy) == before != revision(path)
    open_tracking(tmp_path / "mlruns")
    assert capsys.readouterr().err == ""
    assert list(tmp_path.glob("mlflow.db.before-*")) == [copy]


def test_an_older_store_that_cannot_be_copied_is_left_as_it_is(
    old_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(old_store, tmp_path))
    data = path.read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mlflow_store.os, "replace", full)
    with pytest.raises(EnvironmentFault, match=r"no copy of the store(.|\n)*No space left"):
        open_tracking(tmp_path / "mlruns")
    assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["mlflow.db"]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE alembic_version SET version_num = 'f00dfeedcafe'", r"newer MLflow(.|\n)*f00dfeedcafe"),
        ("DROP TABLE alembic_version; ALTER TABLE runs RENAME TO parts", "no store of MLflow's"),
    ],
)
def test_a_store_of_a_newer_mlflow_or_of_another_program_is_refused(
    old_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, told: str
) -> None:
    path = Path(shutil.copy(old_store, tmp_path))
    with closing(sqlite3.connect(path)) as database:
        database.executescript(statement)
    data = path.read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    with pytest.raises(InputError, match=told):
        open_tracking(tmp_path / "mlruns")
    assert path.read_bytes() == data


def test_a_password_in_the_address_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{free_port()}")
    with pytest.raises(InputError) as caught:
        open_tracking(tmp_path)
    assert "secret" not in str(caught.value)
    assert "me:***@127.0.0.1" in str(caught.value)
