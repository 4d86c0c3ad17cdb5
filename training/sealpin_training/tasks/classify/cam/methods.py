"""Heat maps of where a classifier looked: for what, and against what else, a place spoke.

What is explained is the difference of two logits, those of a class and of the likeliest other: what the station's map
shows too, and what a network of one unit has for both of its classes.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from sealpin_edge.model.photo import Photo
from sealpin_edge.tasks.finding import HeatMap

from ....run import Run
from ....tf import tf
from ..network.model import head_maps, preprocess, scores
from ..recipe import Recipe


def _cam(maps: Any, features: Any, gradient: Any) -> Any:
    """Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016: exact for the logits."""
    return maps


def _grad_cam(maps: Any, features: Any, gradient: Any) -> Any:
    """Selvaraju et al., "Grad-CAM", ICCV 2017: channels weigh what their gradients are on average."""
    return tf.reduce_sum(tf.reduce_mean(gradient, (0, 1)) * features, -1)


def _grad_cam_pp(maps: Any, features: Any, gradient: Any) -> Any:
    """Chattopadhay et al., "Grad-CAM++", WACV 2018, equation 19, with the exponential's derivatives cancelled."""
    squared = gradient**2
    below = 2 * squared + tf.reduce_sum(features, (0, 1)) * gradient**3
    share = tf.math.divide_no_nan(squared, below)
    return tf.reduce_sum(tf.reduce_sum(share * tf.nn.relu(gradient), (0, 1)) * features, -1)


def _layer_cam(maps: Any, features: Any, gradient: Any) -> Any:
    """Jiang et al., "LayerCAM", IEEE TIP 2021: each place's own gradient weighs it, so that early layers serve too."""
    return tf.reduce_sum(tf.nn.relu(gradient) * features, -1)


METHODS: Mapping[str, Callable[[Any, Any, Any], Any]] = {
    "CAM": _cam,
    "Grad-CAM": _grad_cam,
    "Grad-CAM++": _grad_cam_pp,
    "LayerCAM": _layer_cam,
}
"""By the name in the literature: from the last layer's map, a layer's features, and the logits' gradient by these."""


class Explainer:
    """The best network of a run.

    `layers` are the places in it that gradients can be looked at, from the first to the last; the class activation map
    is the last's alone.
    """

    def __init__(self, run: Run) -> None:
        """Raises InputError when the run has no network."""
        self.recipe = cast(Recipe, run.recipe())
        self._model = run.kind.network(self.recipe, run.weights())
        # Not its output_specs, which lack the last of an EfficientNet
        shapes = {level: output.shape for level, output in sorted(self._model.backbone.output.items())}
        self._levels = {f"{shape[1]}x{shape[2]}": level for level, shape in shapes.items()}
        self.layers = tuple(self._levels)
        self._look = _look(self.recipe, self._model)

    def explain(
        self, photo: Photo, category: int | None = None, layer: str = ""
    ) -> tuple[list[float], dict[str, HeatMap]]:
        """Probabilities of all classes, and a heat map of each of METHODS, from a photo of the network's size.

        Explained is the class of this number, or the likeliest, at one of `layers`, or the last. A map is float32
        [rows, columns] of 0..1; all 0 where no place speaks for the class.
        """
        likely, found = self._look(photo[None], -1 if category is None else category)
        maps = found[self._levels[layer or self.layers[-1]]]
        return likely.numpy().tolist(), {name: _shares(one.numpy()) for name, one in maps.items()}


def _look(recipe: Recipe, model: Any) -> Any:
    """A tf.function from a photo [1, height, width, 3] and a class's number to probabilities, and maps by level."""

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec([1, recipe.height, recipe.width, 3], tf.uint8),
            tf.TensorSpec([], tf.int32),
        ],
        autograph=False,
    )
    def look(photos: Any, category: Any) -> Any:
        inputs = preprocess(photos)
        with tf.GradientTape() as tape:
            tape.watch(inputs)  # or a frozen backbone's layers would not be known
            endpoints = model.backbone(inputs, training=False)
            maps = head_maps(recipe, model, endpoints)
            logits = tf.reduce_mean(maps, (1, 2))[0]
            one = tf.where(category < 0, tf.argmax(logits, output_type=tf.int32), category)
            other = tf.argmax(tf.where(tf.range(logits.shape[0]) == one, -np.inf, logits), output_type=tf.int32)
            target = tf.gather(logits, one) - tf.gather(logits, other)
        gradients = tape.gradient(target, endpoints)
        last = tf.gather(maps[0], one, axis=-1) - tf.gather(maps[0], other, axis=-1)
        return scores(maps)[0], {
            level: {name: method(last, endpoints[level][0], gradients[level][0]) for name, method in METHODS.items()}
            for level in endpoints
        }

    return look


def _shares(heat: Any) -> HeatMap:
    positive = np.maximum(heat, 0.0)
    return np.asarray(positive / max(float(positive.max()), 1e-12), np.float32)
