"""Lexical constraints: beam search whose hypotheses must contain given sequences.

Dynamic beam allocation, vectorised. A hypothesis meets a constraint when it contains it as a run of
tokens. Runs may overlap, so that the constraints that are met and the one that is begun follow from
the tokens alone. Hypotheses that still need the same number of tokens form a bank, and the slots of
a beam are dealt to the banks in turn, so that a hypothesis that has paid for its constraints does
not lose its slot to those that have not.

References: Post and Vilar 2018, arXiv:1804.06609; Hu et al. 2019, NAACL N19-1090.
"""

from typing import Any

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.search.options import NEG_INF, Candidates, ConstraintOptions, Options

__all__ = ["constrained_candidates", "has_disallowed", "initially_met", "required_tokens"]


def initially_met(batch: Any, width: Any, constraints: tf.Tensor) -> tf.Tensor:
    """Returns the constraints that hypotheses without a token have met: the empty ones.

    Args:
        batch: B, int or scalar tensor.
        width: K, int or scalar tensor.
        constraints: int32 tensor [B, C, L], padded with 0 on the right.

    Returns:
        bool tensor [B, K, C].
    """
    is_empty = tf.expand_dims(_lengths(constraints) == 0, 1)  # [B, 1, C]
    return tf.broadcast_to(is_empty, tf.stack([batch, width, tf.shape(constraints)[1]]))


def constrained_candidates(
    totals: tf.Tensor,
    history: tf.Tensor,
    met: tf.Tensor,
    position: tf.Tensor,
    options: Options,
    constraint_options: ConstraintOptions,
    special: SpecialIds = SpecialIds(),
) -> tuple[Candidates, tf.Tensor]:
    """Selects the candidates of a step, and those that survive, under constraints.

    A hypothesis needs as many tokens as its unmet constraints have, less those of the constraint in
    which it is furthest. A continuation that needs more than `max_length` leaves is impossible,
    unless a prefix forces it, and so is the end before all constraints are met. The candidates of a
    row are the best 2 `beam_size` possible continuations, the best of each hypothesis, those that
    continue an unmet constraint, and the ends. They are ordered in turn: the best of all, then the
    best of each bank, from the fewest tokens needed to the most, then the second best of each bank,
    and so on. The first `beam_size` without the ends survive. Ends count when they are among the
    first `beam_size` with them. Without constraints there is one bank: this is plain beam search.

    With a `beam_size` of 1 the best of all comes first only while its hypothesis is not within a
    constraint, is not likelier to end, and has room for other tokens. Greedy search therefore
    begins a constraint where the model does, or else where the model would end, and finishes a
    constraint that it has begun.

    Args:
        totals: float32 tensor [B, K, V'], ranking scores of all continuations; at most NEG_INF / 2
            where a token is forbidden.
        history: int32 tensor [B, K, t], tokens so far, without the start.
        met: bool tensor [B, K, C], the constraints that they contain.
        position: int32 scalar tensor, t.
        options: `Options`.
        constraint_options: `ConstraintOptions`, of which `constraints`, ids below V' and none of
            them special, and `prefix_length` are used.
        special: `SpecialIds`.

    Returns:
        `Candidates`, the best first, of M = 4 K + K C L, each with its total as priority where it
        survives, and the constraints that each has met, bool [B, M, C].
    """
    constraints, size = constraint_options.constraints, tf.expand_dims(options.beam_size, 1)
    progress = _progress(history, met, constraints)  # [B, K, C L]
    left = options.max_length - position - 1  # [B]
    left = tf.where(position < constraint_options.prefix_length, tf.int32.max, left)
    left = tf.expand_dims(left, 1)
    free = _unconstrained_totals(totals, met, left, constraints, special)
    best, best_token = tf.math.top_k(free, 1)  # [B, K, 1]
    keys = _candidate_keys(free, best_token, constraints, special)
    scores, tokens, parents = _sorted_candidates(totals, keys)  # [B, M]
    new_met, needed, continues = _grow(tokens, parents, met, progress, constraints)

    is_end = tf.equal(tokens, special.end)
    is_complete = tf.gather(tf.reduce_all(met, 2), parents, batch_dims=1)
    is_possible = (scores > NEG_INF / 2) & tf.where(is_end, is_complete, needed <= left)
    rank = tf.cumsum(tf.cast(is_possible, tf.int32), 1)  # from 1
    is_best = scores >= tf.gather(tf.squeeze(best, 2), parents, batch_dims=1)
    is_possible &= (rank <= 2 * size) | is_best | continues | is_end

    best_first = (size > 1) | _is_unconstrained(totals, best, progress, special)  # [B, 1]
    banks = tf.shape(progress)[2] + 1
    ending = is_end & _first_in_turn(is_possible, needed, banks, size, best_first)
    survives = _first_in_turn(is_possible & ~is_end, needed, banks, size, best_first)
    scores = tf.where(is_possible, scores, NEG_INF)
    priority = tf.where(survives, scores, NEG_INF)
    return Candidates(scores, tokens, parents, ending, priority), new_met


