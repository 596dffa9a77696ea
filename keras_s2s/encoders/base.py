"""What every encoder gives, and what they share."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_s2s.layers import masks


class Memory(NamedTuple):
    """What an encoder gives.

    Attributes:
        values: float tensor [B, M, D], one vector a place.
        mask: bool tensor [B, M], True = a real place.
        summary: float tensor [B, D], the source as one vector.
        states: nest of final states [B, ...] that a decoder may copy; empty where there are none.
        source_index: int32 tensor [B, M], the source position of each place; None when M = S.
        attention: float32 tensor [B, A, S, S], self-attention maps; None unless asked for.
        keys: float tensor [B, M, D], what a query is compared with where that is not `values`.
    """

    values: tf.Tensor
    mask: tf.Tensor
    summary: tf.Tensor
    states: Any = ()
    source_index: tf.Tensor | None = None
    attention: tf.Tensor | None = None
    keys: tf.Tensor | None = None

    @property
    def attention_keys(self):
        """What a query is compared with [B, M, D]: the keys, or the values where there are none."""
        return self.values if self.keys is None else self.keys


def masked_mean(values, mask):
    """Mean over the real places: [B, M, D], [B, M] -> [B, D]; zeros for an empty row."""
    weights = tf.cast(tf.expand_dims(mask, 2), tf.float32)
    total = tf.reduce_sum(tf.cast(values, tf.float32) * weights, 1)
    return tf.cast(total / tf.maximum(tf.reduce_sum(weights, 1), 1.0), values.dtype)


class Encoder(keras.layers.Layer):
    """What every encoder is: `call(inputs [B, S, D], mask [B, S], maps) -> Memory`.

    Attributes:
        width: last axis of the memory's values and summary.
        attention_names: list of A strings, of the self-attention maps.
        shortens: whether the places of the memory are others than the positions of the source.
        reads_own_width: whether the source vectors must be of the width `units`.
    """

    shortens = False
    reads_own_width = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.attention_names = []

    def compute_mask(self, *args, **kwargs):
        return None

    def _check_width(self, inputs_shape):
        if inputs_shape[-1] != self.units:
            raise ValueError(
                f"inputs: expected source vectors of width {self.units} (units),"
                f" came {inputs_shape[-1]}"
            )

    def _set_source_end(self, source_end):
        self._check_switches(source_end=source_end)
        self.source_end = source_end

    @staticmethod
    def _check_switches(**switches):
        for name, value in switches.items():
            if not isinstance(value, bool):
                raise ValueError(f"{name}: expected True or False, came {value!r}")

    def _read(self, mask):
        """The places that are read of those that are real."""
        return mask if self.source_end else masks.without_last(mask)
