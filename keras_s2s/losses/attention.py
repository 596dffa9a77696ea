"""Objectives over the attention of decoder to source: guided alignment and coverage."""

import tensorflow as tf

__all__ = ["KINDS", "coverage", "guided_alignment"]

KINDS = ("cross_entropy", "squared")
EPSILON = 1e-9  # of an attention weight before its logarithm


def guided_alignment(kind="cross_entropy"):
    """How far the attention a is from a given alignment A.

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
        ValueError: for another `kind`; from the objective where x has no alignment.

    Reference: Chen et al. 2016, arXiv:1607.01628 (cross-entropy); Liu et al. 2016,
    arXiv:1609.04186 (both).
    """
    if kind not in KINDS:
        raise ValueError(f"guided_alignment: expected one of {', '.join(KINDS)}, came {kind!r}")

    def objective(x, y, outputs, weights):
        if "alignment" not in x:
            raise ValueError("x: expected 'alignment' [B, T, S] for guided alignment, came none")
        given = tf.cast(x["alignment"], tf.float32)
        total = tf.reduce_sum(given, 2, keepdims=True)  # [B, T, 1]
        wanted = tf.math.divide_no_nan(given, total)
        attention = outputs["attention"]["cross"][:, 0]  # [B, T, S]
        if kind == "squared":
            terms = tf.where(total > 0, tf.square(wanted - attention) / 2, 0.0)
        else:
            terms = -wanted * tf.math.log(attention + EPSILON)
        return tf.reduce_sum(tf.reduce_sum(terms, 2) * weights), tf.reduce_sum(weights)

    return objective


def coverage():
    """What is attended to again: sum_i min(a_ti, c_ti), c_t the sum of the attention before t.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`, float32 scalars: the
        weighted sum and the sum of weights. Reads `outputs["attention"]["cross"]`,
        float32 [B, 1, T, S].

    Reference: See et al. 2017, arXiv:1704.04368, equations 10 and 12.
    """

    def objective(x, y, outputs, weights):
        attention = outputs["attention"]["cross"][:, 0]  # [B, T, S]
        covered = tf.cumsum(attention, 1, exclusive=True)
        again = tf.reduce_sum(tf.minimum(attention, covered), 2)  # [B, T]
        return tf.reduce_sum(again * weights), tf.reduce_sum(weights)

    return objective
