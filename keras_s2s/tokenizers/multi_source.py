"""Several sources in one text, set apart by a separator: each read by its own tokenizer."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.config import MultiSourceSize
from keras_s2s.tokenizers.base import RESERVED_TOKENS, Tokenizer
from keras_s2s.tokenizers.parts import save_parts

__all__ = ["Sources"]

_MARK = "\t"  # in no piece of a part; as a piece of its own it ends a part


class Sources(Tokenizer):
    """The sources of a row one after the other, a separator's id at the end of all but the last.

    Where each source has its own tokenizer, pieces of the second begin with one tab, of the third
    with two, and so on, which `surface` takes off; where all share one, pieces are as it cuts them.

    Args:
        parts: a tokenizer for each source, or one for all.
        separator: what stands between sources in a text.
        count: number of sources, at least two.

    Raises:
        ValueError: fewer than two sources, or as many tokenizers as there are not sources.
    """

    kind = "sources"

    def __init__(self, parts: Sequence[Tokenizer], separator: str, count: int):
        if count < 2 or len(parts) not in (1, count):
            expected = "expected two sources or more, and a tokenizer for each or one for all"
            raise ValueError(f"parts: {expected}, came {len(parts)} for {count}")
        marked = [
            _MARK * number + piece
            for number, part in enumerate(parts)
            for piece in part.vocabulary[len(RESERVED_TOKENS) :]
        ]
        super().__init__([_MARK, *marked])
        self.parts, self.separator, self.count = list(parts), separator, count

    @property
    def input_size(self):
        return MultiSourceSize(self.size, self.count)

    @property
    def _shared(self):
        return len(self.parts) == 1

    def _columns(self, text):
        """Texts [B] -> ragged [B, None], one column a source."""
        if self.separator != _MARK:
            text = tf.strings.regex_replace(text, _MARK, " ")
        return tf.strings.split(text, self.separator)

    def pieces(self, text, sample=False):
        columns = self._columns(text).to_tensor("", shape=[None, self.count])
        end = tf.RaggedTensor.from_tensor(tf.fill([tf.shape(text)[0], 1], _MARK))
        found = []
        for number in range(self.count):
            part = self.parts[0 if self._shared else number]
            cut = part.pieces(columns[:, number], sample=sample)
            mark = "" if self._shared else _MARK * number
            found += [cut.with_values(tf.strings.join([mark, cut.values])), end]
        return tf.concat(found[:-1], 1)

    def input_errors(self, text):
        count = tf.cast(self._columns(text).row_lengths(), tf.int32)
        name = "tabs" if self.separator == _MARK else repr(self.separator)
        said = f"text: expected {self.count} parts set apart by {name}, came "
        yield count != self.count, lambda: tf.strings.join([said, tf.strings.as_string(count)])

    def surface_forms(self, pieces):
        """The pieces as their own tokenizers know them; "" for the end of a source."""
        if isinstance(pieces, tf.RaggedTensor):
            return pieces.with_flat_values(self.surface_forms(pieces.flat_values))
        return tf.strings.regex_replace(pieces, f"^{_MARK}+", "")

    def is_word_start(self, pieces):
        shown, level = self.surface_forms(pieces), self._level(pieces)
        found = tf.zeros_like(pieces, tf.bool)
        for number, part in enumerate(self.parts):
            # Where spaces are pieces, a source's end stands for the space before a word.
            ends = (
                tf.equal(shown, "")
                & part.is_word_start(tf.constant(" "))
                & ~part.is_word_start(tf.constant("a"))
            )
            found |= tf.equal(level, number) & (
                part.is_word_start(shown) & tf.not_equal(shown, "") | ends
            )
        return found

    def _level(self, pieces):
        """The number of the tokenizer that each piece is of."""
        if self._shared:
            return tf.zeros_like(pieces, tf.int32)
        return tf.strings.length(pieces) - tf.strings.length(self.surface_forms(pieces))

    def detokenize(self, pieces):
        """As `Tokenizer.detokenize`, the separator between the sources."""
        shown, part_of = self.surface_forms(pieces), self._level(pieces)
        if self._shared:
            part_of = tf.cumsum(tf.cast(tf.equal(pieces, _MARK), tf.int32), axis=-1)
        texts = [
            self.parts[0 if self._shared else number].detokenize(
                tf.where(tf.equal(part_of, number), shown, "")
            )
            for number in range(self.count)
        ]
        return tf.strings.join(texts, self.separator)

    def save(self, directory, name: str):
        save_parts(self, directory, name)

    def settings(self):
        return {"parts": len(self.parts), "separator": self.separator, "count": self.count}
