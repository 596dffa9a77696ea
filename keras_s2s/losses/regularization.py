"""Regularizing objectives: L2 and R-Drop."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_s2s.losses.token_losses import cross_entropy

__all__ = ["l2", "r_drop"]


def l2(variables: Callable[[], Sequence[tf.Variable]]) -> Callable:
    """The sum of squares ||Theta||^2 of weights: L = -log P(Y|X) + lambda beta ||Theta||^2.

    The factor lambda beta is the weight of the objective, next to the mean loss of a token.

    Args:
        variables: a function that returns the weights.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`: the float32 scalar and 1.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import l2
    >>> total, count = l2(lambda: [tf.constant([1.0, 2.0])])(None, None, None, None)
    >>> float(total), count
    (5.0, 1.0)
    """

    def objective(x, y, outputs, weights):
        # l2_loss has a kernel of its own, and is half of the sum.
        return 2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(v, tf.float32)) for v in variables()]), 1.0

    return objective


def r_drop(
    alpha: float, label_smoothing: float = 0.0, vocabulary_size: int | None = None
) -> Callable:
    """Cross-entropy of two passes with dropout plus the divergence between them.

    Half of the paper's loss: without dropout it equals the cross-entropy, which it replaces:
    (CE_1 + CE_2) / 2 + alpha / 4 (KL(P_1 || P_2) + KL(P_2 || P_1)).

    Args:
        alpha: the weight of the divergence; 1 to 5 in the paper.
        label_smoothing, vocabulary_size: see `cross_entropy`.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`, float32 scalars: the
        weighted sum in nats and the sum of weights. Reads `outputs["logits"]` and
        `outputs["again"]`, the logits [B, T, V'] of two passes.

    Reference: Liang et al. 2021, arXiv:2106.14448, equations 1 to 4.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import r_drop
    >>> logits = tf.zeros([1, 1, 4])
    >>> outputs = {"logits": logits, "again": logits}
    >>> total, count = r_drop(5.0)(None, tf.constant([[1]]), outputs, tf.ones([1, 1]))
    >>> round(float(total / count), 4)
    1.3863
    """
    entropy = cross_entropy(label_smoothing, vocabulary_size)

    def objective(x, y, outputs, weights):
        first, second = (tf.cast(outputs[name], tf.float32) for name in ("logits", "again"))
        first_entropy, count = entropy(x, y, first, weights)
        second_entropy, _ = entropy(x, y, second, weights)
        p, q = tf.nn.log_softmax(first), tf.nn.log_softmax(second)
        # KL(P || Q) + KL(Q || P) = sum (p - q) (log p - log q)
        divergence = tf.reduce_sum((tf.exp(p) - tf.exp(q)) * (p - q), 2)  # [B, T]
        divergence = tf.reduce_sum(divergence * weights)
        return (first_entropy + second_entropy) / 2 + alpha / 4 * divergence, count

    return objective
