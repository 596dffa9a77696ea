"""Hidden states without a past, with noise: the encoder, and the cell that its decoder shares."""

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, masked_mean
from keras_s2s.layers import recurrent
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.dropout import Dropout


@keras.saving.register_keras_serializable("keras_s2s")
class NoisyCell(keras.layers.Layer):
    """One hidden state: h = g(W x + b) + noise, or g(W x + R h' + b) + noise.

    Args:
        units: width U of the state.
        activation: Keras name of g.
        noise: scale of the noise, drawn from N(0, I) in training alone.
        recurrent: whether the state before, h', has a say.

    Call arguments:
        projected: float tensor [..., U], from `project`.
        states: {"h": float tensor [..., U]}; read when `recurrent`.
        training: whether there is noise.

    Output:
        output [..., U] and the new states.

    Raises:
        ValueError: for a width that is no positive integer, a noise below zero, or a `recurrent`
            that is no bool.

    Reference: an introduction to Seq2Seq models with attention; with `recurrent`: Elman 1990.
    """

    gates, state_names = 1, ("h",)

    def __init__(self, units, activation="tanh", noise=0.1, recurrent=False, **kwargs):
        super().__init__(**kwargs)
        check_positive_integers(units=units)
        if isinstance(noise, bool) or not isinstance(noise, int | float) or not noise >= 0:
            raise ValueError(f"noise: expected a number of at least 0, came {noise!r}")
        if not isinstance(recurrent, bool):
            raise ValueError(f"recurrent: expected True or False, came {recurrent!r}")
        self.units, self.activation, self.noise = units, activation, noise
        self.recurrent = recurrent
        self.function = keras.activations.get(activation)
        self.seed_generator = keras.random.SeedGenerator()
        self.input_projection = Linear(units, dtype=self.dtype_policy)
        self.recurrent_projection = None
        if recurrent:
            self.recurrent_projection = Linear(
                units, use_bias=False, kernel_initializer="orthogonal", dtype=self.dtype_policy
            )

    def build(self, inputs_shape, states_shape=None):
        for layer, width in (
            (self.input_projection, inputs_shape[-1]),
            (self.recurrent_projection, self.units),
        ):
            if layer is not None and not layer.built:
                layer.build((None, width))

    def project(self, inputs):
        """W x + b: [..., D] -> [..., U]."""
        return self.input_projection(inputs)

    def call(self, projected, states=None, training=None):
        if self.recurrent:
            projected = projected + self.recurrent_projection(states["h"])
        hidden = self.function(projected)
        if training and self.noise:
            drawn = keras.random.normal(tf.shape(hidden), dtype="float32", seed=self.seed_generator)
            hidden = hidden + tf.cast(self.noise * drawn, hidden.dtype)
        return hidden, {"h": hidden}

    def get_config(self):
        own = ("units", "activation", "noise", "recurrent")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("keras_s2s")
class NoisyStatesEncoder(Encoder):
    """Hidden states that each know one input, and a context vector from the mean of all.

    h_t = g(W_xh x_t + b_h) + noise, stacked: a layer reads the one below. The summary is the
    context c = f_enc(mean(x_1..x_T); h_0) = tanh(W_c mean(x) + U_c h_0 + b_c) with a learned h_0.
    As the article writes it h_t has no recurrent term, so that no state knows its place or its
    neighbours; `recurrent` adds + R h_(t-1), zeros before the first.

    Args:
        units: width U of the hidden states.
        num_layers: number of layers.
        activation: Keras name of g.
        noise: scale of the noise, drawn from N(0, I) in training alone.
        recurrent: whether the state before has a say.
        source_units: width D of the inputs when each x_t shall stand behind its h_t in the memory,
            for `GatedAttention`; None leaves them out.
        dropout: share dropped of every layer's input in training.
        source_end: whether the last real token of a source, its end, is read.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: ignored; there are no self-attention maps.

    Output:
        `Memory` with values [B, S, U], or [B, S, U + D], a summary of that width, and no states.

    Raises:
        ValueError: for sizes that are not positive integers, a `noise` below zero, a `recurrent`
            that is no bool, or inputs of another width than `source_units`.

    Reference: an introduction to Seq2Seq models with attention, its encoder.
    """

    def __init__(
        self,
        units,
        num_layers=1,
        activation="tanh",
        noise=0.1,
        recurrent=False,
        source_units=None,
        dropout=0.0,
        source_end=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        given = {} if source_units is None else {"source_units": source_units}
        check_positive_integers(units=units, num_layers=num_layers, **given)
        self.units, self.num_layers, self.activation = units, num_layers, activation
        self.noise, self.recurrent = noise, recurrent
        self.source_units, self.dropout = source_units, dropout
        self._set_source_end(source_end)
        self.width, policy = units + (source_units or 0), self.dtype_policy
        self.cells = [
            NoisyCell(units, activation, noise, recurrent, dtype=policy) for _ in range(num_layers)
        ]
        self.mean_projection = Linear(self.width, dtype=policy)
        self.start_projection = Linear(self.width, use_bias=False, dtype=policy)
        self.input_dropout = Dropout(dropout, dtype=policy)

    def build(self, inputs_shape):
        width = inputs_shape[-1]
        if self.source_units not in (None, width):
            raise ValueError(
                f"source_units: expected the inputs' width {width}, came {self.source_units}"
            )
        self.start = self.add_weight((1, self.units), "glorot_uniform", name="start")
        parts = [(self.mean_projection, width), (self.start_projection, self.units)]
        parts += [(cell, self.units if i else width) for i, cell in enumerate(self.cells)]
        for layer, size in parts:
            if not layer.built:
                layer.build((None, size))

    def call(self, inputs, mask, maps="none", training=None):
        mask = self._read(mask)
        start = tf.cast(tf.convert_to_tensor(self.start), self.compute_dtype)
        mean = self.mean_projection(masked_mean(inputs, mask))
        summary = tf.tanh(mean + self.start_projection(start))  # [B, width]
        hidden = inputs
        for cell in self.cells:
            hidden = self._layer(cell, self.input_dropout(hidden, training=training), training)
        values = hidden if self.source_units is None else tf.concat([hidden, inputs], 2)
        values = tf.where(tf.expand_dims(mask, 2), values, tf.zeros_like(values))
        return Memory(values, mask, summary)

    def _layer(self, cell, inputs, training):
        projected = cell.project(inputs)  # [B, S, U]
        if not self.recurrent:
            return cell(projected, training=training)[0]
        like = tf.TensorSpec([None, self.units], self.compute_dtype)
        zeros = tf.zeros([tf.shape(inputs)[0], self.units], self.compute_dtype)

        def advance(here, states):
            return cell(here, states, training=training)

        return recurrent.unroll(advance, projected, {"h": zeros}, like)[0]

    def get_config(self):
        own = (
            "units",
            "num_layers",
            "activation",
            "noise",
            "recurrent",
            "source_units",
            "dropout",
            "source_end",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
