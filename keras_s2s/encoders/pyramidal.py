"""The pyramidal recurrent encoder."""

import keras
import tensorflow as tf

from keras_s2s.encoders.recurrent import RecurrentEncoder
from keras_s2s.layers.loop_backend import TENSORFLOW


@keras.saving.register_keras_serializable("keras_s2s")
class PyramidalEncoder(RecurrentEncoder):
    """Recurrent layers of which each but the first reads pairs of places of the layer below.

    Two neighbours stand side by side as one place, so that a layer halves the length: after n
    layers M = ceil(S / 2^(n-1)). A last place without a neighbour has zeros beside it.

    Args:
        units: width U of each direction.
        num_layers: number of layers n, the first of which keeps the length.
        cell, bidirectional, dropout, source_end, variational: as for `RecurrentEncoder`.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token, these first.
        maps: ignored; there are no self-attention maps.

    Output:
        `Memory` with values [B, M, U or 2 U], source_index [B, M] the first position of each
        place, and states as of `RecurrentEncoder`.

    Raises:
        ValueError: as for `RecurrentEncoder`.

    Reference: Chan et al. 2015, arXiv:1508.01211, equation 5.
    """

    shortens = True

    def __init__(
        self,
        units,
        num_layers=4,
        cell="lstm",
        bidirectional=True,
        dropout=0.0,
        source_end=True,
        variational=False,
        **kwargs,
    ):
        kwargs |= {"residual": False, "variational": variational}
        super().__init__(units, num_layers, cell, bidirectional, dropout, source_end, **kwargs)

    def _width_before(self, index, inputs_width):
        return 2 * self.width if index else inputs_width

    def _between(self, index, inputs, mask):
        if not index:
            return inputs, mask
        odd = tf.shape(mask)[1] % 2
        inputs = tf.pad(inputs, [[0, 0], [0, odd], [0, 0]])
        mask = tf.pad(mask, [[0, 0], [0, odd]])
        batch, length = tf.shape(mask)[0], tf.shape(mask)[1] // 2
        inputs = tf.reshape(inputs, [batch, length, 2 * self.width])  # [B, S / 2, 2 width]
        return inputs, tf.reduce_any(tf.reshape(mask, [batch, length, 2]), 2)

    def call(self, inputs, mask, maps="none", training=None, loop_backend=TENSORFLOW):
        memory = super().call(inputs, mask, maps, training, loop_backend)
        places = tf.range(tf.shape(memory.mask)[1]) * 2 ** (self.num_layers - 1)
        index = tf.broadcast_to(tf.expand_dims(places, 0), tf.shape(memory.mask))
        return memory._replace(source_index=index)

    def get_config(self):
        config = super().get_config()
        config.pop("residual")
        return config
