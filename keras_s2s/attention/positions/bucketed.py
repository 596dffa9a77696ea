"""Relative positions as a learned bias per bucket of distances (T5)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.attention.positions.base import AttentionPosition, distances
from keras_s2s.layers.argument_checks import check_positive_integers

__all__ = ["BucketPosition", "distance_buckets"]


def distance_buckets(num_buckets: int, max_distance: int) -> np.ndarray:
    """Buckets of the distances 0 to `max_distance`: first one per distance, then wider ones.

    Half of the buckets hold one distance each; the other half grow geometrically up to
    `max_distance`, and the last holds all larger distances.

    Args:
        num_buckets: buckets of one direction.
        max_distance: first distance of the last bucket.

    Returns:
        int32 array [max_distance + 1].

    Reference: Raffel et al. 2020, arXiv:1910.10683, section 2.1.

    Example:

    >>> from keras_s2s.attention.positions import distance_buckets
    >>> distance_buckets(4, 8).tolist()
    [0, 1, 2, 2, 3, 3, 3, 3, 3]
    """
    exact = num_buckets // 2
    lengths = np.arange(max_distance + 1)
    ratio = np.log(np.maximum(lengths, 1) / exact) / np.log(max_distance / exact)
    wide = exact + np.floor(ratio * (num_buckets - exact) + 1e-9).astype(int)
    buckets = np.where(lengths < exact, lengths, np.minimum(wide, num_buckets - 1))
    return buckets.astype("int32")


@keras.saving.register_keras_serializable("keras_s2s")
class BucketPosition(AttentionPosition):
    """A learned number for every head and bucket of distances, added to the scores.

    Without `causal` half of the buckets are for keys after the query. The layers of a stack share
    one table.

    Args:
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d].
        num_buckets: number of buckets, even without `causal`.
        max_distance: first distance of the last bucket of a direction.

    Raises:
        ValueError: for a number of buckets that is odd, too small, or too large for
            `max_distance`.

    Reference: Raffel et al. 2020, arXiv:1910.10683, section 2.1 (the scores are scaled here).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import SelfAttention
    >>> from keras_s2s.attention.positions import BucketPosition
    >>> layer = SelfAttention(8, 2, position=BucketPosition(num_heads=2, size=4))
    >>> layer(tf.ones([3, 5, 8]))[0].shape
    TensorShape([3, 5, 8])
    """

    def __init__(
        self,
        num_heads: int,
        size: int,
        causal: bool = False,
        num_buckets: int = 32,
        max_distance: int = 128,
        **kwargs: Any,
    ):
        super().__init__(num_heads, size, causal, **kwargs)
        check_positive_integers(num_buckets=num_buckets, max_distance=max_distance)
        self.num_buckets, self.max_distance = num_buckets, max_distance
        one_way = num_buckets if causal else num_buckets // 2
        if one_way < 2 or one_way // 2 >= max_distance or (not causal and num_buckets % 2):
            raise ValueError(
                "num_buckets: expected an even number of at least 4 and few enough for"
                f" max_distance, {max_distance}, got {num_buckets}"
            )
        self._buckets = distance_buckets(one_way, max_distance)

    def build(self, inputs_shape: Any = None) -> None:
        shape = (self.num_buckets, self.num_heads)
        self.table = self.add_weight(name="table", shape=shape, initializer="random_normal")

    def bias(
        self, query: tf.Tensor, query_positions: tf.Tensor, key_positions: tf.Tensor
    ) -> tf.Tensor:
        signed = distances(query_positions, key_positions)
        lengths = tf.minimum(tf.abs(signed), self.max_distance)
        if self.causal:
            lengths = tf.where(signed > 0, 0, lengths)
        index = tf.gather(tf.constant(self._buckets), lengths)  # [Q, N]
        if not self.causal:
            index += tf.where(signed > 0, self.num_buckets // 2, 0)
        table = tf.cast(tf.convert_to_tensor(self.table), tf.float32)
        return tf.transpose(tf.gather(table, index), [2, 0, 1])  # [H, Q, N]

    def get_config(self) -> dict[str, Any]:
        own = {"num_buckets": self.num_buckets, "max_distance": self.max_distance}
        return {**super().get_config(), **own}
