"""The pointer network head: the next token is a position of the source."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention import AdditiveAttention
from keras_s2s.config import SpecialIds
from keras_s2s.heads.base import Head
from keras_s2s.heads.copying import LOG_EPSILON, copy_distribution
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.shapes import leading_shape

__all__ = ["PointerNetworkHead"]

NO_TIE = "tie: expected 'none' for a pointer network, which has no vocabulary"


@keras.saving.register_keras_serializable("keras_s2s")
class PointerNetworkHead(Head):
    """A distribution over source positions: u_j = v . tanh(W_1 e_j + W_2 d), softmax_j(u).

    e are the memory's values and d the decoder's output. A column is 4 + source position; positions
    with the same token share one column, that of the first of them. A pointer to the source's end
    ends the target. The first four columns are the special tokens, of which only the end has a
    probability.

    Args:
        vocabulary_size: 4, the special tokens.
        attention_units: width A of the hidden layer; D when None.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs, attention: ignored.
        context: the decoder's context, with `memory` and `source["copy_ids"]` [B, S].

    Returns:
        float32 logits [B, N, 4 + S]; they are log-probabilities.

    Raises:
        ValueError: for another `vocabulary_size`; when tied: there is no vocabulary; when the
            source has no `copy_ids`, or from `check`.

    Reference: Vinyals et al. 2015, arXiv:1506.03134, section 2.3.

    Example:

    >>> from keras_s2s.heads import PointerNetworkHead
    >>> PointerNetworkHead().is_pointer
    True
    """

    supports_copy = True
    supports_tying = False
    is_pointer = True
    supports_label_smoothing = False
    has_vocabulary_weights = False

    def __init__(
        self,
        vocabulary_size: int = len(SpecialIds()),
        attention_units: int | None = None,
        tied: bool = False,
        **kwargs: Any,
    ) -> None:
        if tied:
            raise ValueError(NO_TIE)
        if vocabulary_size != len(SpecialIds()):
            raise ValueError(
                f"vocabulary_size: expected {len(SpecialIds())}, the special tokens, for a pointer"
                f" network, got {vocabulary_size}"
            )
        check_positive_integers(attention_units=1 if attention_units is None else attention_units)
        super().__init__(vocabulary_size, **kwargs)
        self.attention_units = attention_units
        self.pointer = None

    def tie(self, embedding: Any) -> None:
        """Raises an error: a pointer network has no vocabulary.

        Raises:
            ValueError: always.
        """
        raise ValueError(NO_TIE)

    def check(self, context: dict[str, Any]) -> None:
        """Checks that the positions of the memory are those of the source.

        Raises:
            ValueError: when the encoder shortens the source.
        """
        if context["memory"]["source_index"] is not None:
            raise ValueError(
                "head: expected an encoder with one memory position per source position for a"
                " pointer network, got one that shortens the source"
            )

    def build(
        self,
        outputs_shape: tuple[int | None, ...],
        inputs_shape: tuple[int | None, ...] | None = None,
        attention_shape: Any = None,
        context_shape: dict[str, Any] | None = None,
    ) -> None:
        width, memory_width = outputs_shape[-1], context_shape["memory"]["values"][-1]
        if self.pointer is None:
            self.pointer = AdditiveAttention(self.attention_units or width, dtype="float32")
        if not self.pointer.built:
            self.pointer.build((None, None, width), None, (None, None, memory_width))

    def call(
        self,
        outputs: tf.Tensor,
        inputs: tf.Tensor | None,
        attention: tf.Tensor | None,
        context: dict[str, Any],
    ) -> tf.Tensor:
        copy_ids = context["source"].get("copy_ids")
        if copy_ids is None:
            raise ValueError("source: expected 'copy_ids' [B, S] for a head that copies, got none")
        self.check(context)
        values = tf.cast(context["memory"]["values"], tf.float32)  # [B, S, D_m]
        sizes, width = leading_shape(outputs, 2), outputs.shape[-1]
        query = tf.reshape(tf.cast(outputs, tf.float32), [-1, width])  # [B * N, D]
        memory = {"keys": self.pointer.project(values), "values": values}
        memory["mask"] = context["source"]["mask"]
        _, weights, _ = self.pointer.attend(query, sizes, memory, {})  # [B, 1, N, S]
        size = self.vocabulary_size + tf.shape(copy_ids)[1]
        return tf.math.log(copy_distribution(weights[:, 0], copy_ids, size) + LOG_EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "attention_units": self.attention_units}
