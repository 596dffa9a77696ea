"""Tokenizers with a plain list as vocabulary: Unicode characters and white-space tokens."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.tokenizers.base import RESERVED_TOKENS, Tokenizer

__all__ = ["Characters", "Whitespace", "Words"]


class _ListTokenizer(Tokenizer):
    """Base class of tokenizers that are defined by their vocabulary, a file of lines."""

    def __init__(self, vocabulary: Sequence[str], special_tokens: Sequence[str] = ()):
        for number, token in enumerate(vocabulary, 1):
            if "\n" in token:
                expected = "expected tokens without a line feed"
                raise ValueError(f"vocabulary: {expected}, got {token!r} as token {number}")
        super().__init__(vocabulary, special_tokens)

    def model_file(self) -> tuple[str, bytes] | None:
        lines = "".join(f"{token}\n" for token in self.vocabulary[len(RESERVED_TOKENS) :])
        return "vocab", lines.encode()


class Characters(_ListTokenizer):
    """Unicode code points, the space included; joined without a separator.

    A line feed is always `unknown`, because the vocabulary is saved as a file of lines.
    `detokenize(tokenize(text))` is the text itself, except that each invalid byte sequence becomes
    U+FFFD.

    Args:
        vocabulary: The tokens of the ids 4, 5, ...
        special_tokens: Tokens of `vocabulary` that are never split.

    Example:

    >>> from keras_s2s.tokenizers import Characters
    >>> Characters(["a", " "]).tokenize(["a b"]).to_list()
    [[b'a', b' ', b'b']]
    """

    kind = "characters"

    def split_text(self, text: tf.Tensor) -> tf.RaggedTensor:
        return tf.strings.unicode_split(text, "UTF-8", errors="replace")  # [B, None]

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        return tf.equal(tokens, " ")

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        return tf.strings.reduce_join(tokens, axis=-1)


class Whitespace(_ListTokenizer):
    """Tokens between runs of ASCII white space; joined by one space.

    `detokenize(tokenize(text))` is the text with its white space collapsed; invalid UTF-8 becomes
    U+FFFD. Other spaces of Unicode, such as U+00A0, are part of a token.

    Args:
        vocabulary: The tokens of the ids 4, 5, ...
        special_tokens: Tokens of `vocabulary` that are never split.

    Example:

    >>> from keras_s2s.tokenizers import Whitespace
    >>> words = Whitespace(["a", "b"])
    >>> words.ids(words.tokenize(["b  a", "c"])).to_list()
    [[5, 4], [1]]
    """

    kind = "whitespace"

    def split_text(self, text: tf.Tensor) -> tf.RaggedTensor:
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        return tf.strings.split(text)  # [B, None]

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        spaced = tf.where(tokens == "", "", " " + tokens)
        return tf.strings.strip(tf.strings.reduce_join(spaced, axis=-1))


class Words(Whitespace):
    """`Whitespace` with a vocabulary that the user provides."""

    kind = "words"
