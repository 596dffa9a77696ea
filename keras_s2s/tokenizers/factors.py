"""Tokens that carry factors, such as `word￨POS`: one id for all of them, in mixed radix."""

import math
from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.config import FactorSizes
from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN, UNKNOWN_ID, Tokenizer
from keras_s2s.tokenizers.parts import save_parts
from keras_s2s.tokenizers.words import Whitespace

__all__ = ["Factors"]

_MOST = 2**31 - 1  # what an id may be


class Factors(Whitespace):
    """White-space tokens of which each is a word and its factors, for a source.

    A piece is a token as it is written. Its id is id_0 + V_0 * (id_1 + V_1 * (id_2 + ...)), so that
    all that carries ids carries factors; `FactoredEmbedding` takes it apart. Pad and end have
    the factors pad. A factor that a token lacks is `unknown`; what stands behind its last one is
    not read.

    Args:
        parts: a tokenizer of whole tokens for the word and for each factor.
        separator: what stands between them.

    Attributes:
        size: the product of the parts' sizes.
        vocabulary: the special pieces, and tokens that hold every piece of every part.

    Raises:
        ValueError: fewer than two parts, or more ids than int32 holds.
    """

    kind = "factors"

    def __init__(self, parts: Sequence[Tokenizer], separator: str):
        tf.Module.__init__(self)
        if len(parts) < 2:
            raise ValueError(f"parts: expected at least two, came {len(parts)}")
        self.parts, self.separator, self.special_tokens = list(parts), separator, ()
        sizes = [part.size for part in parts]
        self.size = math.prod(sizes)
        if self.size > _MOST:
            shown = " x ".join(map(str, sizes))
            raise ValueError(f"size: expected at most {_MOST} ids, the product, came {shown}")
        self.vocabulary = (*RESERVED_TOKENS, *self._written())

    def _written(self):
        own = [part.vocabulary[len(RESERVED_TOKENS) :] for part in self.parts]
        for place in range(max(map(len, own))):
            yield self.separator.join(pieces[place % len(pieces)] for pieces in own)

    @property
    def input_size(self):
        return FactorSizes(tuple(part.size for part in self.parts))

    def _apart(self, pieces):
        """Strings [N] -> [N, F], "" where a factor is missing."""
        rows = tf.strings.split(pieces, self.separator)
        return rows.to_tensor("", shape=[None, len(self.parts)])

    def surface_forms(self, pieces):
        """The words alone."""
        if isinstance(pieces, tf.RaggedTensor):
            return pieces.with_flat_values(self.surface_forms(pieces.flat_values))
        words = self._apart(tf.reshape(pieces, [-1]))[:, 0]
        return tf.reshape(words, tf.shape(pieces))

    def ids(self, pieces):
        if isinstance(pieces, tf.RaggedTensor):
            return pieces.with_flat_values(self.ids(pieces.flat_values))
        columns = tf.unstack(self._apart(tf.reshape(pieces, [-1])), num=len(self.parts), axis=1)
        found = tf.zeros_like(columns[0], tf.int32)
        for part, column in reversed(list(zip(self.parts, columns, strict=True))):
            found = found * part.size + part.ids(column)
        return tf.reshape(found, tf.shape(pieces))

    def strings(self, ids):
        known = (ids >= 0) & (ids < self.size)
        rest = tf.where(known, ids, UNKNOWN_ID)
        word = shown = self.parts[0].strings(rest % self.parts[0].size)
        for before, part in zip(self.parts, self.parts[1:]):
            rest //= before.size
            shown = tf.strings.join([shown, part.strings(rest % part.size)], self.separator)
        shown = tf.where(tf.equal(word, ""), "", shown)
        return tf.where(known, shown, UNKNOWN)

    def model_file(self):
        return None

    def save(self, directory, name: str):
        save_parts(self, directory, name)

    def settings(self):
        return {"parts": len(self.parts), "separator": self.separator}
