"""Embedding of tokens with factors."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.embedding_list import EmbeddingList

__all__ = ["FactoredEmbedding"]


@keras.saving.register_keras_serializable("keras_s2s")
class FactoredEmbedding(EmbeddingList):
    """Embedding of tokens with factors, such as case or part of speech, one table per factor.

    Args:
        embeddings: list of F `TokenEmbedding`s, that of the tokens first.
        combine: `"sum"` or `"concat"` of the F vectors.

    Call arguments:
        inputs: int tensor of ids [B, S, F]; or [B, S], the F ids of a token as the one number
            id_0 + V_0 * (id_1 + V_1 * (id_2 + ...)).

    Output:
        float32 tensor [B, S, D], D the common width of the tables or the sum of their widths.

    Raises:
        ValueError: for another `combine`, or a sum over tables of different widths.

    Reference: Sennrich and Haddow 2016, arXiv:1606.02892 (concatenated).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.factored_embedding import FactoredEmbedding
    >>> from keras_s2s.layers.token_embedding import TokenEmbedding
    >>> layer = FactoredEmbedding([TokenEmbedding(10, 6), TokenEmbedding(5, 2)])
    >>> layer(tf.constant([[[7, 4], [8, 3]]])).shape
    TensorShape([1, 2, 8])
    """

    def __init__(
        self, embeddings: list[keras.layers.Layer], combine: str = "concat", **kwargs: Any
    ):
        super().__init__(embeddings, **kwargs)
        if combine not in ("sum", "concat"):
            raise ValueError(f"combine: expected 'sum' or 'concat', got {combine!r}")
        self.combine = combine
        if combine == "sum":
            self.units = self._common_width()
        else:
            self.units = sum(embedding.units for embedding in self.embeddings)

    @property
    def size(self) -> int:
        """Number of combined ids: the product of the vocabulary sizes."""
        return math.prod(embedding.size for embedding in self.embeddings)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if inputs.shape.rank == 3:
            factors = tf.unstack(inputs, num=len(self.embeddings), axis=2)
        else:
            factors = self._split_ids(inputs)
        vectors = [embedding(ids) for embedding, ids in zip(self.embeddings, factors)]
        return tf.concat(vectors, 2) if self.combine == "concat" else tf.add_n(vectors)

    def _split_ids(self, ids):
        for embedding in self.embeddings:
            yield ids % embedding.size
            ids //= embedding.size

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "combine": self.combine}
