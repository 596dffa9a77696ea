"""The base class of decoders."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders import Memory

__all__ = ["Decoder"]

MAPS = ("none", "alignment", "all")


class Decoder(keras.layers.Layer):
    """Base class of decoders: `prepare`, `initial_state`, `step`, and `call` for all positions.

    The context is a nested dict with at least `memory` {"values", "mask", "source_index"} and
    `source` (the model's source dict). Attention maps are [B, A, N, M]; `maps="alignment"` returns
    A = 1, the map that serves as the alignment, and `maps="all"` every map, in the order of
    `attention_names`.

    Leaves of a state are [B, K, ...]. An axis of static size 0 is one that a step extends by one,
    so no other axis of a state may have size 0 (such as the cache of a convolution of kernel
    size 1).

    Attributes:
        width: last axis of the outputs.
        attention_names: names of the A attention maps.
        has_fixed_input_width: whether the target vectors must have the width `units`.
        has_attention: whether the decoder attends to the memory, and so has an alignment.
        supports_loop_backend: whether `call` and `step` take a `loop_backend`, see
            `layers.loop_backend`.
    """

    has_fixed_input_width = False
    has_attention = True
    supports_loop_backend = False

    def __init__(self, **kwargs: Any) -> None:
        # The context has float32 leaves that must stay float32: no cast of arguments.
        super().__init__(**{**kwargs, "autocast": False})
        self.supports_masking = True
        self.attention_names = []

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        """Stops the implicit mask: masks are arguments."""

    def prepare(
        self, memory: Memory, source: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, Any]:
        """Context of a source; sub-classes add what their layers compute from the memory.

        Args:
            memory: `Memory` of an encoder.
            source: the model's source dict.
            training: whether dropout applies.

        Returns:
            nested dict of tensors [B, ...].
        """
        return {
            "memory": {
                "values": memory.values,
                "mask": memory.mask,
                "source_index": memory.source_index,
            },
            "source": dict(source),
        }

    def alignment(self, attention: tf.Tensor) -> tf.Tensor:
        """The map that serves as the alignment: [B, A, N, M] -> [B, 1, N, M]."""
        return attention[:, :1]

    def select_maps(self, attention: tf.Tensor | None, maps: str) -> tf.Tensor | None:
        """The attention maps that a `maps` argument requests.

        Args:
            attention: float32 tensor [B, A, N, M], all maps, or None.
            maps: `"none"`, `"alignment"` or `"all"`.

        Returns:
            float32 tensor [B, 1, N, M] or [B, A, N, M], or None.

        Raises:
            ValueError: for another value of `maps`.
        """
        if maps not in MAPS:
            raise ValueError(f"maps: expected one of {', '.join(MAPS)}, got {maps!r}")
        if maps == "none" or attention is None:
            return None
        return self.alignment(attention) if maps == "alignment" else attention

    def _cast_inputs(self, inputs):
        if not self.built:
            raise ValueError(f"{self.name}: build the decoder before its first step")
        return tf.cast(inputs, self.compute_dtype)
