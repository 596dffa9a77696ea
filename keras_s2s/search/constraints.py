"""Beam search whose hypotheses must hold given sequences: dynamic beam allocation, vectorised.

A hypothesis meets a constraint when it holds it as a run of tokens; runs may overlap, so that what
is met and what is begun follow from the tokens alone. Hypotheses that still need equally many
tokens form a bank, and the slots of a beam go round the banks, so that a hypothesis that has paid
for its constraints does not lose its place to those that have yet to.

References: Post and Vilar 2018, arXiv:1804.06609; Hu et al. 2019, NAACL N19-1090.
"""

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.search.options import NEG_INF, Candidates

__all__ = ["constrain", "has_disallowed", "required_tokens", "start"]


def start(batch, width, constraints):
    """What hypotheses without a token have met: the constraints that are none.

    Args:
        batch: B, int or scalar tensor.
        width: K, int or scalar tensor.
        constraints: int32 tensor [B, C, L], padded with 0 on the right.

    Returns:
        bool tensor [B, K, C].
    """
    none = tf.expand_dims(_lengths(constraints) == 0, 1)  # [B, 1, C]
    return tf.broadcast_to(none, tf.stack([batch, width, tf.shape(constraints)[1]]))


def constrain(totals, history, met, position, options, extras, special=SpecialIds()):
    """The continuations that a step looks at, and which of them live, under constraints.

    A hypothesis needs as many tokens as its unmet constraints have, less those of the one that it
    is furthest in. A continuation that needs more than `max_length` leaves is impossible, unless a
    prefix forces it, and so is the end before all is met. A row looks at the best 2 `beam_size`
    possible ones, the best of each hypothesis, those that carry on an unmet constraint, and the
    ends. They stand in turn: the best of all, then the best of each bank, from the fewest tokens
    needed to the most, then the second best of each, and so on. The first `beam_size` without the
    ends live; ends count that are among the first `beam_size` with them. Without constraints there
    is one bank: this is the plain beam.

    With a `beam_size` of 1 the best of all comes first only while its hypothesis is not within a
    constraint, would not rather end, and has room for other tokens. So greedy search begins a
    constraint where the model does, or else where the model would end, and finishes what it began.

    Args:
        totals: float32 tensor [B, K, V'], what every continuation is ranked by; at most LOWEST / 2
            where it must not be.
        history: int32 tensor [B, K, t], tokens so far, without the start.
        met: bool tensor [B, K, C], the constraints that they hold.
        position: int32 scalar tensor, t.
        options: `Options`.
        extras: `Extras`, of which `constraints`, ids below V' and none of them special, and
            `prefix_length` are looked at.

    Returns:
        `Candidates`, the best first, of M = 4 K + K C L, each with its total as priority where it
        lives, and what each of them has met, bool [B, M, C].
    """
    constraints, size = extras.constraints, tf.expand_dims(options.beam_size, 1)  # [B, 1]
    reach = _reach(history, met, constraints)  # [B, K, C L]
    left = options.max_length - position - 1  # [B]
    left = tf.where(position < extras.prefix_length, tf.int32.max, left)
    left = tf.expand_dims(left, 1)
    free = _free(totals, met, left, constraints, special)
    best, favourite = tf.math.top_k(free, 1)  # [B, K, 1]
    keys = _keys(free, favourite, constraints, special)
    found, tokens, parents = _sorted(totals, keys)  # [B, M]
    grown, required_tokens, carries = _grow(tokens, parents, met, reach, constraints)

    is_end = tf.equal(tokens, special.end)
    complete = tf.gather(tf.reduce_all(met, 2), parents, batch_dims=1)
    possible = (found > NEG_INF / 2) & tf.where(is_end, complete, required_tokens <= left)
    place = tf.cumsum(tf.cast(possible, tf.int32), 1)  # from 1
    favoured = found >= tf.gather(tf.squeeze(best, 2), parents, batch_dims=1)
    possible &= (place <= 2 * size) | favoured | carries | is_end

    leads = (size > 1) | _is_free(totals, best, reach, special)  # [B, 1]
    banks = tf.shape(reach)[2] + 1
    ending = is_end & _first(possible, required_tokens, banks, size, leads)
    living = _first(possible & ~is_end, required_tokens, banks, size, leads)
    found = tf.where(possible, found, NEG_INF)
    priority = tf.where(living, found, NEG_INF)
    return Candidates(found, tokens, parents, ending, priority), grown


