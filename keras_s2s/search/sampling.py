"""Drawing tokens: random numbers by counting, truncated distributions, inverse CDF.

Pure functions of one step, in operations that LiteRT has too. A draw is a function of the row's
seed, the step and the sample's number, never of the batch around it.
"""

import tensorflow as tf

from keras_s2s.search.options import NEG_INF

__all__ = ["draw", "truncate", "uniform"]

_BLOCK = 128  # tokens that `draw` sums up at once
_ORIGIN = 0x9E3779B9  # 2^32 over the golden ratio: the hash of zeros alone is not zero


def uniform(seed, step, count):
    """Uniform random numbers in [0, 1), multiples of 2^-24.

    They are the upper 24 bits of h(h(h(origin ^ seed) ^ step) ^ sample), in which h is `fmix32`,
    the finaliser of MurmurHash3 (Appleby 2011): a bijection of 32 bits after which each input bit
    flips each output bit in half of all cases. The first samples do not depend on their count.

    Args:
        seed: int32 tensor [B].
        step: int32 scalar.
        count: int32 scalar K, number of samples.

    Returns:
        float32 tensor [B, K].
    """
    hashed = _mix(tf.bitwise.bitwise_xor(tf.cast(seed, tf.uint32), _word(_ORIGIN)))  # [B]
    hashed = _mix(tf.bitwise.bitwise_xor(hashed, tf.cast(step, tf.uint32)))
    samples = tf.expand_dims(tf.cast(tf.range(count), tf.uint32), 0)
    hashed = _mix(tf.bitwise.bitwise_xor(tf.expand_dims(hashed, 1), samples))  # [B, K]
    upper = tf.cast(tf.bitwise.right_shift(hashed, _word(8)), tf.int32)
    return tf.cast(upper, tf.float32) * 2.0**-24


def _word(value):
    return tf.constant(value, tf.uint32)


