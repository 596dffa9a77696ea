"""The beam between two steps: live hypotheses, ended hypotheses, and which rows are done.

Live hypotheses grow by one token a step. Ended hypotheses are frozen: their scores never change
again, and the best of them are the result.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_s2s.search.options import NEG_INF, Candidates, Options

__all__ = ["ENDED_COLUMNS", "Beam", "Limits", "advance", "initial_beam", "length_penalty", "limits"]

ENDED_COLUMNS = 5  # score, log-probability, position, parent, finished


class Beam(NamedTuple):
    """The beam between two steps.

    Attributes:
        ids: int32 [B, K], last token of each live hypothesis.
        totals: float32 [B, K], their ranking scores: summed (and adjusted) log-probabilities;
            `NEG_INF` = no hypothesis.
        done: bool [B], rows whose result is final.
        ended: float32 [B, K, 5], the ended hypotheses, best first: score (`NEG_INF` = none), summed
            log-probability, number of tokens, slot of the last token's hypothesis, and 0 where a
            limit forced the end, else 1.
    """

    ids: tf.Tensor
    totals: tf.Tensor
    done: tf.Tensor
    ended: tf.Tensor


class Limits(NamedTuple):
    """What the steps of a search need of its `Options`, reshaped once before the loop.

    Attributes:
        own: bool [B, K], the slots within a row's beam size.
        size: int32 [B], beam sizes.
        last: int32 [B, 1], rank of the last hypothesis returned, from 0.
        exponent, offset: float32 [B, 1], of the length penalty.
        largest_penalty: float32 [B, 1], length penalty of the longest hypothesis.
        shortest, longest: int32 [B, 1], fewest and most tokens.
    """

    own: tf.Tensor
    size: tf.Tensor
    last: tf.Tensor
    exponent: tf.Tensor
    offset: tf.Tensor
    largest_penalty: tf.Tensor
    shortest: tf.Tensor
    longest: tf.Tensor


def limits(options: Options, width: Any) -> Limits:
    """Returns the `Limits` of `Options` for a beam of K = `width` slots."""
    column = {name: tf.expand_dims(x, 1) for name, x in options._asdict().items()}  # [B, 1]
    exponent, offset = column["length_penalty"], column["length_offset"]
    largest = length_penalty(options.max_length + 1, options.length_penalty, options.length_offset)
    return Limits(
        own=tf.expand_dims(tf.range(width), 0) < column["beam_size"],
        size=options.beam_size,
        last=column["num_hypotheses"] - 1,
        exponent=exponent,
        offset=offset,
        largest_penalty=tf.expand_dims(largest, 1),
        shortest=tf.minimum(column["min_length"], column["max_length"]),
        longest=column["max_length"],
    )


def length_penalty(
    lengths: tf.Tensor, exponent: tf.Tensor, offset: tf.Tensor | float = 5.0
) -> tf.Tensor:
    """Computes ((offset + n) / (offset + 1)) ** exponent, the divisor of a log-probability.

    Args:
        lengths: int tensor [B, ...] of scored tokens n, the end counted.
        exponent: float tensor that broadcasts to it; 0 gives 1.
        offset: c; 5 is GNMT's, 0 divides by a power of the length itself.

    Returns:
        float32 tensor [B, ...].

    Reference: Wu et al. 2016, arXiv:1609.08144, equation 14.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s import search
    >>> search.length_penalty(tf.constant([1, 7]), tf.constant([1.0, 1.0])).numpy().tolist()
    [1.0, 2.0]
    """
    return tf.pow((offset + tf.cast(lengths, tf.float32)) / (offset + 1.0), exponent)


def initial_beam(is_alive: tf.Tensor, start_id: int, width: Any) -> Beam:
    """Creates the beam before the first step.

    Args:
        is_alive: bool [B, K'], slots with a hypothesis, which is the start token alone; K' is K, or
            1 where each row has at most one.
        start_id: id of the start token.
        width: K.

    Returns:
        `Beam`.
    """
    shape = tf.shape(is_alive)
    return Beam(
        ids=tf.fill(shape, start_id),
        totals=tf.where(is_alive, 0.0, NEG_INF),
        done=tf.zeros(shape[:1], tf.bool),
        ended=tf.fill([shape[0], width, ENDED_COLUMNS], NEG_INF),
    )


def advance(
    beam: Beam,
    candidates: Candidates,
    log_probs: tf.Tensor,
    bonus: tf.Tensor | None,
    finished: tf.Tensor,
    position: tf.Tensor,
    limits: Limits,
) -> tuple[Beam, tf.Tensor, tf.Tensor]:
    """Advances the beam by one step. Hypotheses end and survive here and nowhere else.

    Candidates that end join the ended hypotheses, of which the best `beam_size` are kept; the
    others survive in the order of their priority. A row is done at `max_length`, when no live
    hypothesis can still enter the `num_hypotheses` best, or when `beam_size` have ended and no live
    hypothesis would enter them if the next token ended it with certainty. Without a length penalty,
    or with one that favours short targets, no hypothesis that could win is dropped. A penalty that
    favours long targets can still lift a live hypothesis that trails now; waiting for it would mean
    running to `max_length`. A beam of one is greedy, and its first end is its last.

    Args:
        beam: `Beam` before the step.
        candidates: `Candidates`, M of them, at least K.
        log_probs: float32 [B, M], their summed log-probabilities under the model itself.
        bonus: float32 [B, M], added to the scores of those that end (at most 0), or None.
        finished: bool [B, M], False where a limit forces the end.
        position: int32 scalar, tokens so far.
        limits: `Limits`.

    Returns:
        The new `Beam`, the indices int32 [B, K] of the surviving candidates, and their record
        float32 [B, K, 4]: token, parent, total and log-probability.
    """
    width = tf.shape(limits.own)[1]
    ended = _merge_ended(beam.ended, candidates, log_probs, bonus, finished, position, limits)
    tokens, parents = (tf.cast(x, tf.float32) for x in (candidates.tokens, candidates.parents))
    record = tf.stack([tokens, parents, candidates.totals, log_probs], 2)  # [B, M, 4]
    priority, chosen = tf.math.top_k(candidates.priority, width)  # [B, K]
    record = tf.gather(record, chosen, batch_dims=1)  # [B, K, 4]
    tokens, _, totals, _ = tf.unstack(record, num=4, axis=2)
    # At the maximum length only the end token is allowed, so that no hypothesis survives.
    is_alive = (priority > NEG_INF / 2) & (totals > NEG_INF / 2) & limits.own
    totals = tf.where(is_alive, totals, NEG_INF)
    live_bonus = None if bonus is None else tf.gather(bonus, chosen, batch_dims=1)
    done = beam.done | _is_done(ended, totals, live_bonus, position, limits)
    beam = Beam(
        ids=tf.cast(tokens, tf.int32),
        totals=tf.where(tf.expand_dims(done, 1), NEG_INF, totals),
        done=done,
        ended=tf.where(tf.reshape(beam.done, [-1, 1, 1]), beam.ended, ended),
    )
    return beam, chosen, record


def _merge_ended(ended, candidates, log_probs, bonus, finished, position, limits):
    """Merges the candidates that end into the ended hypotheses, best first: [B, K, 5]."""
    scores = candidates.totals / length_penalty(position + 1, limits.exponent, limits.offset)
    if bonus is not None:
        scores += bonus
    scores = tf.where(candidates.ending, scores, NEG_INF)
    positions = tf.fill(tf.shape(scores), tf.cast(position, tf.float32))
    parents, finished = tf.cast(candidates.parents, tf.float32), tf.cast(finished, tf.float32)
    new = tf.stack([scores, log_probs, positions, parents, finished], 2)  # [B, M, 5]
    pool = tf.concat([ended, new], 1)  # [B, K + M, 5]
    _, order = tf.math.top_k(pool[:, :, 0], tf.shape(ended)[1])
    best = tf.gather(pool, order, batch_dims=1)  # [B, K, 5]
    # Slots beyond the row's own beam size stay empty, whatever the sizes of other rows.
    return tf.where(tf.expand_dims(limits.own, 2), best, NEG_INF)


def _is_done(ended, totals, bonus, position, limits):
    """Returns bool [B]: no live hypothesis can win, or enough have ended and none is ahead."""
    scores = ended[:, :, 0]
    count = tf.reduce_sum(tf.cast(scores > NEG_INF / 2, tf.int32), 1)
    next_penalty = length_penalty(position + 2, limits.exponent, limits.offset)  # [B, 1]
    worst = tf.gather(scores, limits.last, batch_dims=1)  # [B, 1]
    # The best score within reach: no further loss, under the most favourable length still possible.
    best = tf.reduce_max(totals, 1, keepdims=True)  # [B, 1]
    reachable = best / tf.maximum(next_penalty, limits.largest_penalty)
    cannot_win = (worst > NEG_INF / 2) & (worst >= reachable)
    next_scores = totals / next_penalty if bonus is None else totals / next_penalty + bonus
    is_ahead = next_scores > worst  # [B, K]
    is_greedy = tf.equal(limits.size, 1)
    has_enough = (count >= limits.size) & (~tf.reduce_any(is_ahead, 1) | is_greedy)
    return has_enough | tf.squeeze(cannot_win | (best <= NEG_INF / 2), 1)
