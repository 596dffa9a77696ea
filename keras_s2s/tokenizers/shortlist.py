"""A part of a vocabulary as a vocabulary of its own, for a search over fewer tokens."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.tokenizers.base import RESERVED_TOKENS, Tokenizer

__all__ = ["Shortlist"]


class Shortlist(Tokenizer):
    """A tokenizer with some tokens of another one, which splits and joins text for it.

    The reserved ids stay. The other ids number the tokens in the order of the full vocabulary. A
    token outside the shortlist is unknown.

    Args:
        whole: The tokenizer of the full vocabulary.
        tokens: Tokens of it, in any order; reserved tokens are allowed.

    Attributes:
        whole_ids: For each id, the id of its token in the full vocabulary.

    Raises:
        ValueError: All tokens are reserved, or one is not in the full vocabulary.

    Example:

    >>> from keras_s2s.tokenizers import Shortlist, Whitespace
    >>> Shortlist(Whitespace(["a", "b", "c"]), ["c", "a"]).whole_ids
    (0, 1, 2, 3, 4, 6)
    """

    def __init__(self, whole: Tokenizer, tokens: Sequence[str]):
        ids_by_token = {token: number for number, token in enumerate(whole.vocabulary)}
        for token in tokens:
            if token not in ids_by_token:
                raise ValueError(f"shortlist: expected tokens of the vocabulary, got {token!r}")
        ids = {ids_by_token[token] for token in (*tokens, *whole.prefix_tokens)}
        ids = sorted(ids - set(range(self.first)))
        if not ids:
            raise ValueError(
                "shortlist: expected at least one token that is not reserved, got none"
            )
        super().__init__([whole.vocabulary[number] for number in ids])
        self.whole_ids = (*range(len(RESERVED_TOKENS)), *ids)
        self.whole, self.kind, self.prefix_tokens = whole, whole.kind, whole.prefix_tokens

    def tokenize(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        return self.whole.tokenize(text, sample)

    def split_text(self, text: tf.Tensor) -> tf.RaggedTensor:
        return self.whole.split_text(text)

    def tokenize_phrases(self, text: tf.Tensor) -> tf.RaggedTensor:
        return self.whole.tokenize_phrases(text)

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        return self.whole.detokenize(tokens)

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        return self.whole.is_word_start(tokens)
