"""Backtrace: whole hypotheses from the records of all steps."""

from typing import NamedTuple

import tensorflow as tf

from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.layers.recurrent import unroll
from keras_s2s.search.beam_state import ENDED_COLUMNS
from keras_s2s.search.options import NEG_INF, Options

__all__ = ["Hypotheses", "trace"]


class Hypotheses(NamedTuple):
    """The result of a search, the best hypothesis of each row first.

    Attributes:
        ids: int32 [B, K, T], tokens without the end, 0 beyond `lengths`.
        lengths: int32 [B, K].
        score: float32 [B, K], ranking score; -1e9 where a row has fewer hypotheses.
        log_prob: float32 [B, K], sum of token log-probabilities, the end's included.
        token_log_probs: float32 [B, K, T + 1], of each token, then of the end; -1e9 beyond.
        finished: bool [B, K], False where a limit cut the hypothesis.
        alignment: float32 [B, K, T, S], or None without alignment.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    score: tf.Tensor
    log_prob: tf.Tensor
    token_log_probs: tf.Tensor
    finished: tf.Tensor
    alignment: tf.Tensor | None


def trace(
    ended: tf.Tensor,
    records: tf.Tensor,
    attention_history: tf.Tensor | None,
    options: Options,
    loop_backend: LoopBackend = TENSORFLOW,
) -> Hypotheses:
    """Follows the ended hypotheses back to their first tokens.

    Args:
        ended: float32 [B, K, 5], of the last `Beam`.
        records: float32 [t, B, K, 4], token, parent, total and log-probability of the live slots
            after each step, t at least 1.
        attention_history: float32 [t, B, K, S], the attention of the slots before each step, or
            None.
        options: `Options`.
        loop_backend: `LoopBackend`. Without dynamic shapes K and T are those of the arguments,
            T = t - 1, instead of the largest that are used.

    Returns:
        `Hypotheses`.
    """
    is_dynamic, count = loop_backend.has_dynamic_shapes, tf.shape(ended)[1]
    if is_dynamic:
        count = tf.reduce_max(tf.concat([options.num_hypotheses, [1]], 0))
    columns = tf.unstack(ended[:, :count], num=ENDED_COLUMNS, axis=2)  # [B, K]
    score, log_prob, *indices = columns
    is_real = tf.expand_dims(tf.range(count), 0) < tf.expand_dims(options.num_hypotheses, 1)
    is_real &= score > NEG_INF / 2
    lengths, parents, finished = (tf.where(is_real, tf.cast(x, tf.int32), 0) for x in indices)
    longest = tf.shape(records)[0] - 1
    if is_dynamic:
        longest = tf.reduce_max(tf.concat([tf.reshape(lengths, [-1]), [0]], 0))
    # One step more than the longest hypothesis has: the loop has at least one.
    path = _walk_back(records[: longest + 1], parents, lengths, loop_backend)  # [B, T + 1, K, 4]
    tokens, slots, _, sums = tf.unstack(path, num=4, axis=3)
    inside = tf.expand_dims(tf.range(longest + 1), 1) < tf.expand_dims(lengths, 1)  # [B, T + 1, K]
    ids = tf.where(inside, tf.cast(tokens, tf.int32), 0)[:, :longest]
    alignment = None
    if attention_history is not None:
        alignment = _alignment(attention_history[: longest + 1], slots, inside)
    return Hypotheses(
        ids=tf.transpose(ids, [0, 2, 1]),
        lengths=lengths,
        score=tf.where(is_real, score, NEG_INF),
        log_prob=tf.where(is_real, log_prob, NEG_INF),
        token_log_probs=_token_log_probs(sums, log_prob, lengths, is_real),
        finished=is_real & tf.equal(finished, 1),
        alignment=alignment,
    )


def _alignment(attention_history, slots, inside):
    """Attention [t, B, K, S] at the slots [B, t, K] of the hypotheses: [B, K, t - 1, S]."""
    attention = tf.transpose(attention_history, [1, 0, 2, 3])  # [B, T + 1, K, S]
    attention = tf.gather(attention, tf.cast(slots, tf.int32), batch_dims=2)
    attention = tf.where(tf.expand_dims(inside, 3), attention, 0.0)
    return tf.transpose(attention[:, :-1], [0, 2, 1, 3])


def _walk_back(records, slots, lengths, loop_backend):
    """Records of each hypothesis, [B, N, K, 4], from the slot of its last token backwards."""
    count, batch = tf.shape(records)[0], tf.shape(records)[1]
    positions = tf.tile(tf.expand_dims(tf.range(count), 0), [batch, 1])  # [B, N]

    def step_back(column, slots):
        position, record = column
        inside = tf.expand_dims(position, 1) < lengths  # [B, K]
        record = tf.gather(record, slots, batch_dims=1)  # [B, K, 4]
        return record, tf.where(inside, tf.cast(record[:, :, 1], tf.int32), slots)

    like = tf.TensorSpec([None, None, 4], tf.float32)
    columns = (positions, tf.transpose(records, [1, 0, 2, 3]))
    path, _ = unroll(step_back, columns, slots, like, reverse=True, loop_backend=loop_backend)
    return path


def _token_log_probs(sums, log_prob, lengths, is_real):
    """Log-probability of each token, [B, K, T + 1], of running sums [B, T + 1, K] and the total."""
    sums = tf.transpose(sums, [0, 2, 1])  # [B, K, T + 1]
    position = tf.range(tf.shape(sums)[2])
    length = tf.expand_dims(lengths, 2)  # [B, K, 1]
    sums = tf.where(position < length, sums, tf.expand_dims(log_prob, 2))
    log_probs = sums - tf.pad(sums[:, :, :-1], [[0, 0], [0, 0], [1, 0]])
    return tf.where((position <= length) & tf.expand_dims(is_real, 2), log_probs, NEG_INF)
