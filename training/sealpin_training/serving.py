"""A network for TensorFlow Serving: photos of any size, files, or tf.Example go in."""

from collections.abc import Callable
from typing import Any

from .quiet import tensorflow

# What a server calls when nothing is said, and what exporter_main_v2.py calls its other types of input
DEFAULT, ENCODED, EXAMPLE = "serving_default", "encoded_image_string_tensor", "tf_example"


def with_decoders(
    model: Any, judge: Callable[[Any], dict[str, Any]], height: int, width: int
) -> tuple[Any, dict[str, Any]]:
    """A tf.Module with these signatures around `judge`, which takes float32 photos of the network's size.

    Input `input_tensor`: uint8 RGB [1, height, width, 3] of any size (`serving_default`), or photos as files or as
    tf.Example [B].
    """
    tf = tensorflow()

    # A function of its own, so that the network stands in the file once
    inner = tf.function(judge, input_signature=[tf.TensorSpec([None, height, width, 3], tf.float32)], autograph=False)

    def read(data: Any) -> Any:
        photo = tf.io.decode_image(data, channels=3, expand_animations=False)
        return stretch_in_graph(photo[None], height, width)[0]

    def example(data: Any) -> Any:
        fields = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        return read(tf.io.parse_single_example(data, fields)["image/encoded"])

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")], autograph=False)  # type: ignore[untyped-decorator]
    def images(input_tensor: Any) -> dict[str, Any]:
        return dict(inner(stretch_in_graph(input_tensor, height, width)))

    def of_each(photo: Any) -> Any:
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="input_tensor")], autograph=False)  # type: ignore[untyped-decorator]
        def serve(input_tensor: Any) -> dict[str, Any]:
            kind = tf.TensorSpec([height, width, 3], tf.float32)
            return dict(inner(tf.map_fn(photo, input_tensor, fn_output_signature=kind)))

        return serve

    module = tf.Module()
    # The variables alone: were the Keras models kept, saving would trace each of them once more
    module.weights, module.function, module.__call__ = model.variables, images, images
    return module, {DEFAULT: images, ENCODED: of_each(read), EXAMPLE: of_each(example)}


def stretch_in_graph(photos: Any, height: int, width: int) -> Any:
    """Photos [B, any, any, 3] to [B, height, width, 3], float32: sealpin_edge.model.photo.stretch as a graph."""
    return tensorflow().compat.v1.image.resize(photos, (height, width), align_corners=False)
