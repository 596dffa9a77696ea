"""The target of a pointer network: text cut as the source's, without a vocabulary."""

import tensorflow as tf

from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN, UNKNOWN_ID, Tokenizer

__all__ = ["Pointers"]


class Pointers(Tokenizer):
    """Cuts text as another tokenizer does, and knows none of its pieces.

    Every piece is `unknown`, and so a copy wherever the source holds it: an id is 4 + its first
    position there.

    Args:
        source: the tokenizer of the other side.
    """

    kind = "pointers"

    def __init__(self, source: Tokenizer):
        tf.Module.__init__(self)
        self.source, self.special_tokens = source, source.special_tokens
        self.vocabulary, self.size = RESERVED_TOKENS, len(RESERVED_TOKENS)
        self._strings = tf.constant(["", UNKNOWN, "", ""])

    def pieces(self, text, sample=False):
        return self.source.pieces(text, sample=sample)

    def detokenize(self, pieces):
        return self.source.detokenize(pieces)

    def is_word_start(self, pieces):
        return self.source.is_word_start(pieces)

    def ids(self, pieces):
        if isinstance(pieces, tf.RaggedTensor):
            return pieces.with_flat_values(self.ids(pieces.flat_values))
        return tf.fill(tf.shape(pieces), UNKNOWN_ID)

    def settings(self):
        return {"of": "source"}
