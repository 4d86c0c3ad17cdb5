"""Two workers on loopback train as one does: TensorFlow's own engine, real processes, real sockets."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sealpin_simulation.servers import free_port
from sealpin_training.dataset.manifest import Dataset
from sealpin_training.run import State, load_run
from sealpin_training.tracking import read_metrics
from sealpin_training.train import Options, train

from .conftest import small_recipe
from .shallow import PROGRAM, environment

pytestmark = pytest.mark.usefixtures("shallow_networks")
# Plain momentum at a small rate: Adam's first steps would blow up float32's last digit
MOMENTUM = (
    ("    adam_optimizer {", "    momentum_optimizer {"),
    ("      epsilon: 1e-7\n", ""),
    ("learning_rate_base: 0.008", "learning_rate_base: 0.002"),
    ("num_steps: 8", "num_steps: 4"),
    ("total_steps: 8", "total_steps: 4"),
)


def losses(name: str) -> tuple[list[int], list[float]]:
    entries = [e for e in read_metrics(load_run(name).metrics_log) if "train/model_loss" in e["metrics"]]
    return [e["step"] for e in entries], [e["metrics"]["train/model_loss"] for e in entries]


def test_two_workers_have_the_loss_curve_of_one(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = small_recipe(tmp_path, *MOMENTUM)
    train(recipe, dataset.folder, "one", Options(evaluate_every=4), print)
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    words = [*PROGRAM, "train", recipe, "--dataset", dataset.folder, "--run", "two", "--evaluate-every", "4"]
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        told = environment(TF_CONFIG=json.dumps(config))
        workers.append(subprocess.Popen(words, env=told, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    printed = [worker.communicate(timeout=400)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(printed)
    steps, alone = losses("one")
    assert losses("two")[0] == steps
    np.testing.assert_allclose(losses("two")[1][0], alone[0], rtol=1e-5)
    np.testing.assert_allclose(losses("two")[1], alone, rtol=2e-2)  # rounding grows with every step
    assert State.load(load_run("two")).status == "finished"
    assert load_run("two").weights("best").with_suffix(".index").exists()
