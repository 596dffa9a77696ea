"""One pass over corpora that counts, and with a cache keeps, what training will find in them."""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data import example_cache
from keras_s2s.data.batch_sampler import DROPPED, CorpusIndex, length_buckets
from keras_s2s.data.corpus_readers import BLOCK_SIZE, as_list, check_sides, corpus_name, open_corpus
from keras_s2s.data.corpus_statistics import (
    SKIP_REASONS,
    WEIGHT_DENOMINATOR,
    CorpusCounts,
    CorpusStatistics,
    PairLimits,
)
from keras_s2s.data.duplicates import find_duplicates
from keras_s2s.data.examples import encode
from keras_s2s.data.line_files import file_stamp
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Tokenizer

__all__ = ["scan_corpora"]

_SUMS = ("source_tokens", "target_tokens")
_LONGEST = ("longest_source", "longest_target")


def scan_corpora(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    max_length: int,
    progress: Callable[[int], None] | None = None,
    *,
    min_length: int = 1,
    max_ratio: float | None = None,
    unique: bool = False,
    cache: str | None = None,
    copy: bool = False,
    keep: str | None = None,
) -> CorpusStatistics:
    """Reads corpora once, tokenises them as training does, and counts.

    With `cache` the tokenised examples are written too, and `batches` reads those. They are found
    again, and nothing is read, as long as no file (by size and time of change), tokenizer or limit
    differs; otherwise they are made anew beside the old ones.

    Args:
        corpora: one corpus or several.
        source, target: tokenizers of the two sides.
        max_length: most pieces of a side in training, the end not counted.
        progress: called now and then with the number of pairs read.
        min_length, max_ratio, unique: see `PairLimits`.
        cache: a directory on any file system that TensorFlow writes.
        copy: whether the examples in the cache hold copy ids.
        keep: a directory for `scan_corpora.npz`, the counts alone, where there is no `cache`; read again,
            or replaced, as the cache is.

    Raises:
        UserError: as `read_pairs`, a side is not of the kind or width of its tokenizer, or the
            cache cannot be written.
        ValueError: a cache for a tokenizer with sampling.
    """
    corpora = as_list(corpora)
    for one in corpora:
        check_sides(one, source, target)
    if cache and any(getattr(side, "sampling", None) for side in (source, target)):
        raise ValueError(f"cache: expected none for a tokenizer with sampling, came {cache!r}")
    limits = PairLimits(max_length, min_length, max_ratio, unique)
    stamps = tuple(file_stamp(path) for one in corpora for path in open_corpus(one).paths)
    key, directory = None, keep
    if cache or keep:
        key = example_cache.cache_key(corpora, source, target, limits, stamps, copy and bool(cache))
        directory = example_cache.prepare_directory(f"{cache.rstrip('/')}/{key}") if cache else keep
        if found := example_cache.load_statistics(directory, corpora, key):
            return found
    repeated = find_duplicates(corpora) if unique else [None] * len(corpora)
    tallies = [_Tally(*one, limits) for one in zip(corpora, repeated, strict=True)]
    with contextlib.ExitStack() as after:
        if cache:
            for number, tally in enumerate(tallies):
                tally.writer = example_cache.ExampleWriter(directory, number, copy)
                after.callback(tally.writer.abandon)
        _measure(tallies, _maker(source, target, max_length, cache, copy), progress)
        after.pop_all()
    made = _surveyed(tallies, limits, stamps)
    if directory:
        example_cache.save_statistics(example_cache.prepare_directory(directory), made, key)
    return made


def _measure(tallies, make, progress):
    """Counts corpora, and writes their examples where they have a writer."""
    text = tf.TensorSpec([None], tf.string)
    spec = (tf.TensorSpec([], tf.int64), text, text, tf.TensorSpec([None], tf.float32))
    failed = []
    blocks = tf.data.Dataset.from_generator(_reading(tallies, failed), output_signature=spec)
    measured = blocks.map(make, tf.data.AUTOTUNE, deterministic=True).prefetch(2)
    done = 0
    for number, pieces, rows in measured.as_numpy_iterator():
        tallies[number].add(np.stack(pieces), rows)
        done += len(pieces[0])
        if progress:
            progress(done)
    if failed:  # raised within the pipeline it would be one of TensorFlow's
        raise failed[0]


def _reading(tallies, failed):
    """A function that gives blocks of (corpus, sources, targets, weights), up to an error."""

    def read():
        try:
            for number, tally in enumerate(tallies):
                yield from ((number, *block[:3]) for block in tally.read())
        except UserError as error:
            failed.append(error)

    return read


