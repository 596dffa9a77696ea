"""Tokenizers whose vocabulary is a plain list: Unicode characters and white-space tokens."""

import tensorflow as tf

from keras_s2s.tokenizers.base import RESERVED_TOKENS, Tokenizer

__all__ = ["Characters", "Whitespace", "Words"]


class _Listed(Tokenizer):
    """A tokenizer that its vocabulary says all about; its file has one piece a line."""

    def __init__(self, vocabulary, special_tokens=()):
        for place, piece in enumerate(vocabulary, 1):
            if "\n" in piece:
                expected = "expected pieces without a line feed"
                raise ValueError(f"vocabulary: {expected}, came {piece!r} as piece {place}")
        super().__init__(vocabulary, special_tokens)

    def model_file(self):
        lines = "".join(f"{piece}\n" for piece in self.vocabulary[len(RESERVED_TOKENS) :])
        return "vocab", lines.encode()


class Characters(_Listed):
    """Unicode code points, the space included; joined without anything between them.

    A line feed is always `unknown`, for the vocabulary is a file of lines.
    `detokenize(pieces(text))` is the text itself, but for broken UTF-8: each broken byte sequence
    becomes U+FFFD.
    """

    kind = "characters"

    def split_text(self, text):
        return tf.strings.unicode_split(text, "UTF-8", errors="replace")  # [B, None]

    def is_word_start(self, pieces):
        return tf.equal(pieces, " ")

    def detokenize(self, pieces):
        return tf.strings.reduce_join(pieces, axis=-1)


class Whitespace(_Listed):
    """Tokens between runs of ASCII white space; joined by one space.

    `detokenize(pieces(text))` is the text with its white space squeezed; broken UTF-8 becomes
    U+FFFD. Other spaces of Unicode, such as U+00A0, are part of a token.
    """

    kind = "whitespace"

    def split_text(self, text):
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        return tf.strings.split(text)  # [B, None]

    def detokenize(self, pieces):
        spaced = tf.where(pieces == "", "", " " + pieces)
        return tf.strings.strip(tf.strings.reduce_join(spaced, axis=-1))


class Words(Whitespace):
    """`Whitespace` with a vocabulary that the user gives."""

    kind = "words"
