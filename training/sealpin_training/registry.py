"""MLflow's model registry: which run's network is to go on to the line."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sealpin_edge.errors import InputError, quote

from .run import STORE, Run
from .tracking import first_line, mlflow_client

MODEL = "sealpin"
CANDIDATE = "candidate"
CHAMPION = "champion"


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    model: str
    number: int


def promote(run: Run) -> Version:
    """Register a run's best network as a new version, with its weights as artifacts, and call it the candidate.

    Raises InputError when the run has no checkpoint or was not evaluated on val, or MLflow does not know it.
    """
    from mlflow.exceptions import MlflowException

    weights = run.weights("best")
    judged = run.evaluation("val")
    client = mlflow_client(STORE)
    try:
        for file in sorted(weights.parent.glob(f"{weights.name}.*")):
            client.log_artifact(run.run_id, str(file), "weights")
        for name in ("recipe.config", "run.json"):
            client.log_artifact(run.run_id, str(run.folder / name), "weights")
        source = f"{client.get_run(run.run_id).info.artifact_uri}/weights"
        if not client.search_registered_models(f"name = '{MODEL}'"):
            client.create_registered_model(MODEL)
        tags = {"run": run.name, "checkpoint": weights.name, "dataset_digest": run.dataset_digest}
        tags |= {f"val/{name}": f"{judged['metrics'][name]:.4f}" for name in ("AP", "AP50")}
        version = client.create_model_version(MODEL, source, run.run_id, tags=tags)
        client.set_registered_model_alias(MODEL, CANDIDATE, version.version)
    except MlflowException as error:
        raise InputError(
            "MLflow does not take this run",
            where=run.name,
            found=first_line(error),
            hint=f"sealpin runs sync {quote(run.name)}",
        ) from None
    return Version(MODEL, int(version.version))


def deployed(run_id: str, stations: Mapping[str, str]) -> str:
    """Tell MLflow which release of a run's network runs on which stations; its registered version becomes the champion.

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
        newest = max(versions, key=lambda version: int(version.version))
        client.set_registered_model_alias(newest.name, CHAMPION, newest.version)
    except MlflowException as error:
        return first_line(error)
    return ""
