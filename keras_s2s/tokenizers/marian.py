"""Marian's models: SentencePiece cuts the text, a vocabulary of its own numbers the pieces."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.tokenizers.base import UNKNOWN
from keras_s2s.tokenizers.sentencepiece import SentencePiece

__all__ = ["Marian"]

_TAG = "(?s)^>>.*?<<"


class Marian(SentencePiece):
    """The tokenizer of an OPUS-MT model: pieces as Hugging Face's `MarianTokenizer` cuts them.

    Each side has a SentencePiece model, and both have one vocabulary, in the order of its own: a
    piece that the vocabulary lacks is unknown. A tag at the start of a text, such as `>>fra<<`,
    is one piece, and what follows it a text of its own. `detokenize` leaves out unknown pieces.

    Args:
        model: the serialised SentencePiece model of this side.
        vocabulary: the pieces of the ids 4, 5, ..., of both sides where they share them.

    Raises:
        ValueError: as for `SentencePiece` and `Tokenizer`.
    """

    kind = "marian"

    def __init__(self, model: bytes, vocabulary: Sequence[str]):
        super().__init__(model, vocabulary=vocabulary)

    def pieces(self, text, sample=False):
        rest = tf.strings.regex_replace(text, _TAG, "", replace_global=False)
        length = tf.strings.length(text) - tf.strings.length(rest)
        tags = tf.strings.substr(text, tf.zeros_like(length), length)
        tags = tf.RaggedTensor.from_tensor(tf.expand_dims(tags, 1), tf.sign(length))  # [B, 0 or 1]
        return tf.concat([tags, self.cut_rest(rest)], axis=1)

    def cut_rest(self, text):
        """Text [B] without a tag -> its pieces, ragged [B, None]."""
        return super().pieces(text)

    def detokenize(self, pieces):
        known = tf.where(pieces == UNKNOWN, "", pieces)
        return tf.strings.strip(super().detokenize(known))

    def settings(self):
        return {"vocabulary": list(self.vocabulary[self.first :])}
