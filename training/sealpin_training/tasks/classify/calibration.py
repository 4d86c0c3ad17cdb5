"""Is a network right as often as it is sure, and how its logits are made so.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; Platt, "Probabilistic Outputs for Support Vector
Machines", 1999.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BINS = 10
TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(10.0), 181))
_LEAST = 1e-7
# Where val says nothing of a class, nothing is added to its logits
_RIDGE = 1e-4


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


def fit_gauge(logits: Floats, truth: npt.NDArray[np.int64], *, balanced: bool, shifted: bool) -> tuple[Floats, float]:
    """By class what is added to logits [photos, classes], and by what all are multiplied then, to be most honest.

    That is where the cross entropy is least, of classes that weigh the same if `balanced`; only where it is `shifted`,
    something is added. Targets are Platt's, short of 1, or photos that are all told rightly would ask for any factor.
    Photos of one class alone say nothing.
    """
    from scipy.optimize import minimize

    photos, classes = logits.shape
    counts = np.bincount(truth, minlength=classes).astype(np.float64)
    if (counts > 0).sum() < 2:
        return np.zeros(classes), 1.0
    own = (counts[truth] + 1) / (counts[truth] + 2)
    targets = np.repeat(((1 - own) / (classes - 1))[:, None], classes, axis=1)
    targets[np.arange(photos), truth] = own
    weights = 1 / counts[truth] if balanced else np.ones(photos)
    targets *= (weights / weights.sum())[:, None]
    spread = max(float(logits.std()), 1e-6)

    def parts(values: Floats) -> tuple[Floats, float]:
        return np.append(0.0, values[1:]) * spread if shifted else np.zeros(classes), float(np.exp(values[0])) / spread

    def loss(values: Floats) -> float:
        shift, factor = parts(values)
        scaled = (logits + shift) * factor
        scaled -= scaled.max(axis=1, keepdims=True)
        told = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-(targets * told).sum() + _RIDGE * (values**2).sum())

    start = np.zeros(classes if shifted else 1)
    return parts(minimize(loss, start, method="Nelder-Mead" if len(start) < 3 else "Powell").x)


def _temperature(probabilities: Floats, truth: npt.NDArray[np.int64]) -> float:
    """Of TEMPERATURES the one with the least cross entropy."""
    logits = np.log(np.maximum(probabilities, _LEAST))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        own = scaled[np.arange(len(truth)), truth]
        return float((np.log(np.exp(scaled).sum(axis=1)) - own).mean())

    return float(min(TEMPERATURES, key=loss))
