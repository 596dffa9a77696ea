"""Objectives that keep a model simple or consistent: L2 and R-Drop."""

import tensorflow as tf

from keras_s2s.losses.token_losses import cross_entropy

__all__ = ["l2", "r_drop"]


def l2(variables):
    """The sum of squares ||Theta||^2 of weights: L = -log P(Y|X) + lambda beta ||Theta||^2.

    The factor lambda beta is the weight of the objective; beside it stands the mean loss of a
    token.

    Args:
        variables: a function that gives the weights.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`: the float32 scalar and 1.
    """

    def objective(x, y, outputs, weights):
        # l2_loss has a kernel of its own, and is half of the sum.
        return 2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(v, tf.float32)) for v in variables()]), 1.0

    return objective


def r_drop(alpha, label_smoothing=0.0, vocabulary_size=None):
    """Cross-entropy of two passes with dropout, and how far these are from each other.

    Half of the paper's loss, so that without dropout it is the cross-entropy, whose place it
    takes: (CE_1 + CE_2) / 2 + alpha / 4 (KL(P_1 || P_2) + KL(P_2 || P_1)).

    Args:
        alpha: the weight of the divergence; 1 to 5 in the paper.
        label_smoothing, vocabulary_size: see `cross_entropy`.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`, float32 scalars: the
        weighted sum in nats and the sum of weights. Reads `outputs["logits"]` and
        `outputs["again"]`, the logits [B, T, V'] of two passes.

    Reference: Liang et al. 2021, arXiv:2106.14448, equations 1 to 4.
    """
    entropy = cross_entropy(label_smoothing, vocabulary_size)

    def objective(x, y, outputs, weights):
        first, second = (tf.cast(outputs[name], tf.float32) for name in ("logits", "again"))
        (one, count), (two, _) = entropy(x, y, first, weights), entropy(x, y, second, weights)
        p, q = tf.nn.log_softmax(first), tf.nn.log_softmax(second)
        # KL(P || Q) + KL(Q || P) = sum (p - q) (log p - log q)
        apart = tf.reduce_sum((tf.exp(p) - tf.exp(q)) * (p - q), 2)  # [B, T]
        return (one + two) / 2 + alpha / 4 * tf.reduce_sum(apart * weights), count

    return objective
