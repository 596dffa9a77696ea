"""The max-margin contrastive loss, and the corrupted targets that it is against."""

import tensorflow as tf

from keras_s2s.losses.token_losses import token_log_probs

__all__ = ["max_margin", "omit_words"]


def max_margin(eta=0.1):
    """How much less than `eta` a target is likelier than one with a word left out.

    max(0, log P(Y'|X) + eta - log P(Y|X)) for each pair, with Y' of `omit_words`.

    Args:
        eta: the margin, in nats.

    Returns:
        An objective `(x, y, outputs, weights [B, T]) -> (sum, count)`, float32 scalars: the sum
        over pairs, and the number of those of which a word could be left out. Reads
        `outputs["logits"]` [B, T, V'], and of the corrupted target
        `outputs["corrupted"]`: {"logits" [B, T, V'], "y" [B, T], "weights" [B, T]}.

    Reference: Yang et al. 2019, "Reducing Word Omission Errors in Neural Machine Translation: A
    Contrastive Learning Approach" (aclanthology.org/P19-1623), section 3.
    """

    def objective(x, y, outputs, weights):
        other = outputs["corrupted"]
        real = tf.cast(weights > 0, tf.float32)
        changed = tf.cast(other["weights"] > 0, tf.float32)
        good = tf.reduce_sum(token_log_probs(outputs["logits"], y) * real, 1)  # [B]
        bad = tf.reduce_sum(token_log_probs(other["logits"], other["y"]) * changed, 1)
        # A pair's own weight; none where nothing was left out.
        weight = tf.reduce_max(other["weights"], 1)
        return tf.reduce_sum(weight * tf.nn.relu(bad + eta - good)), tf.reduce_sum(weight)

    return objective


def omit_words(target, y, weights, places=None):
    """Targets with one random token left out, which is never the end.

    Args:
        target: int32 [B, T], the start and the tokens before each position.
        y: int32 [B, T], the tokens, the end last.
        weights: float32 [B, T], 0 at padding.
        places: int32 [B], what is left out; random when None.

    Returns:
        target, y and weights of the same shapes; weights are 0 in rows without a token to leave
        out.
    """
    real = tf.reduce_sum(tf.cast(weights > 0, tf.int32), 1)  # [B]
    most = tf.maximum(real - 1, 1)
    if places is None:
        drawn = tf.random.uniform(tf.shape(real)) * tf.cast(most, tf.float32)
        places = tf.minimum(tf.cast(drawn, tf.int32), most - 1)
    here = tf.expand_dims(tf.range(tf.shape(y)[1]), 0)  # [1, T]
    places, last = tf.expand_dims(places, 1), tf.shape(y)[1] - 1
    behind = tf.minimum(here + tf.cast(here >= places, tf.int32), last)
    before = tf.minimum(here + tf.cast(here > places, tf.int32), last)
    kept = (here < tf.expand_dims(real - 1, 1)) & (tf.expand_dims(real, 1) > 1)
    left = tf.where(kept, tf.gather(weights, behind, batch_dims=1), 0.0)
    target = tf.gather(target, before, batch_dims=1)
    return target, tf.gather(y, behind, batch_dims=1), left
