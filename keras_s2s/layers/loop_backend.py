"""What a loop writes a piece at a time: a TensorArray, or a tensor that has room for it.

LiteRT has no arrays of elements of unknown size, but tensors of any. Inside of `growing` loops
use these, so that one loop serves both.
"""

import contextlib
import contextvars

import tensorflow as tf

__all__ = [
    "are_growing",
    "growing",
    "put",
    "read",
    "readable",
    "roomier",
    "started",
    "whole",
    "write",
]

_GROWING = contextvars.ContextVar("growing", default=False)


@contextlib.contextmanager
def growing():
    """Makes what is traced within use tensors in place of arrays."""
    token = _GROWING.set(True)
    try:
        yield
    finally:
        _GROWING.reset(token)


def are_growing() -> bool:
    """Whether loops have to use tensors in place of arrays."""
    return _GROWING.get()


def readable(values):
    """A tensor [N, ...] as what `read` reads from."""
    if are_growing():
        return values
    size, shape = tf.shape(values)[0], values.shape[1:]
    return tf.TensorArray(values.dtype, size, element_shape=shape).unstack(values)


def read(array, place):
    """The element at a place of what `readable` gave."""
    return tf.gather(array, place) if tf.is_tensor(array) else array.read(place)


def started(first, place, size):
    """A tensor [size, ...] of zeros and, at a place, of its first element [...]."""
    empty = tf.zeros(tf.concat([[size], tf.shape(first)], 0), first.dtype)
    return write(empty, place, first)


def write(array, place, value):
    """An array, or a tensor [N, ...], with an element [...] at a place."""
    if not tf.is_tensor(array):
        return array.write(place, value)
    return put(array, place, tf.expand_dims(value, 0), 0)


def put(tensor, place, value, axis):
    """A tensor with another column.

    Args:
        tensor: of any shape.
        place: int32 scalar, where along `axis`.
        value: tensor of the same shape, but 1 along `axis`.
    """
    axes = range(tensor.shape.rank)
    if are_growing():  # LiteRT's selection is no match for its update in place
        from tensorflow.compiler.tf2xla.python import xla  # no public name has the operation

        indices = tf.stack([place if i == axis else 0 for i in axes])
        return xla.dynamic_update_slice(tensor, value, indices)
    here = tf.equal(tf.range(tf.shape(tensor)[axis]), place)
    return tf.where(tf.reshape(here, [-1 if i == axis else 1 for i in axes]), value, tensor)


def roomier(tensor, axis, more):
    """A tensor with `more` columns of zeros behind its last."""
    return tf.pad(tensor, [[0, more if i == axis else 0] for i in range(tensor.shape.rank)])


def whole(array):
    """All elements, [N, ...]."""
    return array if tf.is_tensor(array) else array.stack()
