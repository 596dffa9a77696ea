"""Local attention."""

import keras
import tensorflow as tf

from keras_s2s.attention.dot import DotAttention
from keras_s2s.attention.functions import masked_softmax
from keras_s2s.attention.memory_attention import build_layers
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class LocalAttention(DotAttention):
    """Local attention: multiplicative, within a window around one place of the memory.

    Places and positions count from zero. Of memory places j with |j - p_i| <= D the weights are
    the softmax of the scores. Predictive (local-p), p_i = S sigmoid(v^T tanh(W q_i)) with S the
    number of real places, and the weights are then multiplied by exp(-(j - p_i)^2 / (2 sigma^2)),
    sigma = D / 2, so that p learns; as in the paper they are not normalised again and sum to less
    than one. Otherwise (local-m) p_i = i, and beyond the end of the memory and D places more they
    are zeros. The window only hides places: a step takes no less time than global attention.

    Args:
        units: width of the hidden layer of p; read by the predictive form alone.
        window: D, in places to each side.
        predictive: local-p; else local-m.
        form: of the scores: `"dot"`, `"scaled"` or `"general"`, see `DotAttention`.

    Call arguments:
        query, keys, values, mask: as for `DotAttention`.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Raises:
        ValueError: for a `window` or `units` that is no positive integer, or another `form`.

    Reference: Luong et al. 2015, arXiv:1508.04025, section 3.2, equations 9 (p) and 10 (weights).
    """

    def __init__(self, units, window=10, predictive=True, form="general", **kwargs):
        super().__init__(form, **kwargs)
        check_positive_integers(units=units, window=window)
        self.units, self.window, self.predictive = units, window, predictive
        self.stateful = not predictive
        if predictive:
            # float32: half precision does not tell the places of a long memory apart
            self.place_projection = Linear(units, use_bias=False, dtype="float32")
            self.place_score = Linear(1, use_bias=False, dtype="float32")

    def build(self, query_shape, keys_shape=None, values_shape=None):
        super().build(query_shape, keys_shape, values_shape)
        if self.predictive:
            build_layers((self.place_projection, query_shape[-1]), (self.place_score, self.units))

    def initial_state(self, memory, num_hypotheses):
        if self.predictive:
            return {}
        return {"position": tf.zeros([tf.shape(memory["mask"])[0], num_hypotheses, 1])}

    def attend(self, query, sizes, memory, state, training=False):
        mask = tf.expand_dims(memory["mask"], 1)  # [B, 1, M]
        if self.predictive:
            hidden = tf.tanh(self.place_projection(tf.cast(query, tf.float32)))
            centre = tf.reshape(tf.sigmoid(self.place_score(hidden)), [*sizes, 1])  # [B, K, 1]
            centre *= tf.reduce_sum(tf.cast(mask, tf.float32), 2, keepdims=True)
        else:
            centre = tf.reshape(state["position"], [*sizes, 1])
            state = {"position": state["position"] + 1.0}
        away = tf.cast(tf.range(tf.shape(mask)[2]), tf.float32) - centre  # [B, K, M]
        query = self._query(query)
        scores = self._scores(tf.reshape(query, [*sizes, query.shape[-1]]), memory["keys"])
        weights = masked_softmax(scores, mask & (tf.abs(away) <= self.window))
        if self.predictive:
            weights *= tf.exp(-2.0 * tf.square(away / self.window))
        return self._gather(weights, memory["values"]), tf.expand_dims(weights, 1), state

    def get_config(self):
        own = ("units", "window", "predictive")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
