"""Base class of tokenizers: the vocabulary as two lookup tables in the graph."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import tensorflow as tf

from keras_s2s.config import FactorSizes, PartedSize, SpecialIds
from keras_s2s.io import write_atomically
from keras_s2s.tokenizers.special_tokens import split_around

__all__ = ["RESERVED_TOKENS", "UNKNOWN", "UNKNOWN_ID", "Tokenizer"]

UNKNOWN = "<unk>"
RESERVED_TOKENS = ("<pad>", UNKNOWN, "<s>", "</s>")  # in the order of their ids
UNKNOWN_ID = SpecialIds().unknown


class Tokenizer(tf.Module):
    """Base class: text <-> tokens <-> ids, by ops for tf.data, tf.function and a served graph.

    No text and no id makes an op fail. Invalid UTF-8 is read as U+FFFD, and a token outside the
    vocabulary has the id `unknown`. The names of the reserved ids are not tokens of a text: a text
    with the characters `</s>` never gives the end id.

    A subclass defines `kind`, `split_text` and `detokenize`, and `model_file` where it has one.

    Args:
        vocabulary: The tokens of the ids 4, 5, ...; distinct, neither empty nor `<unk>`.
        special_tokens: Tokens of `vocabulary` that are never split, wherever they occur in a text.

    Attributes:
        kind: The name of the tokenizer in a configuration file.
        parts: The tokenizers that this one is composed of.
        first: The id of the first token that is not reserved.
        prefix_tokens: The tokens at the start of every text; for a target, search forces them.
        size: The number V of ids, the four reserved ids included.
        vocabulary: The V tokens in the order of their ids, the reserved ones first.

    Raises:
        ValueError: A token of the vocabulary is empty, `<unk>`, or occurs twice, or a special token
            is not in the vocabulary.
    """

    kind = ""
    parts: Sequence["Tokenizer"] = ()
    first = len(RESERVED_TOKENS)
    prefix_tokens: tuple[str, ...] = ()

    def __init__(self, vocabulary: Sequence[str], special_tokens: Sequence[str] = ()):
        super().__init__()
        _check_vocabulary(vocabulary, special_tokens)
        self.special_tokens = tuple(special_tokens)
        self.vocabulary = (*RESERVED_TOKENS, *vocabulary)
        self.size = len(self.vocabulary)
        ids = tf.range(self.first, self.size, dtype=tf.int32)
        tokens = tf.constant(list(vocabulary), tf.string, shape=[len(vocabulary)])
        initializer = tf.lookup.KeyValueTensorInitializer(tokens, ids)
        self._table = tf.lookup.StaticHashTable(initializer, UNKNOWN_ID)
        # pad, start and end have empty strings, so that joined text needs no mask
        self._strings = tf.concat([["", UNKNOWN, "", ""], tokens], axis=0)

    def tokenize(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        """Splits texts into tokens.

        Args:
            text: Strings [B].
            sample: Whether to draw one of the segmentations of each text, a new one in each call,
                where the tokenizer has sampling configured. Only training examples are sampled.

        Returns:
            Strings, ragged [B, None]; a text without tokens is an empty row.
        """
        if not self.special_tokens:
            return self.split_text(text)
        return split_around(self.special_tokens, self.split_text, text)

    def pieces(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        """The earlier name of `tokenize`."""
        return self.tokenize(text, sample)

    def split_text(self, text: tf.Tensor) -> tf.RaggedTensor:
        """As `tokenize`, for texts [B] without special tokens; no tokens for ""."""
        raise NotImplementedError(f"{type(self).__name__} has to define split_text")

    @property
    def input_size(self) -> int | FactorSizes | PartedSize:
        """The size that the model's embedding is built for: V, or the sizes that compose ids."""
        return self.size

    def surface_forms(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns tokens, dense or ragged, as they are shown and copied: without markers."""
        return tokens

    def input_errors(self, text: tf.Tensor) -> Iterable[tuple[tf.Tensor, Callable]]:
        """Checks texts [B].

        Returns:
            Pairs of a bool tensor [B], True for invalid texts, and a function that returns their
            messages [B].
        """
        return ()

    def tokenize_phrases(self, text: tf.Tensor) -> tf.RaggedTensor:
        """As `tokenize`, for parts of longer texts [B]: without the prefix tokens."""
        return self.tokenize(text)

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        """Joins tokens, strings [..., T] padded with "", to texts [...]."""
        raise NotImplementedError(f"{type(self).__name__} has to define detokenize")

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns whether a word starts with each token, bool of the shape of `tokens`.

        The first token of a text starts a word in any case; a caller has to add that.
        """
        return tf.ones_like(tokens, tf.bool)

    def ids(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the int32 ids of tokens, dense or ragged, in the same shape."""
        return self._table.lookup(tokens)

    def strings(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the tokens of int32 ids of any shape.

        The ids pad, start and end give "", an id outside the vocabulary the token of `unknown`.
        """
        valid = (ids >= 0) & (ids < self.size)
        return tf.gather(self._strings, tf.where(valid, ids, UNKNOWN_ID))

    def model_file(self) -> tuple[str, bytes] | None:
        """Returns the suffix and the content of the file that `load` reads, or None."""
        return None

    def settings(self) -> dict:
        """Returns the other constructor arguments that `load` needs, for JSON."""
        return {"special_tokens": list(self.special_tokens)} if self.special_tokens else {}

    def save(self, directory: Path | str, name: str) -> None:
        """Writes NAME.vocab or NAME.model into `directory`, then NAME.json, atomically each.

        The parts of a composed tokenizer are saved first, as NAME.0.*, NAME.1.*, ...
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for number, part in enumerate(self.parts):
            part.save(directory, f"{name}.{number}")
        description, model = {"kind": self.kind, "size": self.size}, self.model_file()
        if model:
            description["file"] = f"{name}.{model[0]}"
            write_atomically(directory / description["file"], model[1])
        description |= self.settings()
        write_atomically(directory / f"{name}.json", json.dumps(description, indent=2) + "\n")


def _check_vocabulary(vocabulary, special_tokens):
    if not vocabulary:
        raise ValueError("vocabulary: expected at least one token, got none")
    seen = {"", UNKNOWN}
    for number, token in enumerate(vocabulary, 1):
        if token in seen:
            expected = f"expected distinct tokens, neither empty nor {UNKNOWN}"
            raise ValueError(f"vocabulary: {expected}, got {token!r} as token {number}")
        seen.add(token)
    for token in special_tokens:
        if token not in seen or token in ("", UNKNOWN):
            raise ValueError(f"special_tokens: expected tokens of the vocabulary, got {token!r}")
