"""Stacked recurrent encoders."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, check_flags
from keras_s2s.layers import recurrent
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend

__all__ = ["RecurrentEncoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class RecurrentEncoder(Encoder):
    """Stacked recurrent layers over the source, in one direction or both.

    The summary is the final state of the top layer, both directions concatenated.

    Args:
        units: width U of each direction.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`, or with layer normalisation `"layer_norm_gru"` or
            `"layer_norm_lstm"`.
        bidirectional: whether the layers run in both directions; the memory's width is then 2 U.
        dropout: rate of dropout on the inputs of every layer.
        source_end: whether the last real token of a source, its end, is encoded; False treats it
            as padding.
        residual: adds the input of a layer to its output, from the second layer on.
        variational: draws one dropout mask for all positions of a sequence, and applies dropout to
            the states in the recurrent products too.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token.
        maps: ignored; there are no self-attention maps.

    Returns:
        `Memory` with values [B, S, U or 2 U] and states {"layer_0": {"h": [B, U or 2 U]}, ...}.

    Raises:
        ValueError: for another `cell`, sizes that are not positive integers, or a flag that is
            not a boolean.

    Reference: Schuster and Paliwal 1997 (bidirectional); Bahdanau et al. 2015, arXiv:1409.0473,
    section 3.2; residual: Wu et al. 2016, arXiv:1609.08144, equation 6; variational: Gal and
    Ghahramani 2016, arXiv:1512.05287, section 4; layer normalisation: Ba et al. 2016,
    arXiv:1607.06450.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import RecurrentEncoder
    >>> encoder = RecurrentEncoder(4, num_layers=2, cell="lstm")
    >>> memory = encoder(tf.ones([2, 3, 5]), mask=tf.ones([2, 3], tf.bool))
    >>> memory.values.shape, sorted(memory.states["layer_1"])
    (TensorShape([2, 3, 8]), ['c', 'h'])
    """

    supports_loop_backend = True

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        cell: str = "gru",
        bidirectional: bool = True,
        dropout: float = 0.0,
        source_end: bool = True,
        residual: bool = False,
        variational: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive_integers(units=units, num_layers=num_layers)
        check_flags(
            bidirectional=bidirectional,
            residual=residual,
            variational=variational,
            source_end=source_end,
        )
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.bidirectional, self.dropout = bidirectional, dropout
        self.residual, self.variational = residual, variational
        self.source_end = source_end
        self.width = 2 * units if bidirectional else units
        self.forward_cells = self._make_cells(num_layers)
        self.backward_cells = self._make_cells(num_layers if bidirectional else 0)
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def _make_cells(self, count):
        return [
            recurrent.cell(self.cell, self.units, dtype=self.dtype_policy) for _ in range(count)
        ]

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        for cells in (self.forward_cells, self.backward_cells):
            for index, cell in enumerate(cells):
                if not cell.built:
                    cell.build((None, self._input_width(index, inputs_shape[-1])))

    def _input_width(self, index, inputs_width):
        """Width of the inputs of a layer."""
        return self.width if index else inputs_width

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor,
        maps: str = "none",
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> Memory:
        states, mask = {}, self._mask_source_end(mask)
        for index in range(self.num_layers):
            inputs, mask = self._layer_inputs(index, inputs, mask)
            dropped = self._drop_inputs(inputs, training)
            outputs, layer_states = self._run_layer(index, dropped, mask, training, loop_backend)
            states[f"layer_{index}"] = layer_states
            if self.residual and index:
                outputs += inputs
            inputs = outputs  # [B, S, width]
        summary = states[f"layer_{self.num_layers - 1}"]["h"]
        return Memory(inputs, mask, summary, states)

    def _layer_inputs(self, index, inputs, mask):
        """Inputs and mask of a layer, from the outputs and mask of the layer below."""
        return inputs, mask

    def _drop_inputs(self, inputs, training):
        if not self.variational or not training:
            return self.input_dropout(inputs, training=training)
        batch, width = tf.shape(inputs)[0], inputs.shape[-1]
        return inputs * self._dropout_mask(batch, width, inputs.dtype)[:, None]

    def _dropout_mask(self, batch, width, dtype):
        """Dropout factors [B, width] for all positions of a sequence."""
        return self.input_dropout(tf.ones([batch, width], dtype), training=True)

    def _run_layer(self, index, inputs, mask, training, loop_backend):
        arguments = (inputs, mask, training, loop_backend)
        outputs, states = self._run_cell(self.forward_cells[index], *arguments)
        if not self.bidirectional:
            return outputs, states
        backward_outputs, backward_states = self._run_cell(
            self.backward_cells[index], *arguments, reverse=True
        )
        states = {name: tf.concat([states[name], backward_states[name]], 1) for name in states}
        return tf.concat([outputs, backward_outputs], 2), states

    def _run_cell(self, cell, inputs, mask, training, loop_backend, reverse=False):
        state_mask = None
        if self.variational and training:
            state_mask = self._dropout_mask(tf.shape(inputs)[0], self.units, cell.compute_dtype)
        return recurrent.run(cell, inputs, mask, reverse, state_mask, loop_backend)

    def get_config(self) -> dict[str, Any]:
        names = (
            "units",
            "num_layers",
            "cell",
            "bidirectional",
            "dropout",
            "source_end",
            "residual",
            "variational",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
