"""Search for the best target: one loop over `Seq2Seq.begin` and `Seq2Seq.next`.

A beam keeps two sets for every row. Live hypotheses grow by a token a step. Ended ones are frozen:
their score never changes again, and the best of them are the result. Nothing is copied while the
search runs: each step notes token and parent of every live slot, and the tokens and alignments are
traced back once at the end. Greedy search is a beam of one.

A row's result never depends on its neighbours: K, the width of the batch, is the largest beam size
in it, and a row uses the first of its K slots alone.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.recurrent import unroll

__all__ = ["Beam", "Hypotheses", "Options", "advance", "length_penalty", "search", "start", "trace"]

LOWEST = -1e9  # a slot that holds no hypothesis; finite, so that sums and comparisons stay so


class Options(NamedTuple):
    """What a search does, row by row.

    Attributes:
        beam_size: int32 [B], live hypotheses, at least 1.
        num_hypotheses: int32 [B], hypotheses wanted, 1 to `beam_size`.
        length_penalty: float32 [B], exponent of the length penalty.
        max_length: int32 [B], most tokens of a hypothesis, the end not counted; at least 0.
    """

    beam_size: tf.Tensor
    num_hypotheses: tf.Tensor
    length_penalty: tf.Tensor
    max_length: tf.Tensor


class Beam(NamedTuple):
    """The search between two steps.

    Attributes:
        ids: int32 [B, K], last token of each live hypothesis.
        log_probs: float32 [B, K], their summed log-probability; `LOWEST` = no hypothesis.
        done: bool [B], rows whose result is settled.
        scores: float32 [B, K], scores of ended hypotheses, best first; `LOWEST` = none.
        ended_log_probs: float32 [B, K], their summed log-probability, the end's included.
        lengths: int32 [B, K], their tokens, the end not counted.
        slots: int32 [B, K], the slot each stood in when its last token was written.
        finished: bool [B, K], False where `max_length` forced the end.
    """

    ids: tf.Tensor
    log_probs: tf.Tensor
    done: tf.Tensor
    scores: tf.Tensor
    ended_log_probs: tf.Tensor
    lengths: tf.Tensor
    slots: tf.Tensor
    finished: tf.Tensor


class Hypotheses(NamedTuple):
    """What a search gives, the best hypothesis of each row first.

    Attributes:
        ids: int32 [B, K, T], tokens without the end, 0 beyond `lengths`.
        lengths: int32 [B, K].
        score: float32 [B, K], `log_prob` over the length penalty; -1e9 where a row has fewer.
        log_prob: float32 [B, K], sum of token log-probabilities, the end's included.
        finished: bool [B, K], False where `max_length` cut the hypothesis.
        alignment: float32 [B, K, T, S], or None when not asked for.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    score: tf.Tensor
    log_prob: tf.Tensor
    finished: tf.Tensor
    alignment: tf.Tensor | None


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


def start(batch, beam_size, special=SpecialIds()):
    """The beam before the first step: one live hypothesis a row, the start token alone.

    Args:
        batch: B, int or scalar tensor.
        beam_size: K, int or scalar tensor.

    Returns:
        A `Beam` of [B, K] tensors.
    """
    shape = tf.stack([batch, beam_size])
    empty, zeros = tf.fill(shape, LOWEST), tf.zeros(shape, tf.int32)
    first = tf.equal(tf.range(beam_size), 0)  # [K]
    return Beam(
        ids=tf.fill(shape, special.start),
        log_probs=tf.where(first, tf.zeros_like(empty), empty),
        done=tf.zeros(shape[:1], tf.bool),
        scores=empty,
        ended_log_probs=empty,
        lengths=zeros,
        slots=zeros,
        finished=tf.zeros(shape, tf.bool),
    )


def advance(beam, log_probs, position, options, special=SpecialIds()):
    """One step of the search: the only place where hypotheses are chosen.

    The best 2 K continuations of each row are looked at. Ends among the first `beam_size` of them
    join the ended hypotheses; the best others live on. A row is done when `beam_size` hypotheses
    have ended, when no live one can still enter the `num_hypotheses` best, or at `max_length`,
    where nothing but the end may follow.

    Args:
        beam: `Beam` before the step.
        log_probs: float32 [B, K, V], log-probabilities of the next token.
        position: int32 scalar, tokens so far.
        options: `Options`.

    Returns:
        The new `Beam`, and the parents int32 [B, K]: the old slot that each live slot continues.
    """
    width = tf.shape(beam.ids)[1]
    totals, at_limit = _continuations(beam, log_probs, position, options, special)
    count = tf.shape(totals)[2]
    best, index = tf.math.top_k(tf.reshape(totals, [-1, width * count]), 2 * width)  # [B, 2 K]
    tokens, parents = index % count, index // count
    possible = best > LOWEST / 2
    rank = tf.expand_dims(tf.range(2 * width), 0)
    is_end = tf.equal(tokens, special.end)
    size = tf.expand_dims(options.beam_size, 1)  # [B, 1]
    ending = is_end & possible & (rank < size)
    finished = _chosen_end(log_probs, parents, at_limit, special)
    beam = _settle(beam, ending, best, parents, finished, position, options)

    living = tf.where(is_end | ~possible, LOWEST, best)
    alive, chosen = tf.math.top_k(living, width)  # [B, K]
    alive = tf.where((tf.expand_dims(tf.range(width), 0) < size) & ~at_limit, alive, LOWEST)
    done = beam.done | tf.squeeze(at_limit, 1) | _decided(beam, alive, position, options)
    beam = beam._replace(
        ids=tf.gather(tokens, chosen, batch_dims=1),
        log_probs=tf.where(tf.expand_dims(done, 1), LOWEST, tf.maximum(alive, LOWEST)),
        done=done,
    )
    return beam, tf.gather(parents, chosen, batch_dims=1)


