"""The pointer-generator head: the vocabulary, or a copy of a source token."""

import keras
import tensorflow as tf

from keras_s2s.heads.base import Head
from keras_s2s.layers.dense import Linear

LOG_EPSILON = 1e-12  # floor of a copy probability before its logarithm


def copy_distribution(attention, copy_ids, size):
    """Sums the attention that falls on equal ids.

    Args:
        attention: float32 tensor [B, N, S], weights over source positions.
        copy_ids: int32 tensor [B, S], the column of each position.
        size: scalar, number of columns.

    Returns:
        float32 tensor [B, N, size].
    """
    batch, count = tf.shape(attention)[0], tf.shape(attention)[1]
    rows = tf.reshape(tf.range(batch * count), [batch, count, 1]) * size
    index = rows + tf.expand_dims(copy_ids, 1)  # [B, N, S]
    flat = tf.scatter_nd(
        tf.reshape(index, [-1, 1]), tf.reshape(attention, [-1]), [batch * count * size]
    )
    return tf.reshape(flat, [batch, count, size])


@keras.saving.register_keras_serializable("keras_s2s")
class PointerGeneratorHead(Head):
    """Mixture of a vocabulary and of copying source tokens.

    p_gen = s(w_c . c + w_o . o + w_y . y + b), with c the attended memory, o the decoder's output
    and y its input; P(w) = p_gen P_vocabulary(w) + (1 - p_gen) sum of the attention on w. Columns
    from V on stand for source tokens outside the target vocabulary: V + the first position of that
    string in the source.

    Args:
        vocabulary_size: number of target tokens V.
        tied: weights come from an embedding's table, given by `tie`, and only the bias is here.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs: float tensor [B, N, E], its embedded input tokens.
        attention: float32 tensor [B, 1, N, M], the alignment map.
        context: the decoder's context; reads `memory` and `source["copy_ids"]` [B, S].

    Output:
        float32 logits [B, N, V + S]; they are log-probabilities.

    Raises:
        ValueError: when the source has no `copy_ids`; when tied to an embedding of another size, or
            called before `tie`.

    Reference: See et al. 2017, arXiv:1704.04368, equations 8 and 9.
    """

    supports_copy = True
    needs_attention = True

    def __init__(self, vocabulary_size, tied=False, **kwargs):
        super().__init__(vocabulary_size, tied, **kwargs)
        self.gate = Linear(1, dtype="float32")

    def build(self, outputs_shape, inputs_shape=None, attention_shape=None, context_shape=None):
        self._build_vocabulary(outputs_shape[-1])
        memory = context_shape["memory"]["values"][-1]
        if not self.gate.built:
            self.gate.build((None, outputs_shape[-1] + inputs_shape[-1] + memory))

    def call(self, outputs, inputs, attention, context):
        if context["source"].get("copy_ids") is None:
            raise ValueError("source: expected 'copy_ids' [B, S] for a head that copies, came none")
        logits = self._vocabulary_logits(outputs)
        return self._finish(logits, outputs, inputs, attention, context)

    def prepare_search(self, multiple=1, tokens=None):
        # Columns of copies follow: there is no room for padding.
        return super().prepare_search(tokens=tokens)

    def _finish(self, logits, outputs, inputs, attention, context):
        values, copy_ids = context["memory"]["values"], context["source"]["copy_ids"]
        weights = attention[:, 0]  # [B, N, M]
        seen = tf.matmul(weights, tf.cast(values, tf.float32))  # [B, N, D_m]
        features = [seen, tf.cast(outputs, tf.float32), tf.cast(inputs, tf.float32)]
        gate = self.gate(tf.concat(features, 2))  # [B, N, 1]
        generated = tf.nn.log_softmax(logits) - tf.nn.softplus(-gate)
        spread = spread_over_source(
            weights, context["memory"]["source_index"], tf.shape(copy_ids)[1]
        )
        vocabulary = logits.shape[2]  # V, or the tokens that a search was prepared for
        size = vocabulary + tf.shape(copy_ids)[1]
        copied = copy_distribution(spread, copy_ids, size)  # [B, N, V + S]
        copied = tf.math.log(copied + LOG_EPSILON) - tf.nn.softplus(gate)
        # A column beyond V has no vocabulary share: log of zero, finite.
        room = tf.fill(tf.shape(copied[..., vocabulary:]), tf.math.log(LOG_EPSILON))
        generated = tf.concat([generated, room], 2)
        return tf.math.reduce_logsumexp(tf.stack([generated, copied]), 0)


def spread_over_source(weights, source_index, length):
    """Attention over memory places as attention over source positions.

    Args:
        weights: float32 tensor [B, N, M].
        source_index: int32 tensor [B, M], or None when the places are the positions.
        length: scalar S.

    Returns:
        float32 tensor [B, N, S].
    """
    if source_index is None:
        return weights
    return copy_distribution(weights, source_index, length)
