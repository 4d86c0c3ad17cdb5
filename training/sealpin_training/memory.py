"""Whether a batch will fit into the memory, asked before the system ends the training for it."""

from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.errors import EnvironmentFault, InputError

from .quiet import tensorflow
from .tasks.recipe import Recipe

# Measured on CPU, MobileNetV2 at 320 and 640 with batches of 2 to 32, ResNet50 at 640: bytes that a step needs for each
# number that a layer of the network puts out (3.1 to 3.3: most are not kept), and what everything else takes
BYTES_PER_OUTPUT = 3.4
BASE_BYTES = 1.2e9


def check_memory(recipe: Recipe, model: Any, workers: int) -> float:
    """Bytes that a step on this machine's processor leaves free: decoded photos may be kept in them.

    Each of `workers` machines has its part of the batch. Raises InputError when a step wants more than is free.
    """
    free = free_bytes()
    each = outputs_per_photo(model) * BYTES_PER_OUTPUT
    batch = recipe.batch_size // workers
    needed = BASE_BYTES + batch * each
    if needed > free:
        fits = int((free - BASE_BYTES) // each)
        raise InputError(
            "a batch of this recipe does not fit into the memory",
            where=recipe.words.batch_size,
            found=f"{recipe.batch_size}, which needs {needed / 1e9:.1f} GB here; {free / 1e9:.1f} GB are free",
            allowed=f"at most {fits * workers}" if fits >= 1 else "a smaller input: not even one photo fits",
            advice="lower batch_size, and with it the learning rate; or free memory",
        )
    return free - needed


def too_little_memory(recipe: Recipe, told: str) -> EnvironmentFault:
    """What to say when a step found no memory; `told` is TensorFlow's own line.

    A batch is not to blame for what another program holds of a GPU: how much this one had is told, to compare with
    what the GPU has.
    """
    tf = tensorflow()

    batch = recipe.batch_size
    smaller = f"{batch // 2} needs about half of it" if batch > 1 else "a smaller input"
    lower = f"lower --batch-size, and with it --learning-rate; or {recipe.words.half_precision} in the recipe"
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus or "gpu" not in told.lower():
        return EnvironmentFault(
            "the memory is too small for this batch",
            where=recipe.words.batch_size,
            found=f"{batch}; {told}",
            allowed=smaller,
            advice=lower,
        )
    held = max(tf.config.experimental.get_memory_info(gpu.name.removeprefix("/device:"))["peak"] for gpu in gpus)
    return EnvironmentFault(
        "a GPU has no memory left for this training",
        where=told,
        found=f"this program held at most {held / 1e9:.1f} GB of one, with batch_size {batch}",
        allowed=f"a GPU with nothing else on it; {smaller}",
        advice=f"has the GPU more than that, another program holds the rest: end it. If not, {lower}",
    )


def outputs_per_photo(model: Any) -> int:
    """How many numbers the network's layers put out for one photo."""
    layers = [
        layer
        for part in (getattr(model, name, None) for name in ("backbone", "decoder", "head"))
        for layer in (part.layers if part else ())
        if layer.inbound_nodes
    ]
    shapes = [
        tensor.shape[1:]
        for layer in layers
        for node in layer.inbound_nodes
        for tensor in _flat(node.outputs)
        if tensor.shape.rank == 4
    ]
    return int(sum(np.prod(shape) for shape in shapes))


def free_bytes() -> int:
    """Memory that this process may still take: the machine's, or its control group's if that is less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        most = (group / "memory.max").read_text().strip()
        if most != "max":
            used = int((group / "memory.current").read_text())
            # The group counts files that were read lately, too; the system gives their memory back when it is wanted
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            free = min(free, int(most) - used + int(statistics["inactive_file"]) + int(statistics["active_file"]))
    except (OSError, ValueError, KeyError):
        pass  # no such group: the machine's memory counts
    return free


def _flat(outputs: Any) -> list[Any]:
    return list(outputs.values()) if isinstance(outputs, dict) else outputs if isinstance(outputs, list) else [outputs]