def _continuations(beam, log_probs, position, options, special):
    """Summed log-probabilities [B, K, V] of what may follow, and [B, 1] rows at their limit."""
    count = tf.shape(log_probs)[2]
    tokens = tf.range(count)
    never = tf.equal(tokens, special.pad) | tf.equal(tokens, special.start)  # [V]
    at_limit = tf.expand_dims(position >= options.max_length, 1)  # [B, 1]
    not_end = tf.expand_dims(tf.not_equal(tokens, special.end), 0)  # [1, V]
    blocked = tf.expand_dims(never | (at_limit & not_end), 1)  # [B, 1, V]
    totals = tf.expand_dims(beam.log_probs, 2) + log_probs
    return tf.where(blocked, LOWEST, totals), at_limit


def _chosen_end(log_probs, parents, at_limit, special):
    """bool [B, 2 K]: False where the limit forced an end that the model would not have chosen."""

    def likeliest():
        ends = tf.equal(tf.argmax(log_probs, 2, tf.int32), special.end)  # [B, K]
        return tf.gather(ends, parents, batch_dims=1) | ~at_limit

    # The arg-max reads all of [B, K, V]: worth a branch, since few steps stand at a limit.
    return tf.cond(tf.reduce_any(at_limit), likeliest, lambda: tf.ones_like(parents, tf.bool))


def _settle(beam, ending, log_probs, parents, finished, position, options):
    """Merges the continuations that end, [B, 2 K], into the ended hypotheses, best first."""
    width = tf.shape(beam.ids)[1]
    exponent = tf.expand_dims(options.length_penalty, 1)
    scores = tf.where(ending, log_probs / length_penalty(position + 1, exponent), LOWEST)
    merged, order = tf.math.top_k(tf.concat([beam.scores, scores], 1), width)  # [B, K]
    slot = tf.expand_dims(tf.range(width), 0)
    # Places beyond the row's own beam size stay empty, whatever its neighbours' sizes.
    merged = tf.where(slot < tf.expand_dims(options.beam_size, 1), merged, LOWEST)

    def merge(old, new):
        return tf.gather(tf.concat([old, new], 1), order, batch_dims=1)

    lengths = tf.fill(tf.shape(parents), position)
    return beam._replace(
        scores=merged,
        ended_log_probs=merge(beam.ended_log_probs, log_probs),
        lengths=merge(beam.lengths, lengths),
        slots=merge(beam.slots, parents),
        finished=merge(beam.finished, finished),
    )


def _decided(beam, alive, position, options):
    """bool [B]: enough hypotheses have ended, or no live one can still win."""
    ended = tf.reduce_sum(tf.cast(beam.scores > LOWEST / 2, tf.int32), 1)
    # The most a live hypothesis can reach: no more loss, at the kindest length still open to it.
    exponent, limit = options.length_penalty, options.max_length + 1
    kindest = tf.maximum(length_penalty(position + 2, exponent), length_penalty(limit, exponent))
    reachable = alive[:, 0] / kindest
    place = tf.expand_dims(options.num_hypotheses - 1, 1)
    worst = tf.squeeze(tf.gather(beam.scores, place, batch_dims=1), 1)  # [B]
    hopeless = (worst > LOWEST / 2) & (worst >= reachable)
    return (ended >= options.beam_size) | hopeless | (alive[:, 0] <= LOWEST / 2)


