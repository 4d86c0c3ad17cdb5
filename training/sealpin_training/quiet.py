"""TensorFlow without its start-up notes: a user's terminal is for what the user should know."""

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sealpin_edge.errors import in_words


def ask_for_onednn() -> None:
    """Have TensorFlow use oneDNN, which it does by itself on Intel's newer processors alone; before it is loaded.

    On AMD's, a training step takes less than half of the time with it, and a single photo fifty times as long, so that
    only training wants it.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what native code prints to standard error; Python exceptions are not affected."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def reason(error: Exception) -> str:
    """What one of TensorFlow's errors says, in a line, without where in the graph it arose."""
    lines = [line.strip() for line in str(error).splitlines()]
    place = ("Graph execution error", "Detected at", "File ", "Node:", "[[", "Hint:", "(most recent")
    told = [line for line in lines if line and not line.startswith(place)]
    return told[0] if told else in_words(error)


@cache
def tensorflow() -> Any:
    """Import TensorFlow and return it. Whoever uses it first, or something built on it, calls this first."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow would take all of every GPU at once, so that no second program finds room
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    # TF-Vision is built on Keras 2; without this Keras 3 is loaded as well, for a second
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    # TF-Vision hands the FPN's whole dictionary to a head that wants some of its levels
    warnings.filterwarnings("ignore", "Input dict contained keys", UserWarning)
    # Its modules are a million objects that stay: to look them all over again and again is a sixth of a command
    gc.disable()
    with quiet_stderr():
        import tensorflow as tf
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tf.get_logger().setLevel("ERROR")  # it warns of blocks above the last FPN level, which nothing uses
    return tf