def _maker(source, target, max_length, cache, copy):
    """A function of a block: its numbers of pieces and, for the cache, the rows that fit."""

    def make(number, sources, targets, weights):
        left, right = source.pieces(sources), target.pieces(targets)
        lengths = left.row_lengths(), right.row_lengths()
        if not cache:
            return number, lengths, {}
        longer, shorter = tf.maximum(*lengths), tf.minimum(*lengths)
        fits = (shorter > 0) & (longer <= max_length)  # no row is padded to one that does not
        left, right = tf.ragged.boolean_mask(left, fits), tf.ragged.boolean_mask(right, fits)
        rows = encode(left, right, source, target, copy)
        return number, lengths, rows | {"weight": tf.boolean_mask(weights, fits), "fits": fits}

    return make


class _Tally:
    """The running counts of one corpus."""

    def __init__(self, corpus, repeated, limits):
        self.corpus, self.repeated, self.limits = corpus, repeated, limits
        self.rows, self.writer = open_corpus(corpus), None
        self.bounds = np.asarray(length_buckets(limits.max_length))
        self.places, self.buckets = [self.rows.place()], bytearray()
        self.totals, self.lengths = Counter(), Counter()
        self.longest = np.zeros(2, np.int64)

    def read(self):
        """Blocks of pairs; notes where each ends."""
        try:
            while block := self.rows.take(BLOCK_SIZE):
                self.places.append(self.rows.place())
                yield block
        finally:
            self.rows.close()

    def add(self, pieces, rows):
        """Counts one block's numbers of pieces [2, B], and writes its rows."""
        kept = self._sort_out(pieces)
        longer = pieces.max(axis=0) + 1
        buckets = np.where(kept, np.searchsorted(self.bounds, longer), DROPPED)
        self.buckets.extend(buckets.astype(np.uint8).tobytes())
        self.longest = np.maximum(self.longest, pieces.max(axis=1))
        self.totals.update(dict(zip(_SUMS, pieces[:, kept].sum(axis=1).tolist(), strict=True)))
        self.lengths.update(longer[kept].tolist())
        if self.writer:
            inner = kept[rows.pop("fits")]
            self.writer.add({key: values[inner] for key, values in rows.items()})

    def _sort_out(self, pieces):
        """Which pairs of a block are kept, bool [B]; counts why the others are not."""
        first = len(self.buckets)
        again = None if self.repeated is None else self.repeated[first : first + pieces.shape[1]]
        reasons = _sort_out(*pieces, self.limits, again)
        self.totals["pairs"] += pieces.shape[1]
        self.totals.update({reason: int(found.sum()) for reason, found in reasons.items()})
        return ~np.any(list(reasons.values()), axis=0)

    def counts(self) -> CorpusCounts:
        totals = {key: self.totals[key] for key in ("pairs", *SKIP_REASONS, *_SUMS)}
        longest = dict(zip(_LONGEST, self.longest.tolist(), strict=True))
        lengths = dict(sorted(self.lengths.items()))
        return CorpusCounts(name=corpus_name(self.corpus), **totals, **longest, lengths=lengths)

    def index(self) -> CorpusIndex:
        weight = Fraction(self.corpus.weight).limit_denominator(WEIGHT_DENOMINATOR)
        buckets = np.frombuffer(self.buckets, np.uint8)
        return CorpusIndex(buckets, np.array(self.places), BLOCK_SIZE, weight, self.rows.sequential)


def _sort_out(sources, targets, limits, repeated):
    """Which of the pairs with these numbers of pieces [B] are skipped, and why: bool [B] each."""
    longer, shorter = np.maximum(sources, targets), np.minimum(sources, targets)
    holds = {
        "empty": shorter == 0,
        "too_short": shorter < limits.min_length,
        "too_long": longer > limits.max_length,
        "unbalanced": longer / np.maximum(shorter, 1) > (limits.max_ratio or np.inf),
        "duplicates": np.zeros(len(longer), bool) if repeated is None else repeated,
    }
    before = np.zeros(len(longer), bool)
    for reason, found in holds.items():
        holds[reason] = found & ~before
        before = before | found
    return holds


def _surveyed(tallies, limits, stamps):
    parts = tuple(tally.counts() for tally in tallies)
    summed = {
        key: sum(getattr(part, key) for part in parts) for key in ("pairs", *SKIP_REASONS, *_SUMS)
    }
    longest = {key: max(getattr(part, key) for part in parts) for key in _LONGEST}
    lengths = sum((Counter(part.lengths) for part in parts), Counter())
    return CorpusStatistics(
        name=corpus_name([tally.corpus for tally in tallies]),
        **summed,
        **longest,
        lengths=dict(sorted(lengths.items())),
        corpora=parts,
        limits=limits,
        indexes=tuple(tally.index() for tally in tallies),
        stamps=stamps,
        examples=tuple(tally.writer.finish() for tally in tallies) if tallies[0].writer else None,
    )
