"""What every attention layer is."""

import keras


class Attention(keras.layers.Layer):
    """What the attention layers share: they take masks as arguments and never pass them on.

    A layer is called as `layer(query [B, Q, D], ..., mask)` and gives [B, Q, D] and float32
    weights over the places of the memory.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, *args, **kwargs):
        return None

    def _head_scale(self, units, num_heads):
        if num_heads < 1 or units % num_heads:
            raise ValueError(f"num_heads: expected a divisor of units ({units}), came {num_heads}")
        return (units // num_heads) ** -0.5
