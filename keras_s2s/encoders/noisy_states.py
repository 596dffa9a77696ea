"""An encoder of noisy hidden states."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, check_flags, masked_mean
from keras_s2s.encoders.noisy_cell import NoisyCell
from keras_s2s.layers import recurrent as recurrent_layers
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend

__all__ = ["NoisyStatesEncoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class NoisyStatesEncoder(Encoder):
    """Noisy hidden states of one input each, and a summary from the mean of all inputs.

    h_t = g(W_xh x_t + b_h) + noise, stacked: each layer takes the states of the layer below. The
    summary is the context c = f_enc(mean(x_1..x_T); h_0) = tanh(W_c mean(x) + U_c h_0 + b_c) with
    a learned h_0. As in the article, h_t has no recurrent term, so that a state depends neither on
    its position nor on its neighbours; `recurrent` adds + R h_(t-1), zeros before the first.

    Args:
        units: width U of the hidden states.
        num_layers: number of layers.
        activation: Keras name of g.
        noise: standard deviation of the noise, drawn from N(0, I) in training only.
        recurrent: whether the previous state enters the new one.
        source_units: width D of the inputs, to concatenate each x_t to its h_t in the memory, as
            `GatedAttention` needs it; None leaves them out.
        dropout: rate of dropout on the inputs of every layer.
        source_end: whether the last real token of a source, its end, is encoded.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token.
        maps: ignored; there are no self-attention maps.

    Returns:
        `Memory` with values [B, S, U], or [B, S, U + D], a summary of that width, and no states.

    Raises:
        ValueError: for sizes that are not positive integers, a negative `noise`, a `recurrent`
            that is not a boolean, or inputs of another width than `source_units`.

    Reference: an introduction to Seq2Seq models with attention, its encoder.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import NoisyStatesEncoder
    >>> encoder = NoisyStatesEncoder(4, source_units=5)
    >>> encoder(tf.ones([2, 3, 5]), mask=tf.ones([2, 3], tf.bool)).values.shape
    TensorShape([2, 3, 9])
    """

    supports_loop_backend = True

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        activation: str = "tanh",
        noise: float = 0.1,
        recurrent: bool = False,
        source_units: int | None = None,
        dropout: float = 0.0,
        source_end: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        optional = {} if source_units is None else {"source_units": source_units}
        check_positive_integers(units=units, num_layers=num_layers, **optional)
        check_flags(source_end=source_end)
        self.units, self.num_layers, self.activation = units, num_layers, activation
        self.noise, self.recurrent = noise, recurrent
        self.source_units, self.dropout = source_units, dropout
        self.source_end = source_end
        self.width, policy = units + (source_units or 0), self.dtype_policy
        self.cells = [
            NoisyCell(units, activation, noise, recurrent, dtype=policy) for _ in range(num_layers)
        ]
        self.mean_projection = Linear(self.width, dtype=policy)
        self.start_projection = Linear(self.width, use_bias=False, dtype=policy)
        self.input_dropout = Dropout(dropout, dtype=policy)

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        width = inputs_shape[-1]
        if self.source_units not in (None, width):
            raise ValueError(
                f"source_units: expected the inputs' width {width}, got {self.source_units}"
            )
        self.start = self.add_weight((1, self.units), "glorot_uniform", name="start")
        layers = [(self.mean_projection, width), (self.start_projection, self.units)]
        layers += [(cell, self.units if i else width) for i, cell in enumerate(self.cells)]
        for layer, size in layers:
            if not layer.built:
                layer.build((None, size))

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor,
        maps: str = "none",
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> Memory:
        mask = self._mask_source_end(mask)
        start = tf.cast(tf.convert_to_tensor(self.start), self.compute_dtype)
        mean = self.mean_projection(masked_mean(inputs, mask))
        summary = tf.tanh(mean + self.start_projection(start))  # [B, width]
        hidden = inputs
        for cell in self.cells:
            hidden = self.input_dropout(hidden, training=training)
            hidden = self._run_cell(cell, hidden, training, loop_backend)
        values = hidden if self.source_units is None else tf.concat([hidden, inputs], 2)
        values = tf.where(tf.expand_dims(mask, 2), values, tf.zeros_like(values))
        return Memory(values, mask, summary)

    def _run_cell(self, cell, inputs, training, loop_backend):
        projected = cell.project(inputs)  # [B, S, U]
        if not self.recurrent:
            return cell(projected, training=training)[0]
        output_spec = tf.TensorSpec([None, self.units], self.compute_dtype)
        zeros = tf.zeros([tf.shape(inputs)[0], self.units], self.compute_dtype)

        def step(inputs, states):
            return cell(inputs, states, training=training)

        outputs, _ = recurrent_layers.unroll(
            step, projected, {"h": zeros}, output_spec, loop_backend=loop_backend
        )
        return outputs

    def get_config(self) -> dict[str, Any]:
        names = (
            "units",
            "num_layers",
            "activation",
            "noise",
            "recurrent",
            "source_units",
            "dropout",
            "source_end",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
