"""The beam between two steps: live hypotheses, ended ones, and when a row is done.

Live hypotheses grow by a token a step. Ended ones are frozen: their score never changes again,
and the best of them are the result.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_s2s.search.options import NEG_INF, SPAN

__all__ = ["Beam", "Limits", "advance", "length_penalty", "limits", "start"]


class Beam(NamedTuple):
    """The search between two steps.

    Attributes:
        ids: int32 [B, K], last token of each live hypothesis.
        totals: float32 [B, K], what they are ranked by, their summed (and adjusted)
            log-probabilities; `NEG_INF` = no hypothesis.
        done: bool [B], rows whose result is settled.
        ended: float32 [B, K, 3], of each ended hypothesis, best first: the score (`NEG_INF` =
            none), the summed log-probability, and where it ended as `advance` codes it.
    """

    ids: tf.Tensor
    totals: tf.Tensor
    done: tf.Tensor
    ended: tf.Tensor


class Limits(NamedTuple):
    """What the steps of a search need of its `Options`, shaped once before the loop.

    Attributes:
        own: bool [B, K], the slots that a row's beam size gives it.
        size: int32 [B].
        place: int32 [B, 1], slot of the last hypothesis wanted.
        exponent, offset: float32 [B, 1], of the length penalty.
        kindest: float32 [B, 1], divisor of the longest hypothesis.
        shortest, longest: int32 [B, 1], fewest and most tokens.
    """

    own: tf.Tensor
    size: tf.Tensor
    place: tf.Tensor
    exponent: tf.Tensor
    offset: tf.Tensor
    kindest: tf.Tensor
    shortest: tf.Tensor
    longest: tf.Tensor


def limits(options, width):
    """The `Limits` of `Options` for a beam of K = `width` slots."""
    column = {name: tf.expand_dims(x, 1) for name, x in options._asdict().items()}  # [B, 1]
    exponent, offset = column["length_penalty"], column["length_offset"]
    longest = length_penalty(options.max_length + 1, options.length_penalty, options.length_offset)
    return Limits(
        own=tf.expand_dims(tf.range(width), 0) < column["beam_size"],
        size=options.beam_size,
        place=column["num_hypotheses"] - 1,
        exponent=exponent,
        offset=offset,
        kindest=tf.expand_dims(longest, 1),
        shortest=tf.minimum(column["min_length"], column["max_length"]),
        longest=column["max_length"],
    )


def length_penalty(lengths, exponent, offset=5.0):
    """((offset + n) / (offset + 1)) ** exponent, the divisor of a log-probability.

    Args:
        lengths: int tensor [B, ...] of scored tokens n, the end counted.
        exponent: float tensor that broadcasts to it; 0 gives 1.
        offset: c; 5 is GNMT's, 0 divides by a power of the length itself.

    Returns:
        float32 tensor [B, ...].

    Reference: Wu et al. 2016, arXiv:1609.08144, equation 14.
    """
    return tf.pow((offset + tf.cast(lengths, tf.float32)) / (offset + 1.0), exponent)


def start(alive, first, width):
    """The beam before the first step.

    Args:
        alive: bool [B, K'], the slots that hold a hypothesis, which is the first token alone; K'
            is K, or 1 where there is no more than one.
        first: that token's id.
        width: K.

    Returns:
        A `Beam`.
    """
    shape = tf.shape(alive)
    return Beam(
        ids=tf.fill(shape, first),
        totals=tf.where(alive, 0.0, NEG_INF),
        done=tf.zeros(shape[:1], tf.bool),
        ended=tf.fill([shape[0], width, 3], NEG_INF),
    )


def advance(beam, candidates, log_probs, bonus, finished, position, limits):
    """One step of the search: the only place where hypotheses end or live on.

    Those candidates that end join the ended hypotheses, of which the best `beam_size` are kept;
    the others live on in the order of their priority. A row is done at `max_length`, when no live
    one can still enter the `num_hypotheses` best, or when `beam_size` have ended and no live one
    would enter them if it surely ended with the next token. Without a length penalty, or with one
    that favours short targets, nothing that could win is given up. One that favours long targets
    may yet lift a live hypothesis that trails now: to wait for it is to run to `max_length`. A beam
    of one is greedy, and its first end is its last.

    Args:
        beam: `Beam` before the step.
        candidates: `Candidates`, M of them, at least K.
        log_probs: float32 [B, M], the model's own summed log-probabilities of them.
        bonus: float32 [B, M], added to the scores of those that end (at most 0), or None.
        finished: bool [B, M], False where a limit forces the end.
        position: int32 scalar, tokens so far.
        limits: `Limits`.

    Returns:
        The new `Beam`, the places int32 [B, K] among the candidates of those that live on, and
        of these float32 [B, K, 4]: token, parent, total and log-probability.
    """
    width = tf.shape(limits.own)[1]
    ended = _settle(beam.ended, candidates, log_probs, bonus, finished, position, limits)
    packed = [tf.cast(candidates.tokens, tf.float32), tf.cast(candidates.parents, tf.float32)]
    packed = tf.stack([*packed, candidates.totals, log_probs], 2)  # [B, M, 4]
    priority, chosen = tf.math.top_k(candidates.priority, width)  # [B, K]
    packed = tf.gather(packed, chosen, batch_dims=1)
    tokens, _, totals, _ = tf.unstack(packed, num=4, axis=2)
    # At its limit a row has nothing to live for: all but the end was barred.
    alive = (priority > NEG_INF / 2) & (totals > NEG_INF / 2) & limits.own
    totals = tf.where(alive, totals, NEG_INF)
    earned = None if bonus is None else tf.gather(bonus, chosen, batch_dims=1)
    done = beam.done | _decided(ended, totals, earned, position, limits)
    beam = Beam(
        ids=tf.cast(tokens, tf.int32),
        totals=tf.where(tf.expand_dims(done, 1), NEG_INF, totals),
        done=done,
        ended=tf.where(tf.reshape(beam.done, [-1, 1, 1]), beam.ended, ended),
    )
    return beam, chosen, packed


def _settle(ended, candidates, log_probs, bonus, finished, position, limits):
    """Merges the candidates that end into the ended hypotheses, best first: [B, K, 3]."""
    scores = candidates.totals / length_penalty(position + 1, limits.exponent, limits.offset)
    if bonus is not None:
        scores += bonus
    scores = tf.where(candidates.ending, scores, NEG_INF)
    where = (position * SPAN + candidates.parents) * 2 + tf.cast(finished, tf.int32)
    new = tf.stack([scores, log_probs, tf.cast(where, tf.float32)], 2)  # [B, M, 3]
    pool = tf.concat([ended, new], 1)
    _, order = tf.math.top_k(pool[:, :, 0], tf.shape(ended)[1])
    best = tf.gather(pool, order, batch_dims=1)  # [B, K, 3]
    # Places beyond the row's own beam size stay empty, whatever its neighbours' sizes.
    return tf.where(tf.expand_dims(limits.own, 2), best, NEG_INF)


def _decided(ended, totals, bonus, position, limits):
    """bool [B]: no live hypothesis can still win, or enough have ended and none is ahead."""
    scores = ended[:, :, 0]
    count = tf.reduce_sum(tf.cast(scores > NEG_INF / 2, tf.int32), 1)
    nearest = length_penalty(position + 2, limits.exponent, limits.offset)  # [B, 1]
    worst = tf.gather(scores, limits.place, batch_dims=1)  # [B, 1]
    # The most a live hypothesis can reach: no more loss, at the kindest length still open to it.
    best = tf.reduce_max(totals, 1, keepdims=True)  # [B, 1]
    hopeless = (worst > NEG_INF / 2) & (worst >= best / tf.maximum(nearest, limits.kindest))
    ahead = (totals / nearest if bonus is None else totals / nearest + bonus) > worst  # [B, K]
    enough = (count >= limits.size) & (~tf.reduce_any(ahead, 1) | tf.equal(limits.size, 1))
    return enough | tf.squeeze(hopeless | (best <= NEG_INF / 2), 1)
