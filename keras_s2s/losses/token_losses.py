"""Cross-entropy of target tokens, with label smoothing."""

from collections.abc import Callable

import tensorflow as tf

__all__ = ["cross_entropy", "likelihood", "smoothed_cross_entropy", "token_log_probs"]


def token_log_probs(logits: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Log-probability of each target token.

    Args:
        logits: float32 tensor [B, T, V].
        ids: int32 tensor [B, T].

    Returns:
        float32 tensor [B, T].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import token_log_probs
    >>> round(float(token_log_probs(tf.zeros([1, 1, 4]), tf.constant([[2]]))[0, 0]), 4)
    -1.3863
    """
    return -smoothed_cross_entropy(logits, ids)


def smoothed_cross_entropy(
    logits: tf.Tensor,
    ids: tf.Tensor,
    label_smoothing: float = 0.0,
    vocabulary_size: int | None = None,
) -> tf.Tensor:
    """Cross-entropy of each token: lse(logits) - logit_y + e (logit_y - mean of the V logits).

    The gradient is explicit, softmax - (1 - e) onehot(y) - e / V. With automatic differentiation
    the gradient at the label alone costs as much as the vocabulary's matrix products: small models
    spend their time on passes over [B, T, V].

    Args:
        logits: float32 tensor [B, T, V'].
        ids: int32 tensor [B, T].
        label_smoothing: e.
        vocabulary_size: V, the columns that get smoothing mass; all V' when None.

    Returns:
        float32 tensor [B, T], in nats.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import smoothed_cross_entropy
    >>> smoothed_cross_entropy(tf.zeros([2, 3, 4]), tf.ones([2, 3], tf.int32), 0.1).shape
    TensorShape([2, 3])
    """
    width = tf.shape(logits)[-1]
    size = width if vocabulary_size in (None, logits.shape[-1]) else vocabulary_size
    flat, labels = tf.reshape(logits, [-1, width]), tf.reshape(ids, [-1])  # [N, V'], [N]
    label_indices = tf.stack([tf.range(tf.size(labels)), labels], 1)

    @tf.custom_gradient
    def losses(flat):
        highest = tf.reduce_max(flat, 1, keepdims=True)
        powers = tf.exp(flat - tf.stop_gradient(highest))  # [N, V']
        total = tf.reduce_sum(powers, 1)
        label_logits = tf.gather_nd(flat, label_indices)
        value = tf.math.log(total) + tf.squeeze(highest, 1) - label_logits
        if label_smoothing:
            smoothed = flat if size is width else flat[:, :size]
            value += label_smoothing * (label_logits - tf.reduce_mean(smoothed, 1))

        def gradient(upstream):
            outer = tf.expand_dims(upstream / total, 1) * powers
            if label_smoothing:
                share = tf.expand_dims(upstream * (label_smoothing / tf.cast(size, tf.float32)), 1)
                # Columns beyond V carry no smoothing mass.
                outer -= share if size is width else share * _first_columns(width, size)
            label_gradient = upstream * (1.0 - label_smoothing)
            return tf.tensor_scatter_nd_sub(outer, label_indices, label_gradient)

        return value, gradient

    return tf.reshape(losses(flat), tf.shape(ids))


def _first_columns(width, size):
    """float32 [1, width], 1 at the first `size` columns."""
    return tf.cast(tf.expand_dims(tf.range(width) < size, 0), tf.float32)


def cross_entropy(label_smoothing: float = 0.0, vocabulary_size: int | None = None) -> Callable:
    """Cross-entropy of the target tokens, with label smoothing.

    The smoothed target gives 1 - e to the token and e / V to every token of the vocabulary:
    loss = -log p(y) + e (logit_y - mean of the V logits).

    Args:
        label_smoothing: e, from 0 to below 1.
        vocabulary_size: V; columns beyond it (copies) get no smoothing mass. None = all columns.

    Returns:
        An objective `(x, y [B, T], logits [B, T, V'], weights [B, T]) -> (sum, count)`, float32
        scalars: the weighted sum in nats and the sum of weights.

    Raises:
        ValueError: when `label_smoothing` is not in [0, 1).

    Reference: Szegedy et al. 2016, arXiv:1512.00567, section 7.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import cross_entropy
    >>> y, logits, weights = tf.constant([[1, 0]]), tf.zeros([1, 2, 4]), tf.constant([[1.0, 0.0]])
    >>> total, count = cross_entropy()(None, y, logits, weights)
    >>> round(float(total / count), 4)
    1.3863
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing: expected 0 <= e < 1, got {label_smoothing}")

    def objective(x, y, logits, weights):
        logits = tf.cast(logits, tf.float32)
        losses = smoothed_cross_entropy(logits, y, label_smoothing, vocabulary_size)  # [B, T]
        weights = tf.cast(weights, tf.float32)
        return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)

    return objective


def likelihood() -> Callable:
    """Cross-entropy for a head that computes only the log-probabilities of the targets.

    Returns:
        An objective as from `cross_entropy`, with outputs {"target_log_probs": float32 [B, T]}.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import likelihood
    >>> outputs = {"target_log_probs": tf.constant([[-2.0, -1.0]])}
    >>> total, count = likelihood()(None, None, outputs, tf.ones([1, 2]))
    >>> float(total), float(count)
    (3.0, 2.0)
    """

    def objective(x, y, outputs, weights):
        weights = tf.cast(weights, tf.float32)
        return -tf.reduce_sum(outputs["target_log_probs"] * weights), tf.reduce_sum(weights)

    return objective
