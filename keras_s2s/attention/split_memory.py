"""Base of the attention over a memory of hidden states and inputs."""

from typing import Any

import tensorflow as tf

from keras_s2s.attention.memory_attention import MemoryAttention
from keras_s2s.layers.argument_checks import check_positive_integers


class SplitMemoryAttention(MemoryAttention):
    """Attention over a memory whose vectors are a hidden state h_j followed by an input x_j.

    Args:
        source_units: width of the x_j; None when the memory holds the h_j only.
    """

    def __init__(self, source_units: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if source_units is not None:
            check_positive_integers(source_units=source_units)
        self.source_units = source_units

    def context_width(self, memory_width: int) -> int:
        if self.source_units is not None and self.source_units >= memory_width:
            raise ValueError(
                f"source_units: expected fewer than the memory's width {memory_width},"
                f" got {self.source_units}"
            )
        return memory_width - (self.source_units or 0)

    def _hidden(self, values: tf.Tensor) -> tf.Tensor:
        return values[..., : self.context_width(values.shape[-1])]

    def _source(self, values: tf.Tensor) -> tf.Tensor:
        return values if self.source_units is None else values[..., -self.source_units :]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "source_units": self.source_units}
