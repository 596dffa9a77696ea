"""The base class of encoders and their output, `Memory`."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_s2s.layers import masks

__all__ = ["Encoder", "Memory", "check_flags", "masked_mean"]


class Memory(NamedTuple):
    """The output of an encoder.

    Attributes:
        values: float tensor [B, M, D], one vector per memory position.
        mask: bool tensor [B, M], True at a real position.
        summary: float tensor [B, D], the source as one vector.
        states: nest of final states [B, ...] that a decoder may copy; empty if there are none.
        source_index: int32 tensor [B, M], the source position of each memory position; None when
            the memory has one position per source position.
        attention: float32 tensor [B, A, S, S], self-attention maps; None unless requested.
        keys: float tensor [B, M, D] for attention scores, where they differ from `values`.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import Memory
    >>> memory = Memory(tf.ones([2, 3, 4]), tf.ones([2, 3], tf.bool), tf.ones([2, 4]))
    >>> memory.attention_keys is memory.values
    True
    """

    values: tf.Tensor
    mask: tf.Tensor
    summary: tf.Tensor
    states: Any = ()
    source_index: tf.Tensor | None = None
    attention: tf.Tensor | None = None
    keys: tf.Tensor | None = None

    @property
    def attention_keys(self) -> tf.Tensor:
        """The vectors that queries are scored against, [B, M, D]: `keys`, or else `values`."""
        return self.values if self.keys is None else self.keys


def masked_mean(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean over the real positions.

    Args:
        values: float tensor [B, M, D].
        mask: bool tensor [B, M], True at a real position.

    Returns:
        tensor [B, D] of the dtype of `values`; zeros for an empty row.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import masked_mean
    >>> values, mask = tf.constant([[[1.0], [3.0], [9.0]]]), tf.constant([[True, True, False]])
    >>> masked_mean(values, mask).numpy()
    array([[2.]], dtype=float32)
    """
    weights = tf.cast(tf.expand_dims(mask, 2), tf.float32)
    total = tf.reduce_sum(tf.cast(values, tf.float32) * weights, 1)
    return tf.cast(total / tf.maximum(tf.reduce_sum(weights, 1), 1.0), values.dtype)


def check_flags(**flags: bool) -> None:
    """Checks that arguments are booleans.

    Args:
        **flags: the arguments by name.

    Raises:
        ValueError: naming the first that is neither True nor False.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name}: expected True or False, got {value!r}")


class Encoder(keras.layers.Layer):
    """Base class of encoders: `call(inputs [B, S, D], mask [B, S], maps) -> Memory`.

    Attributes:
        width: last axis of the memory's values and summary.
        attention_names: names of the A self-attention maps.
        has_source_index: whether the memory sets `source_index`, because its positions are not
            those of the source.
        has_fixed_input_width: whether the inputs must have the width `units`.
        supports_loop_backend: whether `call` takes a `loop_backend`, see `layers.loop_backend`.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import Encoder, Memory, masked_mean
    >>> class IdentityEncoder(Encoder):
    ...     def call(self, inputs, mask, maps="none", training=None):
    ...         return Memory(inputs, mask, masked_mean(inputs, mask))
    >>> IdentityEncoder()(tf.ones([2, 3, 4]), mask=tf.ones([2, 3], tf.bool)).summary.shape
    TensorShape([2, 4])
    """

    has_source_index = False
    has_fixed_input_width = False
    supports_loop_backend = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.attention_names = []

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        """Stops the implicit mask: the mask of a memory is part of it."""

    def _check_width(self, inputs_shape):
        if inputs_shape[-1] != self.units:
            raise ValueError(
                f"inputs: expected source vectors of width {self.units} (units),"
                f" got {inputs_shape[-1]}"
            )

    def _mask_source_end(self, mask):
        """The mask [B, S] of the positions to encode: without the last one unless `source_end`."""
        return mask if self.source_end else masks.without_last(mask)
