"""How the functions of signatures are traced."""

import contextlib

import tensorflow as tf

__all__ = ["trace_function"]

# TensorFlow leaves loops and branches whole when this is to run them; the functions are not.
UNDIVIDED = "SINGLE_THREADED_EXECUTOR"


def trace_function(function, specs, loops_as_calls=None):
    """A function as a graph.

    A loop that TensorFlow takes apart has seven kinds of small operations for each tensor that it
    carries, and books are kept of every one. As a call of its body, a search at batch 1 takes three
    quarters of the time.

    Args:
        function: of tensors, positionally.
        specs: list of `tf.TensorSpec`, one for each.
        loops_as_calls: whether loops and branches stay calls; all of such a call runs on one
            device. None does so where there is no GPU, for some operations have no kernel there.

    Returns:
        A `ConcreteFunction`.
    """
    if loops_as_calls is None:
        loops_as_calls = not tf.config.list_logical_devices("GPU")
    made = tf.function(function, input_signature=specs, autograph=False)
    way = tf.experimental.function_executor_type(UNDIVIDED)
    with way if loops_as_calls else contextlib.nullcontext():
        return made.get_concrete_function()
