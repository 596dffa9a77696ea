"""The pointer network head: what comes next is a place in the source."""

import keras
import tensorflow as tf

from keras_s2s.attention import AdditiveAttention
from keras_s2s.config import SpecialIds
from keras_s2s.heads.base import Head, refuse_tokens
from keras_s2s.heads.copying import copy_distribution
from keras_s2s.heads.pointer_generator import LOG_EPSILON
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.shapes import leading_shape


@keras.saving.register_keras_serializable("keras_s2s")
class PointerNetworkHead(Head):
    """A distribution over the places of the source: u_j = v . tanh(W_1 e_j + W_2 d), softmax_j(u).

    e are the memory's values and d the decoder's output. A column is 4 + source position; places
    that hold the same token are one column, the first place's. To point at the source's end is to
    end. The first four columns are the special tokens, of which the end alone is ever chosen.

    Args:
        vocabulary_size: 4, the special tokens.
        attention_units: width A of the hidden layer; D when None.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs, attention: not read.
        context: the decoder's context; reads `memory` and `source["copy_ids"]` [B, S].

    Output:
        float32 logits [B, N, 4 + S]; they are log-probabilities.

    Raises:
        ValueError: for another `vocabulary_size`; when tied: there is no vocabulary; when the
            source has no `copy_ids`, or from `check`.

    Reference: Vinyals et al. 2015, arXiv:1506.03134, section 2.3.
    """

    supports_copy = True
    ties = False
    is_pointer = True
    smooths = False

    def __init__(
        self, vocabulary_size=len(SpecialIds()), attention_units=None, tied=False, **kwargs
    ):
        if tied:
            raise ValueError(_NO_TIE)
        if vocabulary_size != len(SpecialIds()):
            raise ValueError(
                f"vocabulary_size: expected {len(SpecialIds())}, the special tokens, for a pointer"
                f" network, came {vocabulary_size}"
            )
        check_positive_integers(attention_units=1 if attention_units is None else attention_units)
        super().__init__(vocabulary_size, **kwargs)
        self.attention_units = attention_units
        self.pointer = None

    def tie(self, embedding):
        raise ValueError(_NO_TIE)

    def check(self, context):
        """Refuses a memory whose places are not the source's positions.

        Raises:
            ValueError: the encoder shortens the source.
        """
        if context["memory"]["source_index"] is not None:
            raise ValueError(
                "head: expected an encoder with a place for each source position for a pointer"
                " network, came one that shortens the source"
            )

    def build(self, outputs_shape, inputs_shape=None, attention_shape=None, context_shape=None):
        width, memory = outputs_shape[-1], context_shape["memory"]["values"][-1]
        if self.pointer is None:
            self.pointer = AdditiveAttention(self.attention_units or width, dtype="float32")
        if not self.pointer.built:
            self.pointer.build((None, None, width), None, (None, None, memory))

    def call(self, outputs, inputs, attention, context):
        copy_ids = context["source"].get("copy_ids")
        if copy_ids is None:
            raise ValueError("source: expected 'copy_ids' [B, S] for a head that copies, came none")
        self.check(context)
        values = tf.cast(context["memory"]["values"], tf.float32)  # [B, S, D_m]
        sizes, width = leading_shape(outputs, 2), outputs.shape[-1]
        flat = tf.reshape(tf.cast(outputs, tf.float32), [-1, width])
        memory = {"keys": self.pointer.project(values), "values": values}
        memory["mask"] = context["source"]["mask"]
        _, weights, _ = self.pointer.attend(flat, sizes, memory, {})  # [B, 1, N, S]
        size = self.vocabulary_size + tf.shape(copy_ids)[1]
        return tf.math.log(copy_distribution(weights[:, 0], copy_ids, size) + LOG_EPSILON)

    def prepare_search(self, multiple=1, tokens=None):
        refuse_tokens(self, tokens)
        return []  # there is no vocabulary

    def get_config(self):
        return {**super().get_config(), "attention_units": self.attention_units}


_NO_TIE = "tie: expected 'none' for a pointer network, which has no vocabulary"
