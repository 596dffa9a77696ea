"""Objectives over the attention of the decoder to the source: guided alignment and coverage."""

from collections.abc import Callable

import tensorflow as tf

__all__ = ["KINDS", "coverage", "guided_alignment"]

KINDS = ("cross_entropy", "squared")
EPSILON = 1e-9  # added to an attention weight before its logarithm


def guided_alignment(kind: str = "cross_entropy") -> Callable:
    """Distance between the attention a and a reference alignment A.

    A target token that is aligned to n source positions gives each of them 1 / n; one that is
    aligned to none has no term. cross_entropy: -sum_ts A_ts log a_ts; squared:
    sum_ts (A_ts - a_ts)^2 / 2.

    Args:
        kind: `"cross_entropy"` or `"squared"`.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`, float32 scalars: the
        weighted sum and the sum of weights. Reads `x["alignment"]`, bool [B, T, S], and
        `outputs["attention"]["cross"]`, float32 [B, 1, T, S].

    Raises:
        ValueError: for another `kind`; from the objective when x has no alignment.

    Reference: Chen et al. 2016, arXiv:1607.01628 (cross-entropy); Liu et al. 2016,
    arXiv:1609.04186 (both).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import guided_alignment
    >>> x = {"alignment": tf.constant([[[True, False]]])}
    >>> outputs = {"attention": {"cross": tf.constant([[[[0.5, 0.5]]]])}}
    >>> total, count = guided_alignment("squared")(x, None, outputs, tf.ones([1, 1]))
    >>> float(total), float(count)
    (0.25, 1.0)
    """
    if kind not in KINDS:
        raise ValueError(f"guided_alignment: expected one of {', '.join(KINDS)}, got {kind!r}")

    def objective(x, y, outputs, weights):
        if "alignment" not in x:
            raise ValueError("x: expected 'alignment' [B, T, S] for guided alignment, got none")
        alignment = tf.cast(x["alignment"], tf.float32)
        aligned = tf.reduce_sum(alignment, 2, keepdims=True)  # [B, T, 1]
        reference = tf.math.divide_no_nan(alignment, aligned)
        attention = outputs["attention"]["cross"][:, 0]  # [B, T, S]
        if kind == "squared":
            terms = tf.where(aligned > 0, tf.square(reference - attention) / 2, 0.0)
        else:
            terms = -reference * tf.math.log(attention + EPSILON)
        return tf.reduce_sum(tf.reduce_sum(terms, 2) * weights), tf.reduce_sum(weights)

    return objective


def coverage() -> Callable:
    """Repeated attention: sum_i min(a_ti, c_ti), c_t the sum of the attention before step t.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`, float32 scalars: the
        weighted sum and the sum of weights. Reads `outputs["attention"]["cross"]`,
        float32 [B, 1, T, S].

    Reference: See et al. 2017, arXiv:1704.04368, equations 10 and 12.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import coverage
    >>> outputs = {"attention": {"cross": tf.constant([[[[1.0, 0.0], [1.0, 0.0]]]])}}
    >>> total, count = coverage()(None, None, outputs, tf.ones([1, 2]))
    >>> float(total), float(count)
    (1.0, 2.0)
    """

    def objective(x, y, outputs, weights):
        attention = outputs["attention"]["cross"][:, 0]  # [B, T, S]
        covered = tf.cumsum(attention, 1, exclusive=True)
        repeated = tf.reduce_sum(tf.minimum(attention, covered), 2)  # [B, T]
        return tf.reduce_sum(repeated * weights), tf.reduce_sum(weights)

    return objective
