"""TensorFlow checkpoints in a folder: which of them are whole, and which is the newest of these.

A power cut leaves files that are too short, empty or missing, an old disk leaves flipped bits. TensorFlow keeps a
CRC-32C of every tensor and of every block of the index, and checks them as it reads: what can be read to its end is
whole (tensorflow/core/util/tensor_bundle/tensor_bundle.h).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError

from .quiet import reason, tensorflow

_FILE = re.compile(r"ckpt-(\d+)(\.index|\.data-\d{5}-of-\d{5})")
_ASIDE = "damaged_"


@dataclass(frozen=True)
class Found:
    """The newest whole checkpoint of a folder (`.../ckpt-N`), and why each newer one is none, newest first."""

    newest: Path | None
    damaged: Mapping[str, str]

    @property
    def step(self) -> int:
        """Training step of the newest whole one; 0 when there is none."""
        return int(self.newest.name.rpartition("-")[2]) if self.newest else 0


def checkpoint_prefix(path: Path) -> Path:
    """The name that TensorFlow has for the checkpoint that one of its files belongs to: without .index or .data-..."""
    return path.with_name(re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path.name))


def steps_saved(folder: Path) -> list[int]:
    """Steps of which a folder has a checkpoint's files, newest first; whether they are whole is not looked at."""
    named = (_FILE.fullmatch(file.name) for file in folder.glob("ckpt-*"))
    return sorted({int(match[1]) for match in named if match}, reverse=True)


def has_state(run: Path) -> bool:
    """Whether a run's folder has any checkpoint, of its state or of weights."""
    return any(run.glob("*/ckpt-*.index"))


def damage(checkpoint: Path) -> str:
    """Why a checkpoint cannot be read; "" when every tensor of it can."""
    tf = tensorflow()
    if not checkpoint.with_name(f"{checkpoint.name}.index").exists():
        return "its .index is missing"
    try:
        reader = tf.train.load_checkpoint(str(checkpoint))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except IndexError:  # what TensorFlow's "out of range" becomes
        return "its data are cut off"
    except (tf.errors.OpError, ValueError, RuntimeError, MemoryError) as error:
        return reason(error)
    return ""


def check_whole(checkpoint: Path) -> None:
    """Raise InputError when a checkpoint is damaged."""
    if found := damage(checkpoint):
        raise InputError(
            "this checkpoint is damaged",
            where=str(checkpoint),
            found=found,
            advice="put a copy of its files back, or take another checkpoint",
        )


def restore(model: Any, checkpoint: Path) -> int:
    """Load a checkpoint (`.../ckpt-N`) into the network; returns its training step.

    Raises InputError when it is gone, damaged, or holds another network.
    """
    if checkpoint.with_name(f"{checkpoint.name}.index").exists():
        check_whole(checkpoint)
    tf = tensorflow()

    step = tf.Variable(0, dtype=tf.int64)
    try:
        status = tf.train.Checkpoint(model=model, global_step=step).read(str(checkpoint))
        status.assert_existing_objects_matched().expect_partial()
    except tf.errors.NotFoundError:
        raise InputError("there is no such checkpoint", where=str(checkpoint), hint="sealpin runs list") from None
    except (AssertionError, ValueError) as error:
        raise InputError(
            "the checkpoint is of another network than the recipe's",
            where=str(checkpoint),
            found=str(error).splitlines()[0],
        ) from None
    return int(step.numpy())


def newest_whole(folder: Path) -> Found:
    """Look for the newest whole checkpoint of a folder, from the newest on."""
    damaged: dict[str, str] = {}
    for step in steps_saved(folder):
        path = folder / f"ckpt-{step}"
        why = damage(path)
        if not why:
            return Found(path, damaged)
        damaged[path.name] = why
    return Found(None, damaged)


def set_aside(folder: Path, found: Found) -> None:
    """Rename the damaged checkpoints, and make the whole ones those that TensorFlow's checkpoint manager knows of."""
    if not found.newest:
        (folder / "checkpoint").unlink(missing_ok=True)  # the list, which would have TensorFlow read a damaged one
        return
    for name in found.damaged:
        for file in folder.glob(f"{name}.*"):
            os.replace(file, folder / f"{_ASIDE}{file.name}")
    kept = [str(folder.resolve() / f"ckpt-{step}") for step in reversed(steps_saved(folder))]
    # TensorFlow 2 has it for its own checkpoint manager alone
    write_list = tensorflow().compat.v1.train.update_checkpoint_state
    write_list(str(folder.resolve()), kept[-1], all_model_checkpoint_paths=kept)
