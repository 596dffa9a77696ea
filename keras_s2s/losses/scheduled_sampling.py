"""Scheduled sampling: the decoder reads some of its own predictions in training."""

import tensorflow as tf

__all__ = ["SCHEDULES", "mix_targets", "read_probability", "teacher_forcing_probability"]

SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")


def teacher_forcing_probability(
    schedule: str, step: int | tf.Tensor, k: float | None, probability: float = 0.0
) -> tf.Tensor:
    """Probability that the decoder reads a true target token, after `step` updates.

    constant: `probability`; linear: max(probability, 1 - step / k); exponential: k^step, k < 1;
    inverse_sigmoid: k / (k + exp(step / k)), k >= 1.

    Args:
        schedule: one of `SCHEDULES`.
        step: scalar, number of updates so far.
        k: how slowly the probability falls; not used by constant.
        probability: the lower bound of linear, and the value of constant.

    Returns:
        float32 scalar.

    Raises:
        ValueError: for another schedule, or a k or probability out of its range.

    Reference: Bengio et al. 2015, arXiv:1506.03099, section 2.4.

    Example:

    >>> from keras_s2s.losses import teacher_forcing_probability
    >>> float(teacher_forcing_probability("linear", step=25, k=100.0))
    0.75
    """
    if schedule not in SCHEDULES:
        expected = f"expected one of {', '.join(SCHEDULES)}"
        raise ValueError(f"scheduled_sampling: {expected}, got {schedule!r}")
    if not 0 <= probability <= 1:
        raise ValueError(f"sampling_probability: expected 0 to 1, got {probability}")
    if schedule == "constant":
        return tf.constant(probability, tf.float32)
    is_valid = {"linear": k > 0, "exponential": 0 < k < 1, "inverse_sigmoid": k >= 1}
    if not is_valid[schedule]:
        bounds = {"linear": "above 0", "exponential": "above 0 and below 1"}
        expected = bounds.get(schedule, "of at least 1")
        raise ValueError(f"sampling_k: expected a number {expected} for {schedule}, got {k}")
    step = tf.cast(step, tf.float32)
    if schedule == "linear":
        return tf.maximum(probability, 1.0 - step / k)
    if schedule == "exponential":
        return tf.pow(tf.cast(k, tf.float32), step)
    # k / (k + e^(i / k)) without overflow for a large i
    return tf.sigmoid(tf.math.log(tf.cast(k, tf.float32)) - step / k)


read_probability = teacher_forcing_probability  # previous name


def mix_targets(target: tf.Tensor, logits: tf.Tensor, probability: float | tf.Tensor) -> tf.Tensor:
    """Replaces target tokens by predictions of the model with probability 1 - `probability`.

    The first token is never replaced. The prediction at t is sampled from the logits at t - 1 of a
    pass over the true tokens, at all positions in parallel. Gradients do not pass through the
    sampling.

    Args:
        target: int32 [B, T], the start token first.
        logits: float32 tensor [B, T, V'], of a pass over `target`.
        probability: scalar, the share of true tokens.

    Returns:
        int32 [B, T].

    Reference: Bengio et al. 2015, arXiv:1506.03099, section 2.4; in two passes: Mihaylova and
    Martins 2019, arXiv:1906.07651, section 3.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import mix_targets
    >>> logits = 1e4 * tf.one_hot([[6, 6, 6]], 8)  # the model predicts token 6 everywhere
    >>> mix_targets(tf.constant([[2, 4, 5]]), logits, probability=0.0).numpy().tolist()
    [[2, 6, 6]]
    """
    shape, logits = tf.shape(target), tf.cast(logits, tf.float32)
    flat = tf.reshape(logits, [-1, tf.shape(logits)[2]])  # [B T, V']
    samples = tf.reshape(tf.random.categorical(flat, 1, dtype=tf.int32), shape)
    predicted = tf.concat([target[:, :1], samples[:, :-1]], 1)
    is_true = tf.random.uniform(shape) < probability
    return tf.where(is_true, target, predicted)
