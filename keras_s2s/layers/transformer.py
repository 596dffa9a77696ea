"""Transformer layer of encoders and decoders."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention import CrossAttention, SelfAttention
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.feed_forward import FeedForward
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.layers.normalization import make_norm

__all__ = ["TransformerLayer"]


@keras.saving.register_keras_serializable("keras_s2s")
class TransformerLayer(keras.layers.Layer):
    """Transformer layer: self-attention, optional cross-attention, feed-forward block.

    Each block f is wrapped in a residual connection: `x + f(norm(x))` with `norm="pre"`,
    `norm(x + f(x))` with `norm="post"`. `call` runs a whole sequence and `step` one position of K
    hypotheses; they differ in the self-attention only.

    Args:
        units: width D.
        num_heads: number of heads H, a divisor of `units`.
        hidden_units: width of the inner layer of the feed-forward block.
        cross: whether the layer attends to a memory.
        norm: `"pre"` or `"post"`.
        activation: Keras name of the feed-forward activation.
        dropout: fraction dropped in training, inside every block and after it.
        epsilon: added to the variance in normalizations.
        position: positions inside the self-attention, see `SelfAttention`.

    Call arguments:
        inputs: float tensor [B, N, D].
        memory: {"keys": [B, H, M, D / H], "values": the same, "mask": bool [B, M]}, from `project`;
            None without cross-attention.
        mask: bool tensor broadcastable to [B, N, N], True = may be attended to.

    Output:
        float tensor [B, N, D], self-attention weights [B, H, N, N], and cross-attention weights
        [B, H, N, M] or None.

    Raises:
        ValueError: for another `norm`, or a number of heads that does not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; pre-norm: Xiong et al. 2020,
    arXiv:2002.04745.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.transformer import TransformerLayer
    >>> layer = TransformerLayer(units=8, num_heads=2, hidden_units=16)
    >>> outputs, weights, _ = layer(tf.ones([3, 5, 8]))
    >>> outputs.shape, weights.shape
    (TensorShape([3, 5, 8]), TensorShape([3, 2, 5, 5]))
    """

    def __init__(
        self,
        units: int,
        num_heads: int,
        hidden_units: int,
        cross: bool = False,
        norm: str = "pre",
        activation: str = "relu",
        dropout: float = 0.0,
        epsilon: float = 1e-6,
        position: keras.layers.Layer | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if norm not in ("pre", "post"):
            raise ValueError(f"norm: expected 'pre' or 'post', got {norm!r}")
        self.units, self.num_heads, self.hidden_units = units, num_heads, hidden_units
        self.cross, self.norm, self.activation, self.dropout = cross, norm, activation, dropout
        self.epsilon = epsilon
        policy = self.dtype_policy
        self.self_attention = self._make_self_attention(
            units, num_heads, dropout, position, dtype=policy
        )
        self.self_norm = make_norm(policy, epsilon)
        self.cross_attention = self.cross_norm = None
        if cross:
            self.cross_attention = CrossAttention(units, num_heads, dropout, dtype=policy)
            self.cross_norm = make_norm(policy, epsilon)
        self.feed_forward = FeedForward(units, hidden_units, activation, dropout, dtype=policy)
        self.feed_norm = make_norm(policy, epsilon)
        self.residual_dropout = Dropout(dropout, dtype=policy)
        self.supports_masking = True

    def _make_self_attention(self, *args: Any, **kwargs: Any) -> keras.layers.Layer:
        """Layer that mixes positions; sub-classes replace self-attention here."""
        return SelfAttention(*args, **kwargs)

    def build(
        self,
        inputs_shape: Sequence[int | None],
        memory_shape: Sequence[int | None] | None = None,
    ) -> None:
        shape = (None, None, self.units)
        layers = [self.self_attention, self.self_norm, self.feed_forward, self.feed_norm]
        for layer in layers + ([self.cross_norm] if self.cross else []):
            if not layer.built:
                layer.build(shape)
        if self.cross and not self.cross_attention.built:
            self.cross_attention.build(shape, memory_shape or shape)

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        return None

    def project(
        self, memory: tf.Tensor, mask: tf.Tensor, keys: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor] | None:
        """Projects a memory [B, M, D_m] for the cross-attention; None without it.

        Args:
            memory: float tensor [B, M, D_m].
            mask: bool tensor [B, M].
            keys: float tensor [B, M, D_m] to compute the attention keys from instead of `memory`.
        """
        if not self.cross:
            return None
        keys, values = self.cross_attention.project(memory, keys)
        return {"keys": keys, "values": values, "mask": mask}

    def call(
        self,
        inputs: tf.Tensor,
        memory: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        def self_attend(x):
            return self.self_attention(x, mask=mask, training=training, loop_backend=loop_backend)

        def cross_attend(x):
            return self.cross_attention(x, **memory, training=training)

        return self._run_blocks(inputs, self_attend, cross_attend, training)

    def step(
        self,
        inputs: tf.Tensor,
        sizes: Sequence[int | tf.Tensor],
        position: tf.Tensor,
        memory: dict[str, tf.Tensor] | None,
        cache: Any,
        mask: tf.Tensor | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, Any, tf.Tensor | None]:
        """One position of K hypotheses.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            position: int32 scalar.
            memory: as for the call.
            cache, mask: of the self-attention.
            loop_backend: `LoopBackend` of the loop that takes the steps.

        Returns:
            outputs [B * K, D], the new cache, and weights [B, H, K, M] or None.
        """

        def self_attend(x):
            return self.self_attention.step(x, sizes, position, cache, mask, loop_backend)

        def cross_attend(x):
            return self.cross_attention.step(x, sizes, **memory)

        return self._run_blocks(inputs, self_attend, cross_attend, False)

    def _run_blocks(self, x, self_attend, cross_attend, training):
        cross_weights = None
        x, self_state = self._residual(x, self.self_norm, self_attend, training)
        if self.cross:
            x, cross_weights = self._residual(x, self.cross_norm, cross_attend, training)

        def feed_forward(x):
            return self.feed_forward(x, training=training), None

        x, _ = self._residual(x, self.feed_norm, feed_forward, training)
        return x, self_state, cross_weights

    def _residual(
        self, x: tf.Tensor, norm: keras.layers.Layer, block: Callable, training: bool | None
    ) -> tuple[tf.Tensor, Any]:
        """Residual connection around a block that returns outputs and a second value."""
        outputs, extra = block(norm(x) if self.norm == "pre" else x)
        x = x + self.residual_dropout(outputs, training=training)
        return (x if self.norm == "pre" else norm(x)), extra

    def get_config(self) -> dict[str, Any]:
        names = (
            "units",
            "num_heads",
            "hidden_units",
            "cross",
            "norm",
            "activation",
            "dropout",
            "epsilon",
        )
        own = {name: getattr(self, name) for name in names}
        position = keras.saving.serialize_keras_object(self.self_attention.position)
        return {**super().get_config(), **own, "position": position}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TransformerLayer":
        position = keras.saving.deserialize_keras_object(config["position"])
        return cls(**{**config, "position": position})
