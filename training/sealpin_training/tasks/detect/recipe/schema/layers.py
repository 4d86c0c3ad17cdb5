"""hyperparams.proto: how convolutions start, are regularised, normalised and activated."""

from dataclasses import dataclass
from enum import Enum

from .treatment import LARGE, TINY, fixed, idle, within


class Activation(Enum):
    """Activation after a convolution."""

    NONE = 0
    RELU = 1
    RELU_6 = 2
    SWISH = 3


class VarianceScalingMode(Enum):
    """Which fan a variance-scaling initialiser divides by."""

    FAN_IN = 0
    FAN_OUT = 1
    FAN_AVG = 2


class Op(Enum):
    """Kind of layer."""

    CONV = 1
    FC = 2


@dataclass(frozen=True)
class L1Regularizer:
    weight: float = within(1.0, 0, LARGE)


@dataclass(frozen=True)
class L2Regularizer:
    weight: float = within(1.0, 0, LARGE)


@dataclass(frozen=True)
class Regularizer:
    l1_regularizer: L1Regularizer | None = None
    l2_regularizer: L2Regularizer | None = None


@dataclass(frozen=True)
class NormalInitializer:
    mean: float = within(0.0, -LARGE, LARGE)
    stddev: float = within(1.0, TINY, LARGE)


@dataclass(frozen=True)
class VarianceScalingInitializer:
    factor: float = within(2.0, TINY, LARGE)
    uniform: bool = False
    mode: VarianceScalingMode = VarianceScalingMode.FAN_IN


@dataclass(frozen=True)
class Initializer:
    truncated_normal_initializer: NormalInitializer | None = None
    variance_scaling_initializer: VarianceScalingInitializer | None = None
    random_normal_initializer: NormalInitializer | None = None


@dataclass(frozen=True)
class BatchNorm:
    decay: float = within(0.999, 0, 1)
    center: bool = True
    scale: bool = False
    epsilon: float = within(0.001, TINY, 1)
    train: bool = idle(True, "the API's TensorFlow 2 models do not read it: freeze_batchnorm decides")


@dataclass(frozen=True)
class Hyperparams:
    op: Op = idle(Op.CONV, "there are only convolutions")
    regularizer: Regularizer | None = None
    initializer: Initializer | None = None
    activation: Activation = Activation.RELU
    batch_norm: BatchNorm | None = None
    sync_batch_norm: BatchNorm | None = None
    regularize_depthwise: bool = idle(
        False, "the API's TensorFlow 2 models regularise depthwise kernels without asking"
    )
    force_use_bias: bool = fixed(False, "a convolution before batch normalisation has no bias")
