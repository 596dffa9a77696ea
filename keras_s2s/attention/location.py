"""Location-sensitive attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.history import HistoryAttention
from keras_s2s.attention.memory_attention import build_layers
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.shapes import leading_shape


@keras.saving.register_keras_serializable("keras_s2s")
class LocationAttention(HistoryAttention):
    """Location-sensitive attention: additive, over a convolution of the previous weights.

    f_i = F * alpha_(i-1), e_ij = v^T tanh(W q_i + U k_j + V f_ij + b). The weights before the first
    step and beyond the ends of the memory are zeros.

    Args:
        units: width A of the hidden layer.
        filters: number of filters F.
        kernel_size: positions that a filter spans.
        cumulative: convolve the sum of all previous weights instead of the last ones.

    Call arguments:
        query, keys, values, mask: as for `AdditiveAttention`, query [B, Q, D_q].

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Raises:
        ValueError: for sizes that are not positive integers.

    Reference: Chorowski et al. 2015, arXiv:1506.07503, equations 8 and 9 (10 filters of 201);
    cumulative: Shen et al. 2018, arXiv:1712.05884, section 2.2 (32 filters of 31).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import LocationAttention
    >>> layer, query, memory = LocationAttention(6), tf.ones([2, 1, 4]), tf.ones([2, 5, 8])
    >>> layer.build(query.shape, None, memory.shape)
    >>> layer(query, layer.project(memory), memory)[1].shape
    TensorShape([2, 1, 5])
    """

    def __init__(
        self,
        units: int,
        filters: int = 10,
        kernel_size: int = 201,
        cumulative: bool = False,
        **kwargs: Any,
    ):
        super().__init__(units, **kwargs)
        check_positive_integers(filters=filters, kernel_size=kernel_size)
        self.filters, self.kernel_size, self.cumulative = filters, kernel_size, cumulative
        self.convolution = keras.layers.Conv1D(
            filters, kernel_size, padding="same", use_bias=False, dtype="float32"
        )
        self.feature = Linear(units, use_bias=False, dtype=self.dtype_policy)

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        super().build(query_shape, keys_shape, values_shape)
        if not self.convolution.built:
            self.convolution.build((None, None, 1))
        build_layers((self.feature, self.filters))

    def _features(self, history):
        # The reshape is for empty batches: oneDNN returns the input's shape for them.
        convolved = tf.reshape(
            self.convolution(history), [*leading_shape(history, 2), self.filters]
        )
        return self.feature(tf.cast(convolved, self.compute_dtype))  # [B * K, M, A]

    def _update_history(self, history, weights):
        return history + weights if self.cumulative else weights

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "kernel_size", "cumulative")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
