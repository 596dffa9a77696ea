"""From what each step noted to whole hypotheses."""

from typing import NamedTuple

import tensorflow as tf

from keras_s2s.layers.recurrent import unroll
from keras_s2s.search.beam_state import SPAN
from keras_s2s.search.options import NEG_INF

__all__ = ["Hypotheses", "trace"]


class Hypotheses(NamedTuple):
    """What a search gives, the best hypothesis of each row first.

    Attributes:
        ids: int32 [B, K, T], tokens without the end, 0 beyond `lengths`.
        lengths: int32 [B, K].
        score: float32 [B, K], what they are ranked by; -1e9 where a row has fewer.
        log_prob: float32 [B, K], sum of token log-probabilities, the end's included.
        token_log_probs: float32 [B, K, T + 1], of each token, then of the end; -1e9 beyond.
        finished: bool [B, K], False where a limit cut the hypothesis.
        alignment: float32 [B, K, T, S], or None when not asked for.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    score: tf.Tensor
    log_prob: tf.Tensor
    token_log_probs: tf.Tensor
    finished: tf.Tensor
    alignment: tf.Tensor | None


def trace(ended, steps, looks, options, whole=False):
    """Follows the ended hypotheses back to their first token.

    Args:
        ended: float32 [B, K, 3], of the last `Beam`.
        steps: float32 [t, B, K, 4], token, parent, total and log-probability of the live slots
            after each step, t of 1 or more.
        looks: float32 [t, B, K, S], the attention of the slots before each step, or None.
        options: `Options`.
        whole: whether K and T are those of the arguments, T = t - 1, in place of the largest that
            hold something: shapes that depend on no value.

    Returns:
        `Hypotheses`.
    """
    wanted = tf.shape(ended)[1]
    if not whole:
        wanted = tf.reduce_max(tf.concat([options.num_hypotheses, [1]], 0))
    score, log_prob, place = tf.unstack(ended[:, :wanted], num=3, axis=2)  # [B, K]
    kept = tf.expand_dims(tf.range(wanted), 0) < tf.expand_dims(options.num_hypotheses, 1)
    kept &= score > NEG_INF / 2
    code = tf.where(kept, tf.cast(place, tf.int32), 0)
    lengths = code // (2 * SPAN)
    longest = tf.shape(steps)[0] - 1
    if not whole:
        longest = tf.reduce_max(tf.concat([tf.reshape(lengths, [-1]), [0]], 0))
    # One column more than the longest: there is always something to walk over.
    path = _walk(steps[: longest + 1], code // 2 % SPAN, lengths)  # [B, T + 1, K, 4]
    tokens, parents, _, sums = tf.unstack(path, num=4, axis=3)
    inside = tf.expand_dims(tf.range(longest + 1), 1) < tf.expand_dims(lengths, 1)  # [B, T + 1, K]
    ids = tf.where(inside, tf.cast(tokens, tf.int32), 0)[:, :longest]
    alignment = None
    if looks is not None:
        looks = tf.transpose(looks[: longest + 1], [1, 0, 2, 3])  # [B, T + 1, K, S]
        seen = tf.gather(looks, tf.cast(parents, tf.int32), batch_dims=2)
        seen = tf.where(tf.expand_dims(inside, 3), seen, 0.0)[:, :longest]
        alignment = tf.transpose(seen, [0, 2, 1, 3])
    return Hypotheses(
        ids=tf.transpose(ids, [0, 2, 1]),
        lengths=lengths,
        score=tf.where(kept, score, NEG_INF),
        log_prob=tf.where(kept, log_prob, NEG_INF),
        token_log_probs=_differences(sums, log_prob, lengths, kept),
        finished=kept & tf.equal(code % 2, 1),
        alignment=alignment,
    )


def _walk(steps, slots, lengths):
    """What the steps noted of each hypothesis, [B, N, K, 4], from the slot of its last parent."""
    count, batch = tf.shape(steps)[0], tf.shape(steps)[1]
    places = tf.tile(tf.expand_dims(tf.range(count), 0), [batch, 1])  # [B, N]

    def back(here, slots):
        place, step = here
        inside = tf.expand_dims(place, 1) < lengths  # [B, K]
        step = tf.gather(step, slots, batch_dims=1)  # [B, K, 4]
        return step, tf.where(inside, tf.cast(step[:, :, 1], tf.int32), slots)

    like = tf.TensorSpec([None, None, 4], tf.float32)
    columns = tf.transpose(steps, [1, 0, 2, 3])
    path, _ = unroll(back, (places, columns), slots, like, reverse=True)
    return path


def _differences(sums, log_prob, lengths, kept):
    """Log-probability of each token, [B, K, T + 1], of sums [B, T + 1, K] and the whole's."""
    sums = tf.transpose(sums, [0, 2, 1])
    place = tf.range(tf.shape(sums)[2])
    length = tf.expand_dims(lengths, 2)  # [B, K, 1]
    sums = tf.where(place < length, sums, tf.expand_dims(log_prob, 2))
    each = sums - tf.pad(sums[:, :, :-1], [[0, 0], [0, 0], [1, 0]])
    return tf.where((place <= length) & tf.expand_dims(kept, 2), each, NEG_INF)
