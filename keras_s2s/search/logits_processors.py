"""Log-probabilities as a search ranks by them: penalties, tokens that are forbidden or forced.

Pure functions of one step. What no row asks for costs no more than to see so, and a row's values do
not depend on what its neighbours ask for.
"""

import tensorflow as tf

from keras_s2s.search.options import NEG_INF

__all__ = ["ATTENTION_FLOOR", "adjust", "coverage"]

ATTENTION_FLOOR = 1e-6  # least attention of a source position, whose logarithm stays finite


def adjust(log_probs, history, position, extras):
    """The log-probabilities that a search ranks the next token by.

    In this order: the repetition penalty multiplies the log-probability of every token in the
    history; a token that would repeat an n-gram of the history, or complete a disallowed sequence,
    is forbidden; where a prefix goes on, its token alone is allowed, whatever else is asked for.
    A prefix is history like what follows it, and pays the penalty for its own repetitions: the
    score of a target does not depend on how much of it was forced. Everything may be forbidden.
    The end, padding and the start are tokens like others here.

    Args:
        log_probs: float32 tensor [B, K, V'] of the model; V' may go beyond the vocabulary.
        history: int32 tensor [B, K, t], tokens so far without the start, all below V'.
        position: int32 scalar t, possibly 0.
        extras: `Extras`.

    Returns:
        float32 tensor [B, K, V'], `NEG_INF` where a token is forbidden.

    Reference: Keskar et al. 2019, arXiv:1909.05858, section 4.1, the repetition penalty: there it
    divides positive scores, here it multiplies log-probabilities, which are at most 0.
    """
    penalised = _when(
        extras.repetition_penalty != 1.0,
        lambda: _penalise(log_probs, history, extras.repetition_penalty),
        log_probs,
    )
    adjusted = _when(
        extras.no_repeat_ngram > 0,
        lambda: _forbid(penalised, history, _repeats(history, extras.no_repeat_ngram)),
        penalised,
    )
    adjusted = _when(
        extras.disallowed > 0,
        lambda: _forbid(adjusted, *_completes(history, extras.disallowed)),
        adjusted,
    )
    forced = position < extras.prefix_length  # [B]
    return _when(
        forced, lambda: _force(penalised, adjusted, forced, extras.prefix, position), adjusted
    )


def _when(rows, changed, same):
    # TensorFlow traces both branches but runs one.
    return tf.cond(tf.reduce_any(rows), changed, lambda: same)


def _listed(tokens, which, like):
    """bool [B, K, V'], as `like`: the tokens [B, K, N] with at least one True in `which`."""
    batch, width = tf.shape(tokens)[0], tf.shape(tokens)[1]
    rows = tf.reshape(tf.range(batch), [-1, 1, 1]) + tf.zeros_like(tokens)
    slots = tf.reshape(tf.range(width), [1, -1, 1]) + tf.zeros_like(tokens)
    index = tf.stack([rows, slots, tokens], 3)  # [B, K, N, 3]
    # A sum, since a token may be listed twice: LiteRT adds up even what a scatter should overwrite.
    return tf.scatter_nd(index, tf.cast(which, tf.float32), tf.shape(like)) > 0.0


def _penalise(log_probs, history, penalty):
    used = _listed(history, tf.ones_like(history), log_probs) & (log_probs > NEG_INF / 2)
    return tf.where(used, log_probs * tf.reshape(penalty, [-1, 1, 1]), log_probs)


def _forbid(log_probs, tokens, which):
    return tf.where(_listed(tokens, which, log_probs), NEG_INF, log_probs)


def _latest(history, count):
    """The last `count` tokens [B, K, count], and the history with `count` times -1 before it."""
    shape = tf.concat([tf.shape(history)[:2], [count]], 0)
    padded = tf.concat([tf.fill(shape, -1), history], 2)  # [B, K, count + t]
    return padded[:, :, tf.shape(history)[2] :], padded


def _repeats(history, size):
    """bool [B, K, t]: whether this token of the history ended an n-gram that is about to return.

    That is, whether the n - 1 tokens before it are the last n - 1 tokens; n is `size`, int32 [B].
    """
    longest = tf.maximum(tf.reduce_max(size) - 1, 0)
    latest, padded = _latest(history, longest)  # [B, K, longest]
    offsets = tf.range(longest)
    windows = tf.expand_dims(tf.range(tf.shape(history)[2]), 1) + offsets  # [t, longest]
    before = tf.gather(padded, windows, axis=2)  # [B, K, t, longest]
    size = tf.reshape(size, [-1, 1, 1])
    beyond = offsets < longest + 1 - size  # [B, 1, longest]
    equal = tf.equal(before, tf.expand_dims(latest, 2)) | tf.expand_dims(beyond, 1)
    return tf.reduce_all(equal, 3) & (size > 0)


def _completes(history, disallowed):
    """Last tokens [B, K, D] of the sequences, and whether the history ends with the others."""
    count, longest = tf.shape(disallowed)[1], tf.shape(disallowed)[2]
    lengths = tf.reduce_sum(tf.cast(disallowed > 0, tf.int32), 2, keepdims=True)  # [B, D, 1]
    padded = tf.pad(disallowed, [[0, 0], [0, 0], [1, 0]])
    # Padded on the left instead, so that all sequences end at the same place.
    index = tf.maximum(tf.range(longest + 1) - longest + lengths, 0)
    aligned = tf.gather(padded, index, batch_dims=2)  # [B, D, L + 1]
    others, last = tf.expand_dims(aligned[:, :, :-1], 1), tf.expand_dims(aligned[:, :, -1], 1)
    latest, _ = _latest(history, longest)  # [B, K, L]
    equal = tf.equal(others, tf.expand_dims(latest, 2)) | tf.equal(others, 0)  # [B, K, D, L]
    shape = tf.concat([tf.shape(history)[:2], [count]], 0)
    return tf.broadcast_to(last, shape), tf.reduce_all(equal, 3) & (last > 0)


def _force(penalised, adjusted, forced, prefix, position):
    # A slice would be refused when the graph is traced, if there is no prefix to slice.
    tokens = tf.gather(prefix, position, axis=1)  # [B]
    only = tf.equal(tf.range(tf.shape(penalised)[2]), tf.expand_dims(tokens, 1))  # [B, V']
    alone = tf.where(tf.expand_dims(only, 1), penalised, NEG_INF)  # [B, K, V']
    return tf.where(tf.reshape(forced, [-1, 1, 1]), alone, adjusted)


def coverage(attention_sum, mask, weight):
    """The coverage penalty: weight * sum over the source of log(min(attention, 1)).

    It is at most 0, and the closer to 0 the more of the source got a whole token's attention. An
    attention below `ATTENTION_FLOOR` counts as that. All positions of the mask count, the source's
    end among them, as in GNMT.

    Args:
        attention_sum: float32 tensor [B, K, S], attention of each source position summed over the
            tokens of a hypothesis.
        mask: bool tensor [B, S], True at a real position.
        weight: float32 tensor [B]; 0 = off.

    Returns:
        float32 tensor [B, K].

    Reference: Wu et al. 2016, arXiv:1609.08144, equation 14.
    """
    lacking = tf.math.log(tf.clip_by_value(attention_sum, ATTENTION_FLOOR, 1.0))  # [B, K, S]
    lacking = tf.where(tf.expand_dims(mask, 1), lacking, 0.0)
    return tf.expand_dims(weight, 1) * tf.reduce_sum(lacking, 2)
