"""Embeddings of several sources, for a `ParallelEncoder`."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.layers.embedding_list import EmbeddingList
from keras_s2s.layers.saved_names import saved_as
from keras_s2s.layers.token_embedding import TokenEmbedding

__all__ = ["MultiSourceEmbedding", "ParallelEmbedding", "PartedEmbedding"]


@saved_as("PartedEmbedding")
class MultiSourceEmbedding(TokenEmbedding):
    """Embedding of several sources in one row of ids, for a `ParallelEncoder`.

    Every source but the last ends with the separator id, which occurs nowhere else.

    Args:
        vocabulary_size: number of tokens V of all sources together.
        units: width D.
        separator: the separator id.

    Call arguments:
        inputs: int tensor of ids [B, S].

    Output:
        float32 tensor [B, S, D].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.multi_source_embeddings import MultiSourceEmbedding
    >>> layer = MultiSourceEmbedding(vocabulary_size=10, units=4, separator=4)
    >>> layer.parts(tf.constant([[7, 8, 4, 9, 3]])).numpy().tolist()
    [[0, 0, 0, 1, 1]]
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int,
        separator: int = len(SpecialIds()),
        **kwargs: Any,
    ):
        super().__init__(vocabulary_size, units, **kwargs)
        self.separator = separator

    def parts(self, ids: tf.Tensor) -> tf.Tensor:
        """Index of the source that each position belongs to, from 0: [B, S] -> int32 [B, S]."""
        ends = tf.cast(tf.equal(ids, self.separator), tf.int32)
        return tf.cumsum(ends, axis=1) - ends

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "separator": self.separator}


PartedEmbedding = MultiSourceEmbedding  # previous name


@keras.saving.register_keras_serializable("keras_s2s")
class ParallelEmbedding(EmbeddingList):
    """Embeddings of several sources in tensors of their own, for a `ParallelEncoder`.

    The source dict of such a model has a list of `ids`; its `mask` (and `copy_ids`) are those of
    all sources concatenated, [B, S] with S the sum of the S_i.

    Args:
        embeddings: list of `TokenEmbedding`s of one width, one per source; the same embedding may
            occur more than once.

    Call arguments:
        inputs: list of int tensors of ids [B, S_i].

    Output:
        list of float32 tensors [B, S_i, D].

    Raises:
        ValueError: for tables of different widths.

    Reference: Zoph and Knight 2016, arXiv:1601.00710.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.multi_source_embeddings import ParallelEmbedding
    >>> from keras_s2s.layers.token_embedding import TokenEmbedding
    >>> layer = ParallelEmbedding([TokenEmbedding(10, 4), TokenEmbedding(20, 4)])
    >>> [x.shape for x in layer([tf.constant([[7, 3]]), tf.constant([[12, 9, 3]])])]
    [TensorShape([1, 2, 4]), TensorShape([1, 3, 4])]
    """

    def __init__(self, embeddings: list[keras.layers.Layer], **kwargs: Any):
        super().__init__(embeddings, **kwargs)
        self.units = self._common_width()

    def call(self, inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        return [embedding(ids) for embedding, ids in zip(self.embeddings, inputs)]
