"""What every decoder is."""

import keras
import tensorflow as tf

__all__ = ["Decoder"]

MAPS = ("none", "alignment", "all")


class Decoder(keras.layers.Layer):
    """What every decoder is.

    The context is a nested dict with at least `memory` {"values", "mask", "source_index"} and
    `source` (the model's source dict). Attention maps are [B, A, N, M]; `maps="alignment"` gives
    A = 1, the map that stands for the alignment, and `maps="all"` every map, named by
    `attention_names`.

    Leaves of a state are [B, K, ...]. An axis of the static size 0 is one that a step makes longer
    by one: a state may have none other (of a kernel of one place, say).

    Attributes:
        width: last axis of the outputs.
        attention_names: list of A strings.
        reads_own_width: whether the target vectors must be of the width `units`.
        attends: whether there is attention to the memory, and so an alignment to use.
        supports_loop_backend: whether `call` and `step` take a `loop_backend`, see
            `layers.loop_backend`.
    """

    reads_own_width = False
    attends = True
    supports_loop_backend = False

    def __init__(self, **kwargs):
        # The context carries float32 leaves that must stay so: no cast on the way in.
        super().__init__(**{**kwargs, "autocast": False})
        self.supports_masking = True
        self.attention_names = []

    def compute_mask(self, *args, **kwargs):
        return None

    def prepare(self, memory, source, training=False):
        """Context of a `Memory`; sub-classes add what their layers need of it."""
        seen = {"values": memory.values, "mask": memory.mask, "source_index": memory.source_index}
        return {"memory": seen, "source": dict(source)}

    def alignment(self, attention):
        """The map that stands for the alignment: [B, A, N, M] -> [B, 1, N, M]."""
        return attention[:, :1]

    def select(self, attention, maps):
        """All maps [B, A, N, M] -> those that `maps` asks for, or None.

        Raises:
            ValueError: for another value of `maps`.
        """
        if maps not in MAPS:
            raise ValueError(f"maps: expected one of {', '.join(MAPS)}, came {maps!r}")
        if maps == "none" or attention is None:
            return None
        return self.alignment(attention) if maps == "alignment" else attention

    def _inputs(self, inputs):
        if not self.built:
            raise ValueError(f"{self.name}: build the decoder before its first step")
        return tf.cast(inputs, self.compute_dtype)
