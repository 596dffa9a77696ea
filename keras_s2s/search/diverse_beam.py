"""Groups of a beam: diverse beam search, and alternatives at a position."""

from typing import Any

import tensorflow as tf

from keras_s2s.search.options import NEG_INF, Candidates, ConstraintOptions, Options

__all__ = ["group_candidates", "group_layout"]


def group_layout(
    options: Options, constraint_options: ConstraintOptions, position: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Returns the groups of each row at a step.

    Diverse beam search has `beam_groups` groups at every step. A row with alternatives is one
    greedy hypothesis before its position, one beam at it, and afterwards `beam_size` groups of one
    hypothesis each; an end takes the slot of a hypothesis that would survive, so that a group stops
    at its greedy end.

    Returns:
        int32 [B, 1] twice, number and size of the groups, and bool [B, 1] twice, whether the row
        branches at this step, and whether it has alternatives.
    """
    beam, branch = options.beam_size, constraint_options.alternatives_at
    has_alternatives = branch >= 0
    after, before = has_alternatives & (position > branch), has_alternatives & (position < branch)
    count = tf.where(has_alternatives, 1, constraint_options.beam_groups)
    count = tf.where(after, beam, count)
    size = tf.where(before | after, 1, beam // count)
    is_branching = has_alternatives & tf.equal(position, branch)
    return tuple(tf.expand_dims(x, 1) for x in (count, size, is_branching, has_alternatives))


def group_candidates(
    totals: tf.Tensor,
    groups: tf.Tensor,
    position: tf.Tensor,
    layout: tuple[tf.Tensor, ...],
    penalty: tf.Tensor,
    special: Any,
) -> tuple[Candidates, tf.Tensor]:
    """Selects the candidates of each group in turn, each group after the earlier ones.

    Args:
        totals: float32 [B, K, V'], of all continuations, NEG_INF for what must not follow.
        groups: int32 [B, K], the group of each slot; not read at position 0, where every group
            grows from the first slot.
        position: int32 scalar.
        layout: from `group_layout`.
        penalty: float32 [B], subtracted from a token for each time that an earlier group chose it
            at this step. It decides which candidates survive and is not part of their totals;
            alternatives are greedy without it.
        special: `SpecialIds`.

    Returns:
        `Candidates` with M = 2 K for each group, and their groups int32 [B, M].

    Reference: Vijayakumar et al. 2018, arXiv:1610.02424, algorithm 1 (Hamming diversity).
    """
    count, size, is_branching, has_alternatives = layout
    batch, width, vocabulary = tf.unstack(tf.shape(totals))
    flat = tf.reshape(totals, [batch, width * vocabulary])
    weight = tf.where(tf.expand_dims(has_alternatives, 2), 0.0, tf.reshape(penalty, [-1, 1, 1]))

    def body(number, token_counts, columns):
        is_member = (tf.equal(groups, number) | tf.equal(position, 0)) & (number < count)  # [B, K]
        ranked = tf.where(tf.expand_dims(is_member, 2), totals, NEG_INF)
        ranked -= weight * tf.expand_dims(token_counts, 1)
        _, index = tf.math.top_k(tf.reshape(ranked, [batch, width * vocabulary]), 2 * width)
        tokens, parents = index % vocabulary, index // vocabulary
        group_totals = tf.where(tf.gather(is_member, parents, batch_dims=1), 0.0, NEG_INF)
        group_totals += tf.gather(flat, index, batch_dims=1)
        candidates, survives = _one_group(
            group_totals, tokens, parents, number, size, has_alternatives, special
        )
        rows = tf.expand_dims(tf.range(batch), 1) + tf.zeros_like(tokens)
        index, added = tf.stack([rows, tokens], 2), tf.cast(survives, tf.float32)
        token_counts = tf.tensor_scatter_nd_add(token_counts, index, added)
        order = tf.cumsum(tf.cast(survives, tf.int32), 1) - 1
        label = tf.where(is_branching, order, number)
        columns = [tf.concat(pair, 1) for pair in zip(columns, (*candidates, label))]
        return number + 1, token_counts, columns

    variables = (tf.constant(0), tf.zeros([batch, vocabulary]), _no_candidates(batch))
    most = tf.reduce_max(tf.concat([tf.reshape(count, [-1]), [1]], 0))
    unknown = tf.TensorShape([None, None])
    shapes = (tf.TensorShape([]), unknown, [unknown] * len(variables[2]))
    _, _, columns = tf.while_loop(
        lambda number, *_: number < most, body, variables, shape_invariants=shapes
    )
    return Candidates(*columns[:-1]), columns[-1]


def _no_candidates(batch):
    """The columns of `Candidates` and their labels, [B, 0]."""
    real, whole = tf.zeros([batch, 0]), tf.zeros([batch, 0], tf.int32)
    return [real, whole, whole, tf.zeros([batch, 0], tf.bool), real, whole]


def _one_group(totals, tokens, parents, number, size, has_alternatives, special):
    """A group's candidates in the order of its preference, and bool [B, M], those that survive.

    Where a row has alternatives, [B, 1], ends take the slots of candidates that would survive.
    """
    is_possible, is_end = totals > NEG_INF / 2, tf.equal(tokens, special.end)
    rank = tf.expand_dims(tf.range(tf.shape(tokens)[1]), 0)
    may_survive = is_possible & ~is_end
    order = tf.cumsum(tf.cast(may_survive, tf.int32), 1) - 1
    survives = may_survive & (tf.where(has_alternatives, rank, order) < size)
    # Groups follow one another in the beam, each in its own order.
    priority = -tf.cast(number * size + order, tf.float32)
    candidates = Candidates(
        totals,
        tokens,
        parents,
        ending=is_possible & is_end & (rank < size),
        priority=tf.where(survives, priority, NEG_INF),
    )
    return candidates, survives
