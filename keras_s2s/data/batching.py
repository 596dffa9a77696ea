"""Training batches of (x, y, sample_weight): shuffled, bucketed by length and prefetched."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus, Noise
from keras_s2s.data.alignments import token_alignment, word_indices
from keras_s2s.data.batch_sampler import (
    DROPPED,
    BatchPlan,
    batch_sizes,
    epoch_of_batch,
    length_buckets,
    plan_epoch,
)
from keras_s2s.data.corpus_readers import as_list, corpus_name
from keras_s2s.data.corpus_scan import scan_corpora
from keras_s2s.data.corpus_statistics import CorpusStatistics
from keras_s2s.data.example_stores import (
    CachedExamples,
    ExampleStore,
    TextExamples,
    check_unchanged,
    concat_rows,
    select_rows,
)
from keras_s2s.data.examples import assemble, make_example
from keras_s2s.data.noise import add_noise
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Tokenizer

__all__ = ["batches", "longest_batch", "require_pairs"]


def batches(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    *,
    batch_tokens: int,
    max_length: int,
    copy: bool = False,
    seed: int = 1,
    training: bool = True,
    statistics: CorpusStatistics | None = None,
    start: int = 0,
    noise: Noise | None = None,
) -> tf.data.Dataset:
    r"""Returns a dataset of batches of pairs of similar length, in the form of `make_example`.

    A batch holds `batch_tokens` // `longest` pairs, where `longest` is the bound of its bucket (see
    `length_buckets`). Pairs that fill no batch of their bucket go into batches of mixed lengths,
    one of which may be small. Pairs that the statistics count as skipped are left out.

    With `training`, the dataset is shuffled and endless: pass `steps_per_epoch` to `fit`. Every
    `statistics.count_batches(batch_tokens, epoch)` batches are an epoch, which goes through each
    corpus as many times as its weight. The order of an epoch depends on the corpora, the seed and
    its number alone. Pairs of a compressed corpus are shuffled among the 131,072 around them, those
    of other files over the whole file. Where a corpus has alignments, `x` also holds `alignment`,
    bool [B, T, S].

    Without `training`, the dataset is one pass in order and has a known cardinality.

    Args:
        corpora: One corpus or several.
        source: The tokenizer of the source.
        target: The tokenizer of the target.
        batch_tokens: Most tokens of the longer side in a batch, padding included; a longer pair is
            a batch of its own.
        max_length: Most tokens of a side, the end token excluded.
        copy: Whether to add copy ids.
        seed: Of the shuffling, 0 or more.
        training: Whether to shuffle and repeat.
        statistics: The result of `scan_corpora` for these corpora and this `max_length`. By
            default the corpora are scanned now, so that invalid input is reported before `fit`.
        start: Number of batches to skip at the start of the training.
        noise: Word noise on the sources in training.

    Raises:
        UserError: As `scan_corpora`; no pair is left; or a file changed since it was scanned.
        ValueError: `batch_tokens` or `max_length` is below 1; `start` is below 0 or used without
            `training`; or the statistics were made with another `max_length` or, with a cache,
            another `copy`.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_s2s.config import Corpus
    >>> from keras_s2s.data import batches
    >>> from keras_s2s.tokenizers import Whitespace
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pairs.tsv"
    >>> _ = path.write_text("a b\tx\na\tx x\n")
    >>> words, corpus = Whitespace(["a", "b", "x"]), Corpus(pairs=str(path))
    >>> dataset = batches(corpus, words, words, batch_tokens=100, max_length=10, training=False)
    >>> [y.numpy().tolist() for x, y, sample_weight in dataset]
    [[[6, 3, 0], [6, 6, 3]]]
    """
    corpora = as_list(corpora)
    _check(batch_tokens, max_length, start, training)
    statistics = statistics or scan_corpora(corpora, source, target, max_length)
    _check_statistics(statistics, max_length, copy)
    require_pairs(corpora, statistics)
    check_unchanged(corpora, statistics.stamps)
    rows = _BatchRows(corpora, statistics, batch_tokens, seed if training else None, start)
    dataset = tf.data.Dataset.from_generator(rows, output_signature=rows.signature())
    noise = (noise, seed) if training and noise not in (None, Noise()) else None
    to_example = _decode
    if not statistics.examples:
        to_example = _text_to_example(source, target, copy, training, noise)
    # AutoGraph has nothing to convert there, and takes seconds to find out.
    to_example = tf.autograph.experimental.do_not_convert(to_example)
    dataset = dataset.map(to_example, tf.data.AUTOTUNE, deterministic=True)
    cardinality = tf.data.INFINITE_CARDINALITY
    if not training:
        cardinality = statistics.count_batches(batch_tokens, None)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality))
    return dataset.prefetch(tf.data.AUTOTUNE)


def longest_batch(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    *,
    statistics: CorpusStatistics,
    batch_tokens: int,
    copy: bool = False,
) -> tuple[dict, tf.Tensor, tf.Tensor]:
    """Returns the training batch that needs most memory: a full batch of the longest pairs.

    The arguments are those of `batches`.

    Returns:
        `(x, y, sample_weight)` in the form of `make_example`.

    Raises:
        UserError: As `batches`.
    """
    corpora = as_list(corpora)
    require_pairs(corpora, statistics)
    check_unchanged(corpora, statistics.stamps)
    rows = _BatchRows(corpora, statistics, batch_tokens, None, 0)
    buckets, ids = np.concatenate([index.buckets for index in statistics.indexes]), []
    longest = int(buckets[buckets != DROPPED].max())
    for bucket in range(longest, -1, -1):
        missing = int(rows.plan.sizes[longest]) - len(ids)
        ids += np.flatnonzero(buckets == bucket)[:missing].tolist() if missing else []
    store = rows.open_store()
    try:
        loaded = store.load(np.array(ids))
    finally:
        store.close()
    to_example = _decode if statistics.examples else _text_to_example(source, target, copy, True)
    return to_example({key: tf.constant(values) for key, values in loaded.items()})


def _check(batch_tokens, max_length, start, training):
    for argument, value in (("batch_tokens", batch_tokens), ("max_length", max_length)):
        if value < 1:
            raise ValueError(f"{argument}: expected at least 1, got {value}")
    if start < 0 or (start and not training):
        raise ValueError(f"start: expected 0, or more in training, got {start}")


def _check_statistics(statistics, max_length, copy):
    if statistics.max_length != max_length:
        expected = f"expected statistics made with max_length {max_length}"
        raise ValueError(f"statistics: {expected}, got {statistics.max_length}")
    if statistics.examples and statistics.examples[0].copy != copy:
        raise ValueError(
            f"statistics: expected a cache made with copy={copy}, got one with copy={not copy}"
        )


def require_pairs(corpora: Corpus | Sequence[Corpus], statistics: CorpusStatistics) -> None:
    """Checks that at least one pair is left to train on.

    Raises:
        UserError: No pair is left; the message names the files and why pairs were skipped.
    """
    if not statistics.kept:
        reasons = " and ".join(statistics.skip_reasons())
        expected = f"expected a pair of 1 to {statistics.max_length} tokens a side"
        raise UserError(f"{corpus_name(corpora)}: {expected}, got {reasons}")


@dataclasses.dataclass
class _BatchRows:
    """A generator function of the rows of each batch, in the form of their store.

    Attributes:
        corpora: The corpora.
        statistics: Their statistics.
        batch_tokens: Most tokens of the longer side in a batch.
        seed: Of the shuffling; None for one pass in order.
        start: Number of batches to skip at the start.
    """

    corpora: list[Corpus]
    statistics: CorpusStatistics
    batch_tokens: int
    seed: int | None
    start: int

    def __post_init__(self):
        buckets = length_buckets(self.statistics.max_length)
        self.plan = BatchPlan(batch_sizes(buckets, self.batch_tokens), self.seed)
        self.indexes = list(self.statistics.indexes)
        if self.seed is None:
            self.indexes = [index._replace(weight=Fraction(1)) for index in self.indexes]
        self.counts = np.stack([index.bucket_counts(len(buckets)) for index in self.indexes])

    def __call__(self) -> Iterator[dict[str, np.ndarray]]:
        store = self.open_store()
        try:
            for epoch, skip in self._epochs():
                yield from self._epoch_rows(store, epoch, skip)
        finally:
            store.close()

    def signature(self) -> dict[str, tf.TensorSpec]:
        """The specs of a batch's rows by name; all but the weights are bytes."""
        dtypes = dict.fromkeys(self.open_store().names, tf.string) | {"weight": tf.float32}
        return {key: tf.TensorSpec([None], dtype) for key, dtype in dtypes.items()}

    def open_store(self) -> ExampleStore:
        if self.statistics.examples:
            return CachedExamples(self.statistics.examples, self.indexes)
        return TextExamples(self.corpora, self.indexes)

    def _epochs(self):
        """(epoch, batches to skip) of every epoch to run."""
        if self.seed is None:
            return [(0, 0)]
        first, skip = epoch_of_batch(self.indexes, self.counts, self.plan.sizes, self.start)
        later = zip(itertools.count(first + 1), itertools.repeat(0))
        return itertools.chain([(first, skip)], later)

    def _epoch_rows(self, store, epoch, skip):
        rows = None
        for new, batches, remaining in plan_epoch(
            self.indexes, self.counts, self.plan, epoch, skip
        ):
            new_rows = store.load(new)
            rows = new_rows if rows is None else concat_rows(rows, new_rows)
            for positions in batches:
                yield select_rows(rows, positions)
            rows = select_rows(rows, remaining)


