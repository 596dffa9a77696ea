"""Options of a search for each row of a batch, and the candidates of a step."""

from typing import Any, NamedTuple

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

NEG_INF = -1e9  # score of what is absent or forbidden; finite, so that sums and comparisons are too


class Options(NamedTuple):
    """Options of every search.

    Attributes:
        beam_size: int32 [B], live hypotheses, at least 1.
        num_hypotheses: int32 [B], hypotheses returned, 1 to `beam_size`.
        length_penalty: float32 [B], exponent of the length penalty.
        length_offset: float32 [B], offset c of the length penalty.
        min_length: int32 [B], fewest tokens of a hypothesis, the end not counted.
        max_length: int32 [B], most tokens; it takes precedence over `min_length`.
    """

    beam_size: tf.Tensor
    num_hypotheses: tf.Tensor
    length_penalty: tf.Tensor
    length_offset: tf.Tensor
    min_length: tf.Tensor
    max_length: tf.Tensor


class ConstraintOptions(NamedTuple):
    """Options of `ConstrainedBeamSearch`; `no_constraints` has each of them off.

    Attributes:
        coverage_penalty: float32 [B], weight of the coverage penalty; 0 = off.
        no_repeat_ngram: int32 [B], length of the n-grams that never repeat; 0 = off.
        repetition_penalty: float32 [B], factor of used tokens' log-probabilities; 1 = off.
        prefix: int32 [B, P], ids that every hypothesis begins with, of which the first
            `prefix_length`, int32 [B], count.
        disallowed: int32 [B, D, L], sequences of ids that no hypothesis may contain, padded with 0
            on the right; a row of zeros is no sequence.
        constraints: int32 [B, C, L], sequences of ids that every hypothesis must contain, padded
            alike.
        beam_groups: int32 [B], groups of the beam, a divisor of its size; 1 = off.
        diversity_penalty: float32 [B], subtracted from tokens that earlier groups chose.
        alternatives_at: int32 [B], position at which the live hypotheses branch; -1 = off.
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
    """Options of `Sampling`.

    Attributes:
        num_samples: int32 [B], targets drawn.
        temperature: float32 [B], divides the log-probabilities.
        top_k: int32 [B], draw among this many of the likeliest tokens; 0 = all.
        top_p: float32 [B], draw among the likeliest tokens that reach this probability; 1 = all.
        min_p: float32 [B], draw among tokens of at least this share of the likeliest token's
            probability; 0 = all.
        seed: int32 [B].
    """

    num_samples: tf.Tensor
    temperature: tf.Tensor
    top_k: tf.Tensor
    top_p: tf.Tensor
    min_p: tf.Tensor
    seed: tf.Tensor


class Candidates(NamedTuple):
    """The M candidate continuations of a step.

    Attributes:
        totals: float32 [B, M], ranking scores, this token included; at most NEG_INF / 2 where there
            is no candidate.
        tokens: int32 [B, M].
        parents: int32 [B, M], the beam slots that they continue.
        ending: bool [B, M], candidates that join the ended hypotheses.
        priority: float32 [B, M], those with the greatest stay live, in its order; NEG_INF where a
            candidate must not.
    """

    totals: tf.Tensor
    tokens: tf.Tensor
    parents: tf.Tensor
    ending: tf.Tensor
    priority: tf.Tensor


def no_constraints(batch: Any) -> ConstraintOptions:
    """Returns `ConstraintOptions` of `batch` rows with every option off.

    Example:

    >>> from keras_s2s import search
    >>> search.no_constraints(2).beam_groups.numpy().tolist()
    [1, 1]
    """
    zeros, real_zeros = tf.zeros([batch], tf.int32), tf.zeros([batch])
    return ConstraintOptions(
        coverage_penalty=real_zeros,
        no_repeat_ngram=zeros,
        repetition_penalty=real_zeros + 1.0,
        prefix=tf.zeros([batch, 0], tf.int32),
        prefix_length=zeros,
        disallowed=tf.zeros([batch, 0, 0], tf.int32),
        constraints=tf.zeros([batch, 0, 0], tf.int32),
        beam_groups=zeros + 1,
        diversity_penalty=real_zeros,
        alternatives_at=zeros - 1,
    )


def has_constraints(options: ConstraintOptions) -> tf.Tensor:
    """Returns a bool scalar: whether any option of any row is on."""
    is_on = [
        tf.reduce_any(options.coverage_penalty != 0.0),
        tf.reduce_any(options.no_repeat_ngram > 0),
        tf.reduce_any(options.repetition_penalty != 1.0),
        tf.reduce_any(options.prefix_length > 0),
        tf.reduce_any(options.disallowed > 0),
        tf.reduce_any(options.constraints > 0),
        tf.reduce_any(options.beam_groups > 1),
        tf.reduce_any(options.alternatives_at >= 0),
    ]
    return tf.reduce_any(tf.stack(is_on))
