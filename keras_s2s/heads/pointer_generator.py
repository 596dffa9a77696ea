"""The pointer-generator head: tokens of the vocabulary and copies of source tokens."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.heads.base import Head
from keras_s2s.heads.copying import LOG_EPSILON, copy_distribution, spread_over_source
from keras_s2s.layers.dense import Linear

__all__ = ["PointerGeneratorHead"]


@keras.saving.register_keras_serializable("keras_s2s")
class PointerGeneratorHead(Head):
    """Mixture of the vocabulary and of copies of source tokens.

    p_gen = s(w_c . c + w_o . o + w_y . y + b), with c the attended memory, o the decoder's output
    and y its input; P(w) = p_gen P_vocabulary(w) + (1 - p_gen) sum of the attention on w. Columns
    from V on stand for source tokens outside the target vocabulary: V + the first position of that
    string in the source.

    Args:
        vocabulary_size: number of target tokens V.
        tied: whether the weights are those of an embedding, set by `tie`; the head then owns the
            bias alone.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs: float tensor [B, N, E], its embedded input tokens.
        attention: float32 tensor [B, 1, N, M], the alignment map.
        context: the decoder's context, with `memory` and `source["copy_ids"]` [B, S].

    Returns:
        float32 logits [B, N, V + S]; they are log-probabilities.

    Raises:
        ValueError: when the source has no `copy_ids`; when tied to an embedding of another size, or
            called before `tie`.

    Reference: See et al. 2017, arXiv:1704.04368, equations 8 and 9.

    Example:

    >>> from keras_s2s.heads import PointerGeneratorHead
    >>> head = PointerGeneratorHead(7)
    >>> head.supports_copy, head.needs_attention
    (True, True)
    """

    supports_copy = True
    needs_attention = True

    def __init__(self, vocabulary_size: int, tied: bool = False, **kwargs: Any) -> None:
        super().__init__(vocabulary_size, tied, **kwargs)
        self.gate = Linear(1, dtype="float32")

    def build(
        self,
        outputs_shape: tuple[int | None, ...],
        inputs_shape: tuple[int | None, ...] | None = None,
        attention_shape: Any = None,
        context_shape: dict[str, Any] | None = None,
    ) -> None:
        self._build_vocabulary(outputs_shape[-1])
        memory_width = context_shape["memory"]["values"][-1]
        if not self.gate.built:
            self.gate.build((None, outputs_shape[-1] + inputs_shape[-1] + memory_width))

    def call(
        self,
        outputs: tf.Tensor,
        inputs: tf.Tensor,
        attention: tf.Tensor,
        context: dict[str, Any],
    ) -> tf.Tensor:
        if context["source"].get("copy_ids") is None:
            raise ValueError("source: expected 'copy_ids' [B, S] for a head that copies, got none")
        logits = self._vocabulary_logits(outputs)
        return self.mix_logits(logits, outputs, inputs, attention, context)

    def mix_logits(
        self,
        logits: tf.Tensor,
        outputs: tf.Tensor,
        inputs: tf.Tensor,
        attention: tf.Tensor,
        context: dict[str, Any],
    ) -> tf.Tensor:
        values, copy_ids = context["memory"]["values"], context["source"]["copy_ids"]
        weights = attention[:, 0]  # [B, N, M]
        attended = tf.matmul(weights, tf.cast(values, tf.float32))  # [B, N, D_m]
        features = [attended, tf.cast(outputs, tf.float32), tf.cast(inputs, tf.float32)]
        gate = self.gate(tf.concat(features, 2))  # [B, N, 1]
        generated = tf.nn.log_softmax(logits) - tf.nn.softplus(-gate)
        source_index, length = context["memory"]["source_index"], tf.shape(copy_ids)[1]
        weights = spread_over_source(weights, source_index, length)  # [B, N, S]
        vocabulary_size = logits.shape[2]  # V, or fewer tokens in a search
        copied = copy_distribution(weights, copy_ids, vocabulary_size + length)  # [B, N, V + S]
        copied = tf.math.log(copied + LOG_EPSILON) - tf.nn.softplus(gate)
        # The vocabulary's share of a column beyond V is zero: a finite logarithm of it.
        beyond = tf.fill(tf.shape(copied[..., vocabulary_size:]), tf.math.log(LOG_EPSILON))
        generated = tf.concat([generated, beyond], 2)
        return tf.math.reduce_logsumexp(tf.stack([generated, copied]), 0)
