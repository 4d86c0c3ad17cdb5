"""A recipe's learning rate and optimiser, as the Object Detection API has them (utils/learning_schedules.py)."""

from math import pi
from typing import Any

from ...tf import tf, tf_keras
from .recipe import Recipe, Schedule
from .recipe.schema import pipeline


class LearningRate(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate at a step, counted from 0."""

    def __init__(self, schedule: Schedule) -> None:
        """`schedule` is one of the recipe's learning_rate messages."""
        super().__init__()
        self._schedule = schedule

    def __call__(self, step: Any) -> Any:
        """The rate before the step is taken, float32."""
        formulas: dict[type, Any] = {
            pipeline.ConstantLearningRate: _constant,
            pipeline.ExponentialDecayLearningRate: _exponential,
            pipeline.ManualStepLearningRate: _manual,
            pipeline.CosineDecayLearningRate: _cosine,
        }
        return formulas[type(self._schedule)](self._schedule, tf.cast(step, tf.float32))

    def get_config(self) -> dict[str, Any]:
        """Keras's way to write it down; only its name is ever read."""
        return {"schedule": type(self._schedule).__name__}


def build_optimizer(recipe: Recipe) -> Any:
    """The recipe's optimiser with its schedule, gradient clipping and moving average, made by TF-Vision's factory."""
    from official.modeling import optimization

    clip = recipe.train.gradient_clipping_by_norm or None
    chosen = recipe.optimizer
    if isinstance(chosen, pipeline.AdamOptimizer):
        kind = {"type": "adam", "adam": {"epsilon": chosen.epsilon, "global_clipnorm": clip}}
    elif isinstance(chosen, pipeline.RMSPropOptimizer):
        values = {"rho": chosen.decay, "momentum": chosen.momentum_optimizer_value, "epsilon": chosen.epsilon}
        kind = {"type": "rmsprop", "rmsprop": {**values, "global_clipnorm": clip}}
    else:
        kind = {"type": "sgd", "sgd": {"momentum": chosen.momentum_optimizer_value, "global_clipnorm": clip}}
    # The factory wants a schedule of its own kinds; what it is given when it builds is the recipe's
    config: dict[str, Any] = {"optimizer": kind, "learning_rate": {"type": "constant"}}
    holder = recipe.train.optimizer
    if holder and holder.use_moving_average:
        config["ema"] = {"average_decay": holder.moving_average_decay}
    factory = optimization.OptimizerFactory(optimization.OptimizationConfig(config))
    return factory.build_optimizer(LearningRate(recipe.schedule))


def _constant(rate: pipeline.ConstantLearningRate, step: Any) -> Any:
    return tf.constant(rate.learning_rate, tf.float32)


def _exponential(rate: pipeline.ExponentialDecayLearningRate, step: Any) -> Any:
    powers = (step - rate.burnin_steps) / rate.decay_steps
    decayed = rate.initial_learning_rate * rate.decay_factor ** (tf.floor(powers) if rate.staircase else powers)
    burnin = rate.burnin_learning_rate or rate.initial_learning_rate
    return tf.maximum(tf.where(step < rate.burnin_steps, burnin, decayed), rate.min_learning_rate)


def _manual(rate: pipeline.ManualStepLearningRate, step: Any) -> Any:
    boundaries = [float(one.step) for one in rate.schedule]
    rates = [rate.initial_learning_rate, *(one.learning_rate for one in rate.schedule)]
    stepped = tf.gather(tf.constant(rates, tf.float32), tf.searchsorted(boundaries, step[None], side="right")[0])
    if not rate.warmup:
        return stepped
    rising = rates[0] + (rates[1] - rates[0]) / boundaries[0] * step
    return tf.where(step < boundaries[0], rising, stepped)


def _cosine(rate: pipeline.CosineDecayLearningRate, step: Any) -> Any:
    before = rate.warmup_steps + rate.hold_base_rate_steps
    falling = rate.learning_rate_base / 2 * (1 + tf.cos(pi * (step - before) / (rate.total_steps - before)))
    found = tf.where(step > before, falling, rate.learning_rate_base)
    if rate.warmup_steps:
        slope = (rate.learning_rate_base - rate.warmup_learning_rate) / rate.warmup_steps
        found = tf.where(step < rate.warmup_steps, rate.warmup_learning_rate + slope * step, found)
    return tf.where(step > rate.total_steps, 0.0, found)
