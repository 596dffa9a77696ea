"""The encoder of Google's neural machine translation system."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, check_flags
from keras_s2s.encoders.recurrent import RecurrentEncoder
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend

__all__ = ["GNMTEncoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class GNMTEncoder(Encoder):
    """A bidirectional layer below unidirectional layers with residuals from the third on.

    The state of the first layer is that of its backward direction, so that the states of all
    layers have the same width and a decoder of as many layers can copy them.

    Args:
        units: width U of each direction and of the memory.
        num_layers: number of layers, at least 2.
        cell: as for `RecurrentEncoder`.
        dropout: rate of dropout on the inputs of every layer.
        source_end: as for `RecurrentEncoder`.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token.
        maps: ignored; there are no self-attention maps.

    Returns:
        `Memory` with values [B, S, U] and states {"layer_0": {"h": [B, U], ...}, ...}.

    Raises:
        ValueError: for another `cell`, sizes that are not positive integers, or one layer.

    Reference: Wu et al. 2016, arXiv:1609.08144, sections 3.1 and 3.2, figure 1.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import GNMTEncoder
    >>> encoder = GNMTEncoder(4, num_layers=3)
    >>> encoder(tf.ones([2, 3, 5]), mask=tf.ones([2, 3], tf.bool)).values.shape
    TensorShape([2, 3, 4])
    """

    supports_loop_backend = True

    def __init__(
        self,
        units: int,
        num_layers: int = 8,
        cell: str = "lstm",
        dropout: float = 0.2,
        source_end: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive_integers(units=units, num_layers=num_layers)
        if num_layers < 2:
            raise ValueError(f"num_layers: expected at least 2, got {num_layers}")
        check_flags(source_end=source_end)
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.dropout, self.width = dropout, units
        self.source_end = source_end
        policy = self.dtype_policy
        self.bottom = RecurrentEncoder(units, 1, cell, True, dropout, source_end, dtype=policy)
        self.middle = RecurrentEncoder(units, 1, cell, False, dropout, dtype=policy)
        self.top = None
        if num_layers > 2:
            self.top = [
                RecurrentEncoder(units, 1, cell, False, dropout, dtype=policy)
                for _ in range(num_layers - 2)
            ]

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        width = inputs_shape[-1]
        for layer in (self.bottom, self.middle, *(self.top or [])):
            if not layer.built:
                layer.build((None, None, width))
            width = layer.width

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor,
        maps: str = "none",
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> Memory:
        options = {"training": training, "loop_backend": loop_backend}
        bottom = self.bottom(inputs, mask=mask, **options)
        backward = {name: x[:, self.units :] for name, x in bottom.states["layer_0"].items()}
        memory = self.middle(bottom.values, mask=bottom.mask, **options)
        values, states = memory.values, {"layer_0": backward, "layer_1": memory.states["layer_0"]}
        for index, layer in enumerate(self.top or [], 2):
            memory = layer(values, mask=bottom.mask, **options)
            values = values + memory.values  # [B, S, U]
            states[f"layer_{index}"] = memory.states["layer_0"]
        summary = states[f"layer_{self.num_layers - 1}"]["h"]
        return Memory(values, bottom.mask, summary, states)

    def get_config(self) -> dict[str, Any]:
        names = ("units", "num_layers", "cell", "dropout", "source_end")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
