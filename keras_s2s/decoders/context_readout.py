"""The base class of recurrent decoders whose outputs depend on state, context and input."""

from typing import Any

import tensorflow as tf

from keras_s2s.decoders.cell_decoder import CellDecoder
from keras_s2s.layers.dense import Linear

__all__ = ["ContextReadoutDecoder"]


class ContextReadoutDecoder(CellDecoder):
    """Stacked cells with the outputs [B, T, U] tanh(W [s; c; y] + b)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.readout = Linear(self.units, activation="tanh", dtype=self.dtype_policy)

    def _extra_layers(self, input_width, context_width):
        return [(self.readout, (None, self.units + context_width + input_width))]

    def _readout_widths(self, context):
        return self.units, self._context_width(context)

    def _readout(self, readout_inputs, inputs):
        return self.readout(tf.concat([*readout_inputs, inputs], -1))
