"""Max-margin contrastive loss and the corrupted targets it contrasts with."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_s2s.losses.token_losses import token_log_probs

__all__ = ["max_margin", "omit_words"]


def max_margin(eta: float = 0.1) -> Callable:
    """Hinge loss between a target and the same target with a word left out.

    max(0, log P(Y'|X) + eta - log P(Y|X)) for each pair, with Y' from `omit_words`.

    Args:
        eta: the margin, in nats.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`, float32 scalars: the sum
        over pairs, and the number of pairs in which a word can be left out. Reads
        `outputs["logits"]` [B, T, V'], and of the corrupted target
        `outputs["corrupted"]`: {"logits" [B, T, V'], "y" [B, T], "weights" [B, T]}.

    Reference: Yang et al. 2019, "Reducing Word Omission Errors in Neural Machine Translation: A
    Contrastive Learning Approach" (aclanthology.org/P19-1623), section 3.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import max_margin
    >>> y, weights, logits = tf.constant([[4, 3]]), tf.ones([1, 2]), tf.zeros([1, 2, 5])
    >>> corrupted = {"logits": logits, "y": y, "weights": weights}
    >>> outputs = {"logits": logits, "corrupted": corrupted}
    >>> total, count = max_margin(eta=0.5)(None, y, outputs, weights)
    >>> float(total), float(count)
    (0.5, 1.0)
    """

    def objective(x, y, outputs, weights):
        corrupted = outputs["corrupted"]
        is_real = tf.cast(weights > 0, tf.float32)
        is_left = tf.cast(corrupted["weights"] > 0, tf.float32)
        target = tf.reduce_sum(token_log_probs(outputs["logits"], y) * is_real, 1)  # [B]
        corrupted_log_probs = token_log_probs(corrupted["logits"], corrupted["y"])
        contrast = tf.reduce_sum(corrupted_log_probs * is_left, 1)  # [B]
        # The weight of the pair, 0 where no word is left out.
        weight = tf.reduce_max(corrupted["weights"], 1)
        return tf.reduce_sum(weight * tf.nn.relu(contrast + eta - target)), tf.reduce_sum(weight)

    return objective


def omit_words(
    target: tf.Tensor,
    y: tf.Tensor,
    weights: tf.Tensor,
    places: tf.Tensor | Sequence[int] | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Targets with one random token left out, never the end token.

    Args:
        target: int32 [B, T], the start token and the tokens before each position.
        y: int32 [B, T], the tokens, the end token last.
        weights: float32 [B, T], 0 at padding.
        places: int32 [B], the positions to leave out; random when None.

    Returns:
        target, y and weights of the same shapes; weights are 0 in rows without a token that can be
        left out.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses import omit_words
    >>> target, y = tf.constant([[2, 7, 8]]), tf.constant([[7, 8, 3]])
    >>> _, shorter, weights = omit_words(target, y, tf.ones([1, 3]), places=[0])
    >>> shorter.numpy().tolist(), weights.numpy().tolist()
    ([[8, 3, 3]], [[1.0, 1.0, 0.0]])
    """
    lengths = tf.reduce_sum(tf.cast(weights > 0, tf.int32), 1)  # [B]
    candidates = tf.maximum(lengths - 1, 1)
    if places is None:
        uniform = tf.random.uniform(tf.shape(lengths)) * tf.cast(candidates, tf.float32)
        places = tf.minimum(tf.cast(uniform, tf.int32), candidates - 1)
    positions = tf.expand_dims(tf.range(tf.shape(y)[1]), 0)  # [1, T]
    places, last = tf.expand_dims(places, 1), tf.shape(y)[1] - 1
    y_index = tf.minimum(positions + tf.cast(positions >= places, tf.int32), last)
    target_index = tf.minimum(positions + tf.cast(positions > places, tf.int32), last)
    is_left = (positions < tf.expand_dims(lengths - 1, 1)) & (tf.expand_dims(lengths, 1) > 1)
    weights = tf.where(is_left, tf.gather(weights, y_index, batch_dims=1), 0.0)
    target = tf.gather(target, target_index, batch_dims=1)
    return target, tf.gather(y, y_index, batch_dims=1), weights
