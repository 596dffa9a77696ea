"""The simpler simple recurrent unit (SSRU), a replacement of self-attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.decoders.target_history import TargetHistory
from keras_s2s.layers import recurrent
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.layers.transformer import TransformerLayer

__all__ = ["SSRU", "SSRULayer"]


@keras.saving.register_keras_serializable("keras_s2s")
class SSRU(TargetHistory):
    """Simpler simple recurrent unit: all matrix products run ahead of the loop over positions.

    f_t = sigmoid(W_f x_t + b_f), c_t = f_t * c_(t-1) + (1 - f_t) * W x_t, and the output is
    ReLU(c_t).

    Args:
        units: width D.

    Call arguments:
        inputs: float tensor [B, N, D].
        mask: ignored; a position always sees itself and the previous ones.

    Returns:
        float tensor [B, N, D], and None in place of attention maps.

    Reference: Kim et al. 2019, "From Research to Production and Back: Ludicrously Fast Neural
    Machine Translation", D19-5632.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.decoders.ssru import SSRU
    >>> outputs, _ = SSRU(4)(tf.ones([2, 3, 4]))
    >>> outputs.shape
    TensorShape([2, 3, 4])
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.gate = Linear(units, dtype=self.dtype_policy)
        self.projection = Linear(units, use_bias=False, dtype=self.dtype_policy)

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        for layer in (self.gate, self.projection):
            if not layer.built:
                layer.build((None, self.units))

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, None]:
        def advance(projected, cell):
            forget_gate, cell_input = projected
            cell = forget_gate * cell + cell_input
            return cell, cell

        zeros = tf.zeros([tf.shape(inputs)[0], self.units])
        output_spec = tf.TensorSpec([None, self.units], tf.float32)
        cells, _ = recurrent.unroll(
            advance, self._project(inputs), zeros, output_spec, loop_backend=loop_backend
        )
        return self._output(cells), None

    def step(
        self,
        inputs: tf.Tensor,
        sizes: Sequence[Any],
        position: tf.Tensor,
        cache: dict[str, tf.Tensor],
        mask: tf.Tensor | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """One position of K hypotheses: [B * K, D] -> [B * K, D], and the new state."""
        forget_gate, cell_input = self._project(inputs)
        shape = tf.shape(cache["past"])
        cell = tf.reshape(forget_gate, shape) * cache["past"] + tf.reshape(cell_input, shape)
        return self._output(tf.reshape(cell, [-1, self.units])), {"past": cell}

    def _project(self, inputs):
        """The gate f and (1 - f) * W x, float32 [..., D]."""
        forget_gate = tf.sigmoid(tf.cast(self.gate(inputs), tf.float32))
        return forget_gate, (1.0 - forget_gate) * tf.cast(self.projection(inputs), tf.float32)

    def _output(self, cells):
        return tf.cast(tf.nn.relu(cells), self.compute_dtype)


@keras.saving.register_keras_serializable("keras_s2s")
class SSRULayer(TransformerLayer):
    """A `TransformerLayer`, [B, N, D] -> [B, N, D], with an SSRU for self-attention."""

    def _make_self_attention(self, units, *args, **kwargs):
        return SSRU(units, **kwargs)
