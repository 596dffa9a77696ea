"""Tokens with factors, such as `word￨POS`: one mixed-radix id for all factors of a token."""

import math
from collections.abc import Iterator, Sequence

import tensorflow as tf

from keras_s2s.config import FactorSizes
from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN, UNKNOWN_ID, Tokenizer
from keras_s2s.tokenizers.words import Whitespace

__all__ = ["Factors"]

_MAX_SIZE = 2**31 - 1  # of int32


class Factors(Whitespace):
    """White-space tokens that consist of a word and its factors, for a source.

    A token's id is id_0 + V_0 * (id_1 + V_1 * (id_2 + ...)), so that everything that handles ids
    handles factors; `FactoredEmbedding` takes the id apart. Pad and end have the factor ids of pad.
    A factor that a token lacks is `unknown`; text behind its last factor is ignored.

    Args:
        parts: Tokenizers of whole tokens, one for the word and one for each factor.
        separator: The separator between the factors of a token.

    Attributes:
        size: The product of the sizes of the parts.
        vocabulary: The reserved tokens, and tokens that contain every token of every part.

    Raises:
        ValueError: There are fewer than two parts, or more ids than int32 holds.

    Example:

    >>> from keras_s2s.tokenizers import Factors, Whitespace
    >>> tokenizer = Factors([Whitespace(["run"]), Whitespace(["NOUN", "VERB"])], "|")
    >>> tokenizer.ids(tokenizer.tokenize(["run|VERB"])).to_list()  # 4 + 5 * 5
    [[29]]
    """

    kind = "factors"

    def __init__(self, parts: Sequence[Tokenizer], separator: str):
        tf.Module.__init__(self)
        if len(parts) < 2:
            raise ValueError(f"parts: expected at least two, got {len(parts)}")
        self.parts, self.separator, self.special_tokens = list(parts), separator, ()
        sizes = [part.size for part in parts]
        self.size = math.prod(sizes)
        if self.size > _MAX_SIZE:
            shown = " x ".join(map(str, sizes))
            raise ValueError(f"size: expected at most {_MAX_SIZE} ids, the product, got {shown}")
        self.vocabulary = (*RESERVED_TOKENS, *self._sample_tokens())

    def _sample_tokens(self) -> Iterator[str]:
        """Tokens that together contain every token of every part."""
        columns = [part.vocabulary[len(RESERVED_TOKENS) :] for part in self.parts]
        for row in range(max(map(len, columns))):
            yield self.separator.join(column[row % len(column)] for column in columns)

    @property
    def input_size(self) -> FactorSizes:
        return FactorSizes(tuple(part.size for part in self.parts))

    def _split_factors(self, tokens):
        """Strings [N] -> [N, F], "" where a factor is missing."""
        rows = tf.strings.split(tokens, self.separator)
        return rows.to_tensor("", shape=[None, len(self.parts)])

    def surface_forms(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the words without their factors."""
        if isinstance(tokens, tf.RaggedTensor):
            return tokens.with_flat_values(self.surface_forms(tokens.flat_values))
        words = self._split_factors(tf.reshape(tokens, [-1]))[:, 0]
        return tf.reshape(words, tf.shape(tokens))

    def ids(self, tokens: tf.Tensor) -> tf.Tensor:
        if isinstance(tokens, tf.RaggedTensor):
            return tokens.with_flat_values(self.ids(tokens.flat_values))
        factors = self._split_factors(tf.reshape(tokens, [-1]))
        columns = tf.unstack(factors, num=len(self.parts), axis=1)
        ids = tf.zeros_like(columns[0], tf.int32)
        for part, column in reversed(list(zip(self.parts, columns, strict=True))):
            ids = ids * part.size + part.ids(column)
        return tf.reshape(ids, tf.shape(tokens))

    def strings(self, ids: tf.Tensor) -> tf.Tensor:
        valid = (ids >= 0) & (ids < self.size)
        rest = tf.where(valid, ids, UNKNOWN_ID)
        word = tokens = self.parts[0].strings(rest % self.parts[0].size)
        for previous, part in zip(self.parts, self.parts[1:]):
            rest //= previous.size
            tokens = tf.strings.join([tokens, part.strings(rest % part.size)], self.separator)
        tokens = tf.where(tf.equal(word, ""), "", tokens)
        return tf.where(valid, tokens, UNKNOWN)

    def model_file(self) -> None:
        return None

    def settings(self) -> dict:
        return {"parts": len(self.parts), "separator": self.separator}
