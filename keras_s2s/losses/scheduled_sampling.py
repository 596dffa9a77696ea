"""Scheduled sampling: in training a decoder reads some tokens of its own."""

import tensorflow as tf

__all__ = ["SCHEDULES", "mix_targets", "teacher_forcing_probability"]

SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")


def teacher_forcing_probability(schedule, step, k, probability=0.0):
    """The share of target tokens that a decoder reads as they are, after `step` updates.

    constant: `probability`; linear: max(probability, 1 - step / k); exponential: k^step, k < 1;
    inverse_sigmoid: k / (k + exp(step / k)), k >= 1.

    Args:
        schedule: one of `SCHEDULES`.
        step: scalar, updates made.
        k: how slowly the share falls; not read by constant.
        probability: the least share of linear, and that of constant.

    Returns:
        float32 scalar.

    Raises:
        ValueError: for another schedule, or a k or probability that it cannot have.

    Reference: Bengio et al. 2015, arXiv:1506.03099, section 2.4.
    """
    if schedule not in SCHEDULES:
        expected = f"expected one of {', '.join(SCHEDULES)}"
        raise ValueError(f"scheduled_sampling: {expected}, came {schedule!r}")
    if not 0 <= probability <= 1:
        raise ValueError(f"sampling_probability: expected 0 to 1, came {probability}")
    if schedule == "constant":
        return tf.constant(probability, tf.float32)
    wanted = {"linear": k > 0, "exponential": 0 < k < 1, "inverse_sigmoid": k >= 1}
    if not wanted[schedule]:
        bounds = {"linear": "above 0", "exponential": "above 0 and below 1"}
        expected = bounds.get(schedule, "of at least 1")
        raise ValueError(f"sampling_k: expected a number {expected} for {schedule}, came {k}")
    step = tf.cast(step, tf.float32)
    if schedule == "linear":
        return tf.maximum(probability, 1.0 - step / k)
    if schedule == "exponential":
        return tf.pow(tf.cast(k, tf.float32), step)
    # k / (k + e^(i / k)), for an i of any size
    return tf.sigmoid(tf.math.log(tf.cast(k, tf.float32)) - step / k)


def mix_targets(target, logits, probability):
    """Target tokens, each but the first one a token of the model itself with 1 - probability.

    The model's token at t is drawn from the logits at t - 1 of a pass over the true tokens, all
    positions in parallel. Gradients do not pass through the draw.

    Args:
        target: int32 [B, T], the start first.
        logits: float32 tensor [B, T, V'], of a pass over `target`.
        probability: scalar, the share of true tokens.

    Returns:
        int32 [B, T].

    Reference: Bengio et al. 2015, arXiv:1506.03099, section 2.4; in two passes: Mihaylova and
    Martins 2019, arXiv:1906.07651, section 3.
    """
    shape, logits = tf.shape(target), tf.cast(logits, tf.float32)
    flat = tf.reshape(logits, [-1, tf.shape(logits)[2]])  # [B T, V']
    drawn = tf.reshape(tf.random.categorical(flat, 1, dtype=tf.int32), shape)
    own = tf.concat([target[:, :1], drawn[:, :-1]], 1)
    true = tf.random.uniform(shape) < probability
    return tf.where(true, target, own)
