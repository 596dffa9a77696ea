"""Logits processors: penalties, and tokens that are forbidden or forced.

Pure functions of one step. An option that no row uses costs no more than the check for it, and the
values of a row do not depend on the options of other rows.
"""

import tensorflow as tf

from keras_s2s.search.options import NEG_INF, ConstraintOptions

__all__ = ["ATTENTION_FLOOR", "adjust", "coverage"]

ATTENTION_FLOOR = 1e-6  # least attention of a source position, for a finite logarithm


def adjust(
    log_probs: tf.Tensor, history: tf.Tensor, position: tf.Tensor, options: ConstraintOptions
) -> tf.Tensor:
    """Adjusts the log-probabilities that a search ranks the next token by.

    In this order: the repetition penalty multiplies the log-probability of every token in the
    history; a token that would repeat an n-gram of the history, or complete a disallowed sequence,
    is forbidden; where a prefix continues, only its token is allowed, whatever the other options
    are. The tokens of a prefix are part of the history and pay the penalty for their repetitions:
    the score of a target does not depend on how much of it was forced. All tokens may be forbidden.
    The end, padding and the start have no special role here.

    Args:
        log_probs: float32 tensor [B, K, V'] of the model; V' may go beyond the vocabulary.
        history: int32 tensor [B, K, t], tokens so far without the start, all below V'.
        position: int32 scalar t, possibly 0.
        options: `ConstraintOptions`.

    Returns:
        float32 tensor [B, K, V'], `NEG_INF` where a token is forbidden.

    Reference: Keskar et al. 2019, arXiv:1909.05858, section 4.1, the repetition penalty: there it
    divides positive scores, here it multiplies log-probabilities, which are at most 0.
    """
    penalized = _when(
        options.repetition_penalty != 1.0,
        lambda: _penalize(log_probs, history, options.repetition_penalty),
        log_probs,
    )
    adjusted = _when(
        options.no_repeat_ngram > 0,
        lambda: _forbid(penalized, history, _ends_repeat(history, options.no_repeat_ngram)),
        penalized,
    )
    adjusted = _when(
        options.disallowed > 0,
        lambda: _forbid(adjusted, *_last_disallowed(history, options.disallowed)),
        adjusted,
    )
    is_forced = position < options.prefix_length  # [B]
    return _when(
        is_forced,
        lambda: _force(penalized, adjusted, is_forced, options.prefix, position),
        adjusted,
    )


def _when(rows, adjusted, log_probs):
    # TensorFlow traces both branches but runs one.
    return tf.cond(tf.reduce_any(rows), adjusted, lambda: log_probs)


def _token_mask(tokens, is_listed, like):
    """bool [B, K, V'], as `like`: the tokens [B, K, N] with at least one True in `is_listed`."""
    batch, width = tf.shape(tokens)[0], tf.shape(tokens)[1]
    rows = tf.reshape(tf.range(batch), [-1, 1, 1]) + tf.zeros_like(tokens)
    slots = tf.reshape(tf.range(width), [1, -1, 1]) + tf.zeros_like(tokens)
    index = tf.stack([rows, slots, tokens], 3)  # [B, K, N, 3]
    # A sum, since a token may occur twice: LiteRT adds even where a scatter should overwrite.
    return tf.scatter_nd(index, tf.cast(is_listed, tf.float32), tf.shape(like)) > 0.0


def _penalize(log_probs, history, penalty):
    is_used = _token_mask(history, tf.ones_like(history), log_probs) & (log_probs > NEG_INF / 2)
    return tf.where(is_used, log_probs * tf.reshape(penalty, [-1, 1, 1]), log_probs)


def _forbid(log_probs, tokens, is_forbidden):
    return tf.where(_token_mask(tokens, is_forbidden, log_probs), NEG_INF, log_probs)