def required_tokens(options: ConstraintOptions) -> tf.Tensor:
    """Counts the tokens that the constraints need after their prefix, one after the other.

    Tokens of constraints that the prefix contains, or ends within, do not count.

    Args:
        options: `ConstraintOptions`.

    Returns:
        int32 tensor [B].
    """
    constraints, size = options.constraints, tf.expand_dims(options.prefix_length, 1)
    length = tf.shape(constraints)[2]
    is_real = tf.sequence_mask(options.prefix_length, tf.shape(options.prefix)[1])
    prefix = tf.pad(tf.where(is_real, options.prefix, 0), [[0, 0], [length, length]])
    runs = tf.expand_dims(tf.range(tf.shape(prefix)[1] - length + 1), 1) + tf.range(length)
    runs = tf.expand_dims(tf.gather(prefix, runs, axis=1), 1)  # [B, 1, N, L]
    tokens = tf.expand_dims(constraints, 2)  # [B, C, 1, L]
    is_held = tf.reduce_all(tf.equal(runs, tokens) | tf.equal(tokens, 0), 3)  # [B, C, N]
    met = tf.expand_dims(tf.reduce_any(is_held, 2), 1)  # [B, 1, C]
    last = tf.gather(prefix, size + tf.range(length), batch_dims=1)  # [B, L]
    progress = _progress(tf.expand_dims(last, 1), met, constraints)  # [B, 1, C L]
    # The maximum over no position is the smallest integer.
    begun = tf.maximum(tf.reduce_max(progress[:, 0], 1), 1) - 1
    return tf.reduce_sum(tf.where(met[:, 0], 0, _lengths(constraints)), 1) - begun


def has_disallowed(options: ConstraintOptions) -> tf.Tensor:
    """Returns bool [B]: rows of which a constraint contains a disallowed sequence."""
    constraints, disallowed = options.constraints, options.disallowed
    batch, count, length = tf.unstack(tf.shape(constraints))
    run_length = tf.shape(disallowed)[2]
    positions = tf.expand_dims(tf.range(length), 1) + tf.range(run_length)  # [L, L']
    padded = tf.pad(constraints, [[0, 0], [0, 0], [0, run_length]])
    runs = tf.gather(padded, positions, axis=2)
    runs = tf.reshape(runs, tf.stack([batch, count * length, 1, run_length]))
    sequences = tf.expand_dims(disallowed, 1)  # [B, 1, D, L']
    is_equal = tf.reduce_all(tf.equal(runs, sequences) | tf.equal(sequences, 0), 3)
    is_equal &= tf.reduce_any(sequences > 0, 3)
    return tf.reduce_any(is_equal, [1, 2])


def _lengths(constraints):
    """Returns int32 [B, C]."""
    return tf.reduce_sum(tf.cast(constraints > 0, tf.int32), 2)


def _progress(history, met, constraints):
    """Tokens of a constraint that each of its positions would complete, int32 [B, K, C L].

    It is 0 unless the history ends in all tokens of the constraint before the position.
    """
    batch, width, now = tf.unstack(tf.shape(history))
    count, length = tf.unstack(tf.shape(constraints)[1:])
    last = tf.pad(history, [[0, 0], [0, 0], [length, 0]], constant_values=-1)[:, :, now:]
    position, before = tf.expand_dims(tf.range(length), 1), tf.range(length)
    # Row p of this table holds the last p tokens, then arbitrary ones.
    recent = tf.minimum(length - position + before, length - 1)  # [L, L]
    recent = tf.gather(last, tf.reshape(recent, [-1]), axis=2)  # [B, K, L L]
    tiled = tf.expand_dims(tf.tile(constraints, tf.stack([1, 1, length])), 1)  # [B, 1, C, L L]
    is_equal = tf.equal(tf.expand_dims(recent, 2), tiled)
    is_equal |= tf.reshape(before >= position, [-1])  # [B, K, C, L L]
    is_equal = tf.reshape(is_equal, tf.stack([batch, width * count, length, length]))
    is_equal = tf.reshape(tf.reduce_all(is_equal, 3), tf.stack([batch, width, count, length]))
    is_open = tf.expand_dims(constraints > 0, 1) & ~tf.expand_dims(met, 3)
    progress = tf.where(is_equal & is_open, before + 1, 0)
    return tf.reshape(progress, tf.stack([batch, width, count * length]))


