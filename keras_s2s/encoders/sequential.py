"""A chain of encoders."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory
from keras_s2s.encoders.composite import CompositeEncoder, numbered_attention_names
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend, loop_arguments

__all__ = ["SequentialEncoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class SequentialEncoder(CompositeEncoder):
    """A chain of encoders: each encodes the memory of the previous one.

    Self-attention maps come from the encoders that see every source position.

    Args:
        encoders: list of encoders; the first encodes the source.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token.
        maps: `"all"` also returns self-attention maps.

    Returns:
        `Memory` of the last encoder; its `source_index` [B, M] counts source positions.

    Raises:
        ValueError: for anything but a list of encoders.

    Reference: Chen et al. 2018, arXiv:1804.09849 (cascaded encoders).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import PyramidalEncoder, RecurrentEncoder, SequentialEncoder
    >>> encoder = SequentialEncoder([PyramidalEncoder(4, num_layers=2), RecurrentEncoder(4)])
    >>> encoder(tf.ones([2, 6, 5]), mask=tf.ones([2, 6], tf.bool)).values.shape
    TensorShape([2, 3, 8])
    """

    def __init__(self, encoders: Sequence[Encoder], **kwargs: Any) -> None:
        super().__init__(encoders, **kwargs)
        self.width = self.encoders[-1].width
        self.has_source_index = any(encoder.has_source_index for encoder in self.encoders)
        self.attention_names = numbered_attention_names(self._encoders_with_maps())

    def _encoders_with_maps(self) -> Iterator[Encoder]:
        """The encoders up to the first whose memory has other positions than its inputs."""
        for encoder in self.encoders:
            yield encoder
            if encoder.has_source_index:
                return

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        for encoder in self.encoders:
            if not encoder.built:
                encoder.build(inputs_shape)
            inputs_shape = (None, None, encoder.width)

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor,
        maps: str = "none",
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> Memory:
        source_index, attention = None, []
        num_with_maps = len(list(self._encoders_with_maps()))
        for number, encoder in enumerate(self.encoders):
            encoder_maps = maps if number < num_with_maps else "none"
            options = loop_arguments(encoder, loop_backend)
            memory = encoder(inputs, mask=mask, maps=encoder_maps, training=training, **options)
            inputs, mask = memory.values, memory.mask
            if memory.attention is not None:
                attention.append(memory.attention)
            if memory.source_index is None:
                continue
            if source_index is None:
                source_index = memory.source_index  # [B, M]
            else:
                source_index = tf.gather(source_index, memory.source_index, batch_dims=1)
        attention = tf.concat(attention, 1) if attention else None
        return memory._replace(source_index=source_index, attention=attention)