def required_tokens(extras):
    """Tokens that the constraints need behind their prefix, one after the other.

    That is without what the prefix holds of them, or ends within.

    Args:
        extras: `Extras`.

    Returns:
        int32 tensor [B].
    """
    constraints, size = extras.constraints, tf.expand_dims(extras.prefix_length, 1)
    length = tf.shape(constraints)[2]
    real = tf.sequence_mask(extras.prefix_length, tf.shape(extras.prefix)[1])
    prefix = tf.pad(tf.where(real, extras.prefix, 0), [[0, 0], [length, length]])
    runs = tf.expand_dims(tf.range(tf.shape(prefix)[1] - length + 1), 1) + tf.range(length)
    runs = tf.expand_dims(tf.gather(prefix, runs, axis=1), 1)  # [B, 1, N, L]
    wanted = tf.expand_dims(constraints, 2)  # [B, C, 1, L]
    held = tf.reduce_all(tf.equal(runs, wanted) | tf.equal(wanted, 0), 3)  # [B, C, N]
    met = tf.expand_dims(tf.reduce_any(held, 2), 1)  # [B, 1, C]
    last = tf.gather(prefix, size + tf.range(length), batch_dims=1)  # [B, L]
    reach = _reach(tf.expand_dims(last, 1), met, constraints)  # [B, 1, C L]
    begun = tf.maximum(tf.reduce_max(reach[:, 0], 1), 1) - 1  # over no place the smallest integer
    return tf.reduce_sum(tf.where(met[:, 0], 0, _lengths(constraints)), 1) - begun


def has_disallowed(extras):
    """bool tensor [B]: rows of `Extras` of which a constraint holds a disallowed sequence."""
    constraints, disallowed = extras.constraints, extras.disallowed
    batch, count, length = tf.unstack(tf.shape(constraints))
    short = tf.shape(disallowed)[2]
    places = tf.expand_dims(tf.range(length), 1) + tf.range(short)  # [L, L']
    runs = tf.gather(tf.pad(constraints, [[0, 0], [0, 0], [0, short]]), places, axis=2)
    runs = tf.reshape(runs, tf.stack([batch, count * length, 1, short]))
    sequences = tf.expand_dims(disallowed, 1)  # [B, 1, D, L']
    same = tf.reduce_all(tf.equal(runs, sequences) | tf.equal(sequences, 0), 3)
    same &= tf.reduce_any(sequences > 0, 3)
    return tf.reduce_any(same, [1, 2])


def _lengths(constraints):
    """int32 [B, C]."""
    return tf.reduce_sum(tf.cast(constraints > 0, tf.int32), 2)


def _reach(history, met, constraints):
    """int32 [B, K, C L]: how far each place of a constraint would bring it, 0 where it cannot.

    A place is in reach when the history ends in all that stands before it.
    """
    batch, width, now = tf.unstack(tf.shape(history))
    count, length = tf.unstack(tf.shape(constraints)[1:])
    last = tf.pad(history, [[0, 0], [0, 0], [length, 0]], constant_values=-1)[:, :, now:]
    place, before = tf.expand_dims(tf.range(length), 1), tf.range(length)
    # Row p of this table holds the last p tokens, then anything.
    recent = tf.minimum(length - place + before, length - 1)  # [L, L]
    recent = tf.gather(last, tf.reshape(recent, [-1]), axis=2)  # [B, K, L L]
    whole = tf.expand_dims(tf.tile(constraints, tf.stack([1, 1, length])), 1)  # [B, 1, C, L L]
    same = tf.equal(tf.expand_dims(recent, 2), whole)
    same |= tf.reshape(before >= place, [-1])  # [B, K, C, L L]
    same = tf.reshape(same, tf.stack([batch, width * count, length, length]))
    same = tf.reshape(tf.reduce_all(same, 3), tf.stack([batch, width, count, length]))
    open_ = tf.expand_dims(constraints > 0, 1) & ~tf.expand_dims(met, 3)
    reach = tf.where(same & open_, before + 1, 0)
    return tf.reshape(reach, tf.stack([batch, width, count * length]))


