"""Bytes as pieces: a vocabulary of 256 for every language and every character."""

import tensorflow as tf

from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN_ID, Tokenizer

__all__ = ["BYTE_NAMES", "Bytes"]

BYTE_NAMES = tuple(f"<0x{byte:02X}>" for byte in range(256))  # as SentencePiece writes them
_NAMES = tuple(chr(b) if 0x20 <= b < 0x7F else name for b, name in enumerate(BYTE_NAMES))
_BYTES = tuple(bytes([byte]) for byte in range(256))


class Bytes(Tokenizer):
    """The bytes of UTF-8 (as in ByT5, Xue et al. 2022, arXiv 2105.13626).

    A piece is written as its ASCII character or else as `<0x0A>`, so that lists of pieces are
    text. `detokenize(pieces(text))` is the text itself, and so is what comes back from its ids,
    but for broken UTF-8: in a text or in what a model writes, it becomes U+FFFD.

    Args:
        special_tokens: texts that are never cut; they have the ids 4, 5, ..., the bytes follow.

    Raises:
        ValueError: a special token is the name of a byte.
    """

    kind = "bytes"

    def __init__(self, special_tokens=()):
        super().__init__([*special_tokens, *_NAMES], special_tokens)
        self._names = tf.constant(_NAMES)
        whole = [text.encode() for text in (*RESERVED_TOKENS, *special_tokens)]
        self._raw = tf.constant([*whole, *_BYTES], tf.string)

    def split_text(self, text):
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        single = tf.strings.bytes_split(text)  # [B, None]
        numbers = tf.io.decode_raw(single.values, tf.uint8, fixed_length=1)  # [N, 1]
        numbers = tf.cast(tf.reshape(numbers, [-1]), tf.int32)
        return single.with_values(tf.gather(self._names, numbers))

    def is_word_start(self, pieces):
        return tf.equal(pieces, " ")

    def detokenize(self, pieces):
        ids = self.ids(pieces)
        raw = tf.where(ids == UNKNOWN_ID, pieces, tf.gather(self._raw, ids))
        joined = tf.strings.reduce_join(raw, axis=-1)
        return tf.strings.unicode_transcode(joined, "UTF-8", "UTF-8", errors="replace")
