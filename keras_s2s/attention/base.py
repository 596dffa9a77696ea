"""Base of the attention layers."""

from typing import Any

import keras


class Attention(keras.layers.Layer):
    """Base of the attention layers: masks are arguments and are not passed on.

    A layer is called as `layer(query [B, Q, D], ..., mask)` and returns [B, Q, D] and float32
    weights over the positions of the memory.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        return None

    def _head_scale(self, units: int, num_heads: int) -> float:
        """Scale of the queries: the inverse square root of the width of a head."""
        if num_heads < 1 or units % num_heads:
            raise ValueError(f"num_heads: expected a divisor of units ({units}), got {num_heads}")
        return (units // num_heads) ** -0.5