def _free(totals, met, left, constraints, special):
    """`totals` [B, K, V'] of what is possible whatever the token; of the end, where it is."""
    lengths = tf.expand_dims(_lengths(constraints), 1)  # [B, 1, C]
    room = tf.reduce_sum(tf.where(met, 0, lengths), 2) <= left  # [B, K]
    complete = tf.expand_dims(tf.reduce_all(met, 2), 2)
    is_end = tf.equal(tf.range(tf.shape(totals)[2]), special.end)
    return tf.where(tf.where(is_end, complete, tf.expand_dims(room, 2)), totals, NEG_INF)


def _keys(free, favourite, constraints, special):
    """Parent times V' plus token of all that is to be looked at, int32 [B, M], some of it twice."""
    batch, width, count = tf.unstack(tf.shape(free))
    places = tf.reduce_prod(tf.shape(constraints)[1:])
    _, best = tf.math.top_k(tf.reshape(free, tf.stack([batch, width * count])), 2 * width)
    words = tf.reshape(constraints, tf.stack([batch, 1, places]))
    words = tf.tile(words, tf.stack([1, width, 1]))  # [B, K, C L]
    each = tf.concat([favourite, tf.fill(tf.shape(favourite), special.end), words], 2)
    each += tf.reshape(tf.range(width) * count, [1, -1, 1])
    each = tf.reshape(each, tf.stack([batch, width * (places + 2)]))
    return tf.concat([best, each], 1)


def _sorted(totals, keys):
    """Total, token and parent of every key, [B, M], the best first, LOWEST where it repeats."""
    batch, width, count = tf.unstack(tf.shape(totals))
    flat, amount = tf.reshape(totals, tf.stack([batch, width * count])), tf.shape(keys)[1]
    keys = -tf.math.top_k(-keys, amount)[0]  # in a plain beam's order: ties fall as they do there
    repeated = tf.pad(tf.equal(keys[:, 1:], keys[:, :-1]), [[0, 0], [1, 0]])
    found = tf.where(repeated, NEG_INF, tf.gather(flat, keys, batch_dims=1))
    found, order = tf.math.top_k(found, amount)
    keys = tf.gather(keys, order, batch_dims=1)
    return found, keys % count, keys // count


def _grow(tokens, parents, met, reach, constraints):
    """Of each continuation: what it has met [B, M, C], tokens it needs, whether it carries on."""
    count, length = tf.unstack(tf.shape(constraints)[1:])
    lengths = tf.expand_dims(_lengths(constraints), 1)  # [B, 1, C]
    words = tf.reshape(constraints, tf.stack([tf.shape(tokens)[0], 1, count * length]))
    fits = tf.equal(tf.expand_dims(tokens, 2), words)  # [B, M, C L]
    reached = tf.where(fits, tf.gather(reach, parents, batch_dims=1), 0)
    reached = tf.reshape(reached, tf.concat([tf.shape(tokens), [count, length]], 0))
    reached = tf.reduce_max(reached, 3)  # [B, M, C]
    met = tf.gather(met, parents, batch_dims=1) | (reached >= lengths)
    # The maximum over no constraint is the smallest integer.
    begun = tf.maximum(tf.reduce_max(tf.where(met, 0, reached), 2), 0)
    required_tokens = tf.reduce_sum(tf.where(met, 0, lengths), 2) - begun
    return met, required_tokens, tf.reduce_any(reached > 0, 2)


def _is_free(totals, best, reach, special):
    """bool [B, 1]: whether a beam of one may go where it likes."""
    inside = tf.reduce_max(reach[:, :1], 2) > 1  # [B, 1]
    best = best[:, :1, 0]
    # Without room for free tokens the best is LOWEST, while a barred end may be less than that.
    return ~inside & (best > NEG_INF / 2) & (best > totals[:, :1, special.end])


def _first(members, needed, banks, size, leads):
    """bool [B, M]: the first `size` of the members, best first, in turn over `banks` banks."""
    number = tf.cast(members, tf.int32)
    bank = tf.one_hot(needed, banks, dtype=tf.int32) * tf.expand_dims(number, 2)  # [B, M, N]
    turn = tf.reduce_sum(tf.cumsum(bank, 1) * bank, 2)  # from 1
    place = tf.where(leads & (tf.cumsum(number, 1) == 1), 0, turn * banks + needed)
    place = tf.where(members, place, tf.int32.max)
    last = -tf.math.top_k(-place, tf.reduce_max(tf.concat([size[:, 0], [1]], 0)))[0]  # [B, K]
    return members & (place <= tf.gather(last, size - 1, batch_dims=1))
