"""The softmax head."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.heads.base import Head

__all__ = ["SoftmaxHead"]


@keras.saving.register_keras_serializable("keras_s2s")
class SoftmaxHead(Head):
    """One dense layer onto the vocabulary: logits = W o + b.

    Args:
        vocabulary_size: number of target tokens V.
        tied: whether the weights are those of an embedding, set by `tie`; the head then owns the
            bias alone.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs, attention, context: ignored.

    Returns:
        float32 logits [B, N, V].

    Raises:
        ValueError: when tied to an embedding of another size, or called before `tie`.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.heads import SoftmaxHead
    >>> SoftmaxHead(7)(tf.ones([2, 3, 4])).shape
    TensorShape([2, 3, 7])
    """

    def build(self, outputs_shape: tuple[int | None, ...], *args: Any, **kwargs: Any) -> None:
        self._build_vocabulary(outputs_shape[-1])

    def call(
        self,
        outputs: tf.Tensor,
        inputs: tf.Tensor | None = None,
        attention: tf.Tensor | None = None,
        context: dict[str, Any] | None = None,
    ) -> tf.Tensor:
        return self._vocabulary_logits(outputs)
