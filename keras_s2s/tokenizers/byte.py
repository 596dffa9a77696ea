"""Byte tokenizer: a vocabulary of 256 tokens for every language and every character."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN_ID, Tokenizer

__all__ = ["BYTE_NAMES", "Bytes"]

BYTE_NAMES = tuple(f"<0x{byte:02X}>" for byte in range(256))  # the spelling of SentencePiece
_TOKENS = tuple(chr(b) if 0x20 <= b < 0x7F else name for b, name in enumerate(BYTE_NAMES))
_BYTES = tuple(bytes([byte]) for byte in range(256))


class Bytes(Tokenizer):
    """The bytes of UTF-8 (as in ByT5, Xue et al. 2022, arXiv 2105.13626).

    A token is written as its ASCII character or else as `<0x0A>`, so that lists of tokens are
    text. `detokenize(tokenize(text))` is the text itself, and so is the text of its ids. Invalid
    UTF-8, in a text or in the output of a model, becomes U+FFFD.

    Args:
        special_tokens: Texts that are never split; they have the ids 4, 5, ..., before the bytes.

    Raises:
        ValueError: A special token is the name of a byte.

    Example:

    >>> from keras_s2s.tokenizers import Bytes
    >>> [token.decode() for token in Bytes().tokenize(["é!"]).to_list()[0]]
    ['<0xC3>', '<0xA9>', '!']
    """

    kind = "bytes"

    def __init__(self, special_tokens: Sequence[str] = ()):
        super().__init__([*special_tokens, *_TOKENS], special_tokens)
        self._names = tf.constant(_TOKENS)
        others = [token.encode() for token in (*RESERVED_TOKENS, *special_tokens)]
        self._raw = tf.constant([*others, *_BYTES], tf.string)

    def split_text(self, text: tf.Tensor) -> tf.RaggedTensor:
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        single = tf.strings.bytes_split(text)  # [B, None]
        numbers = tf.io.decode_raw(single.values, tf.uint8, fixed_length=1)  # [N, 1]
        numbers = tf.cast(tf.reshape(numbers, [-1]), tf.int32)
        return single.with_values(tf.gather(self._names, numbers))

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        return tf.equal(tokens, " ")

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        ids = self.ids(tokens)
        raw = tf.where(ids == UNKNOWN_ID, tokens, tf.gather(self._raw, ids))
        text = tf.strings.reduce_join(raw, axis=-1)
        return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
