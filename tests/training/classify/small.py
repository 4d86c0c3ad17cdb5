"""A recipe of a network so small that its tracing and a test's few steps take seconds: ResNet10, a quarter as wide."""

import re
from pathlib import Path

from tests.commands import call


def write_small_recipe(dataset: Path, out: Path, *words: object) -> None:
    """As `sealpin recipe new DATASET OUT` writes it, 64 pixels, with a smaller backbone."""
    call("recipe", "new", dataset, out, "--model", "resnet50", "--size", 64, "--batch-size", 8, *words)
    small, found = re.subn(r"( +)model_id: 50", r"\1model_id: 10\n\1depth_multiplier: 0.25", out.read_text())
    assert found == 1
    out.write_text(small)
