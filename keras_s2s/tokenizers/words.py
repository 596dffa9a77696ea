"""Tokenizers whose vocabulary is a plain list: Unicode characters and white-space tokens."""

import tensorflow as tf

from keras_s2s.tokenizers.base import Tokenizer

__all__ = ["Characters", "Whitespace"]


class Characters(Tokenizer):
    """Unicode code points, the space included; joined without anything between them.

    `detokenize(pieces(text))` is the text itself, but for broken UTF-8: each broken byte sequence
    becomes U+FFFD.
    """

    kind = "characters"

    def pieces(self, text):
        return tf.strings.unicode_split(text, "UTF-8", errors="replace")  # [B, None]

    def detokenize(self, pieces):
        return tf.strings.reduce_join(pieces, axis=-1)


class Whitespace(Tokenizer):
    """Tokens between runs of ASCII white space; joined by one space.

    `detokenize(pieces(text))` is the text with its white space squeezed; broken UTF-8 becomes
    U+FFFD. Other spaces of Unicode, such as U+00A0, are part of a token.
    """

    kind = "whitespace"

    def pieces(self, text):
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        return tf.strings.split(text)  # [B, None]

    def detokenize(self, pieces):
        spaced = tf.where(pieces == "", "", " " + pieces)
        return tf.strings.strip(tf.strings.reduce_join(spaced, axis=-1))