def _unconstrained_totals(totals, met, left, constraints, special):
    """`totals` [B, K, V'] where any token is possible, and of the end where it is possible."""
    lengths = tf.expand_dims(_lengths(constraints), 1)  # [B, 1, C]
    has_room = tf.reduce_sum(tf.where(met, 0, lengths), 2) <= left  # [B, K]
    is_complete = tf.expand_dims(tf.reduce_all(met, 2), 2)
    is_end = tf.equal(tf.range(tf.shape(totals)[2]), special.end)
    return tf.where(tf.where(is_end, is_complete, tf.expand_dims(has_room, 2)), totals, NEG_INF)


def _candidate_keys(free, best_token, constraints, special):
    """Keys of the candidates, parent times V' plus token, int32 [B, M]; some occur twice."""
    batch, width, count = tf.unstack(tf.shape(free))
    positions = tf.reduce_prod(tf.shape(constraints)[1:])
    _, best = tf.math.top_k(tf.reshape(free, tf.stack([batch, width * count])), 2 * width)
    tokens = tf.reshape(constraints, tf.stack([batch, 1, positions]))
    tokens = tf.tile(tokens, tf.stack([1, width, 1]))  # [B, K, C L]
    ends = tf.fill(tf.shape(best_token), special.end)
    keys = tf.concat([best_token, ends, tokens], 2)
    keys += tf.reshape(tf.range(width) * count, [1, -1, 1])
    keys = tf.reshape(keys, tf.stack([batch, width * (positions + 2)]))
    return tf.concat([best, keys], 1)


def _sorted_candidates(totals, keys):
    """Total, token and parent of every key, [B, M], the best first; NEG_INF for repeated keys."""
    batch, width, count = tf.unstack(tf.shape(totals))
    flat, amount = tf.reshape(totals, tf.stack([batch, width * count])), tf.shape(keys)[1]
    keys = -tf.math.top_k(-keys, amount)[0]  # ascending: ties are resolved as in plain beam search
    is_repeated = tf.pad(tf.equal(keys[:, 1:], keys[:, :-1]), [[0, 0], [1, 0]])
    scores = tf.where(is_repeated, NEG_INF, tf.gather(flat, keys, batch_dims=1))
    scores, order = tf.math.top_k(scores, amount)
    keys = tf.gather(keys, order, batch_dims=1)
    return scores, keys % count, keys // count


def _grow(tokens, parents, met, progress, constraints):
    """For each candidate the constraints met [B, M, C], the tokens needed, and whether it continues
    a constraint."""
    count, length = tf.unstack(tf.shape(constraints)[1:])
    lengths = tf.expand_dims(_lengths(constraints), 1)  # [B, 1, C]
    flat = tf.reshape(constraints, tf.stack([tf.shape(tokens)[0], 1, count * length]))
    is_equal = tf.equal(tf.expand_dims(tokens, 2), flat)  # [B, M, C L]
    reached = tf.where(is_equal, tf.gather(progress, parents, batch_dims=1), 0)
    reached = tf.reshape(reached, tf.concat([tf.shape(tokens), [count, length]], 0))
    reached = tf.reduce_max(reached, 3)  # [B, M, C]
    met = tf.gather(met, parents, batch_dims=1) | (reached >= lengths)
    # The maximum over no constraint is the smallest integer.
    begun = tf.maximum(tf.reduce_max(tf.where(met, 0, reached), 2), 0)
    needed = tf.reduce_sum(tf.where(met, 0, lengths), 2) - begun
    return met, needed, tf.reduce_any(reached > 0, 2)


def _is_unconstrained(totals, best, progress, special):
    """Returns bool [B, 1]: whether a beam of one may take its best token."""
    is_inside = tf.reduce_max(progress[:, :1], 2) > 1  # [B, 1]
    best = best[:, :1, 0]
    # Without room for other tokens the best is NEG_INF, and a forbidden end can be less than that.
    return ~is_inside & (best > NEG_INF / 2) & (best > totals[:, :1, special.end])


def _first_in_turn(members, needed, banks, size, best_first):
    """Returns bool [B, M]: the first `size` members, best first, dealt to `banks` banks in turn."""
    number = tf.cast(members, tf.int32)
    bank = tf.one_hot(needed, banks, dtype=tf.int32) * tf.expand_dims(number, 2)  # [B, M, N]
    turn = tf.reduce_sum(tf.cumsum(bank, 1) * bank, 2)  # from 1
    order = tf.where(best_first & (tf.cumsum(number, 1) == 1), 0, turn * banks + needed)
    order = tf.where(members, order, tf.int32.max)
    last = -tf.math.top_k(-order, tf.reduce_max(tf.concat([size[:, 0], [1]], 0)))[0]  # [B, K]
    return members & (order <= tf.gather(last, size - 1, batch_dims=1))
