"""Attention as pure functions: scores, masked weights, heads."""

import tensorflow as tf

MASKED_SCORE = -1e9  # finite: minus infinity would give NaN on a row of padding alone


def masked_softmax(scores, mask=None):
    """Softmax over the last axis among the places that `mask` leaves.

    Args:
        scores: float tensor [..., N].
        mask: bool tensor that broadcasts to `scores`, True = may be picked; None = all; or what
            `additive_mask` gives of one.

    Returns:
        float32 tensor [..., N]; rows sum to 1, or to 0 where the mask leaves no place.
    """
    scores = tf.cast(scores, tf.float32)
    if mask is None:
        return tf.nn.softmax(scores)
    # The mask is smaller than the scores: adding it is cheaper than selecting by it.
    mask = mask if isinstance(mask, dict) else additive_mask(mask)
    return tf.nn.softmax(scores + mask["bias"]) * mask["real"]


def additive_mask(mask):
    """A mask as `masked_softmax` applies it, for masks that many steps share.

    Args:
        mask: bool tensor [..., N].

    Returns:
        dict of float32 tensors: `bias` [..., N], added to scores; `real` [..., 1], 0 where the mask
        leaves no place.
    """
    real = tf.cast(tf.reduce_any(mask, -1, keepdims=True), tf.float32)
    return {"bias": tf.where(mask, 0.0, MASKED_SCORE), "real": real}


def additive_scores(query, keys):
    """The hidden layer of additive attention, tanh(W q + U k), on projected tensors.

    Args:
        query: float tensor [B, Q, A], projected queries W q.
        keys: float tensor [B, M, A], projected memory U k.

    Returns:
        float tensor [B, Q, M, A].

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.1.2.
    """
    return tf.tanh(tf.expand_dims(query, 2) + tf.expand_dims(keys, 1))  # [B, Q, M, A]


def dot_product_attention(query, keys, values, mask=None):
    """softmax(Q K^T) V; the caller has scaled the query.

    Args:
        query: float tensor [..., Q, d].
        keys, values: float tensors [..., N, d] with the same leading axes.
        mask: bool tensor that broadcasts to [..., Q, N], True = may be seen.

    Returns:
        float tensor [..., Q, d] and the float32 weights [..., Q, N].

    Reference: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    """
    scores = tf.matmul(query, keys, transpose_b=True)
    weights = masked_softmax(scores, mask)  # [..., Q, N]
    return tf.matmul(tf.cast(weights, values.dtype), values), weights


def split_heads(inputs, parts, num_heads):
    """[B, N, parts * D] -> `parts` tensors [B, H, N, D / H]."""
    batch, length, width = tf.shape(inputs)[0], tf.shape(inputs)[1], inputs.shape[-1]
    size = width // (parts * num_heads)
    inputs = tf.reshape(inputs, [batch, length, parts, num_heads, size])
    return tf.unstack(tf.transpose(inputs, [2, 0, 3, 1, 4]), num=parts)


def merge_heads(inputs):
    """[B, H, N, d] -> [B, N, H * d]."""
    shape, width = tf.shape(inputs), inputs.shape[1] * inputs.shape[3]
    return tf.reshape(tf.transpose(inputs, [0, 2, 1, 3]), [shape[0], shape[2], width])
