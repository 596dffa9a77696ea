"""One pass over a corpus that counts what training will find in it."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data.readers import read_blocks
from keras_s2s.tokenizers import Tokenizer

__all__ = ["BLOCK", "Survey", "batch_sizes", "keep", "length_buckets", "survey"]

BLOCK = 1024  # lines that are read and tokenised at once
_GROWTH = 1.15  # of one bucket's longest pair over the last one's: little padding, few shapes


@dataclass(frozen=True)
class Survey:
    """What a corpus holds; lengths count pieces, and the end of a sequence only in `lengths`.

    Attributes:
        pairs: pairs read.
        empty: pairs skipped because a side has no pieces.
        too_long: pairs skipped because a side has more than `max_length` pieces.
        longest_source, longest_target: most pieces of any pair, skipped ones included.
        source_tokens, target_tokens: pieces of the pairs kept.
        lengths: of the pairs kept, how many have this length of the longer side, end included.
        max_length: the limit it was made with.
    """

    pairs: int
    empty: int
    too_long: int
    longest_source: int
    longest_target: int
    source_tokens: int
    target_tokens: int
    lengths: dict[int, int]
    max_length: int

    @property
    def kept(self) -> int:
        """Pairs that are neither empty nor too long."""
        return self.pairs - self.empty - self.too_long

    def count_batches(self, batch_tokens: int) -> int:
        """The number of batches that `batches` makes of one pass over the corpus."""
        buckets = length_buckets(self.max_length)
        counts = np.zeros(len(buckets), np.int64)
        for length, pairs in self.lengths.items():
            counts[np.searchsorted(buckets, length)] += pairs
        return int(np.sum(-(-counts // batch_sizes(buckets, batch_tokens))))

    def to_dict(self) -> dict:
        """Every count with its name, for JSON."""
        return dataclasses.asdict(self) | {"kept": self.kept}


def length_buckets(max_length: int) -> list[int]:
    """The longest length of each bucket, rising; lengths count the end of a sequence too.

    Each is 15 % above the one before, or 1 where that is more; the last is `max_length` + 1.
    """
    bounds = [min(4, max_length + 1)]
    while bounds[-1] < max_length + 1:
        bounds.append(min(max(int(bounds[-1] * _GROWTH), bounds[-1] + 1), max_length + 1))
    return bounds


def batch_sizes(buckets: list[int], batch_tokens: int) -> np.ndarray:
    """Pairs in a batch of each bucket: what fits into `batch_tokens`, and never none."""
    return np.maximum(batch_tokens // np.asarray(buckets, np.int64), 1)


def keep(sources, targets, max_length: int):
    """Which of the pairs with these numbers of pieces [B] are trained on: bool [B]."""
    longer, shorter = tf.maximum(sources, targets), tf.minimum(sources, targets)
    return (shorter > 0) & (longer <= max_length)


def survey(
    corpus: Corpus,
    source: Tokenizer,
    target: Tokenizer,
    max_length: int,
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Reads a corpus once, tokenises it as training does, and counts.

    Args:
        corpus: files of pairs.
        source, target: tokenizers of the two sides.
        max_length: most pieces of a side in training, the end not counted.
        progress: called now and then with the number of pairs read.

    Raises:
        UserError: as `read_pairs`.
    """
    spec = tf.TensorSpec([None], tf.string)
    count = tf.function(_counter(source, target), input_signature=[spec, spec], autograph=False)
    totals, lengths = Counter(), Counter()
    longest = np.zeros(2, np.int64)
    for block in read_blocks(corpus, BLOCK):
        pieces = np.stack(count(*map(tf.constant, block)))  # [2, B]
        longest = np.maximum(longest, pieces.max(axis=1))
        _add(totals, lengths, pieces, max_length)
        if progress:
            progress(totals["pairs"])
    names = ("pairs", "empty", "too_long", "source_tokens", "target_tokens")
    return Survey(
        **{key: totals[key] for key in names},
        longest_source=int(longest[0]),
        longest_target=int(longest[1]),
        lengths=dict(sorted(lengths.items())),
        max_length=max_length,
    )


def _counter(source, target):
    def count(sources, targets):
        return source.pieces(sources).row_lengths(), target.pieces(targets).row_lengths()

    return count


def _add(totals, lengths, pieces, max_length):
    """Adds one block's numbers of pieces [2, B] to the running counts."""
    kept = keep(pieces[0], pieces[1], max_length).numpy()
    empty = pieces.min(axis=0) == 0
    totals["pairs"] += pieces.shape[1]
    totals["empty"] += int(empty.sum())
    totals["too_long"] += int((~kept & ~empty).sum())
    totals["source_tokens"] += int(pieces[0, kept].sum())
    totals["target_tokens"] += int(pieces[1, kept].sum())
    values, counts = np.unique(pieces[:, kept].max(axis=0) + 1, return_counts=True)
    lengths.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
