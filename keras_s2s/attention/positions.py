"""Positions inside self-attention: relative vectors, biases by distance, rotation."""

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.layers.argument_checks import check_positive_integers

__all__ = [
    "ATTENTION_POSITIONS",
    "AlibiPosition",
    "AttentionPosition",
    "BucketPosition",
    "RelativePosition",
    "RotaryPosition",
    "alibi_slopes",
    "distance_buckets",
    "make_position",
]


class AttentionPosition(keras.layers.Layer):
    """How self-attention knows where queries and keys stand; places are counted from 0.

    The three doors are called by `SelfAttention`, for a whole sequence and for one position over a
    cache alike. All leading axes of the tensors [..., H, N, d] are free.

    Args:
        num_heads: number of heads H.
        size: width d of a head.
        causal: whether a query sees only what stands before it.
    """

    def __init__(self, num_heads, size, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.num_heads, self.size, self.causal = num_heads, size, causal

    def build(self, inputs_shape=None):
        """Most have no weights."""

    def rotate(self, vectors, places):
        """Queries or keys [..., H, N, d] at `places` [N], as they are compared."""
        return vectors

    def bias(self, query, query_places, key_places):
        """float32 [..., H or 1, Q, N], added to the scores of scaled queries; None for nothing."""

    def values(self, weights, query_places, key_places):
        """[..., H, Q, d], added to the attended values; None for nothing."""

    def get_config(self):
        own = {"num_heads": self.num_heads, "size": self.size, "causal": self.causal}
        return {**super().get_config(), **own}


def _distances(query_places, key_places):
    """Key place minus query place: int32 [Q, N]."""
    return tf.expand_dims(key_places, 0) - tf.expand_dims(query_places, 1)


@keras.saving.register_keras_serializable("keras_s2s")
class RelativePosition(AttentionPosition):
    """A learned vector for every distance up to a limit, beside the keys and beside the values.

    score_ij = q_i (k_j + a_ij), output_i = sum_j w_ij (v_j + b_ij), the same for every head.

    Args:
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d].
        max_distance: limit k; what stands further away has the vector of k.

    Reference: Shaw et al. 2018, arXiv:1803.02155, equations 3 and 4.
    """

    def __init__(self, num_heads, size, causal=False, max_distance=16, **kwargs):
        super().__init__(num_heads, size, causal, **kwargs)
        check_positive_integers(max_distance=max_distance)
        self.max_distance = max_distance

    def build(self, inputs_shape=None):
        shape = (2 * self.max_distance + 1, self.size)
        self.key_table = self.add_weight(name="key_table", shape=shape)
        self.value_table = self.add_weight(name="value_table", shape=shape)

    def bias(self, query, query_places, key_places):
        vectors = self._vectors(self.key_table, query_places, key_places, query.dtype)
        return tf.cast(_by_query(query, tf.transpose(vectors, [0, 2, 1])), tf.float32)

    def values(self, weights, query_places, key_places):
        vectors = self._vectors(self.value_table, query_places, key_places, self.compute_dtype)
        return _by_query(tf.cast(weights, vectors.dtype), vectors)

    def _vectors(self, table, query_places, key_places, dtype):
        limit = self.max_distance
        index = tf.clip_by_value(_distances(query_places, key_places), -limit, limit) + limit
        return tf.gather(tf.cast(tf.convert_to_tensor(table), dtype), index)  # [Q, N, d]

    def get_config(self):
        return {**super().get_config(), "max_distance": self.max_distance}


def _by_query(tensor, matrices):
    """A matrix for each query: [..., Q, n], [Q, n, m] -> [..., Q, m]."""
    shape = tf.shape(tensor)
    flat = tf.reshape(tensor, tf.concat([[-1], shape[-2:]], 0))  # [X, Q, n]
    product = tf.matmul(tf.transpose(flat, [1, 0, 2]), matrices)  # [Q, X, m]
    product = tf.transpose(product, [1, 0, 2])
    return tf.reshape(product, tf.concat([shape[:-1], [tf.shape(matrices)[2]]], 0))


def distance_buckets(num_buckets, max_distance):
    """Buckets of the distances 0 to `max_distance`: one each at first, then ever wider ones.

    Half of the buckets hold one distance each; the other half run geometrically to `max_distance`,
    and the last holds all beyond.

    Args:
        num_buckets: buckets of one direction.
        max_distance: where the last bucket begins.

    Returns:
        int32 array [max_distance + 1].

    Reference: Raffel et al. 2020, arXiv:1910.10683, section 2.1.
    """
    exact = num_buckets // 2
    distances = np.arange(max_distance + 1)
    grown = np.log(np.maximum(distances, 1) / exact) / np.log(max_distance / exact)
    wide = exact + np.floor(grown * (num_buckets - exact) + 1e-9).astype(int)
    buckets = np.where(distances < exact, distances, np.minimum(wide, num_buckets - 1))
    return buckets.astype("int32")


@keras.saving.register_keras_serializable("keras_s2s")
class BucketPosition(AttentionPosition):
    """A learned number for every head and bucket of distances, added to the scores.

    Without `causal` one half of the buckets is for what stands behind the query. The layers of a
    stack share one table.

    Args:
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d].
        num_buckets: number of buckets, even without `causal`.
        max_distance: where the last bucket of a direction begins.

    Reference: Raffel et al. 2020, arXiv:1910.10683, section 2.1 (the scores are scaled here).
    """

    def __init__(self, num_heads, size, causal=False, num_buckets=32, max_distance=128, **kwargs):
        super().__init__(num_heads, size, causal, **kwargs)
        check_positive_integers(num_buckets=num_buckets, max_distance=max_distance)
        self.num_buckets, self.max_distance = num_buckets, max_distance
        one_way = num_buckets if causal else num_buckets // 2
        if one_way < 2 or one_way // 2 >= max_distance or (not causal and num_buckets % 2):
            raise ValueError(
                "num_buckets: expected an even number of at least 4 and few enough for"
                f" max_distance, {max_distance}, came {num_buckets}"
            )
        self._buckets = distance_buckets(one_way, max_distance)

    def build(self, inputs_shape=None):
        shape = (self.num_buckets, self.num_heads)
        self.table = self.add_weight(name="table", shape=shape, initializer="random_normal")

    def bias(self, query, query_places, key_places):
        distances = _distances(query_places, key_places)
        far = tf.minimum(tf.abs(distances), self.max_distance)
        if self.causal:
            far = tf.where(distances > 0, 0, far)
        index = tf.gather(tf.constant(self._buckets), far)  # [Q, N]
        if not self.causal:
            index += tf.where(distances > 0, self.num_buckets // 2, 0)
        table = tf.cast(tf.convert_to_tensor(self.table), tf.float32)
        return tf.transpose(tf.gather(table, index), [2, 0, 1])  # [H, Q, N]

    def get_config(self):
        own = {"num_buckets": self.num_buckets, "max_distance": self.max_distance}
        return {**super().get_config(), **own}


def alibi_slopes(num_heads):
    """Slopes of the heads: 2^(-8/H), 2^(-16/H), ...; for another number than a power of two those
    of the power below it, then every other one of the power above it.

    Returns:
        float32 array [H].

    Reference: Press et al. 2022, arXiv:2108.12409, section 3.
    """
    power = 2 ** int(np.log2(num_heads))
    first = 2.0 ** (-8.0 / power * np.arange(1, power + 1))
    more = 2.0 ** (-4.0 / power * np.arange(1, 2 * (num_heads - power), 2))
    return np.concatenate([first, more]).astype("float32")


@keras.saving.register_keras_serializable("keras_s2s")
class AlibiPosition(AttentionPosition):
    """Scores fall with the distance, linearly, each head by a slope of its own; nothing is learned.

    score_ij - m_h |i - j|. The paper's is for what stands before the query; an encoder's falls to
    both sides.

    Args:
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d].

    Reference: Press et al. 2022, arXiv:2108.12409, section 3.
    """

    def bias(self, query, query_places, key_places):
        far = tf.cast(tf.abs(_distances(query_places, key_places)), tf.float32)
        return -tf.reshape(tf.constant(alibi_slopes(self.num_heads)), [-1, 1, 1]) * far  # [H, Q, N]


@keras.saving.register_keras_serializable("keras_s2s")
class RotaryPosition(AttentionPosition):
    """Queries and keys turned by angles that grow with the place, so that only distances count.

    The plane i of d/2 is of the numbers i and i + d/2 and turns by base^(-2i/d) a place. Computed
    in float32.

    Args:
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d]; d is even.
        base: wave length of the slowest plane, divided by 2 pi.

    Reference: Su et al. 2021, arXiv:2104.09864, equation 34 (there planes are of neighbours).
    """

    def __init__(self, num_heads, size, causal=False, base=10000.0, **kwargs):
        super().__init__(num_heads, size, causal, **kwargs)
        if size % 2:
            raise ValueError(f"positions: rotary needs heads of an even width, came {size}")
        if isinstance(base, bool) or not isinstance(base, int | float) or base <= 1:
            raise ValueError(f"base: expected a number above 1, came {base!r}")
        self.base = base

    def rotate(self, vectors, places):
        half = self.size // 2
        rates = np.power(float(self.base), -np.arange(half) / half).astype("float32")
        angles = tf.expand_dims(tf.cast(places, tf.float32), 1) * rates  # [N, d / 2]
        cosines, sines = tf.cos(angles), tf.sin(angles)
        first, second = tf.split(tf.cast(vectors, tf.float32), 2, -1)
        turned = [first * cosines - second * sines, second * cosines + first * sines]
        return tf.cast(tf.concat(turned, -1), vectors.dtype)

    def get_config(self):
        return {**super().get_config(), "base": self.base}


ATTENTION_POSITIONS = {
    "relative": RelativePosition,
    "t5": BucketPosition,
    "rotary": RotaryPosition,
    "alibi": AlibiPosition,
}


def make_position(kind, num_heads, size, causal, dtype, **options):
    """A `AttentionPosition` by name.

    Args:
        kind: one of `ATTENTION_POSITIONS`.
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d].
        dtype: its policy.
        **options: of its class.

    Raises:
        ValueError: for options that the class does not have.
    """
    return ATTENTION_POSITIONS[kind](num_heads, size, causal, dtype=dtype, **options)
