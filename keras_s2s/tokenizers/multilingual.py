"""Tokenizer of multilingual models: every text starts with the token of its language."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.tokenizers.marian import Marian
from keras_s2s.tokenizers.special_tokens import special_token_pattern

__all__ = ["Multilingual"]


class Multilingual(Marian):
    """The tokenizer of one side of an M2M100 or NLLB model, for one language.

    SentencePiece splits the text, and the token of the language is put before it. A text that
    starts with the token of another language is in that language. `detokenize` omits language
    tokens and unknown tokens.

    Args:
        model: The serialized SentencePiece model.
        vocabulary: The tokens of the ids 4, 5, ..., those of the languages included.
        languages: The tokens of the languages.
        language: The language of texts that start with no language token.

    Attributes:
        prefix_tokens: The token of the language; for a target, search forces it.

    Raises:
        ValueError: As `SentencePiece`, or a language has no id.
    """

    kind = "multilingual"

    def __init__(
        self, model: bytes, vocabulary: Sequence[str], languages: Sequence[str], language: str
    ):
        for name in (*languages, language):
            if name not in vocabulary or name not in languages:
                raise ValueError(f"languages: expected tokens of the vocabulary, got {name!r}")
        super().__init__(model, vocabulary)
        self.languages, self.prefix_tokens = tuple(languages), (language,)
        self._pattern = special_token_pattern(self.languages)

    def tokenize(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        rest = tf.strings.regex_replace(text, f"^({self._pattern}) ?", "", replace_global=False)
        length = tf.strings.length(text) - tf.strings.length(rest)
        tags = tf.strings.strip(tf.strings.substr(text, tf.zeros_like(length), length))
        tags = tf.where(length > 0, tags, self.prefix_tokens[0])  # [B]
        tags = tf.RaggedTensor.from_tensor(tf.expand_dims(tags, 1))
        return tf.concat([tags, self.tokenize_untagged(rest)], axis=1)

    def tokenize_phrases(self, text: tf.Tensor) -> tf.RaggedTensor:
        return self.tokenize_untagged(text)

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        return super().is_word_start(tokens) | tf.strings.regex_full_match(tokens, self._pattern)

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        is_language = tf.strings.regex_full_match(tokens, self._pattern)
        return super().detokenize(tf.where(is_language, "", tokens))

    def settings(self) -> dict:
        own = {"languages": list(self.languages), "language": self.prefix_tokens[0]}
        return super().settings() | own
