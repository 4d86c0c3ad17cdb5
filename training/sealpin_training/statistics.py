"""Batch normalisation's means and variances estimated anew for the weights that there are ("precise batch norm").

The moving averages follow with the recipe's decay, and in a short training come too late: the network is judged with
statistics of weights long gone (Wu and Johnson 2021, Rethinking "Batch" in BatchNorm, section 3).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from .tf import tf, tf_keras


class Statistics:
    """Estimates a network's batch normalisation from batches of photos; traced once."""

    def __init__(self, model: Any, strategy: Any) -> None:
        """Every worker of `strategy` must call `renew` at the same time."""
        norms = [layer for layer in model.submodules if isinstance(layer, tf_keras.layers.BatchNormalization)]
        self._norms = [norm for norm in norms if norm.built]  # TF-Vision's blocks make layers that they then do not use

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def forward(photos: Any) -> None:
            strategy.run(lambda: model(photos, training=True))

        self._forward = forward

    def renew(self, batches: Iterable[Any]) -> None:
        """Set means and variances to those over all of `batches`, preprocessed photos [B, H, W, 3] each of one B."""
        momenta = [norm.momentum for norm in self._norms]
        sums = [np.zeros((3, *norm.moving_mean.shape)) for norm in self._norms]
        seen = 0
        try:
            for norm in self._norms:
                norm.momentum = 0.0  # a batch's own statistics are what it leaves behind
            for photos in batches:
                self._forward(photos)
                seen += 1
                for norm, total in zip(self._norms, sums, strict=True):
                    mean, variance = norm.moving_mean.numpy().astype(np.float64), norm.moving_variance.numpy()
                    total += [mean, mean**2, variance]
        finally:
            for norm, momentum in zip(self._norms, momenta, strict=True):
                norm.momentum = momentum
        for norm, total in zip(self._norms, sums, strict=True):
            mean, square, variance = total / seen
            norm.moving_mean.assign(mean)
            norm.moving_variance.assign(variance + square - mean**2)  # within the batches, and between them
