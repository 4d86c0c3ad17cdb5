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
    advice = "name weights: task.init_checkpoint, or sealpin train ... --start-from"
    started = recipe.start_from not in ("", "scratch")
    if recipe.experiment.task.freeze_backbone and not started:
        told = "the backbone's weights are random, and stay so"
        found.append(Problem("task.freeze_backbone", "true", told, advice=advice))
    elif recipe.frozen_normalisation and not started:
        told = "the backbone's normalisation has learned nothing, and stays so"
        found.append(Problem("sealpin.frozen_normalisation", "true", told, advice=advice))
    return found
