"""What the attention of a recurrent decoder is."""

import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.attention.base import Attention
from keras_s2s.layers.shapes import leading_shape


class MemoryAttention(Attention):
    """Attention of K decoder states of each row over one memory, some of it with a state.

    A sub-class gives `_query`, what is done to a query, and `_scores`; or its own `attend`.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, A], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M]; what has a state stands at its start.

    Attributes:
        attends: False when there are no weights.
        map_names: names of the A maps that `attend` gives.
        stateful: whether `attend` depends on what it gave before.
    """

    attends, stateful, map_names = True, False, ("attention",)

    def context_width(self, memory_width):
        """Width of the context over a memory of that width."""
        return memory_width

    def project(self, values):
        """Keys of a memory: [B, M, D_m] -> [B, M, A]."""
        return values

    def prepare(self, memory):
        """What a `Memory` fixes: dict of leaves [B, ...]."""
        return {"keys": self.project(memory.attention_keys)}

    def initial_state(self, memory, num_hypotheses):
        """State before the first position: dict of leaves [B, K, ...].

        Args:
            memory: dict of `values` [B, M, D_m], `mask` and what `prepare` gave.
            num_hypotheses: K.
        """
        return {}

    def attend(self, query, sizes, memory, state, training=False):
        """One query of each of K hypotheses, on flat tensors.

        Args:
            query: float tensor [B * K, D_q].
            sizes: B and K.
            memory: as for `initial_state`.
            state: leaves [B * K, ...].

        Returns:
            context [B * K, D], float32 weights [B, A, K, M] and the new state.
        """
        query = self._query(query)
        query = tf.reshape(query, [*sizes, query.shape[-1]])
        weights = self._weights(self._scores(query, memory["keys"]), memory["mask"])
        return self._gather(weights, memory["values"]), tf.expand_dims(weights, 1), state

    def call(self, query, keys, values, mask=None, training=None):
        sizes = leading_shape(query, 2)
        if mask is None:
            mask = tf.ones(tf.shape(values)[:2], tf.bool)
        memory = {"keys": keys, "values": values, "mask": mask}
        state = self.initial_state(memory, sizes[1])
        state = {
            name: tf.reshape(leaf, [sizes[0] * sizes[1], leading_shape(leaf, 3)[2]])
            for name, leaf in state.items()
        }
        flat = tf.reshape(query, [-1, query.shape[-1]])
        seen, weights, _ = self.attend(flat, sizes, memory, state, training)
        return tf.reshape(seen, [*sizes, seen.shape[-1]]), weights[:, 0]

    def _query(self, query):
        return query

    def _scores(self, query, keys):
        """[B, K, A], [B, M, A] -> [B, K, M]."""
        raise NotImplementedError

    def _weights(self, scores, mask):
        return functions.masked_softmax(scores, tf.expand_dims(mask, 1))  # [B, K, M]

    def _gather(self, weights, values):
        seen = tf.matmul(tf.cast(weights, values.dtype), values)  # [B, K, D_m]
        return tf.reshape(seen, [-1, values.shape[-1]])


def zero_weights(memory, num_hypotheses):
    """float32 zeros [B, K, M], a number for each place of a memory."""
    batch, length = leading_shape(memory["mask"], 2)
    return tf.zeros([batch, num_hypotheses, length])


def build_layers(*parts):
    """Builds each (layer, width of its input) that is not built."""
    for layer, width in parts:
        if not layer.built:
            layer.build((None, width))
