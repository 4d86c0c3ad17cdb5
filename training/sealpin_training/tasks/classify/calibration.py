"""Is a network right as often as it is sure? Guo et al., "On Calibration of Modern Neural Networks", ICML 2017."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BINS = 10
TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(10.0), 181))
_LEAST = 1e-7


@dataclass(frozen=True)
class Calibration:
    """By bins of the likeliest class's probability: its mean, how often it was right, and how many photos.

    `error` is the expected calibration error, 0..1: the bins' mean difference, weighed by photos. `temperature` is what
    the logits would have to be divided by to be most honest; above 1, the network is too sure.
    """

    sure: tuple[float, ...]
    right: tuple[float, ...]
    photos: tuple[int, ...]
    error: float
    temperature: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sure": [round(one, 4) for one in self.sure],
            "right": [round(one, 4) for one in self.right],
            "photos": list(self.photos),
            "error": round(self.error, 4),
            "temperature": round(self.temperature, 3),
        }


def calibrate(probabilities: Floats, truth: npt.NDArray[np.int64]) -> Calibration:
    """From probabilities [photos, classes] and each photo's class [photos]."""
    if not len(truth):
        return Calibration((), (), (), -1.0, 1.0)
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    filled = [place for place in range(BINS) if (bins == place).any()]
    means = tuple(float(sure[bins == place].mean()) for place in filled)
    shares = tuple(float(right[bins == place].mean()) for place in filled)
    photos = tuple(int((bins == place).sum()) for place in filled)
    error = sum(abs(a - b) * n for a, b, n in zip(means, shares, photos, strict=True)) / len(truth)
    return Calibration(means, shares, photos, float(error), _temperature(probabilities, truth))


def _temperature(probabilities: Floats, truth: npt.NDArray[np.int64]) -> float:
    """Of TEMPERATURES the one with the least cross entropy."""
    logits = np.log(np.maximum(probabilities, _LEAST))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        own = scaled[np.arange(len(truth)), truth]
        return float((np.log(np.exp(scaled).sum(axis=1)) - own).mean())

    return float(min(TEMPERATURES, key=loss))
