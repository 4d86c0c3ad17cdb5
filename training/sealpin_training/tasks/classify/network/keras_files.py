"""Keras's weight files as tensors by kind of layer, in the order in which photos pass the layers.

Two formats: `.weights.h5`, whose groups `layers/conv2d_7/vars/0` are numbered in the order of the layers of a class,
and the older one of tf_keras.applications' own downloads, whose attribute `layer_names` has the order.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.errors import InputError

Tensor = npt.NDArray[np.float32]
KINDS = ("conv", "depthwise", "norm")


@dataclass(frozen=True)
class Origin:
    """How a network of Keras's was trained: its normalisation's `epsilon`, and what its first convolution takes.

    That is `scale` times our input of -1..1, plus `shift`, for each of red, green and blue.
    """

    epsilon: float
    scale: tuple[float, float, float]
    shift: tuple[float, float, float]


# tf_keras/applications/imagenet_utils.py, mode "torch": what EfficientNet's own normalisation layer does
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KERAS: Mapping[str, Origin] = {
    "MobileNetV2": Origin(1e-3, (1.0,) * 3, (0.0,) * 3),
    # (x - 127) / 128: tensorflow/tpu/models/official/efficientnet/lite
    "EfficientNet-Lite0": Origin(1e-3, (127.5 / 128,) * 3, (0.5 / 128,) * 3),
    "EfficientNet-B0": Origin(
        1e-3,
        (0.5 / _STD[0], 0.5 / _STD[1], 0.5 / _STD[2]),
        ((0.5 - _MEAN[0]) / _STD[0], (0.5 - _MEAN[1]) / _STD[1], (0.5 - _MEAN[2]) / _STD[2]),
    ),
}
"""By the backbone's name: those whose files can be read."""


def read_keras(path: Path) -> dict[str, list[list[Tensor]]]:
    """Each layer's tensors, by KINDS. Raises InputError when it is no file of Keras's."""
    import h5py

    try:
        with h5py.File(path) as file:
            layers = _numbered(file) if "layers" in file else _named(file)
            return {kind: [values for found, values in layers if found == kind] for kind in KINDS}
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            "these are no Keras weights", where=str(path), found=str(error)[:120], allowed="a .weights.h5 or .h5 file"
        ) from None


def in_our_input(kernel: Tensor, norm: Sequence[Tensor], origin: Origin) -> tuple[Tensor, list[Tensor]]:
    """A first convolution [rows, columns, 3, out] and the normalisation behind it, for input of -1..1.

    At the photo's edge, where zeros are padded, the result is another by what `shift` would have been there.
    """
    gamma, beta, mean, variance = norm
    shift = (kernel * np.array(origin.shift, np.float32)[:, None]).sum(axis=(0, 1, 2))
    scaled = kernel * np.array(origin.scale, np.float32)[:, None]
    return scaled.astype(np.float32), [gamma, beta, (mean - shift).astype(np.float32), variance]


def _numbered(file: Any) -> list[tuple[str, list[Tensor]]]:
    found: list[tuple[str, int, list[Tensor]]] = []
    for name, group in file["layers"].items():
        base, number = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()  # type: ignore[union-attr]
        kind = {"conv2d": "conv", "depthwise_conv2d": "depthwise", "batch_normalization": "norm"}.get(base, "")
        if kind and len(group["vars"]):
            values = [np.asarray(group["vars"][key], np.float32) for key in sorted(group["vars"], key=int)]
            found.append((kind, int(number or 0), values))
    return [(kind, values) for kind, _, values in sorted(found, key=lambda one: one[:2])]


def _named(file: Any) -> list[tuple[str, list[Tensor]]]:
    root = file.get("model_weights", file)
    found = []
    for name in root.attrs["layer_names"]:
        group = root[name]
        names = [str(one.decode() if isinstance(one, bytes) else one) for one in group.attrs["weight_names"]]
        values = [np.asarray(group[one], np.float32) for one in names]
        if any("gamma" in one for one in names):
            found.append(("norm", values))
        elif values and values[0].ndim == 4:
            found.append(("depthwise" if "depthwise" in names[0] else "conv", values))
    return found
