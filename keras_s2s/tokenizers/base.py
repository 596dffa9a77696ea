"""What every tokenizer shares: the vocabulary as two tables in the graph."""

import json
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.io import write_atomically
from keras_s2s.tokenizers.special_tokens import split_around

__all__ = ["RESERVED_TOKENS", "UNKNOWN", "UNKNOWN_ID", "Tokenizer"]

UNKNOWN = "<unk>"
RESERVED_TOKENS = ("<pad>", UNKNOWN, "<s>", "</s>")  # in the order of their ids
UNKNOWN_ID = SpecialIds().unknown


class Tokenizer(tf.Module):
    """Text <-> pieces <-> ids, by ops that tf.data, tf.function and a served graph can run.

    Nothing that a text or an id can hold makes an op fail: broken UTF-8 reads as U+FFFD, a piece
    outside the vocabulary as `unknown`. The names of the special ids are not pieces: a text that
    holds the characters `</s>` never becomes the end.

    A kind of tokenizer adds `kind`, `cut` and `detokenize`, and `model_file` where it needs one.

    Args:
        vocabulary: the pieces of the ids 4, 5, ...; distinct, neither empty nor `<unk>`.
        special_tokens: those of `vocabulary` that are one piece wherever they stand in a text.

    Attributes:
        kind: its name in a configuration file.
        first: the id of the first piece that is not special.
        opening: the pieces that every text begins with; of a target they are forced.
        size: the number V of ids, the four special ones included.
        vocabulary: the V pieces in the order of their ids, the special ones first.

    Raises:
        ValueError: a piece of the vocabulary is empty, `<unk>`, or stands twice, or a special token
            is not one of them.
    """

    kind = ""
    first = len(RESERVED_TOKENS)
    opening = ()

    def __init__(self, vocabulary: Sequence[str], special_tokens: Sequence[str] = ()):
        super().__init__()
        _check(vocabulary, special_tokens)
        self.special_tokens = tuple(special_tokens)
        self.vocabulary = (*RESERVED_TOKENS, *vocabulary)
        self.size = len(self.vocabulary)
        ids = tf.range(self.first, self.size, dtype=tf.int32)
        known = tf.constant(list(vocabulary), tf.string, shape=[len(vocabulary)])
        initializer = tf.lookup.KeyValueTensorInitializer(known, ids)
        self._table = tf.lookup.StaticHashTable(initializer, UNKNOWN_ID)
        # pad, start and end have no text, so that what is joined needs no further mask
        self._strings = tf.concat([["", UNKNOWN, "", ""], known], axis=0)

    def pieces(self, text, sample=False):
        """Text [B] -> the strings of its pieces, ragged [B, None]; a row without any is empty.

        With `sample` a tokenizer that has sampling configured draws one of the ways to cut a
        text, another at each call; all others cut it as ever. Training examples alone ask for it.
        """
        if not self.special_tokens:
            return self.split_text(text)
        return split_around(self.special_tokens, self.split_text, text)

    def split_text(self, text):
        """As `pieces`, for text without special tokens; none for ""."""
        raise NotImplementedError(f"{type(self).__name__} has to define cut")

    @property
    def input_size(self):
        """What `catalog.build` makes the side's embedding for: V, or how ids are composed."""
        return self.size

    def surface_forms(self, pieces):
        """Pieces, dense or ragged, as they are shown and copied: without what marks them."""
        return pieces

    def input_errors(self, text):
        """Checks of texts [B]: pairs of rows bool [B] and a function of their messages [B]."""
        return ()

    def tokenize_phrases(self, text):
        """As `pieces`, of texts that stand within others: without the opening."""
        return self.pieces(text)

    def detokenize(self, pieces):
        """Strings of pieces [..., T], padded with "" -> text [...]."""
        raise NotImplementedError(f"{type(self).__name__} has to define detokenize")

    def is_word_start(self, pieces):
        """Strings of pieces of any shape -> bool, whether a word begins with each.

        What stands first in a text begins one in any case.
        """
        return tf.ones_like(pieces, tf.bool)

    def ids(self, pieces):
        """Strings of pieces, dense or ragged -> int32 ids of the same shape."""
        return self._table.lookup(pieces)

    def strings(self, ids):
        """Int32 ids of any shape -> the strings of their pieces.

        The ids pad, start and end give "", an id outside the vocabulary what `unknown` gives.
        """
        known = (ids >= 0) & (ids < self.size)
        return tf.gather(self._strings, tf.where(known, ids, UNKNOWN_ID))

    def model_file(self) -> tuple[str, bytes] | None:
        """The suffix and the content of the file that `tokenizers.load` makes it from, if any."""
        return None

    def settings(self) -> dict:
        """What `tokenizers.load` has to know besides, for JSON."""
        return {"special_tokens": list(self.special_tokens)} if self.special_tokens else {}

    def save(self, directory, name: str):
        """Writes NAME.vocab or NAME.model into `directory`, then NAME.json, each by renaming."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        described, made = {"kind": self.kind, "size": self.size}, self.model_file()
        if made:
            described["file"] = f"{name}.{made[0]}"
            write_atomically(directory / described["file"], made[1])
        described |= self.settings()
        write_atomically(directory / f"{name}.json", json.dumps(described, indent=2) + "\n")


def _check(vocabulary, special_tokens):
    if not vocabulary:
        raise ValueError("vocabulary: expected at least one piece, came none")
    seen = {"", UNKNOWN}
    for place, piece in enumerate(vocabulary, 1):
        if piece in seen:
            expected = f"expected distinct pieces, neither empty nor {UNKNOWN}"
            raise ValueError(f"vocabulary: {expected}, came {piece!r} as piece {place}")
        seen.add(piece)
    for token in special_tokens:
        if token not in seen or token in ("", UNKNOWN):
            raise ValueError(f"special_tokens: expected pieces of the vocabulary, came {token!r}")
