"""The trained network as TensorFlow functions to export: for TensorFlow Serving, and for TFLite."""

from typing import Any

from ...quiet import tensorflow
from ...serving import with_decoders
from .network.model import class_maps, preprocess, scores
from .recipe import Recipe


def serving_module(recipe: Recipe, model: Any) -> tuple[Any, dict[str, Any]]:
    """The network as a tf.Module, and its signatures: photos of any size, files, or tf.Example.

    Out: `probabilities` [B, classes] and `class_activation_maps` [B, rows, columns, classes], float32.
    """

    def classify(photos: Any) -> dict[str, Any]:
        maps = class_maps(recipe, model, preprocess(photos))
        return {"probabilities": scores(maps), "class_activation_maps": maps}

    return with_decoders(model, classify, recipe.height, recipe.width)


def tflite_module(recipe: Recipe, model: Any, *, float_input: bool) -> Any:
    """The network as a tf.Module for the TFLite converter: probabilities, and the map beside them, flat.

    One photo of the model's size goes in: uint8, or float32 of 0..255 for a converter that makes the input uint8
    itself. Other runtimes take every output of a classifier with more than two axes for a fault, hence flat.
    """
    tf = tensorflow()

    shape = [1, recipe.height, recipe.width, 3]

    @tf.function(
        input_signature=[tf.TensorSpec(shape, tf.float32 if float_input else tf.uint8, name="images")], autograph=False
    )  # type: ignore[untyped-decorator]
    def classify(images: Any) -> dict[str, Any]:
        maps = class_maps(recipe, model, preprocess(images))
        # In the order of their names, and the first is what other runtimes answer with
        return {"category_scores": scores(maps), "class_activation_map": tf.reshape(maps, [1, -1])}

    module = tf.Module()
    module.weights, module.function = model.variables, classify
    return module
