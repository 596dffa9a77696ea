"""The continuations that a step looks at: the best 2 K of each row.

The fast way never writes log-probabilities for a whole vocabulary. The best 2 K of a row lie in
the 2 K blocks of the vocabulary with the greatest maxima, so it finds these blocks, and then the
best places in them: exact, and a tenth of the work of a search through everything.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_s2s.search.options import NEG_INF, SPAN, Candidates

__all__ = ["Continuations", "best_of_all", "best_of_blocks", "block_size", "plain"]


class Continuations(NamedTuple):
    """The best 2 K continuations of each row, best first.

    Attributes:
        totals: float32 [B, 2 K]; tokens, parents: int32 [B, 2 K].
    """

    totals: tf.Tensor
    tokens: tf.Tensor
    parents: tf.Tensor


def block_size(count):
    """Size of the blocks that a vocabulary of `count` tokens is cut into; None to leave it whole.

    A divisor near the square root of half the tokens, where both searches are equally long.
    """
    if count is None or count < 256:
        return None
    wanted = (count / 2) ** 0.5
    divisors = [size for size in range(16, 513) if count % size == 0 and count // size > 1]
    near = min(divisors, key=lambda size: abs(np.log(size / wanted)), default=None)
    return near if near and 0.3 < near / wanted < 4 else None


def barred(count, special, too_short, at_limit, first=0):
    """float32 [B, 1, count]: LOWEST for the ids from `first` on that must not follow.

    Padding and the start never do, the end does not where a row is `too_short` and alone does
    where it is `at_limit` (bool [B, 1]). What is barred twice has twice `NEG_INF`.
    """
    ids = np.arange(first, first + count) if isinstance(count, int) else tf.range(count)
    ids = tf.constant(ids, tf.int32) if isinstance(count, int) else ids
    never = tf.equal(ids, special.pad) | tf.equal(ids, special.start)
    never = tf.where(never, NEG_INF, 0.0)  # [V']
    is_end = tf.cast(tf.equal(ids, special.end), tf.float32)
    # Sums over the vocabulary: LiteRT's logical operations take twenty times as long.
    short, limit = (tf.where(rows, NEG_INF, 0.0) for rows in (too_short, at_limit))  # [B, 1]
    return tf.expand_dims((never + limit) + is_end * (short - limit), 1)


def best_of_all(totals, width=None):
    """The best continuations among all.

    Args:
        totals: float32 [B, K', V'], with LOWEST for what must not follow.
        width: K, when it is not K'.
    """
    known = totals.shape[2]
    slots, count = tf.shape(totals)[1], tf.shape(totals)[2] if known is None else known
    flat = tf.reshape(totals, [-1, slots * count])
    wanted = 2 * (slots if width is None else width)
    if width is not None and (known is None or known < 2 * SPAN):  # a single slot has too few
        missing = tf.maximum(wanted - slots * count, 0)
        flat = tf.pad(flat, [[0, 0], [0, missing]], constant_values=NEG_INF)
    best, index = tf.math.top_k(flat, wanted)  # [B, 2 K]
    return Continuations(best, index % count, tf.minimum(index // count, slots - 1))


def best_of_blocks(logits, peaks, shift, special, too_short, at_limit, width):
    """The same, found by blocks.

    Args:
        logits: float32 [B, K', V'].
        peaks: float32 [B, K', N], the greatest logit of each of the N blocks that V' is cut into.
        shift: float32 [B, K'], what makes totals of a hypothesis's logits.
        too_short, at_limit: bool [B, 1].
        width: K.
    """
    slots, blocks = tf.shape(peaks)[1], peaks.shape[2]
    size = logits.shape[2] // blocks
    table = tf.reshape(logits, [-1, slots * blocks, size])  # [B, K' N, V' / N]
    bars, peaks = _bar_peaks(logits, peaks, special, too_short, at_limit)
    flat = tf.reshape(peaks + tf.expand_dims(shift, 2), [-1, slots * blocks])
    # A single slot may have fewer blocks than that: then all of them.
    _, places = tf.math.top_k(flat, tf.minimum(2 * width, slots * blocks))  # [B, M]
    parents, block = places // blocks, places % blocks
    totals = tf.gather(table, places, batch_dims=1)  # [B, M, V' / N]
    totals += tf.expand_dims(tf.gather(shift, parents, batch_dims=1), 2)
    bar = tf.expand_dims(tf.where(at_limit, NEG_INF, 0.0), 2)  # [B, 1, 1]
    for number, own in bars.items():
        bar = tf.where(tf.expand_dims(tf.equal(block, number), 2), own, bar)
    flat = tf.reshape(totals + bar, [-1, tf.shape(places)[1] * size])
    best, index = tf.math.top_k(flat, 2 * width)
    chosen = tf.gather(places, index // size, batch_dims=1)
    return Continuations(best, chosen % blocks * size + index % size, chosen // blocks)


def _bar_peaks(logits, peaks, special, too_short, at_limit):
    """The bars of the blocks that hold special ids, and the peaks with what is barred left out."""
    blocks = peaks.shape[2]
    size = logits.shape[2] // blocks
    bars, columns = {}, []
    rest = peaks + tf.expand_dims(tf.where(at_limit, NEG_INF, 0.0), 2)
    last = 0
    for number in sorted({i // size for i in (special.pad, special.start, special.end)}):
        bars[number] = barred(size, special, too_short, at_limit, number * size)
        own = logits[:, :, number * size : (number + 1) * size] + bars[number]
        columns += [rest[:, :, last:number], tf.reduce_max(own, 2, keepdims=True)]
        last = number + 1
    return bars, tf.concat([*columns, rest[:, :, last:]], 2)


def plain(found, size, special):
    """`Candidates` of `Continuations`: ends among the first `size` ([B, 1]) end, others live."""
    is_end = tf.equal(found.tokens, special.end)
    possible = found.totals > NEG_INF / 2
    rank = tf.expand_dims(tf.range(tf.shape(found.totals)[1]), 0)
    return Candidates(
        *found,
        ending=is_end & possible & (rank < size),
        priority=tf.where(is_end | ~possible, NEG_INF, found.totals),
    )
