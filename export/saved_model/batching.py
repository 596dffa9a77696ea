"""Batches formed within the graph: requests that wait at the same time are answered together."""

import os

import tensorflow as tf

__all__ = ["MOST_ROWS", "batch_requests"]

MOST_ROWS = 32  # of a batch; a request of more is answered alone
WAITING = 1000  # batches that may wait; beyond, a server says that it is overloaded


def batch_requests(function):
    """A signature's function that shares its batches with requests of other callers.

    Nothing waits for company: a batch is what has come in while the threads were busy. A server
    needs no flag for it. Rows of different options share a batch, as they do in a request.

    Args:
        function: of tensors [B]; one of `Translator.graphs`.

    Returns:
        A function of the same inputs and outputs.
    """
    function = tf.function(function, autograph=False)  # one graph for both ways
    together = tf.nondifferentiable_batch_function(
        num_batch_threads=os.cpu_count() or 1,
        max_batch_size=MOST_ROWS,
        batch_timeout_micros=0,
        max_enqueued_batches=WAITING,
        autograph=False,
        # A reply's width depends on its rows: parts of one request could not be joined again.
        enable_large_batch_splitting=False,
    )(function)

    def answer(text, *columns):
        rows = tf.shape(text)
        inputs = [text, *(tf.broadcast_to(column, rows) for column in columns)]
        alone = (rows[0] > MOST_ROWS) | tf.equal(rows[0], 0)
        found = tf.cond(alone, lambda: function(*inputs), lambda: together(*inputs))
        shapes = function.get_concrete_function(*inputs).structured_outputs
        for name, value in found.items():  # those of a batch are not known otherwise
            value.set_shape(shapes[name].shape)
        return found

    return answer
