"""A moving average of the network's weights, kept beside them in training: less noisy than any step's own.

It is judged on val too, and the better of the two is kept. A recipe with `use_moving_average` has its own, in its
optimiser, by the Object Detection API's rule; then there is none of these.
"""

from typing import Any

from .tf import tf

# 1 / (1 - decay) steps weigh in. The decay rises to this one as tf.train.ExponentialMovingAverage's with num_updates:
# they are the last tenth of a short training
MOST_DECAY = 0.999


class WeightAverage(tf.Module):  # type: ignore[misc]
    """The averages of a network's variables, batch normalisation's means and variances among them."""

    def __init__(self, model: Any) -> None:
        """Made in the strategy's scope. Every replica keeps its own, equal to the others': no step waits for it."""
        super().__init__()
        self.updates = replicas_own(0, tf.int64)
        self.values = [replicas_own(variable.numpy(), variable.dtype) for variable in model.variables]

    def begin(self, model: Any) -> None:
        """Average from the weights that there are now."""
        self.updates.assign(0)
        for value, variable in zip(self.values, model.variables, strict=True):
            value.assign(variable.numpy())

    def update(self, model: Any) -> None:
        """Take in the weights after a step; part of the step's graph."""
        count = tf.cast(self.updates.assign_add(1), tf.float32)
        share = 1.0 - tf.minimum(MOST_DECAY, (1.0 + count) / (10.0 + count))
        for value, variable in zip(self.values, model.variables, strict=True):
            value.assign_add(share * (variable - value))


def replicas_own(value: Any, dtype: Any, aggregation: Any = tf.VariableAggregation.ONLY_FIRST_REPLICA) -> Any:
    """A variable of which each replica has its own; `aggregation` is what they come to when they are saved."""
    return tf.Variable(
        value,
        trainable=False,
        dtype=dtype,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=aggregation,
    )
