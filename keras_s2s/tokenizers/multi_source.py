"""Several sources in one text, split at a separator and tokenized separately."""

from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from keras_s2s.config import PartedSize
from keras_s2s.tokenizers.base import RESERVED_TOKENS, Tokenizer

__all__ = ["Sources"]

_TAB = "\t"  # in no token of a part; as a token of its own it ends a source


class Sources(Tokenizer):
    """The concatenated sources of a row, with a separator token at the end of all but the last.

    Where each source has its own tokenizer, the tokens of the second source start with one tab,
    those of the third with two, and so on; `surface_forms` removes the tabs. Where all sources
    share one tokenizer, the tokens have no tabs.

    Args:
        parts: A tokenizer for each source, or one for all.
        separator: The separator between the sources of a text.
        count: The number of sources, at least two.

    Raises:
        ValueError: There are fewer than two sources, or the number of tokenizers is neither 1 nor
            the number of sources.

    Example:

    >>> from keras_s2s.tokenizers import Sources, Whitespace
    >>> tokenizer = Sources([Whitespace(["a", "b"])], " ||| ", 2)
    >>> tokenizer.ids(tokenizer.tokenize(["a ||| b"])).to_list()
    [[5, 4, 6]]
    """

    kind = "sources"

    def __init__(self, parts: Sequence[Tokenizer], separator: str, count: int):
        if count < 2 or len(parts) not in (1, count):
            expected = "expected two sources or more, and a tokenizer for each or one for all"
            raise ValueError(f"parts: {expected}, got {len(parts)} for {count}")
        tokens = [
            _TAB * number + token
            for number, part in enumerate(parts)
            for token in part.vocabulary[len(RESERVED_TOKENS) :]
        ]
        super().__init__([_TAB, *tokens])
        self.parts, self.separator, self.count = list(parts), separator, count

    @property
    def input_size(self) -> PartedSize:
        return PartedSize(self.size, self.count)

    @property
    def _shared(self):
        return len(self.parts) == 1

    def _split_sources(self, text):
        """Texts [B] -> ragged [B, None], one column per source."""
        if self.separator != _TAB:
            text = tf.strings.regex_replace(text, _TAB, " ")
        return tf.strings.split(text, self.separator)

    def tokenize(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        columns = self._split_sources(text).to_tensor("", shape=[None, self.count])
        end = tf.RaggedTensor.from_tensor(tf.fill([tf.shape(text)[0], 1], _TAB))
        sources = []
        for number in range(self.count):
            part = self.parts[0 if self._shared else number]
            tokens = part.tokenize(columns[:, number], sample=sample)
            prefix = "" if self._shared else _TAB * number
            sources += [tokens.with_values(tf.strings.join([prefix, tokens.values])), end]
        return tf.concat(sources[:-1], 1)

    def input_errors(self, text: tf.Tensor) -> Iterator[tuple[tf.Tensor, Callable]]:
        count = tf.cast(self._split_sources(text).row_lengths(), tf.int32)
        name = "tabs" if self.separator == _TAB else repr(self.separator)
        message = f"text: expected {self.count} parts separated by {name}, got "
        yield count != self.count, lambda: tf.strings.join([message, tf.strings.as_string(count)])

    def surface_forms(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the tokens of the parts; "" for the separator token."""
        if isinstance(tokens, tf.RaggedTensor):
            return tokens.with_flat_values(self.surface_forms(tokens.flat_values))
        return tf.strings.regex_replace(tokens, f"^{_TAB}+", "")

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        surface, part_of = self.surface_forms(tokens), self._part_index(tokens)
        starts = tf.zeros_like(tokens, tf.bool)
        for number, part in enumerate(self.parts):
            # where spaces are tokens, the separator counts as the space before a word
            space, letter = tf.constant(" "), tf.constant("a")
            has_space_tokens = part.is_word_start(space) & ~part.is_word_start(letter)
            separator = tf.equal(surface, "") & has_space_tokens
            word = part.is_word_start(surface) & tf.not_equal(surface, "")
            starts |= tf.equal(part_of, number) & (word | separator)
        return starts

    def _part_index(self, tokens):
        """The index of the tokenizer of each token."""
        if self._shared:
            return tf.zeros_like(tokens, tf.int32)
        return tf.strings.length(tokens) - tf.strings.length(self.surface_forms(tokens))

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        """As `Tokenizer.detokenize`, with the separator between the sources."""
        surface, source_of = self.surface_forms(tokens), self._part_index(tokens)
        if self._shared:
            source_of = tf.cumsum(tf.cast(tf.equal(tokens, _TAB), tf.int32), axis=-1)
        texts = [
            self.parts[0 if self._shared else number].detokenize(
                tf.where(tf.equal(source_of, number), surface, "")
            )
            for number in range(self.count)
        ]
        return tf.strings.join(texts, self.separator)

    def settings(self) -> dict:
        return {"parts": len(self.parts), "separator": self.separator, "count": self.count}
