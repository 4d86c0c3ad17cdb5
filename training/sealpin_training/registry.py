"""What MLflow is told besides a training's own course: dataset, pages, exported models, what goes to the line."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, SealpinError, quote

from .checkpoints import check_whole
from .dataset.manifest import Dataset
from .run import STORE, Run
from .tracking import first_line, has_tracking, mlflow_client

CANDIDATE = "candidate"
CHAMPION = "champion"
_DIGEST_LENGTH = 36  # that MLflow takes
# What MLflow's names of registered models, and its aliases, cannot have
_NO_PRODUCT, _NO_ALIAS = re.compile(r"[/:%\"']|^\s*$"), re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    model: str
    number: int


def dataset_input(dataset: Dataset) -> Any:
    """A dataset as MLflow's input of a run (mlflow.entities.DatasetInput): where it lies, its digest, what is in it."""
    from mlflow.entities import Dataset as Entity
    from mlflow.entities import DatasetInput, InputTag

    entity = Entity(
        name=dataset.folder.resolve().name,
        digest=dataset.digest[:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": str(dataset.folder.resolve())}),
        profile=json.dumps({"classes": ", ".join(dataset.classes), **dataset.counts, "digest": dataset.digest}),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


def log_page(run: Run, page: Path, folder: str) -> str:
    """Put a page among the artifacts of a run; returns what MLflow did not take, "" when it took all."""
    return in_mlflow(run, lambda client: client.log_artifact(run.run_id, str(page), folder))


def log_export(run: Run, model: Path, facts: Mapping[str, object], papers: Sequence[Path]) -> str:
    """Make an exported model file a logged model of its run, with what is known of it and the papers that prove it.

    Returns what MLflow did not take, "" when it took all.
    """

    def log(client: Any) -> None:
        from mlflow.entities import LoggedModelOutput

        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        made = client.create_logged_model(
            client.get_run(run.run_id).info.experiment_id,
            f"{run.name}-{sha256[:12]}",
            source_run_id=run.run_id,
            params={key: str(value) for key, value in facts.items()},
            tags={"run": run.name, "dataset_digest": run.dataset_digest, "sha256": sha256},
            model_type="tflite",
        )
        for file in (model, *papers):
            client.log_model_artifact(made.model_id, str(file))
        client.finalize_logged_model(made.model_id, "READY")
        client.log_outputs(run.run_id, [LoggedModelOutput(made.model_id, step=0)])
        for paper in papers:
            client.log_artifact(run.run_id, str(paper), "export")

    return in_mlflow(run, log)


def in_mlflow(run: Run, change: Callable[[Any], str | None]) -> str:
    """Change something in MLflow about a run; returns what it did not take, "" when it took all.

    Nothing is lost where MLflow has nothing of the run: "" too.
    """
    if not has_tracking(run.store) or not run.run_id:
        return ""
    try:
        return change(mlflow_client(run.store)) or ""
    except SealpinError as error:
        return error.problem
    except Exception as error:  # MLflow raises what its store does: requests, SQLAlchemy, its own
        return first_line(error)


def promote(run: Run, product: str = "") -> Version:
    """Register a run's best network as a new version, with its weights as artifacts, and call it the candidate.

    It is one of the registered model of its `product` or line: as the dataset's folder is called, unless that is said.
    Raises InputError when the run has no checkpoint or was not evaluated on val, or MLflow does not know it.
    """
    from mlflow.exceptions import MlflowException

    product = product or Path(run.dataset).resolve().name
    if _NO_PRODUCT.search(product):
        raise InputError("MLflow takes no such name", where="--product", found=product, allowed="no / : % or quotes")
    weights = run.weights("best")
    check_whole(weights)
    judged = run.evaluation("val")
    client = mlflow_client(run.store)
    try:
        for file in sorted(weights.parent.glob(f"{weights.name}.*")):
            client.log_artifact(run.run_id, str(file), "weights")
        for name in (run.recipe_path.name, "run.json"):
            client.log_artifact(run.run_id, str(run.folder / name), "weights")
        source = f"{client.get_run(run.run_id).info.artifact_uri}/weights"
        if not client.search_registered_models(f"name = '{product}'"):
            client.create_registered_model(product)
        tags = {"run": run.name, "checkpoint": weights.name, "dataset_digest": run.dataset_digest}
        tags |= run.result()
        tags |= {f"val/{name}": f"{judged['metrics'][name]:.4f}" for name in run.kind.headline}
        version = client.create_model_version(product, source, run.run_id, tags=tags)
        client.set_registered_model_alias(product, CANDIDATE, version.version)
    except MlflowException as error:
        raise InputError(
            "MLflow does not take this run",
            where=run.name,
            found=first_line(error),
            hint=f"sealpin runs sync {run.words}",
        ) from None
    return Version(product, int(version.version))


def deployed(run_id: str, stations: Mapping[str, str]) -> str:
    """Tell MLflow which release of a run's network runs on which stations; its registered version becomes the champion.

    It is its product's `champion` then, and has the alias `on-STATION` for each station.
    A run's tags `deployed.STATION` say what is there now, `deployed_before.STATION` what was, and until when (UTC).
    Returns what MLflow did not take, "" when it took all.
    """
    from mlflow.exceptions import MlflowException

    if not run_id:
        return "this model is of no run that MLflow knows"
    client = mlflow_client(STORE)
    try:
        experiments = [one.experiment_id for one in client.search_experiments()]
        for station, release in stations.items():
            tag = f"deployed.{station}"
            client.set_tag(run_id, tag, release)
            for run in client.search_runs(experiments, f"tags.`{tag}` LIKE '%'"):
                if run.info.run_id != run_id:
                    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                    was = f"{run.data.tags[tag]} until {until}"
                    client.set_tag(run.info.run_id, f"deployed_before.{station}", was)
                    client.delete_tag(run.info.run_id, tag)
        versions = client.search_model_versions(f"run_id = '{run_id}'")
        if not versions:
            return f"its run is not registered: sealpin promote {quote(client.get_run(run_id).info.run_name)}"
        newest = max(versions, key=lambda version: version.creation_timestamp)
        for alias in (CHAMPION, *(f"on-{_NO_ALIAS.sub('-', station)}" for station in stations)):
            client.set_registered_model_alias(newest.name, alias, newest.version)
    except MlflowException as error:
        return first_line(error)
    return ""
