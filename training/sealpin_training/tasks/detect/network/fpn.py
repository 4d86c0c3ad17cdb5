"""The feature pyramid, as the Object Detection API builds it (object_detection/models/feature_map_generators.py).

The top level is a bare projection. Each level below adds the level above, *smoothed and activated*, to its own
projection; the levels above the backbone's last are made from the top one, each after normalisation and activation.
Layers are named as the API's checkpoints call them.
"""

from typing import Any

from ....tf import tf_keras
from ..recipe import Recipe
from .layers import Doubled, Layers


def build_fpn(recipe: Recipe, features: dict[str, Any], *, synchronized: bool = False) -> Any:
    """The recipe's pyramid over the backbone's features {"level": shape}; returns {"level": [B, h, w, depth]}."""
    layers = Layers.of(
        recipe.hyperparams,
        frozen=recipe.ssd.freeze_batchnorm,
        synchronized=synchronized,
        explicit_padding=recipe.extractor.use_explicit_padding,
    )
    depth = max(int(recipe.fpn.additional_layer_depth * recipe.extractor.depth_multiplier), recipe.extractor.min_depth)
    make = layers.separable if recipe.extractor.use_depthwise else layers.conv

    first = 1 if layers.explicit_padding else 0  # the API counts the padding as a layer

    def block(x: Any, name: str, stride: int = 1) -> Any:
        x = make(depth, 3, f"{name}/{first}", stride=stride)(layers.pad(x, 3))
        return layers.activate(layers.normalise(x, f"{name}/{first + 1}"))

    inputs = {level: tf_keras.Input(shape[1:]) for level, shape in features.items()}
    low, top, high = recipe.fpn.min_level, min(recipe.fpn.max_level, 5), recipe.fpn.max_level
    found = {top: layers.conv(depth, 1, "fpn_features_generator/top_layers/0", bias=True)(inputs[str(top)])}
    for number, level in enumerate(range(top - 1, low - 1, -1)):
        own = layers.conv(depth, 1, f"fpn_features_generator/residual_blocks/{number}/0", bias=True)(inputs[str(level)])
        above = Doubled()(found[level + 1])
        found[level] = block(own + above, f"fpn_features_generator/conv_layers/{number}")
    for number, level in enumerate(range(top + 1, high + 1)):
        found[level] = block(found[level - 1], f"coarse_feature_layers/{number}", stride=2)
    return tf_keras.Model(inputs, {str(level): found[level] for level in range(low, high + 1)}, name="fpn")
