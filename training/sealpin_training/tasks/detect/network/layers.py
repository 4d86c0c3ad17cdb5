"""A recipe's conv_hyperparams as Keras layers: every convolution, normalisation and activation is made here.

Follows object_detection/builders/hyperparams_builder.py (KerasLayerHyperparams): its L2 weight is TensorFlow 1's, half
of Keras's; a separable convolution's depthwise kernel gets initialiser and regulariser, its pointwise one neither
unless told so; a convolution before batch normalisation has no bias.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ....tf import tf, tf_keras
from ..recipe.schema.layers import Activation, BatchNorm, Hyperparams, Initializer, Regularizer

Make = Callable[[], Any]


@dataclass(frozen=True)
class Layers:
    """Makes layers of one style. `regularizer` and `initializer` make a new object for each layer."""

    regularizer: Make
    initializer: Make
    activation: Activation
    batch_norm: BatchNorm | None
    frozen: bool = False
    explicit_padding: bool = False
    synchronized: bool = False

    @classmethod
    def of(
        cls, hyperparams: Hyperparams, *, frozen: bool, synchronized: bool, explicit_padding: bool = False
    ) -> "Layers":
        """The style that a recipe's conv_hyperparams describe; `frozen` normalises with the moving averages."""
        return cls(
            lambda: _regularizer(hyperparams.regularizer),
            lambda: _initializer(hyperparams.initializer),
            hyperparams.activation,
            hyperparams.batch_norm or hyperparams.sync_batch_norm,
            frozen,
            explicit_padding,
            synchronized,
        )

    @property
    def bias(self) -> bool:
        """Whether a convolution has a bias when nothing else is said."""
        return not (self.batch_norm and self.batch_norm.center)

    def conv(
        self, filters: int, kernel: int, name: str, *, stride: int = 1, bias: bool | None = None, **more: Any
    ) -> Any:
        """A plain convolution; `more` goes to Keras."""
        make = _Pointwise if kernel == stride == 1 else tf_keras.layers.Conv2D
        return make(
            filters,
            kernel,
            strides=stride,
            padding=self._padding(kernel),
            use_bias=self.bias if bias is None else bias,
            kernel_initializer=self.initializer(),
            kernel_regularizer=self.regularizer(),
            name=name,
            **more,
        )

    def depthwise(self, kernel: int, name: str, *, stride: int = 1) -> Any:
        """A depthwise convolution."""
        return tf_keras.layers.DepthwiseConv2D(
            kernel,
            strides=stride,
            padding=self._padding(kernel),
            use_bias=False,  # MobileNetV2 alone has these, and Keras gives it none
            depthwise_initializer=self.initializer(),
            depthwise_regularizer=self.regularizer(),
            name=name,
        )

    def separable(
        self,
        filters: int,
        kernel: int,
        name: str,
        *,
        stride: int = 1,
        bias: bool | None = None,
        depthwise: bool = True,
        pointwise: bool = False,
        **more: Any,
    ) -> Any:
        """A separable convolution; `depthwise` and `pointwise` say which of its kernels follow the recipe's style."""
        styled = {}
        for part, follows in (("depthwise", depthwise), ("pointwise", pointwise)):
            if follows:
                styled[f"{part}_initializer"] = self.initializer()
                styled[f"{part}_regularizer"] = self.regularizer()
        return tf_keras.layers.SeparableConv2D(
            filters,
            kernel,
            strides=stride,
            padding=self._padding(kernel),
            use_bias=self.bias if bias is None else bias,
            name=name,
            **styled,
            **more,
        )

    def pad(self, features: Any, kernel: int) -> Any:
        """What use_explicit_padding puts around the features: the same on all sides, whatever the stride."""
        if not self.explicit_padding or kernel == 1:
            return features
        return tf_keras.layers.ZeroPadding2D(((kernel - 1) // 2, kernel // 2))(features)

    def normalise(self, features: Any, name: str) -> Any:
        """Batch normalisation, if the style has it."""
        norm = self.norm(name)
        if norm is None:
            return features
        return norm(features, training=False) if self.frozen else norm(features)

    def norm(self, name: str) -> Any:
        """A batch normalisation layer, or None."""
        if self.batch_norm is None:
            return None
        return tf_keras.layers.BatchNormalization(
            momentum=self.batch_norm.decay,
            epsilon=self.batch_norm.epsilon,
            center=self.batch_norm.center,
            scale=self.batch_norm.scale,
            synchronized=self.synchronized,
            name=name,
        )

    def activate(self, features: Any) -> Any:
        """The style's activation."""
        function = {
            Activation.NONE: tf.identity,
            Activation.RELU: tf.nn.relu,
            Activation.RELU_6: tf.nn.relu6,
            Activation.SWISH: tf.nn.silu,
        }[self.activation]
        return function(features)

    def _padding(self, kernel: int) -> str:
        return "valid" if self.explicit_padding and kernel > 1 else "same"


class _Pointwise(tf_keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution of one pixel. In training it is a matrix product: the same, and its gradients are cheaper."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training:
            return super().call(inputs)
        pixels = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), self.kernel[0, 0])
        outputs = tf.reshape(pixels, [-1, *inputs.shape[1:3], self.filters])
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs


class Doubled(tf_keras.layers.UpSampling2D):  # type: ignore[misc]
    """Each pixel four times. In training it is spread by a broadcast: the same, and XLA can compile its gradient.

    The resize operator that Keras takes has no kernel in XLA for its gradient, and on GPUs none that is deterministic.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Features [B, h, w, depth] to [B, 2h, 2w, depth]."""
        if not training:
            return super().call(inputs)
        height, width, depth = inputs.shape[1:]
        spread = tf.broadcast_to(inputs[:, :, None, :, None], [tf.shape(inputs)[0], height, 2, width, 2, depth])
        return tf.reshape(spread, [-1, 2 * height, 2 * width, depth])


def _regularizer(chosen: Regularizer | None) -> Any:
    if chosen and chosen.l1_regularizer:
        return tf_keras.regularizers.L1(chosen.l1_regularizer.weight)
    if chosen and chosen.l2_regularizer:
        return tf_keras.regularizers.L2(chosen.l2_regularizer.weight / 2)
    return None


def _initializer(chosen: Initializer | None) -> Any:
    if chosen and (normal := chosen.truncated_normal_initializer):
        return tf_keras.initializers.TruncatedNormal(normal.mean, normal.stddev)
    if chosen and (normal := chosen.random_normal_initializer):
        return tf_keras.initializers.RandomNormal(normal.mean, normal.stddev)
    if chosen and (scaling := chosen.variance_scaling_initializer):
        return tf_keras.initializers.VarianceScaling(
            scaling.factor, scaling.mode.name.lower(), "uniform" if scaling.uniform else "truncated_normal"
        )
    return tf_keras.initializers.GlorotUniform()
