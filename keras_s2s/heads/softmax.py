"""The softmax head."""

import keras

from keras_s2s.heads.base import Head


@keras.saving.register_keras_serializable("keras_s2s")
class SoftmaxHead(Head):
    """One dense layer onto the vocabulary: logits = W o + b.

    Args:
        vocabulary_size: number of target tokens V.
        tied: weights come from an embedding's table, given by `tie`, and only the bias is here.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs, attention, context: not read.

    Output:
        float32 logits [B, N, V].

    Raises:
        ValueError: when tied to an embedding of another size, or called before `tie`.
    """

    def build(self, outputs_shape, *args, **kwargs):
        self._build_vocabulary(outputs_shape[-1])

    def call(self, outputs, inputs=None, attention=None, context=None):
        return self._vocabulary_logits(outputs)
