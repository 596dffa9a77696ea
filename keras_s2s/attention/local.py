"""Local attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.dot import DotAttention
from keras_s2s.attention.functions import masked_softmax
from keras_s2s.attention.memory_attention import build_layers
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class LocalAttention(DotAttention):
    """Local attention: multiplicative, within a window around one position of the memory.

    Positions count from zero. Over the memory positions j with |j - p_i| <= D the weights are the
    softmax of the scores. Predictive (local-p): p_i = S sigmoid(v^T tanh(W q_i)) with S the number
    of real positions, and the weights are then multiplied by exp(-(j - p_i)^2 / (2 sigma^2)),
    sigma = D / 2, so that p is trained; as in the paper they are not renormalized and sum to less
    than one. Otherwise (local-m): p_i = i, and the weights are zeros once p_i is more than D
    positions beyond the end of the memory. The window only masks positions: a step takes as long as
    with global attention.

    Args:
        units: width of the hidden layer of p; used by the predictive form only.
        window: D, in positions to each side.
        predictive: local-p; else local-m.
        form: form of the scores: `"dot"`, `"scaled"` or `"general"`, see `DotAttention`.

    Call arguments:
        query, keys, values, mask: as for `DotAttention`.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Raises:
        ValueError: for a `window` or `units` that is not a positive integer, or another `form`.

    Reference: Luong et al. 2015, arXiv:1508.04025, section 3.2, equations 9 (p) and 10 (weights).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import LocalAttention
    >>> layer, query, memory = LocalAttention(6, window=2), tf.ones([2, 1, 4]), tf.ones([2, 5, 8])
    >>> layer.build(query.shape, None, memory.shape)
    >>> layer(query, layer.project(memory), memory)[1].shape
    TensorShape([2, 1, 5])
    """

    def __init__(
        self,
        units: int,
        window: int = 10,
        predictive: bool = True,
        form: str = "general",
        **kwargs: Any,
    ):
        super().__init__(form, **kwargs)
        check_positive_integers(units=units, window=window)
        self.units, self.window, self.predictive = units, window, predictive
        self.stateful = not predictive
        if predictive:
            # float32: half precision cannot distinguish the positions of a long memory
            self.place_projection = Linear(units, use_bias=False, dtype="float32")
            self.place_score = Linear(1, use_bias=False, dtype="float32")

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        super().build(query_shape, keys_shape, values_shape)
        if self.predictive:
            build_layers((self.place_projection, query_shape[-1]), (self.place_score, self.units))

    def initial_state(
        self, memory: dict[str, tf.Tensor], num_hypotheses: int | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        if self.predictive:
            return {}
        return {"position": tf.zeros([tf.shape(memory["mask"])[0], num_hypotheses, 1])}

    def attend(
        self,
        query: tf.Tensor,
        sizes: Sequence[int | tf.Tensor],
        memory: dict[str, tf.Tensor],
        state: dict[str, tf.Tensor],
        training: bool | None = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        mask = tf.expand_dims(memory["mask"], 1)  # [B, 1, M]
        if self.predictive:
            hidden = tf.tanh(self.place_projection(tf.cast(query, tf.float32)))
            center = tf.reshape(tf.sigmoid(self.place_score(hidden)), [*sizes, 1])  # [B, K, 1]
            center *= tf.reduce_sum(tf.cast(mask, tf.float32), 2, keepdims=True)
        else:
            center = tf.reshape(state["position"], [*sizes, 1])
            state = {"position": state["position"] + 1.0}
        offsets = tf.cast(tf.range(tf.shape(mask)[2]), tf.float32) - center  # [B, K, M]
        query = self._query(query)
        scores = self._scores(tf.reshape(query, [*sizes, query.shape[-1]]), memory["keys"])
        weights = masked_softmax(scores, mask & (tf.abs(offsets) <= self.window))
        if self.predictive:
            weights *= tf.exp(-2.0 * tf.square(offsets / self.window))
        return self._gather(weights, memory["values"]), tf.expand_dims(weights, 1), state

    def get_config(self) -> dict[str, Any]:
        names = ("units", "window", "predictive")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
