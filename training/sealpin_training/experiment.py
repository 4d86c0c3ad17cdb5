"""A recipe as a TF-Vision experiment: what its trainer and runtime need to know.

Network, input, losses and optimiser come from the recipe through task.py.
"""

from typing import Any

from .quiet import tensorflow
from .tasks.detect.recipe import Recipe
from .tasks.detect.recipe.schema.pipeline import MixedPrecision

_PRECISION = {MixedPrecision.BFLOAT16: "bfloat16", MixedPrecision.FLOAT16: "float16"}
CHECKPOINTS_KEPT = 2


def experiment_config(recipe: Recipe, *, steps_per_loop: int, checkpoint_interval: int) -> Any:
    """Configuration for `run_experiment`: metrics every `steps_per_loop` steps, state every `checkpoint_interval`."""
    from official.core import config_definitions as cfg
    from official.vision.configs import retinanet

    return cfg.ExperimentConfig(
        runtime=cfg.RuntimeConfig(
            mixed_precision_dtype=_PRECISION.get(recipe.train.mixed_precision),
            enable_xla=recipe.train.use_xla,
            num_gpus=len(tensorflow().config.list_physical_devices("GPU")),  # without one, XLA would be left out
        ),
        task=retinanet.RetinaNetTask(
            train_data=retinanet.DataConfig(is_training=True, global_batch_size=recipe.train.batch_size),
            validation_data=retinanet.DataConfig(is_training=False),
        ),
        trainer=cfg.TrainerConfig(
            train_steps=recipe.train.num_steps,
            steps_per_loop=steps_per_loop,
            summary_interval=steps_per_loop,
            checkpoint_interval=checkpoint_interval,
            max_to_keep=CHECKPOINTS_KEPT,
            train_tf_while_loop=False,  # a step called from Python is a tenth faster on CPU than one in tf.while_loop
        ),
    )