def search(begin, step, source, options, special=SpecialIds(), alignment=True):
    """Beam search over a model.

    Args:
        begin: `Seq2Seq.begin`: (source, K) -> (context, state).
        step: `Seq2Seq.next`: (ids, position, context, state, maps) -> (log_probs, state,
            alignment).
        source: the model's source dict, with `mask` bool [B, S].
        options: `Options` of [B] tensors.
        alignment: whether to trace the attention of every token.

    Returns:
        `Hypotheses`, with K the largest `num_hypotheses` of the batch.
    """
    batch, length = tf.shape(source["mask"])[0], tf.shape(source["mask"])[1]
    width = tf.maximum(tf.reduce_max(tf.concat([options.beam_size, [1]], 0)), 1)
    context, state = begin(source, width)
    leaves = tf.nest.flatten(state)
    empty = tf.zeros([batch, 0, width], tf.int32)
    looks = [tf.zeros([batch, 0, width, length])] if alignment else []
    variables = (tf.constant(0), start(batch, width, special), empty, empty, looks, leaves)

    def going(position, beam, *_):
        return ~tf.reduce_all(beam.done)

    def body(position, beam, tokens, parents, looks, leaves):
        state_now = tf.nest.pack_sequence_as(state, leaves)
        maps = "alignment" if alignment else "none"
        log_probs, new, look = step(beam.ids, position, context, state_now, maps=maps)
        beam, parent = advance(beam, log_probs, position, options, special)

        def follow(x):
            return tf.gather(x, parent, axis=1, batch_dims=1)

        tokens = tf.concat([tokens, tf.expand_dims(beam.ids, 1)], 1)  # [B, t, K]
        parents = tf.concat([parents, tf.expand_dims(parent, 1)], 1)
        looks = [tf.concat([seen, tf.expand_dims(follow(look), 1)], 1) for seen in looks]
        leaves = [tf.cast(follow(n), o.dtype) for n, o in zip(tf.nest.flatten(new), leaves)]
        return position + 1, beam, tokens, parents, looks, leaves

    variables = tf.while_loop(
        going, body, variables, shape_invariants=_shapes(variables), parallel_iterations=1
    )
    _, beam, tokens, parents, looks, _ = variables
    return trace(beam, tokens, parents, looks[0] if alignment else None, options)


def _shapes(variables):
    """Shapes of the loop's variables: batch, beam and whatever starts empty may change."""

    def free(x):
        known = [None if size == 0 else size for size in x.shape[2:]]
        return tf.TensorShape([None] * min(x.shape.rank, 2) + known)

    return tf.nest.map_structure(free, variables)


def trace(beam, tokens, parents, looks, options):
    """Follows the ended hypotheses back to their first token.

    Args:
        beam: the last `Beam`.
        tokens, parents: int32 [B, t, K], of each step's live slots.
        looks: float32 [B, t, K, S], the attention each of them paid, or None.
        options: `Options`.

    Returns:
        `Hypotheses`.
    """
    wanted = tf.reduce_max(tf.concat([options.num_hypotheses, [1]], 0))
    kept = tf.expand_dims(tf.range(wanted), 0) < tf.expand_dims(options.num_hypotheses, 1)
    kept &= beam.scores[:, :wanted] > LOWEST / 2
    lengths = tf.where(kept, beam.lengths[:, :wanted], 0)
    longest = tf.reduce_max(tf.concat([tf.reshape(lengths, [-1]), [0]], 0))
    columns = [tokens, parents] if looks is None else [tokens, parents, looks]
    # One column of zeros more: there is always something to walk over.
    columns = [tf.pad(x, [[0, 0], [0, 1], *[[0, 0]] * (x.shape.rank - 2)]) for x in columns]
    columns = [x[:, : longest + 1] for x in columns]
    places = tf.tile(tf.expand_dims(tf.range(longest + 1), 0), [tf.shape(tokens)[0], 1])

    def back(here, slots):
        place, (token, parent, *look) = here
        inside = tf.expand_dims(place, 1) < lengths  # [B, K]

        def pick(x, outside):
            return tf.where(inside, tf.gather(x, slots, batch_dims=1), outside)

        seen = [tf.gather(x, slots, batch_dims=1) for x in look]
        seen = [tf.where(tf.expand_dims(inside, 2), x, 0.0) for x in seen]
        return [pick(token, 0), *seen], pick(parent, slots)

    like = [tf.TensorSpec([None, None], tf.int32)]
    like += [] if looks is None else [tf.TensorSpec([None, None, None], tf.float32)]
    slots = beam.slots[:, :wanted]
    outputs, _ = unroll(back, (places, columns), slots, like, reverse=True)
    outputs = [tf.transpose(x[:, :longest], [0, 2, 1, *range(3, x.shape.rank)]) for x in outputs]
    ids, *seen = outputs  # [B, K, T], [B, K, T, S]
    return Hypotheses(
        ids=ids,
        lengths=lengths,
        score=tf.where(kept, beam.scores[:, :wanted], LOWEST),
        log_prob=tf.where(kept, beam.ended_log_probs[:, :wanted], LOWEST),
        finished=kept & beam.finished[:, :wanted],
        alignment=seen[0] if seen else None,
    )
