"""WordPiece in the graph."""

import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.tokenizers.words import Whitespace

__all__ = ["CONTINUATION", "WordPiece"]

CONTINUATION = "##"  # begins a piece that does not begin a word
_INSIDE = " "  # what the op reads instead: no word begins with white space, many with ##
_LONGEST_WORD = 1 << 20  # bytes; the op takes a longer word for unknown


class WordPiece(Whitespace):
    """Words, cut into the longest pieces of the vocabulary from the left (Schuster and Nakajima
    2012; Wu et al. 2016, arXiv 1609.08144).

    A word is what stands between runs of ASCII white space, punctuation included. Case and accents
    stay as they are. A character that no piece holds is a piece of its own, `unknown`, and the
    rest of its word is not lost. `detokenize(pieces(text))` is the text with its white space
    squeezed; broken UTF-8 becomes U+FFFD.

    Args:
        vocabulary: pieces; those that do not begin a word begin with `##`.
        special_tokens: those of `vocabulary` that are found before words are.
    """

    kind = "wordpiece"

    def __init__(self, vocabulary, special_tokens=()):
        super().__init__(vocabulary, special_tokens)
        keys = [
            _INSIDE + piece.removeprefix(CONTINUATION) if piece.startswith(CONTINUATION) else piece
            for piece in vocabulary
            if piece not in self.special_tokens
        ]
        initializer = tf.lookup.KeyValueTensorInitializer(
            tf.constant(keys, tf.string, shape=[len(keys)]), tf.range(len(keys), dtype=tf.int64)
        )
        self._pieces = tf.lookup.StaticHashTable(initializer, -1)
        self._splitter = tf_text.WordpieceTokenizer(
            self._pieces,
            suffix_indicator=_INSIDE,
            max_bytes_per_word=_LONGEST_WORD,
            max_chars_per_token=max(map(len, keys), default=1),
            token_out_type=tf.string,
            unknown_token=None,  # the piece stays what it is, so that it can be copied
            split_unknown_characters=True,
        )

    def split_text(self, text):
        words = super().split_text(text)  # [B, None]
        pieces = self._splitter.tokenize(words).merge_dims(1, 2)  # [B, None]
        return pieces.with_values(
            tf.strings.regex_replace(pieces.values, f"^{_INSIDE}", CONTINUATION)
        )

    def is_word_start(self, pieces):
        return ~tf.strings.regex_full_match(pieces, f"{CONTINUATION}(?s:.*)")

    def detokenize(self, pieces):
        pieces = tf.where(pieces == "", "", " " + pieces)
        pieces = tf.strings.regex_replace(pieces, f"^ {CONTINUATION}", "")
        return tf.strings.strip(tf.strings.reduce_join(pieces, axis=-1))
