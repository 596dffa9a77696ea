"""Target embedding of a pointer network."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.token_embedding import TokenEmbedding

__all__ = ["PointerEmbedding"]


@keras.saving.register_keras_serializable("keras_s2s")
class PointerEmbedding(TokenEmbedding):
    """Target embedding of a pointer network: id 4 + s is the memory at source position s.

    The special tokens have vectors of their own. A memory of another width is projected.

    Args:
        units: width D.
        memory_units: width of the memory; D when None.
        vocabulary_size: 4, the special tokens.

    Call arguments:
        inputs: int tensor of ids of special tokens, any shape [...]; other ids are embedded as the
            unknown token.

    Output:
        float32 tensor [..., D].

    Raises:
        ValueError: for sizes that are not positive integers; from `embed`, without a context.

    Reference: Vinyals et al. 2015, arXiv:1506.03134, section 2.3.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.pointer_embedding import PointerEmbedding
    >>> memory = {"values": tf.ones([1, 2, 4])}  # source position 0 has id 4
    >>> context = {"memory": memory, "source": {"mask": tf.ones([1, 2], tf.bool)}}
    >>> PointerEmbedding(units=4).embed(tf.constant([[4]]), context).numpy().tolist()
    [[[1.0, 1.0, 1.0, 1.0]]]
    """

    is_pointer = True

    def __init__(
        self,
        units: int,
        memory_units: int | None = None,
        vocabulary_size: int = len(SpecialIds()),
        **kwargs: Any,
    ):
        super().__init__(vocabulary_size, units, **kwargs)
        self.memory_units = units if memory_units is None else memory_units
        check_positive_integers(memory_units=self.memory_units)
        self.projection = None
        if self.memory_units != units:
            self.projection = Linear(units, dtype="float32")

    def build(self, inputs_shape: Any = None) -> None:
        super().build(inputs_shape)
        if self.projection is not None and not self.projection.built:
            self.projection.build((None, self.memory_units))

    def embed(self, ids: tf.Tensor, context: dict[str, Any] | None = None) -> tf.Tensor:
        """Embeds target ids: [B, N] -> float32 [B, N, D].

        Args:
            ids: int tensor [B, N].
            context: the decoder's context; `memory` and `source["mask"]` are used.
        """
        if context is None:
            raise ValueError("context: expected the memory that ids point into, got None")
        values = tf.cast(context["memory"]["values"], tf.float32)  # [B, S, D_m]
        positions, last = ids - self.vocabulary_size, tf.shape(values)[1] - 1
        inside = tf.clip_by_value(positions, 0, last)
        is_real = tf.gather(context["source"]["mask"], inside, batch_dims=1)
        is_pointer = (positions >= 0) & (positions <= last) & is_real
        pointed = tf.gather(values, inside, batch_dims=1)  # [B, N, D_m]
        if self.projection is not None:
            pointed = self.projection(pointed)
        return tf.where(tf.expand_dims(is_pointer, 2), pointed, self(ids))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "memory_units": self.memory_units}
