"""The recipes' backbones, as the Object Detection API builds them: MobileNetV2 and ResNet50 V1.

Both return features by level: level n has 1/2**n of the photo's side. Layer order is Keras's own, since the API's
checkpoints number the layers in it (object_detection/models/keras_models/{mobilenet_v2,resnet_v1}.py).
"""

from dataclasses import replace
from typing import Any

from ....tf import tf, tf_keras
from ..recipe import Recipe
from ..recipe.recipe import BACKBONE_DECAYS
from ..recipe.schema.layers import (
    Activation,
    BatchNorm,
    Hyperparams,
    Initializer,
    L2Regularizer,
    NormalInitializer,
    Regularizer,
    VarianceScalingInitializer,
)
from .layers import Layers

# Expansion, filters, stride of the inverted residual blocks (Sandler et al. 2018, table 2)
_INVERTED_RESIDUALS = (
    (1, 16, 1),
    *((6, 24, stride) for stride in (2, 1)),
    *((6, 32, stride) for stride in (2, 1, 1)),
    *((6, 64, stride) for stride in (2, 1, 1, 1)),
    *((6, 96, stride) for stride in (1, 1, 1)),
    *((6, 160, stride) for stride in (2, 1, 1)),
    (6, 320, 1),
)
_MOBILENET_LEVELS = {2: 2, 5: 3, 12: 4}  # block -> level; level 5 comes after the last convolution
# Filters and number of the bottleneck blocks (He et al. 2015, table 1)
_BOTTLENECKS = ((64, 3), (128, 4), (256, 6), (512, 3))

# What the API gives a backbone that override_base_feature_extractor_hyperparams leaves alone
_MOBILENET_STYLE = Hyperparams(
    regularizer=Regularizer(l2_regularizer=L2Regularizer(0.00004)),
    initializer=Initializer(truncated_normal_initializer=NormalInitializer(0.0, 0.09)),
    activation=Activation.RELU_6,
    batch_norm=BatchNorm(decay=BACKBONE_DECAYS["MobileNetV2"], scale=True, epsilon=0.001),
)
_RESNET_STYLE = Hyperparams(
    regularizer=Regularizer(l2_regularizer=L2Regularizer(0.0002)),  # Keras's 0.0001, in TensorFlow 1's measure
    initializer=Initializer(variance_scaling_initializer=VarianceScalingInitializer(factor=1.0)),
    activation=Activation.RELU,
    batch_norm=BatchNorm(decay=BACKBONE_DECAYS["ResNet50"], scale=True, epsilon=1e-5),
)


def build_backbone(recipe: Recipe, *, synchronized: bool = False) -> Any:
    """The recipe's backbone, randomly initialised: photos [B, height, width, 3] to {"2": ..., "5": features}."""
    make, style = {
        "MobileNetV2": (_mobilenet_v2, _MOBILENET_STYLE),
        "ResNet50": (_resnet50_v1, _RESNET_STYLE),
    }[recipe.backbone]
    layers = Layers.of(
        recipe.hyperparams if recipe.extractor.override_base_feature_extractor_hyperparams else style,
        frozen=recipe.ssd.freeze_batchnorm,
        synchronized=synchronized,
        explicit_padding=recipe.extractor.use_explicit_padding,
    )
    photos = tf_keras.Input([recipe.resizer.height, recipe.resizer.width, 3])
    features = make(photos, layers, recipe.extractor.depth_multiplier, recipe.extractor.min_depth)
    model = tf_keras.Model(photos, {str(level): tensor for level, tensor in features.items()}, name=recipe.backbone)
    model.output_specs = {level: tensor.shape for level, tensor in model.output.items()}
    return model


def _mobilenet_v2(photos: Any, layers: Layers, alpha: float, min_depth: int) -> dict[int, Any]:
    def conv(x: Any, filters: int, kernel: int, name: str, stride: int = 1) -> Any:
        # No bias even without batch normalisation, as in Keras
        x = layers.conv(filters, kernel, name, stride=stride, bias=False)(layers.pad(x, kernel))
        return layers.normalise(x, f"{name}_bn")

    x = layers.activate(conv(photos, max(_divisible(32 * alpha), min_depth), 3, "Conv1", 2))
    found = {}
    for number, (expansion, filters, stride) in enumerate(_INVERTED_RESIDUALS):
        before, channels = x, x.shape[-1]
        name, filters = f"block_{number}", _divisible(int(filters * alpha))
        if number:
            x = layers.activate(conv(x, expansion * channels, 1, f"{name}_expand"))
        x = layers.depthwise(3, f"{name}_depthwise", stride=stride)(layers.pad(x, 3))
        x = layers.activate(layers.normalise(x, f"{name}_depthwise_bn"))
        x = conv(x, max(filters, min_depth), 1, f"{name}_project")
        if channels == filters and stride == 1:
            x = before + x
        if number in _MOBILENET_LEVELS:
            found[_MOBILENET_LEVELS[number]] = x
    last = _divisible(1280 * alpha) if alpha < 1 else 1280
    return {**found, 5: layers.activate(conv(x, max(last, min_depth), 1, "Conv_1"))}


def _resnet50_v1(photos: Any, layers: Layers, multiplier: float, min_depth: int) -> dict[int, Any]:
    def conv(x: Any, filters: int, kernel: int, name: str, stride: int = 1) -> Any:
        # No bias even without batch normalisation, and explicit padding where a larger kernel strides
        style = replace(layers, explicit_padding=stride > 1)
        filters = max(int(filters * multiplier), min_depth)
        x = style.conv(filters, kernel, f"{name}_conv", stride=stride, bias=False)(style.pad(x, kernel))
        return style.normalise(x, f"{name}_bn")

    x = layers.activate(conv(photos, 64, 7, "conv1", 2))
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    found = {}
    for level, (filters, blocks) in enumerate(_BOTTLENECKS, start=2):
        for number in range(1, blocks + 1):
            name = f"conv{level}_block{number}"
            stride = 2 if number == 1 and level > 2 else 1
            before = conv(x, 4 * filters, 1, f"{name}_0", stride) if number == 1 else x
            x = layers.activate(conv(x, filters, 1, f"{name}_1", stride))
            x = layers.activate(conv(x, filters, 3, f"{name}_2"))
            x = layers.activate(before + conv(x, 4 * filters, 1, f"{name}_3"))
        found[level] = x
    return found


def _divisible(filters: float) -> int:
    """The nearest multiple of 8 that is no less than nine tenths of `filters` (MobileNet's rule)."""
    found = max(8, int(filters + 4) // 8 * 8)
    return found + 8 if found < 0.9 * filters else found
