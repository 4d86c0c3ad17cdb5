"""What will not work as a recipe says: `sealpin recipe check` tells it before anything else."""

from math import cos, floor, pi
from pathlib import Path

from ....start import start_problems
from ...recipe import Problem
from . import Recipe, Schedule
from .recipe import fitting_decay
from .schema import pipeline

# Of its highest value: what a learning rate must have fallen below when training ends, or it did not fall
FALLEN = 0.5


def problems(recipe: Recipe, path: Path) -> list[Problem]:
    """What training cannot follow, weights that are nowhere, what does not fall or does not follow in time."""
    found = [
        Problem(one.field, one.found, f"not followed: {one.instead}", "not followed") for one in recipe.differences
    ]
    return (
        found
        + start_problems("train_config.fine_tune_checkpoint", recipe.start_from, path.parent)
        + _schedule(recipe)
        + slow_norms(recipe)
    )


def _schedule(recipe: Recipe) -> list[Problem]:
    steps, share = recipe.train.num_steps, last_share(recipe.schedule, recipe.train.num_steps)
    if share < FALLEN:
        return []
    told = "never falls" if share == 1 else f"is still at {share:.0%} of its highest"
    return [
        Problem(
            "train_config.num_steps",
            str(steps),
            f"the learning rate {told} when training ends",
            advice="let the schedule end with num_steps: a network is best when its rate has come down",
        )
    ]


def slow_norms(recipe: Recipe) -> list[Problem]:
    """Batch normalisation whose moving averages have not followed when training ends, and are not estimated anew."""
    steps = recipe.train.num_steps
    if recipe.train.precise_batch_norm or not recipe.norms_lag(steps):
        return []
    return [
        Problem(
            "batch_norm.decay",
            f"{recipe.norm_decay:g}",
            f"too slow for {steps:,} steps: the network is judged with statistics of weights long gone, and will look"
            " worse than it is",
            advice="set precise_batch_norm: true in train_config, which estimates them anew, or"
            f" batch_norm {{ decay: {fitting_decay(steps):g} }}",
        )
    ]


def last_share(schedule: Schedule, steps: int) -> float:
    """The learning rate of the last of so many steps, as a share of the highest one, 0..1; 1 while it rises."""
    last = steps - 1
    if isinstance(schedule, pipeline.ExponentialDecayLearningRate):
        powers = max(0.0, (last - schedule.burnin_steps) / schedule.decay_steps)
        share = schedule.decay_factor ** (floor(powers) if schedule.staircase else powers)
        return float(max(share, schedule.min_learning_rate / schedule.initial_learning_rate))
    if isinstance(schedule, pipeline.ManualStepLearningRate):
        rates = [schedule.initial_learning_rate]
        rates += [one.learning_rate for one in schedule.schedule if one.step <= last]
        return float(rates[-1] / max(rates))
    if isinstance(schedule, pipeline.CosineDecayLearningRate):
        before = schedule.warmup_steps + schedule.hold_base_rate_steps
        return (1 + cos(pi * max(0, last - before) / (schedule.total_steps - before))) / 2
    return 1.0
