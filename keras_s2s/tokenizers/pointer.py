"""Target tokenizer of a pointer network: the source's tokens, without a vocabulary."""

import tensorflow as tf

from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN, UNKNOWN_ID, Tokenizer

__all__ = ["Pointers"]


class Pointers(Tokenizer):
    """Splits text as the source's tokenizer does, and has no token in its vocabulary.

    Every token is `unknown`, and therefore a copy where the source holds it: its id is 4 + its
    first position in the source.

    Args:
        source: The tokenizer of the source.

    Example:

    >>> from keras_s2s.tokenizers import Pointers, Whitespace
    >>> Pointers(Whitespace(["a"])).size
    4
    """

    kind = "pointers"

    def __init__(self, source: Tokenizer):
        tf.Module.__init__(self)
        self.source, self.special_tokens = source, source.special_tokens
        self.vocabulary, self.size = RESERVED_TOKENS, len(RESERVED_TOKENS)
        self._strings = tf.constant(["", UNKNOWN, "", ""])

    def tokenize(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        return self.source.tokenize(text, sample=sample)

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        return self.source.detokenize(tokens)

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        return self.source.is_word_start(tokens)

    def ids(self, tokens: tf.Tensor) -> tf.Tensor:
        if isinstance(tokens, tf.RaggedTensor):
            return tokens.with_flat_values(self.ids(tokens.flat_values))
        return tf.fill(tf.shape(tokens), UNKNOWN_ID)

    def settings(self) -> dict:
        return {"of": "source"}
