"""Encoders side by side."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory
from keras_s2s.encoders.composite import CompositeEncoder, numbered_attention_names
from keras_s2s.encoders.memory_fusion import (
    concat_memories,
    merge_memories,
    pad_maps,
    split_packed_sources,
)
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend, loop_arguments

__all__ = ["ParallelEncoder"]

COMBINE = ("time", "sum", "depth")


@keras.saving.register_keras_serializable("keras_s2s")
class ParallelEncoder(CompositeEncoder):
    """Encoders side by side, over one source or over one source each.

    Several sources come in one of two forms. As a list: `inputs` is a list of tensors, `mask` their
    masks concatenated over time, and source positions count over all of them. Packed in one row:
    `parts` gives the source of each position, and self-attention maps cover that row.

    Args:
        encoders: list of encoders.
        combine: `"time"`: the memories are concatenated over time and need one width; `"sum"`: the
            memories are added position by position; `"depth"`: the vectors of each position are
            concatenated. The last two need one source and memories of one length.

    Call arguments:
        inputs: float tensor [B, S, D], or a list of tensors [B, S_i, D] with S the sum of S_i.
        mask: bool tensor [B, S], True at a real token.
        maps: `"all"` also returns self-attention maps, except for a list of sources.
        parts: int tensor [B, S] from 0 upwards, the source of each position of `inputs` [B, S, D].

    Returns:
        `Memory` with values [B, M, D'] and a summary combined as the values are (with `"time"` the
        mean over all positions). The states of the encoders are concatenated with `"depth"` and
        added with `"sum"`, if their structures match; otherwise there are none.

    Raises:
        ValueError: for another `combine`, widths or lengths that do not match, another number of
            sources than of encoders, or several sources that are not combined over time.

    Reference: Chen et al. 2018, arXiv:1804.09849 (multi-column encoders); several
    sources: Zoph and Knight 2016, arXiv:1601.00710; over time: Libovicky and Helcl 2017,
    arXiv:1704.06567, section 3 (flat).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import ParallelEncoder, RecurrentEncoder
    >>> encoder = ParallelEncoder([RecurrentEncoder(4), RecurrentEncoder(4)], combine="depth")
    >>> encoder(tf.ones([2, 3, 5]), mask=tf.ones([2, 3], tf.bool)).values.shape
    TensorShape([2, 3, 16])
    """

    def __init__(self, encoders: Sequence[Encoder], combine: str = "time", **kwargs: Any) -> None:
        super().__init__(encoders, **kwargs)
        if combine not in COMBINE:
            raise ValueError(f"combine: expected one of {', '.join(COMBINE)}, got {combine!r}")
        widths = [encoder.width for encoder in self.encoders]
        if combine != "depth" and len(set(widths)) > 1:
            raise ValueError(f"encoders: expected one width to combine by {combine}, got {widths}")
        if combine != "time" and len({encoder.has_source_index for encoder in self.encoders}) > 1:
            raise ValueError(f"encoders: expected memories of one length to combine by {combine}")
        self.combine = combine
        self.width = sum(widths) if combine == "depth" else widths[0]
        self.has_source_index = combine == "time" or any(
            encoder.has_source_index for encoder in self.encoders
        )
        self.attention_names = numbered_attention_names(self.encoders)

    def build(self, inputs_shape: Sequence[Any]) -> None:
        shapes = inputs_shape if isinstance(inputs_shape[0], list | tuple) else [inputs_shape]
        shapes = list(shapes) * (len(self.encoders) if len(shapes) == 1 else 1)
        for encoder, shape in zip(self.encoders, shapes):
            if not encoder.built:
                encoder.build(shape)

    def call(
        self,
        inputs: tf.Tensor | list[tf.Tensor],
        mask: tf.Tensor,
        maps: str = "none",
        training: bool | None = None,
        parts: tf.Tensor | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> Memory:
        is_list = isinstance(inputs, list | tuple)
        offsets = [0] * len(self.encoders)
        if is_list:
            sources, offsets = self._split_list(inputs, mask)
        elif parts is not None:
            self._check_combine_over_time()
            sources, offsets = split_packed_sources(inputs, mask, parts, len(self.encoders))
        else:
            sources = [(inputs, mask)] * len(self.encoders)
        memories = [
            encoder(
                source,
                mask=source_mask,
                maps="none" if is_list else maps,
                training=training,
                **loop_arguments(encoder, loop_backend),
            )
            for encoder, (source, source_mask) in zip(self.encoders, sources)
        ]
        attention = self._attention(memories, mask, parts, offsets)
        if self.combine == "time":
            memory = concat_memories(memories, offsets)
        else:
            memory = merge_memories(memories, self._join)
        if parts is not None:  # padding behind a source may point beyond the row
            last = tf.maximum(tf.shape(mask)[1] - 1, 0)
            memory = memory._replace(source_index=tf.minimum(memory.source_index, last))
        return memory._replace(attention=attention)

    def _attention(self, memories, mask, parts, offsets):
        """The self-attention maps of all encoders [B, A, S, S], or None."""
        maps = [
            memory.attention
            if parts is None
            else pad_maps(memory.attention, mask & tf.equal(parts, number), offset)
            for number, (memory, offset) in enumerate(zip(memories, offsets))
            if memory.attention is not None
        ]
        return tf.concat(maps, 1) if maps else None

    def _join(self, leaves):
        return tf.concat(leaves, -1) if self.combine == "depth" else tf.add_n(leaves)

    def _split_list(self, inputs, mask):
        """(tensor, mask) of each source of a list, and the offsets of their positions."""
        if self.combine != "time" or len(inputs) != len(self.encoders):
            raise ValueError(
                f"inputs: expected one source, or {len(self.encoders)} to combine over time, got"
                f" {len(inputs)} to combine by {self.combine}"
            )
        lengths = [tf.shape(source)[1] for source in inputs]
        offsets = tf.unstack(tf.cumsum(tf.stack(lengths), exclusive=True), num=len(lengths))
        return list(zip(inputs, tf.split(mask, lengths, 1))), offsets

    def _check_combine_over_time(self):
        if self.combine != "time":
            raise ValueError(
                f"combine: expected 'time' for several sources in a row, got {self.combine!r}"
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "combine": self.combine}
