"""Top-k selection: the best 2 K continuations of each row.

`top_k_by_blocks` never writes log-probabilities for a whole vocabulary. The best 2 K continuations
of a row lie in the 2 K blocks of the vocabulary with the greatest maxima, so it selects these
blocks, and then the best entries in them: exact, and a tenth of the work of a selection from all.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_s2s.search.options import NEG_INF, Candidates

__all__ = [
    "Continuations",
    "beam_candidates",
    "block_size",
    "special_token_bias",
    "top_k",
    "top_k_by_blocks",
]


class Continuations(NamedTuple):
    """The best 2 K continuations of each row, best first.

    Attributes:
        totals: float32 [B, 2 K], ranking scores; NEG_INF where a row has fewer.
        tokens: int32 [B, 2 K].
        parents: int32 [B, 2 K], the beam slots that they continue.
    """

    totals: tf.Tensor
    tokens: tf.Tensor
    parents: tf.Tensor


def block_size(count: int | None) -> int | None:
    """Chooses the size of the blocks that a vocabulary of `count` tokens is cut into.

    Returns:
        A divisor of `count` near the square root of half the tokens, where both selections are
        equally long; None when the vocabulary stays whole.
    """
    if count is None or count < 256:
        return None
    target = (count / 2) ** 0.5
    divisors = [size for size in range(16, 513) if count % size == 0 and count // size > 1]
    nearest = min(divisors, key=lambda size: abs(np.log(size / target)), default=None)
    return nearest if nearest and 0.3 < nearest / target < 4 else None


def special_token_bias(
    count: Any, special: Any, too_short: tf.Tensor, at_limit: tf.Tensor, first: int = 0
) -> tf.Tensor:
    """Returns a bias that forbids special tokens: NEG_INF for ids that must not follow, else 0.

    Padding and the start token never follow, the end does not follow where a row is too short, and
    it alone follows where a row is at its maximum length. An id that is forbidden twice has twice
    `NEG_INF`.

    Args:
        count: number of ids, int or scalar tensor.
        special: `SpecialIds`.
        too_short, at_limit: bool tensors [B, 1].
        first: the first id.

    Returns:
        float32 tensor [B, 1, count].
    """
    ids = np.arange(first, first + count) if isinstance(count, int) else tf.range(count)
    ids = tf.constant(ids, tf.int32) if isinstance(count, int) else ids
    never = tf.equal(ids, special.pad) | tf.equal(ids, special.start)
    never = tf.where(never, NEG_INF, 0.0)  # [V']
    is_end = tf.cast(tf.equal(ids, special.end), tf.float32)
    # Sums over the vocabulary: LiteRT's logical operations take twenty times as long.
    short, limit = (tf.where(rows, NEG_INF, 0.0) for rows in (too_short, at_limit))  # [B, 1]
    return tf.expand_dims((never + limit) + is_end * (short - limit), 1)


def _top_k_or_fewer(values, k, count):
    """The best k values and their indices, filled up with NEG_INF and 0 where `count` < k."""
    best, index = tf.math.top_k(values, tf.minimum(k, count))
    missing = [[0, 0], [0, tf.maximum(k - count, 0)]]
    return tf.pad(best, missing, constant_values=NEG_INF), tf.pad(index, missing)


def top_k(totals: tf.Tensor, width: Any = None) -> Continuations:
    """Selects the best continuations among all.

    Args:
        totals: float32 [B, K', V'], with NEG_INF for what must not follow.
        width: K, unless it is K'.

    Returns:
        `Continuations`.
    """
    known = totals.shape[2]
    slots, count = tf.shape(totals)[1], tf.shape(totals)[2] if known is None else known
    flat = tf.reshape(totals, [-1, slots * count])
    if width is None:
        best, index = tf.math.top_k(flat, 2 * slots)  # [B, 2 K]
    else:  # a single slot of a small vocabulary has fewer continuations
        best, index = _top_k_or_fewer(flat, 2 * width, slots * count)
    return Continuations(best, index % count, index // count)


def top_k_by_blocks(
    logits: tf.Tensor,
    peaks: tf.Tensor,
    shift: tf.Tensor,
    special: Any,
    too_short: tf.Tensor,
    at_limit: tf.Tensor,
    width: Any,
) -> Continuations:
    """Selects the best continuations by blocks of the vocabulary.

    Args:
        logits: float32 [B, K', V'].
        peaks: float32 [B, K', N], the greatest logit of each of the N blocks that V' is cut into.
        shift: float32 [B, K'], added to the logits of a hypothesis to get totals.
        special: `SpecialIds`.
        too_short, at_limit: bool [B, 1], see `special_token_bias`.
        width: K.

    Returns:
        `Continuations`.
    """
    slots, blocks = tf.shape(peaks)[1], peaks.shape[2]
    size = logits.shape[2] // blocks
    table = tf.reshape(logits, [-1, slots * blocks, size])  # [B, K' N, V' / N]
    biases, peaks = _bias_peaks(logits, peaks, special, too_short, at_limit)
    flat = tf.reshape(peaks + tf.expand_dims(shift, 2), [-1, slots * blocks])
    # A single slot may have fewer blocks: then all of them are selected.
    _, rows = tf.math.top_k(flat, tf.minimum(2 * width, slots * blocks))  # [B, M]
    parents, block = rows // blocks, rows % blocks
    totals = tf.gather(table, rows, batch_dims=1)  # [B, M, V' / N]
    totals += tf.expand_dims(tf.gather(shift, parents, batch_dims=1), 2)
    bias = tf.expand_dims(tf.where(at_limit, NEG_INF, 0.0), 2)  # [B, 1, 1]
    for number, block_bias in biases.items():
        bias = tf.where(tf.expand_dims(tf.equal(block, number), 2), block_bias, bias)
    count = tf.shape(rows)[1] * size
    flat = tf.reshape(totals + bias, [-1, count])
    best, index = _top_k_or_fewer(flat, 2 * width, count)  # [B, 2 K]
    chosen = tf.gather(rows, index // size, batch_dims=1)
    return Continuations(best, chosen % blocks * size + index % size, chosen // blocks)


def _bias_peaks(logits, peaks, special, too_short, at_limit):
    """The biases of the blocks that hold special ids, and the peaks without forbidden tokens."""
    blocks = peaks.shape[2]
    size = logits.shape[2] // blocks
    biases, columns = {}, []
    others = peaks + tf.expand_dims(tf.where(at_limit, NEG_INF, 0.0), 2)
    last = 0
    for number in sorted({i // size for i in (special.pad, special.start, special.end)}):
        biases[number] = special_token_bias(size, special, too_short, at_limit, number * size)
        biased = logits[:, :, number * size : (number + 1) * size] + biases[number]
        columns += [others[:, :, last:number], tf.reduce_max(biased, 2, keepdims=True)]
        last = number + 1
    return biases, tf.concat([*columns, others[:, :, last:]], 2)


def beam_candidates(continuations: Continuations, size: tf.Tensor, special: Any) -> Candidates:
    """Returns the `Candidates` of beam search.

    Args:
        continuations: `Continuations`.
        size: int32 [B, 1], beam sizes: ends among the first `size` end, all others may survive.
        special: `SpecialIds`.
    """
    is_end = tf.equal(continuations.tokens, special.end)
    is_possible = continuations.totals > NEG_INF / 2
    rank = tf.expand_dims(tf.range(tf.shape(continuations.totals)[1]), 0)
    return Candidates(
        *continuations,
        ending=is_end & is_possible & (rank < size),
        priority=tf.where(is_end | ~is_possible, NEG_INF, continuations.totals),
    )