def _mix(word):
    """`fmix32` of uint32 words of any shape."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        word = tf.bitwise.bitwise_xor(word, tf.bitwise.right_shift(word, _word(shift)))
        word = word * _word(factor)
    return word


def truncate(log_probs, sampling):
    """The distribution that tokens are drawn from: temperature, then top-k, top-p and min-p.

    Each works on what the one before it left, as in Hugging Face's warpers. A token stays when

    - fewer than `top_k` tokens are likelier than it,
    - those likelier than it hold less than `top_p` of the probability that top-k left,
    - its probability is at least `min_p` of the likeliest's.

    Equally likely tokens thus stay or go together, so that more than `top_k` may stay, and the
    likeliest always stays.

    Args:
        log_probs: float32 tensor [B, K, V'], adjusted; `NEG_INF` = forbidden.
        sampling: `Sampling`.

    Returns:
        float32 tensor [B, K, V'], log-probabilities over the temperature, not summing to one;
        `NEG_INF` where a token was cut or forbidden.

    Reference: Fan et al. 2018, arXiv:1805.04833 (top-k); Holtzman et al. 2019,
    arXiv:1904.09751, equations 2 and 3 (top-p); Nguyen et al. 2024, arXiv:2407.01082 (min-p).
    """
    temperature, k, p = sampling.temperature, sampling.top_k, sampling.top_p
    steps = (
        (tf.not_equal(temperature, 1.0), lambda x: _divide(x, temperature)),
        (k > 0, lambda x: _cut(x, _kth(x, k), k > 0)),
        (p < 1.0, lambda x: _cut(x, _nucleus(x, p), p < 1.0)),
        (sampling.min_p > 0.0, lambda x: _cut(x, _share(x, sampling.min_p), sampling.min_p > 0.0)),
    )
    for rows, step in steps:
        log_probs = _when(rows, step, log_probs)
    return log_probs


def _when(rows, step, values):
    return tf.cond(tf.reduce_any(rows), lambda: step(values), lambda: values)


def _per_row(values):
    return tf.reshape(values, [-1, 1, 1])


def _divide(log_probs, temperature):
    divided = log_probs / _per_row(temperature)
    return tf.where(log_probs > NEG_INF / 2, divided, log_probs)


def _cut(log_probs, threshold, rows):
    """`NEG_INF` below the threshold [B, K, 1], in the rows [B] that ask for it."""
    return tf.where((log_probs < threshold) & _per_row(rows), NEG_INF, log_probs)


def _kth(log_probs, k):
    size = tf.clip_by_value(k, 1, tf.shape(log_probs)[2])  # [B]
    largest, _ = tf.math.top_k(log_probs, tf.reduce_max(size))
    place = tf.zeros_like(largest[:, :, :1], tf.int32) + _per_row(size - 1)
    return tf.gather(largest, place, batch_dims=2)  # [B, K, 1]


def _nucleus(log_probs, p):
    weights = tf.exp(log_probs - tf.reduce_max(log_probs, 2, keepdims=True))
    total = tf.reduce_sum(weights, 2, keepdims=True)  # [B, K, 1]
    p, size = _per_row(p), tf.cast(tf.shape(log_probs)[2], tf.float32)
    # Tokens below (1 - p) / V' hold less than 1 - p together, so none of them can stay: with a
    # margin for rounding, only the others are sorted.
    matter = (weights > 0.5 * (1.0 - p) * total / size) & (p < 1.0)
    width = tf.reduce_max(tf.reduce_sum(tf.cast(matter, tf.int32), 2))
    ordered, _ = tf.math.top_k(log_probs, tf.maximum(width, 1))
    # A running sum, unlike a softmax, does not depend on the width that neighbours ask for.
    likelier = tf.cumsum(tf.exp(ordered - ordered[:, :, :1]), 2, exclusive=True)
    within = tf.where(likelier < p * total, ordered, ordered[:, :, :1])
    return tf.reduce_min(within, 2, keepdims=True)


def _share(log_probs, share):
    # The floor only keeps rows without min-p, which `_cut` leaves alone, from log(0).
    least = tf.math.log(tf.maximum(share, 1e-30))
    return tf.reduce_max(log_probs, 2, keepdims=True) + _per_row(least)


def draw(log_probs, uniform):
    """One token of each distribution: the first at which the cumulated probability exceeds u.

    Args:
        log_probs: float32 tensor [B, K, V'], as `truncate` gives them; they need not sum to one,
            and a `NEG_INF` token is never drawn.
        uniform: float32 tensor [B, K] of u in [0, 1), as `uniform` gives them.

    Returns:
        int32 tensor [B, K]; 0 where every token is `NEG_INF`. Probabilities come about as exactly
        as float32 sums, some 2^-24 each.
    """
    top = tf.reduce_max(log_probs, 2, keepdims=True)
    weights = tf.where(log_probs > NEG_INF / 2, tf.exp(log_probs - top), 0.0)  # [B, K, V']
    # First a block of tokens, then one of its tokens: a running sum over all is much slower.
    size = tf.shape(log_probs)[2]
    count = (size + _BLOCK - 1) // _BLOCK
    padded = tf.pad(weights, [[0, 0], [0, 0], [0, count * _BLOCK - size]])
    shape = tf.concat([tf.shape(uniform), [count, _BLOCK]], 0)
    blocks = tf.reshape(padded, shape)  # [B, K, N, _BLOCK]
    sums = tf.reduce_sum(blocks, 3)
    wanted = tf.expand_dims(uniform, 2) * tf.reduce_sum(sums, 2, keepdims=True)
    block, wanted = _beyond(sums, wanted)
    token, _ = _beyond(tf.gather(blocks, block, batch_dims=2), wanted)
    return block * _BLOCK + token


def _beyond(weights, wanted):
    """The first index [B, K] at which the sum exceeds `wanted`, which is then less all before."""
    reached = tf.cumsum(weights, 2)
    size = tf.shape(weights)[2]
    # It must itself add to the sum: rounding may carry `wanted` to the end of the sum, or beyond.
    positive = weights > 0.0
    first = tf.reduce_min(tf.where(positive & (reached > wanted), tf.range(size), size), 2)
    last = tf.reduce_max(tf.where(positive, tf.range(size), 0), 2)
    index = tf.minimum(first, last)
    place = tf.expand_dims(index, 2)
    before = tf.gather(reached - weights, place, batch_dims=2)
    return index, wanted - before
