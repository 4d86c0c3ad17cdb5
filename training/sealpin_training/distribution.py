"""What a training runs on: one processor, one GPU, several, or several machines (TF_CONFIG)."""

import json
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from sealpin_edge.errors import InputError

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
    cluster, kind, index = _tf_config()
    return kind == "chief" or ("chief" not in cluster and (kind, index) == ("worker", 0))


def on_all_workers(values: Sequence[int]) -> list[list[int]]:
    """The same numbers from every worker, a list each: what one of them knows and all must act on."""
    if len(_workers()) < 2:
        return [list(values)]
    tf = tensorflow()

    found = strategy().gather(strategy().run(lambda: tf.constant([values], tf.int64)), axis=0)
    return [[int(value) for value in row] for row in found.numpy()]


def worker_count() -> int:
    """How many machines share a batch."""
    return max(1, len(_workers()))


def check_batch(batch: int) -> None:
    """Raise InputError when the devices cannot share a batch evenly."""
    devices = strategy().num_replicas_in_sync
    if batch % devices:
        raise InputError(
            "the devices cannot share this batch evenly",
            where="train_config.batch_size",
            found=f"{batch}, for {devices} devices",
            allowed=f"a multiple of {devices}",
            advice="change batch_size, or show fewer GPUs: CUDA_VISIBLE_DEVICES=0",
        )


def _workers() -> list[str]:
    cluster, _, _ = _tf_config()
    return [*cluster.get("chief", []), *cluster.get("worker", [])]


@cache
def _tf_config() -> tuple[dict[str, list[str]], str, int]:
    """The machines by their role, and this one's role and number. Raises InputError when TF_CONFIG cannot be read."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return {}, "", 0
    try:
        config = json.loads(text)
        cluster = {role: list(addresses) for role, addresses in config["cluster"].items()}
        return cluster, str(config["task"]["type"]), int(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            "this names no workers",
            where="TF_CONFIG",
            found=text[:200],
            allowed='{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}',
            advice="unset TF_CONFIG to train on this machine alone",
        ) from None
