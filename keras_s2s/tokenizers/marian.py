"""Tokenizer of Marian models: SentencePiece splits the text, a separate vocabulary gives ids."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.tokenizers.base import UNKNOWN
from keras_s2s.tokenizers.sentencepiece import SentencePiece

__all__ = ["Marian"]

_TAG = "(?s)^>>.*?<<"


class Marian(SentencePiece):
    """The tokenizer of an OPUS-MT model, equal to Hugging Face's `MarianTokenizer`.

    Each side has a SentencePiece model, and both share one vocabulary with an order of its own. A
    token that the vocabulary lacks is unknown. A tag at the start of a text, such as `>>fra<<`, is
    one token, and the text behind it is tokenized separately. `detokenize` omits unknown tokens.

    Args:
        model: The serialized SentencePiece model of this side.
        vocabulary: The tokens of the ids 4, 5, ..., of both sides where they share them.

    Raises:
        ValueError: As `SentencePiece` and `Tokenizer`.
    """

    kind = "marian"

    def __init__(self, model: bytes, vocabulary: Sequence[str]):
        super().__init__(model, vocabulary=vocabulary)

    def tokenize(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        rest = tf.strings.regex_replace(text, _TAG, "", replace_global=False)
        length = tf.strings.length(text) - tf.strings.length(rest)
        tags = tf.strings.substr(text, tf.zeros_like(length), length)
        tags = tf.RaggedTensor.from_tensor(tf.expand_dims(tags, 1), tf.sign(length))  # [B, 0 or 1]
        return tf.concat([tags, self.tokenize_untagged(rest)], axis=1)

    def tokenize_untagged(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Splits texts [B] without a tag into tokens, ragged [B, None]."""
        return super().tokenize(text)

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        tokens = tf.where(tokens == UNKNOWN, "", tokens)
        return tf.strings.strip(super().detokenize(tokens))

    def settings(self) -> dict:
        return {"vocabulary": list(self.vocabulary[self.first :])}
