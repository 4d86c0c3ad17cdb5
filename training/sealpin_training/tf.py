"""TensorFlow and its Keras 2, imported quietly.

That takes seconds: a module that imports this one is itself imported inside functions.
"""

from .quiet import tensorflow

tf = tensorflow()

import tf_keras  # noqa: E402  # TensorFlow first, quietly

# No Python here decides by a tensor, and AutoGraph would read the source of all that a function calls, for seconds
no_autograph = tf.autograph.experimental.do_not_convert

__all__ = ["no_autograph", "tf", "tf_keras"]