def _text_to_example(source, target, copy, training, noise=None):
    """Returns a function from rows of text to `(x, y, sample_weight)`."""

    def to_example(rows):
        source_tokens = source.tokenize(rows["source"], sample=training)
        target_tokens = target.tokenize(rows["target"], sample=training)
        if noise:
            source_tokens = add_noise(source_tokens, source, *noise)
        x, y, weights = make_example(
            source_tokens, target_tokens, source, target, copy, rows["weight"]
        )
        if training and "alignment" in rows:
            x["alignment"] = token_alignment(
                rows["alignment"],
                word_indices(source_tokens, source),
                word_indices(target_tokens, target),
                source_length=tf.shape(x["source"]["ids"])[1],
                target_length=tf.shape(y)[1],
            )
        return x, y, weights

    return to_example


def _decode(rows):
    """`(x, y, sample_weight)` of rows from the cache, whose ids are bytes."""
    decoded = {"weight": rows["weight"]}
    for key, side in (("ids", "source"), ("labels", "target"), ("copy_ids", "source")):
        if key in rows:
            sizes = tf.strings.length(rows[key])  # in bytes, 4 per id
            decoded[key] = tf.io.decode_raw(rows[key], tf.int32, fixed_length=tf.reduce_max(sizes))
            decoded[f"{side}_length"] = sizes // 4
    return assemble(decoded)
