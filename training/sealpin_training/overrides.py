"""What the command line says otherwise than the recipe: steps, epochs, batch size, learning rate."""

from collections.abc import Callable
from math import ceil

from .dataset.manifest import Dataset
from .tasks.recipe import Recipe


def overridden(
    recipe: Recipe,
    dataset: Dataset,
    *,
    batch_size: int | None,
    learning_rate: float | None,
    epochs: int | None,
    steps: int | None,
    tell: Callable[[str], None],
) -> Recipe:
    """The recipe with what is given in its place; `tell` hears of each.

    An epoch is so many batches as it takes to see every training photo once. `learning_rate` is the highest that the
    schedule comes to: its other rates keep their ratio to it. Raises InputError when it cannot be scaled.
    """
    if batch_size and batch_size != recipe.batch_size:
        tell(f"--batch-size {batch_size} overrides the recipe's batch_size, {recipe.batch_size}")
        recipe = recipe.with_batch_size(batch_size)
    if learning_rate:
        highest = recipe.highest_learning_rate
        tell(f"--learning-rate {learning_rate:g} overrides the recipe's {highest:g}: its whole schedule is scaled")
        recipe = recipe.with_learning_rate(learning_rate)
    if epochs:
        photos, batch = dataset.counts["train"], recipe.batch_size
        steps = ceil(epochs * photos / batch)
        told = f"{steps:,} steps of {batch}, with {photos} training photos"
        tell(f"--epochs {epochs} overrides the recipe's num_steps, {recipe.num_steps:,}: {told}")
        recipe = recipe.with_steps(steps)
    elif steps and steps != recipe.num_steps:
        tell(
            f"--steps {steps} overrides the recipe's num_steps, {recipe.num_steps:,}: its schedule is squeezed into it"
        )
        recipe = recipe.with_steps(steps)
    return recipe
