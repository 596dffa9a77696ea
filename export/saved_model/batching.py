"""Request batching inside the exported graph, without a batching flag of the server."""

import os
from collections.abc import Callable

import tensorflow as tf

__all__ = ["MAX_BATCH_SIZE", "batch_requests"]

MAX_BATCH_SIZE = 32  # rows; a larger request runs alone
MAX_QUEUED_BATCHES = 1000  # beyond this the server reports that it is overloaded


def batch_requests(function: Callable) -> Callable:
    """Wraps a signature's function so that concurrent requests share batches.

    Requests never wait for others to arrive: a batch holds what arrived while all threads were
    busy. Rows with different options share a batch, as they may within one request.

    Args:
        function: function of tensors [B]; one of `Translator.graphs()`.

    Returns:
        A function with the same inputs and outputs.
    """
    function = tf.function(function, autograph=False)  # one graph for both branches
    batched = tf.nondifferentiable_batch_function(
        num_batch_threads=os.cpu_count() or 1,
        max_batch_size=MAX_BATCH_SIZE,
        batch_timeout_micros=0,
        max_enqueued_batches=MAX_QUEUED_BATCHES,
        autograph=False,
        # The width of a response depends on its rows: parts of a request could not be joined.
        enable_large_batch_splitting=False,
    )(function)

    def answer(text: tf.Tensor, *options: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.shape(text)
        inputs = [text, *(tf.broadcast_to(option, shape) for option in options)]
        runs_alone = (shape[0] > MAX_BATCH_SIZE) | tf.equal(shape[0], 0)
        outputs = tf.cond(runs_alone, lambda: function(*inputs), lambda: batched(*inputs))
        shapes = function.get_concrete_function(*inputs).structured_outputs
        for name, value in outputs.items():  # the batch operation drops static shapes
            value.set_shape(shapes[name].shape)
        return outputs

    return answer
