"""Drawing from a unigram model that has special tokens."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.tokenizers import sentencepiece_model
from keras_s2s.tokenizers.special_tokens import special_token_pattern

__all__ = ["UnigramSampler"]

_FIRST, _LAST = 0x10F000, 0x10FFFD  # of the characters that Unicode leaves to private use
_PRIVATE = f"[{chr(_FIRST)}-{chr(_LAST)}]"


class UnigramSampler:
    """Draws pieces of texts, special tokens whole.

    SentencePiece prefers such tokens to their parts, but draws the parts too. So this one draws
    from a copy of the model in which each token is a single character, which has no parts.

    Args:
        proto: a unigram model.
        special_tokens: its pieces that are never cut.
        nbest: among how many cuttings it draws; -1: among all.
        alpha: the exponent of their probabilities.

    Raises:
        ValueError: more special tokens than there are characters to stand for them.
    """

    def __init__(self, proto, special_tokens: Sequence[str], nbest: int, alpha: float):
        most = _LAST - _FIRST + 1
        if len(special_tokens) > most:
            raise ValueError(f"special_tokens: expected at most {most}, came {len(special_tokens)}")
        characters = list(map(chr, range(_FIRST, _FIRST + len(special_tokens))))
        model = sentencepiece_model.rename_pieces(
            proto, dict(zip(special_tokens, characters, strict=True))
        )
        self._splitter = tf_text.SentencepieceTokenizer(
            model, out_type=tf.string, nbest_size=nbest, alpha=alpha
        )
        self._tokens = special_token_pattern(special_tokens)
        self._characters = _table(special_tokens, characters)
        self._names = _table(characters, special_tokens)

    def __call__(self, text):
        """Text [B] -> the strings of drawn pieces, ragged [B, None]."""
        text = tf.strings.regex_replace(text, _PRIVATE, "\N{REPLACEMENT CHARACTER}")
        parts = tf_text.regex_split(text, self._tokens, keep_delim_regex_pattern=self._tokens)
        text = tf.strings.reduce_join(_replaced(parts, self._characters), axis=-1)  # [B]
        return _replaced(self._splitter.tokenize(text), self._names)


def _table(keys, values):
    initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(values))
    return tf.lookup.StaticHashTable(initializer, "")


def _replaced(strings, table):
    """Ragged strings, those that the table knows replaced."""
    found = table.lookup(strings.values)
    return strings.with_values(tf.where(found == "", strings.values, found))
