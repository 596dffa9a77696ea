"""WordPiece tokenizer in the graph."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.tokenizers.words import Whitespace

__all__ = ["CONTINUATION", "WordPiece"]

CONTINUATION = "##"  # the prefix of a token that does not start a word
_OP_CONTINUATION = " "  # the prefix for the op: no word starts with a space, but some with ##
_MAX_WORD_BYTES = 1 << 20  # the op returns a longer word as unknown


class WordPiece(Whitespace):
    """Words, split into the longest tokens of the vocabulary from the left (Schuster and Nakajima
    2012; Wu et al. 2016, arXiv 1609.08144).

    Words are separated by ASCII white space and include punctuation. Case and accents stay as they
    are. A character in no token of the vocabulary is a token of its own, `unknown`; the rest of its
    word is split as usual. `detokenize(tokenize(text))` is the text with its white space collapsed;
    invalid UTF-8 becomes U+FFFD.

    Args:
        vocabulary: Tokens; those that do not start a word start with `##`.
        special_tokens: Tokens of `vocabulary` that are split off before words.

    Example:

    >>> from keras_s2s.tokenizers import WordPiece
    >>> WordPiece(["un", "##able"]).tokenize(["unable"]).to_list()
    [[b'un', b'##able']]
    """

    kind = "wordpiece"

    def __init__(self, vocabulary: Sequence[str], special_tokens: Sequence[str] = ()):
        super().__init__(vocabulary, special_tokens)
        keys = [
            _OP_CONTINUATION + token.removeprefix(CONTINUATION)
            if token.startswith(CONTINUATION)
            else token
            for token in vocabulary
            if token not in self.special_tokens
        ]
        initializer = tf.lookup.KeyValueTensorInitializer(
            tf.constant(keys, tf.string, shape=[len(keys)]), tf.range(len(keys), dtype=tf.int64)
        )
        self._pieces = tf.lookup.StaticHashTable(initializer, -1)
        self._splitter = tf_text.WordpieceTokenizer(
            self._pieces,
            suffix_indicator=_OP_CONTINUATION,
            max_bytes_per_word=_MAX_WORD_BYTES,
            max_chars_per_token=max(map(len, keys), default=1),
            token_out_type=tf.string,
            unknown_token=None,  # an unknown token keeps its string, so that it can be copied
            split_unknown_characters=True,
        )

    def split_text(self, text: tf.Tensor) -> tf.RaggedTensor:
        words = super().split_text(text)  # [B, None]
        tokens = self._splitter.tokenize(words).merge_dims(1, 2)  # [B, None]
        prefix = f"^{_OP_CONTINUATION}"
        return tokens.with_values(tf.strings.regex_replace(tokens.values, prefix, CONTINUATION))

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        return ~tf.strings.regex_full_match(tokens, f"{CONTINUATION}(?s:.*)")

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        tokens = tf.where(tokens == "", "", " " + tokens)
        tokens = tf.strings.regex_replace(tokens, f"^ {CONTINUATION}", "")
        return tf.strings.strip(tf.strings.reduce_join(tokens, axis=-1))
