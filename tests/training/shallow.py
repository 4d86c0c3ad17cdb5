"""MobileNetV2 with each of its stages once: TensorFlow traces the whole one again and again, which takes longer than
the few steps of a test. The program with it: python -m tests.training.shallow train ...
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealpin.cli import main

PROGRAM = (sys.executable, "-m", "tests.training.shallow")


def environment(**more: str) -> dict[str, str]:
    """Where PROGRAM is found from any folder."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **more}


@contextmanager
def shallow() -> Iterator[None]:
    """Networks that are built here have 7 blocks instead of 17, and their few steps are not worth Grappler's work."""
    from sealpin_training.tasks.detect.network import backbones
    from sealpin_training.tf import tf

    stages: dict[int, tuple[int, int, int]] = {}
    for block in backbones._INVERTED_RESIDUALS:
        stages.setdefault(block[1], block)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(backbones, "_INVERTED_RESIDUALS", tuple(stages.values()))
        patched.setattr(backbones, "_MOBILENET_LEVELS", {1: 2, 2: 3, 4: 4})
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        yield
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


if __name__ == "__main__":
    with shallow():
        main()
