"""Cross-entropy of target tokens, with label smoothing."""

import tensorflow as tf

__all__ = ["cross_entropy", "likelihood", "smoothed_cross_entropy", "token_log_probs"]


def token_log_probs(logits, ids):
    """Log-probability of each target token.

    Args:
        logits: float32 tensor [B, T, V].
        ids: int32 tensor [B, T].

    Returns:
        float32 tensor [B, T].
    """
    return -smoothed_cross_entropy(logits, ids)


def smoothed_cross_entropy(logits, ids, label_smoothing=0.0, vocabulary_size=None):
    """Cross-entropy of each token: lse(logits) - logit_y + e (logit_y - mean of the V logits).

    With its own gradient, softmax - (1 - e) onehot(y) - e / V. Left to the tape, the label's place
    alone costs as much as the vocabulary's matrix products: passes over [B, T, V] are what small
    models spend their time on.

    Args:
        logits: float32 tensor [B, T, V'].
        ids: int32 tensor [B, T].
        label_smoothing: e.
        vocabulary_size: V, the columns that get smoothing mass; all V' when None.

    Returns:
        float32 tensor [B, T], in nats.
    """
    width = tf.shape(logits)[-1]
    size = width if vocabulary_size in (None, logits.shape[-1]) else vocabulary_size
    flat, labels = tf.reshape(logits, [-1, width]), tf.reshape(ids, [-1])  # [N, V'], [N]
    places = tf.stack([tf.range(tf.size(labels)), labels], 1)

    @tf.custom_gradient
    def losses(flat):
        top = tf.reduce_max(flat, 1, keepdims=True)
        powers = tf.exp(flat - tf.stop_gradient(top))  # [N, V']
        total = tf.reduce_sum(powers, 1)
        picked = tf.gather_nd(flat, places)
        value = tf.math.log(total) + tf.squeeze(top, 1) - picked
        if label_smoothing:
            seen = flat if size is width else flat[:, :size]
            value += label_smoothing * (picked - tf.reduce_mean(seen, 1))

        def gradient(upstream):
            outer = tf.expand_dims(upstream / total, 1) * powers
            if label_smoothing:
                share = tf.expand_dims(upstream * (label_smoothing / tf.cast(size, tf.float32)), 1)
                # Columns beyond V carry no smoothing mass.
                outer -= share if size is width else share * _columns(width, size)
            down = upstream * (1.0 - label_smoothing)
            return tf.tensor_scatter_nd_sub(outer, places, down)

        return value, gradient

    return tf.reshape(losses(flat), tf.shape(ids))


def _columns(width, size):
    """float32 [1, width], 1 at the first `size` columns."""
    return tf.cast(tf.expand_dims(tf.range(width) < size, 0), tf.float32)


def cross_entropy(label_smoothing=0.0, vocabulary_size=None):
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
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing: expected 0 <= e < 1, came {label_smoothing}")

    def objective(x, y, logits, weights):
        logits = tf.cast(logits, tf.float32)
        losses = smoothed_cross_entropy(logits, y, label_smoothing, vocabulary_size)  # [B, T]
        weights = tf.cast(weights, tf.float32)
        return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)

    return objective


def likelihood():
    """Cross-entropy of a head that gives the targets' log-probabilities and no others.

    Returns:
        An objective as `cross_entropy` gives, of outputs {"target_log_probs": float32 [B, T]}.
    """

    def objective(x, y, outputs, weights):
        weights = tf.cast(weights, tf.float32)
        return -tf.reduce_sum(outputs["target_log_probs"] * weights), tf.reduce_sum(weights)

    return objective
