"""Sampling of segmentations from a unigram model with special tokens."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text as tf_text
from sentencepiece import sentencepiece_model_pb2 as messages

from keras_s2s.tokenizers import sentencepiece_model
from keras_s2s.tokenizers.special_tokens import special_token_pattern

__all__ = ["UnigramSampler"]

_FIRST, _LAST = 0x10F000, 0x10FFFD  # characters from a private-use area of Unicode
_PRIVATE = f"[{chr(_FIRST)}-{chr(_LAST)}]"


class UnigramSampler:
    """Draws the tokens of texts without splitting special tokens.

    When SentencePiece samples, it also draws the parts of user-defined pieces. The sampler
    therefore uses a copy of the model in which each special token is a single character.

    Args:
        proto: A unigram model.
        special_tokens: Pieces of the model that are never split.
        nbest: Number of best segmentations to draw from; -1 for all.
        alpha: The exponent of their probabilities.

    Raises:
        ValueError: There are more special tokens than private-use characters.
    """

    def __init__(
        self, proto: messages.ModelProto, special_tokens: Sequence[str], nbest: int, alpha: float
    ):
        limit = _LAST - _FIRST + 1
        if len(special_tokens) > limit:
            raise ValueError(f"special_tokens: expected at most {limit}, got {len(special_tokens)}")
        characters = list(map(chr, range(_FIRST, _FIRST + len(special_tokens))))
        names = dict(zip(special_tokens, characters, strict=True))
        model = sentencepiece_model.rename_pieces(proto, names)
        self._splitter = tf_text.SentencepieceTokenizer(
            model, out_type=tf.string, nbest_size=nbest, alpha=alpha
        )
        self._pattern = special_token_pattern(special_tokens)
        self._characters = _string_table(special_tokens, characters)
        self._names = _string_table(characters, special_tokens)

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Draws the tokens of texts [B]: strings, ragged [B, None]."""
        text = tf.strings.regex_replace(text, _PRIVATE, "\N{REPLACEMENT CHARACTER}")
        parts = tf_text.regex_split(text, self._pattern, keep_delim_regex_pattern=self._pattern)
        text = tf.strings.reduce_join(_replace(parts, self._characters), axis=-1)  # [B]
        return _replace(self._splitter.tokenize(text), self._names)


def _string_table(keys, values):
    initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(values))
    return tf.lookup.StaticHashTable(initializer, "")


def _replace(strings, table):
    """Ragged strings, with those that are keys of the table replaced by their values."""
    values = table.lookup(strings.values)
    return strings.with_values(tf.where(values == "", strings.values, values))
