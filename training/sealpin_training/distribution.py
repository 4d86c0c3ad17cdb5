"""What a training runs on: one processor, one GPU, several, or several machines (TF_CONFIG)."""

import json
import os
from functools import cache
from typing import Any

from .quiet import tensorflow


@cache
def strategy() -> Any:
    """MultiWorkerMirroredStrategy where TF_CONFIG names workers, MirroredStrategy for several GPUs, else one device."""
    tf = tensorflow()

    if len(_workers()) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief() -> bool:
    """Whether this process writes the run: the only one, or the first worker."""
    if len(_workers()) < 2:
        return True
    task = json.loads(os.environ["TF_CONFIG"])["task"]
    return bool(task["type"] == "chief" or (task["type"] == "worker" and task["index"] == 0))


def _workers() -> list[str]:
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    return [*cluster.get("chief", []), *cluster.get("worker", [])]
