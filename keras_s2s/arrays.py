"""What a loop writes a piece at a time: a TensorArray, or a tensor that grows.

LiteRT has no arrays of elements of unknown size, but tensors that grow. Inside of `growing` loops
use these, so that one loop serves both.
"""

import contextlib
import contextvars

import tensorflow as tf

__all__ = ["are_growing", "growing", "read", "readable", "started", "whole", "write"]

_GROWING = contextvars.ContextVar("growing", default=False)


@contextlib.contextmanager
def growing():
    """Makes what is traced within use tensors that grow."""
    token = _GROWING.set(True)
    try:
        yield
    finally:
        _GROWING.reset(token)


def are_growing() -> bool:
    """Whether loops have to use tensors that grow."""
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


def started(first):
    """A tensor that grows, of its first element."""
    return tf.expand_dims(first, 0)


def write(array, place, value, front=False):
    """The array with one more element.

    Args:
        array: a TensorArray, or a tensor [N, ...].
        place: int32 scalar, where a TensorArray has it.
        value: tensor [...].
        front: a tensor grows at its front and not at its end.
    """
    if not tf.is_tensor(array):
        return array.write(place, value)
    value = tf.expand_dims(value, 0)
    return tf.concat([value, array] if front else [array, value], 0)


def whole(array):
    """All elements, [N, ...]."""
    return array if tf.is_tensor(array) else array.stack()
