"""Groups of the beam that keep apart: diverse beam search, and alternatives at a position."""

import tensorflow as tf

from keras_s2s.search.options import NEG_INF, Candidates

__all__ = ["arrange", "grouped"]


def arrange(options, extras, position):
    """Groups of each row at this step.

    Diverse beam search has `beam_groups` of them all along. A row with alternatives is one
    greedy hypothesis before its position, one whole beam at it, and thereafter `beam_size`
    groups of one hypothesis each; an end takes the place of what would live on, so that a group
    stops at its greedy end.

    Returns:
        int32 [B, 1] twice, number and size of the groups, and bool [B, 1] twice, whether the row
        branches off now, and whether it has alternatives.
    """
    beam, branch = options.beam_size, extras.alternatives_at
    apart = branch >= 0
    after, before = apart & (position > branch), apart & (position < branch)
    count = tf.where(after, beam, tf.where(apart, 1, extras.beam_groups))
    size = tf.where(before | after, 1, beam // count)
    now = apart & tf.equal(position, branch)
    return tuple(tf.expand_dims(x, 1) for x in (count, size, now, apart))


def grouped(totals, groups, position, arranged, penalty, special):
    """The candidates of each group in turn, each group after those that chose before it.

    Args:
        totals: float32 [B, K, V'], of all continuations, LOWEST for what must not follow.
        groups: int32 [B, K], the group that each slot belongs to; not read at position 0, where
            every group grows out of the first slot.
        position: int32 scalar.
        arranged: from `arrange`.
        penalty: float32 [B], taken from a token for each time that an earlier group chose it at
            this step. It picks what lives on, and is no part of the totals; alternatives are
            greedy without it.

    Returns:
        `Candidates` with M = 2 K for each group, and their groups int32 [B, M].

    Reference: Vijayakumar et al. 2018, arXiv:1610.02424, algorithm 1 (Hamming diversity).
    """
    count, size, branching, stops = arranged
    batch, width, words = tf.unstack(tf.shape(totals))
    flat = tf.reshape(totals, [batch, width * words])
    weight = tf.where(tf.expand_dims(stops, 2), 0.0, tf.reshape(penalty, [-1, 1, 1]))

    def body(number, counts, found):
        member = (tf.equal(groups, number) | tf.equal(position, 0)) & (number < count)  # [B, K]
        ranked = tf.where(tf.expand_dims(member, 2), totals, NEG_INF)
        ranked -= weight * tf.expand_dims(counts, 1)
        _, index = tf.math.top_k(tf.reshape(ranked, [batch, width * words]), 2 * width)
        tokens, parents = index % words, index // words
        own = tf.where(tf.gather(member, parents, batch_dims=1), 0.0, NEG_INF)
        own += tf.gather(flat, index, batch_dims=1)
        candidates, chosen = _of_group(own, tokens, parents, number, size, stops, special)
        rows = tf.expand_dims(tf.range(batch), 1) + tf.zeros_like(tokens)
        places = tf.stack([rows, tokens], 2)
        counts = tf.tensor_scatter_nd_add(counts, places, tf.cast(chosen, tf.float32))
        order = tf.cumsum(tf.cast(chosen, tf.int32), 1) - 1
        label = tf.where(branching, order, number)
        grown = [tf.concat([old, new], 1) for old, new in zip(found, (*candidates, label))]
        return number + 1, counts, grown

    nothing = tf.zeros([batch, 0])
    whole = tf.zeros([batch, 0], tf.int32)
    found = [nothing, whole, whole, tf.zeros([batch, 0], tf.bool), nothing, whole]
    variables = (tf.constant(0), tf.zeros([batch, words]), found)
    most = tf.reduce_max(tf.concat([tf.reshape(count, [-1]), [1]], 0))
    free = tf.TensorShape([None, None])
    shapes = (tf.TensorShape([]), free, [free] * len(found))
    _, _, found = tf.while_loop(
        lambda number, *_: number < most, body, variables, shape_invariants=shapes
    )
    *candidates, labels = found
    return Candidates(*candidates), labels


def _of_group(totals, tokens, parents, number, size, stops, special):
    """A group's candidates in the order in which it prefers them, and those that live on.

    Where it `stops`, [B, 1], ends take the places of those that would live on.
    """
    possible, is_end = totals > NEG_INF / 2, tf.equal(tokens, special.end)
    rank = tf.expand_dims(tf.range(tf.shape(tokens)[1]), 0)
    going = possible & ~is_end
    order = tf.cumsum(tf.cast(going, tf.int32), 1) - 1
    chosen = going & (tf.where(stops, rank, order) < size)
    # Groups stand one behind the other, each in its own order.
    priority = -tf.cast(number * size + order, tf.float32)
    candidates = Candidates(
        totals,
        tokens,
        parents,
        ending=possible & is_end & (rank < size),
        priority=tf.where(chosen, priority, NEG_INF),
    )
    return candidates, chosen
