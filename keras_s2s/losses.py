"""Objectives: functions (x, y, outputs, weights) -> (sum, count), normalised by the model."""

import tensorflow as tf

__all__ = ["cross_entropy", "token_log_probs"]


def token_log_probs(logits, ids):
    """Log-probability of each target token.

    Args:
        logits: float32 tensor [B, T, V].
        ids: int32 tensor [B, T].

    Returns:
        float32 tensor [B, T].
    """
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(ids, logits)


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
        losses = -token_log_probs(logits, y)  # [B, T]
        if label_smoothing:
            picked = tf.gather(logits, y, batch_dims=2)
            mean = tf.reduce_mean(logits[..., :vocabulary_size], -1)
            losses += label_smoothing * (picked - mean)
        weights = tf.cast(weights, tf.float32)
        return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)

    return objective