def _latest(history, count):
    """The last `count` tokens [B, K, count], and the history preceded by `count` times -1."""
    shape = tf.concat([tf.shape(history)[:2], [count]], 0)
    padded = tf.concat([tf.fill(shape, -1), history], 2)  # [B, K, count + t]
    return padded[:, :, tf.shape(history)[2] :], padded


def _ends_repeat(history, size):
    """bool [B, K, t]: whether a token of the history ended an n-gram that could now repeat.

    That is, whether the n - 1 tokens before it are the last n - 1 tokens; n is `size`, int32 [B].
    """
    longest = tf.maximum(tf.reduce_max(size) - 1, 0)
    latest, padded = _latest(history, longest)  # [B, K, longest]
    offsets = tf.range(longest)
    windows = tf.expand_dims(tf.range(tf.shape(history)[2]), 1) + offsets  # [t, longest]
    before = tf.gather(padded, windows, axis=2)  # [B, K, t, longest]
    size = tf.reshape(size, [-1, 1, 1])
    is_beyond = offsets < longest + 1 - size  # [B, 1, longest]
    is_equal = tf.equal(before, tf.expand_dims(latest, 2)) | tf.expand_dims(is_beyond, 1)
    return tf.reduce_all(is_equal, 3) & (size > 0)


def _last_disallowed(history, disallowed):
    """Last tokens [B, K, D] of the sequences, and whether the history ends with their others."""
    count, longest = tf.shape(disallowed)[1], tf.shape(disallowed)[2]
    lengths = tf.reduce_sum(tf.cast(disallowed > 0, tf.int32), 2, keepdims=True)  # [B, D, 1]
    padded = tf.pad(disallowed, [[0, 0], [0, 0], [1, 0]])
    # Padded on the left instead, so that all sequences end at the same index.
    index = tf.maximum(tf.range(longest + 1) - longest + lengths, 0)
    aligned = tf.gather(padded, index, batch_dims=2)  # [B, D, L + 1]
    others, last = tf.expand_dims(aligned[:, :, :-1], 1), tf.expand_dims(aligned[:, :, -1], 1)
    latest, _ = _latest(history, longest)  # [B, K, L]
    is_equal = tf.equal(others, tf.expand_dims(latest, 2)) | tf.equal(others, 0)  # [B, K, D, L]
    shape = tf.concat([tf.shape(history)[:2], [count]], 0)
    return tf.broadcast_to(last, shape), tf.reduce_all(is_equal, 3) & (last > 0)


def _force(penalized, adjusted, is_forced, prefix, position):
    # A slice of an empty prefix would be rejected when the graph is traced.
    tokens = tf.gather(prefix, position, axis=1)  # [B]
    is_token = tf.equal(tf.range(tf.shape(penalized)[2]), tf.expand_dims(tokens, 1))  # [B, V']
    forced = tf.where(tf.expand_dims(is_token, 1), penalized, NEG_INF)  # [B, K, V']
    return tf.where(tf.reshape(is_forced, [-1, 1, 1]), forced, adjusted)


def coverage(attention_sum: tf.Tensor, mask: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Computes the coverage penalty: weight * sum over the source of log(min(attention, 1)).

    It is at most 0, and closer to 0 the more source positions received the attention of a whole
    token. An attention below `ATTENTION_FLOOR` counts as that. All positions of the mask count, the
    end of the source among them, as in GNMT.

    Args:
        attention_sum: float32 tensor [B, K, S], attention of each source position summed over the
            tokens of a hypothesis.
        mask: bool tensor [B, S], True at a real position.
        weight: float32 tensor [B]; 0 = off.

    Returns:
        float32 tensor [B, K].

    Reference: Wu et al. 2016, arXiv:1609.08144, equation 14.
    """
    penalty = tf.math.log(tf.clip_by_value(attention_sum, ATTENTION_FLOOR, 1.0))  # [B, K, S]
    penalty = tf.where(tf.expand_dims(mask, 1), penalty, 0.0)
    return tf.expand_dims(weight, 1) * tf.reduce_sum(penalty, 2)
