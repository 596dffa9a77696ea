"""The pyramidal recurrent encoder."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Memory
from keras_s2s.encoders.recurrent import RecurrentEncoder
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend

__all__ = ["PyramidalEncoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class PyramidalEncoder(RecurrentEncoder):
    """Recurrent layers that halve the length from layer to layer.

    Every layer but the first takes pairs of neighbouring outputs of the layer below, concatenated
    to one vector: after n layers M = ceil(S / 2^(n-1)). A last output without a neighbour is
    paired with zeros.

    Args:
        units: width U of each direction.
        num_layers: number of layers n, the first of which keeps the length.
        cell, bidirectional, dropout, source_end, variational: as for `RecurrentEncoder`.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token, these first.
        maps: ignored; there are no self-attention maps.

    Returns:
        `Memory` with values [B, M, U or 2 U], `source_index` [B, M] the first source position of
        each memory position, and states as of `RecurrentEncoder`.

    Raises:
        ValueError: as for `RecurrentEncoder`.

    Reference: Chan et al. 2015, arXiv:1508.01211, equation 5.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import PyramidalEncoder
    >>> encoder = PyramidalEncoder(4, num_layers=3)
    >>> encoder(tf.ones([2, 8, 5]), mask=tf.ones([2, 8], tf.bool)).source_index.numpy()
    array([[0, 4],
           [0, 4]], dtype=int32)
    """

    has_source_index = True

    def __init__(
        self,
        units: int,
        num_layers: int = 4,
        cell: str = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
        source_end: bool = True,
        variational: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs |= {"residual": False, "variational": variational}
        super().__init__(units, num_layers, cell, bidirectional, dropout, source_end, **kwargs)

    def _input_width(self, index, inputs_width):
        return 2 * self.width if index else inputs_width

    def _layer_inputs(self, index, inputs, mask):
        if not index:
            return inputs, mask
        padding = tf.shape(mask)[1] % 2
        inputs = tf.pad(inputs, [[0, 0], [0, padding], [0, 0]])
        mask = tf.pad(mask, [[0, 0], [0, padding]])
        batch, length = tf.shape(mask)[0], tf.shape(mask)[1] // 2
        inputs = tf.reshape(inputs, [batch, length, 2 * self.width])  # [B, S / 2, 2 width]
        return inputs, tf.reduce_any(tf.reshape(mask, [batch, length, 2]), 2)

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor,
        maps: str = "none",
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> Memory:
        memory = super().call(inputs, mask, maps, training, loop_backend)
        positions = tf.range(tf.shape(memory.mask)[1]) * 2 ** (self.num_layers - 1)
        index = tf.broadcast_to(tf.expand_dims(positions, 0), tf.shape(memory.mask))
        return memory._replace(source_index=index)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("residual")
        return config
