"""What will not work as a recipe says: `sealpin recipe check` tells it before anything else."""

from pathlib import Path

from ....start import start_problems
from ...recipe import Problem
from .recipe import Recipe


def problems(recipe: Recipe, path: Path) -> list[Problem]:
    """What training cannot follow, weights that are nowhere, and a frozen backbone that has learned nothing."""
    found = [
        Problem(one.field, one.found, f"not followed: {one.instead}", "not followed") for one in recipe.differences
    ]
    found += start_problems("task.init_checkpoint", recipe.start_from, path.parent)
    if recipe.experiment.task.freeze_backbone and not recipe.start_from:
        found.append(
            Problem(
                "task.freeze_backbone",
                "true",
                "the backbone's weights are random, and stay so",
                advice="name weights: task.init_checkpoint, or sealpin train ... --start-from",
            )
        )
    return found
