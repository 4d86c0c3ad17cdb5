"""A recipe as a TF-Vision experiment: what its trainer and runtime need to know.

Network, input, losses and optimiser come from the recipe through the task's loop.
"""

from typing import Any

from .quiet import tensorflow
from .tasks.recipe import Recipe

CHECKPOINTS_KEPT = 2


def experiment_config(recipe: Recipe, task: Any, *, steps_per_loop: int, checkpoint_interval: int) -> Any:
    """Its trainer's configuration, with a `task`'s own part.

    Metrics come every `steps_per_loop` steps, the state is saved every `checkpoint_interval`.
    """
    from official.core import config_definitions as cfg

    return cfg.ExperimentConfig(
        runtime=cfg.RuntimeConfig(
            mixed_precision_dtype=recipe.precision.removeprefix("mixed_") if recipe.precision != "float32" else None,
            enable_xla=recipe.use_xla,
            num_gpus=len(tensorflow().config.list_physical_devices("GPU")),  # without one, XLA would be left out
        ),
        task=task,
        trainer=cfg.TrainerConfig(
            train_steps=recipe.num_steps,
            steps_per_loop=steps_per_loop,
            summary_interval=steps_per_loop,
            checkpoint_interval=checkpoint_interval,
            max_to_keep=CHECKPOINTS_KEPT,
            train_tf_while_loop=False,  # a step called from Python is a tenth faster on CPU than one in tf.while_loop
        ),
    )
