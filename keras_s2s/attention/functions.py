"""Attention as pure functions: scores, masked weights, heads."""

import tensorflow as tf

MASKED_SCORE = -1e9  # finite: minus infinity would give NaN on a row of padding only


def masked_softmax(
    scores: tf.Tensor, mask: tf.Tensor | dict[str, tf.Tensor] | None = None
) -> tf.Tensor:
    """Softmax over the unmasked positions of the last axis.

    Args:
        scores: float tensor [..., N].
        mask: bool tensor broadcastable to `scores`, True = may be attended to; None = all; or the
            result of `additive_mask`.

    Returns:
        float32 tensor [..., N]; rows sum to 1, or to 0 where every position is masked.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import masked_softmax
    >>> masked_softmax(tf.zeros([3]), tf.constant([True, True, False])).numpy().tolist()
    [0.5, 0.5, 0.0]
    """
    scores = tf.cast(scores, tf.float32)
    if mask is None:
        return tf.nn.softmax(scores)
    # The mask is smaller than the scores: adding it is cheaper than selecting by it.
    mask = mask if isinstance(mask, dict) else additive_mask(mask)
    return tf.nn.softmax(scores + mask["bias"]) * mask["real"]


def additive_mask(mask: tf.Tensor) -> dict[str, tf.Tensor]:
    """Mask in the form that `masked_softmax` applies, for masks that many steps share.

    Args:
        mask: bool tensor [..., N].

    Returns:
        dict of float32 tensors: `bias` [..., N], added to scores; `real` [..., 1], 0 where every
        position is masked.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import additive_mask
    >>> additive_mask(tf.constant([True, False]))["real"].numpy().tolist()
    [1.0]
    """
    real = tf.cast(tf.reduce_any(mask, -1, keepdims=True), tf.float32)
    return {"bias": tf.where(mask, 0.0, MASKED_SCORE), "real": real}


places = additive_mask  # previous name


def additive_scores(query: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    """Hidden layer of additive attention, tanh(W q + U k), on projected tensors.

    Args:
        query: float tensor [B, Q, A], projected queries W q.
        keys: float tensor [B, M, A], projected memory U k.

    Returns:
        float tensor [B, Q, M, A].

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.1.2.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import additive_scores
    >>> additive_scores(tf.ones([2, 3, 4]), tf.ones([2, 5, 4])).shape
    TensorShape([2, 3, 5, 4])
    """
    return tf.tanh(tf.expand_dims(query, 2) + tf.expand_dims(keys, 1))  # [B, Q, M, A]


def dot_product_attention(
    query: tf.Tensor,
    keys: tf.Tensor,
    values: tf.Tensor,
    mask: tf.Tensor | dict[str, tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """softmax(Q K^T) V, for queries that are already scaled.

    Args:
        query: float tensor [..., Q, d].
        keys, values: float tensors [..., N, d] with the same leading axes.
        mask: bool tensor broadcastable to [..., Q, N], True = may be attended to; or the result
            of `additive_mask`.

    Returns:
        float tensor [..., Q, d] and the float32 weights [..., Q, N].

    Reference: Vaswani et al. 2017, arXiv:1706.03762, equation 1.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import dot_product_attention
    >>> x = tf.ones([2, 5, 4])
    >>> outputs, weights = dot_product_attention(x, x, x)
    >>> outputs.shape, weights.shape
    (TensorShape([2, 5, 4]), TensorShape([2, 5, 5]))
    """
    scores = tf.matmul(query, keys, transpose_b=True)
    weights = masked_softmax(scores, mask)  # [..., Q, N]
    return tf.matmul(tf.cast(weights, values.dtype), values), weights


def split_heads(inputs: tf.Tensor, parts: int, num_heads: int) -> list[tf.Tensor]:
    """Splits projections into heads: [B, N, parts * D] -> `parts` tensors [B, H, N, D / H].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import split_heads
    >>> [x.shape for x in split_heads(tf.ones([2, 3, 16]), parts=2, num_heads=4)]
    [TensorShape([2, 4, 3, 2]), TensorShape([2, 4, 3, 2])]
    """
    batch, length, width = tf.shape(inputs)[0], tf.shape(inputs)[1], inputs.shape[-1]
    size = width // (parts * num_heads)
    inputs = tf.reshape(inputs, [batch, length, parts, num_heads, size])
    return tf.unstack(tf.transpose(inputs, [2, 0, 3, 1, 4]), num=parts)


def merge_heads(inputs: tf.Tensor) -> tf.Tensor:
    """Concatenates the heads of every position: [B, H, N, d] -> [B, N, H * d].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import merge_heads
    >>> merge_heads(tf.ones([2, 4, 3, 2])).shape
    TensorShape([2, 3, 8])
    """
    shape, width = tf.shape(inputs), inputs.shape[1] * inputs.shape[3]
    return tf.reshape(tf.transpose(inputs, [0, 2, 1, 3]), [shape[0], shape[2], width])
