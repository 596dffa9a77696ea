"""The base class of layers that replace self-attention by a state of constant size."""

from typing import Any

import keras
import tensorflow as tf

__all__ = ["TargetHistory"]


class TargetHistory(keras.layers.Layer):
    """A replacement of a decoder's self-attention [B, N, D] -> [B, N, D], without attention maps.

    The state is float32 [B, K, D] under every dtype policy, and of the same size at every position.

    Args:
        units: width D.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.supports_masking = True

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        """Stops the implicit mask: masks are arguments."""

    def initial_cache(
        self,
        batch: tf.Tensor | int,
        num_hypotheses: tf.Tensor | int,
        max_length: tf.Tensor | int | None = None,
    ) -> dict[str, tf.Tensor]:
        """Zeros: {"past": float32 [B, K, D]}."""
        return {"past": tf.zeros([batch, num_hypotheses, self.units])}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
