"""TensorFlow and its Keras 2, imported quietly.

That takes seconds: a module that imports this one is itself imported inside functions.
"""

from .quiet import tensorflow

tf = tensorflow()

import tf_keras  # noqa: E402  # TensorFlow first, quietly

__all__ = ["tf", "tf_keras"]
