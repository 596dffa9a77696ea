"""What a search is asked for, row by row, and the small tuples that its parts hand on."""

from typing import NamedTuple

import tensorflow as tf

__all__ = [
    "NEG_INF",
    "Candidates",
    "ConstraintOptions",
    "Options",
    "SamplingOptions",
    "has_constraints",
    "no_constraints",
]

NEG_INF = -1e9  # what is not there or must not be; finite, so that sums and comparisons stay so
SPAN = 64  # as many as the slots of the widest beam: a place of an ended hypothesis is one number


class Options(NamedTuple):
    """What every search knows of a row.

    Attributes:
        beam_size: int32 [B], live hypotheses, at least 1.
        num_hypotheses: int32 [B], hypotheses wanted, 1 to `beam_size`.
        length_penalty: float32 [B], exponent of the length penalty.
        length_offset: float32 [B], its c.
        min_length: int32 [B], fewest tokens of a hypothesis, the end not counted.
        max_length: int32 [B], most; it wins over `min_length`.
    """

    beam_size: tf.Tensor
    num_hypotheses: tf.Tensor
    length_penalty: tf.Tensor
    length_offset: tf.Tensor
    min_length: tf.Tensor
    max_length: tf.Tensor


class ConstraintOptions(NamedTuple):
    """What only a search with special wishes looks at; `no_constraints` has every one off.

    Attributes:
        coverage_penalty: float32 [B], weight of the coverage penalty; 0 = off.
        no_repeat_ngram: int32 [B], length of the n-grams that never repeat; 0 = off.
        repetition_penalty: float32 [B], factor of used tokens' log-probabilities; 1 = off.
        prefix: int32 [B, P], ids that every hypothesis begins with, of which the first
            `prefix_length`, int32 [B], count.
        disallowed: int32 [B, D, L], sequences of ids that no hypothesis may hold, padded with 0
            on the right; a row of zeros is none.
        constraints: int32 [B, C, L], sequences of ids that every hypothesis must hold, padded
            alike.
        beam_groups: int32 [B], groups of the beam, a divisor of its size; 1 = off.
        diversity_penalty: float32 [B], taken from what earlier groups chose.
        alternatives_at: int32 [B], position at which every live hypothesis goes its own way;
            -1 = off.
    """

    coverage_penalty: tf.Tensor
    no_repeat_ngram: tf.Tensor
    repetition_penalty: tf.Tensor
    prefix: tf.Tensor
    prefix_length: tf.Tensor
    disallowed: tf.Tensor
    constraints: tf.Tensor
    beam_groups: tf.Tensor
    diversity_penalty: tf.Tensor
    alternatives_at: tf.Tensor


class SamplingOptions(NamedTuple):
    """How tokens are drawn.

    Attributes:
        num_samples: int32 [B], targets drawn.
        temperature: float32 [B], divides the log-probabilities.
        top_k: int32 [B], draw among so many; 0 = all.
        top_p: float32 [B], among the likeliest that reach this probability; 1 = all.
        min_p: float32 [B], among those of this share of the likeliest's probability; 0 = all.
        seed: int32 [B].
    """

    num_samples: tf.Tensor
    temperature: tf.Tensor
    top_k: tf.Tensor
    top_p: tf.Tensor
    min_p: tf.Tensor
    seed: tf.Tensor


class Candidates(NamedTuple):
    """The M continuations that a step looks at.

    Attributes:
        totals: float32 [B, M], what hypotheses are ranked by, this token included; at most
            LOWEST / 2 where there is none.
        tokens: int32 [B, M].
        parents: int32 [B, M], the slots that they continue.
        ending: bool [B, M], those that join the ended hypotheses.
        priority: float32 [B, M], the greatest live on in its order; LOWEST where none must.
    """

    totals: tf.Tensor
    tokens: tf.Tensor
    parents: tf.Tensor
    ending: tf.Tensor
    priority: tf.Tensor


def no_constraints(batch):
    """`ConstraintOptions` of `batch` rows that change nothing."""
    whole, real = tf.zeros([batch], tf.int32), tf.zeros([batch])
    return ConstraintOptions(
        coverage_penalty=real,
        no_repeat_ngram=whole,
        repetition_penalty=real + 1.0,
        prefix=tf.zeros([batch, 0], tf.int32),
        prefix_length=whole,
        disallowed=tf.zeros([batch, 0, 0], tf.int32),
        constraints=tf.zeros([batch, 0, 0], tf.int32),
        beam_groups=whole + 1,
        diversity_penalty=real,
        alternatives_at=whole - 1,
    )


def has_constraints(extras):
    """bool scalar: whether any row of `ConstraintOptions` asks for anything."""
    found = [
        tf.reduce_any(extras.coverage_penalty != 0.0),
        tf.reduce_any(extras.no_repeat_ngram > 0),
        tf.reduce_any(extras.repetition_penalty != 1.0),
        tf.reduce_any(extras.prefix_length > 0),
        tf.reduce_any(extras.disallowed > 0),
        tf.reduce_any(extras.constraints > 0),
        tf.reduce_any(extras.beam_groups > 1),
        tf.reduce_any(extras.alternatives_at >= 0),
    ]
    return tf.reduce_any(tf.stack(found))
