"""The base class of heads over a vocabulary."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.dense import Linear, wide_product

__all__ = ["Head"]


class Head(keras.layers.Layer):
    """Base class of heads: outputs [B, N, D] -> logits [B, N, V'].

    Args:
        vocabulary_size: number of target tokens V.
        tied: whether the weights are those of an embedding, set by `tie`; the head then owns the
            bias alone.

    Attributes:
        vocabulary_size: number of target tokens V.
        supports_copy: whether logits have one column for each source position beyond V, and the
            source needs `copy_ids`.
        needs_attention: whether the alignment map is an input.
        supports_tying: whether the head can use the table of an embedding.
        is_pointer: whether its tokens are source positions, embedded by `PointerEmbedding`.
        supports_label_smoothing: whether its columns are a vocabulary, over which the target
            probability can be smoothed.
        supports_target_log_probs: whether it has `target_log_probs`, which costs less than all
            columns.
        has_vocabulary_weights: whether `vocabulary_weights` gives the weights of all tokens.
    """

    supports_copy = False
    needs_attention = False
    supports_tying = True
    is_pointer = False
    supports_label_smoothing = True
    supports_target_log_probs = False
    has_vocabulary_weights = True

    def __init__(self, vocabulary_size: int, tied: bool = False, **kwargs: Any) -> None:
        # No cast of arguments: ids stay ids, and a half-precision output becomes float32 here.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        self.vocabulary_size, self.tied = vocabulary_size, tied
        self.projection = self._get_embedding = None

    @property
    def size(self) -> int:
        """Number of target tokens V, under the name that a `RegressionHead` has too."""
        return self.vocabulary_size

    def tie(self, embedding: Any) -> None:
        """Uses the transposed table of a `TokenEmbedding` as output weights [V, D].

        Args:
            embedding: the `TokenEmbedding`.

        Raises:
            ValueError: when the table has another number of tokens, or when the head has been
                built with weights of its own.
        """
        if self.built and not self.tied:
            raise ValueError("tie: expected a head without weights, got one that is built")
        if embedding.vocabulary_size != self.vocabulary_size:
            raise ValueError(
                f"tie: expected an embedding of {self.vocabulary_size} tokens,"
                f" got {embedding.vocabulary_size}"
            )
        self.tied = True
        # Behind a function, so that Keras does not track the embedding as a part of the head too:
        # the table belongs to the model, and is saved there once.
        self._get_embedding = lambda: embedding

    def check(self, context: dict[str, Any]) -> None:
        """Checks that the head can work with a decoder's context; a base head always can."""

    def log_probs(self, logits: tf.Tensor) -> tf.Tensor:
        """Log-probabilities of logits [B, N, V'], float32."""
        return tf.nn.log_softmax(logits)

    def vocabulary_weights(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The weights and the bias [V] of the vocabulary.

        Returns:
            float32 tensors [D, V], or [V, D] when `tied`, and [V].

        Raises:
            ValueError: when `tied` before `tie` was called.
        """
        if not self.tied:
            weights, bias = self.projection.kernel, self.projection.bias
        elif self._get_embedding is None:
            raise ValueError("tied: expected tie(embedding) before the first call, got none")
        else:
            weights, bias = self._get_embedding().table, self.bias
        return tf.convert_to_tensor(weights), tf.convert_to_tensor(bias)

    def mix_logits(
        self,
        logits: tf.Tensor,
        outputs: tf.Tensor,
        inputs: tf.Tensor | None,
        attention: tf.Tensor | None,
        context: dict[str, Any] | None,
    ) -> tf.Tensor:
        """The logits of the head from those of its vocabulary.

        Args:
            logits: float32 tensor [B, N, V], or of fewer columns in a search.
            outputs, inputs, attention, context: as for the call.

        Returns:
            float32 tensor [B, N, V'].
        """
        return logits

    def _build_vocabulary(self, width):
        if self.tied:
            self.bias = self.add_weight(
                name="bias", shape=(self.vocabulary_size,), initializer="zeros"
            )
        else:
            self.projection = Linear(self.vocabulary_size, dtype="float32")
            self.projection.build((None, width))

    def _vocabulary_logits(self, outputs):
        weights, bias = self.vocabulary_weights()
        # Half-precision outputs mean a mixed policy: the gradients may be half-precision too.
        return wide_product(tf.cast(outputs, tf.float32), weights, bias, self.tied, outputs.dtype)

    def get_config(self) -> dict[str, Any]:
        config = {"vocabulary_size": self.vocabulary_size, "tied": self.tied}
        return {**super().get_config(), **config}
