"""One pass over corpora that computes their statistics and, with a cache, stores their examples."""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data import example_cache
from keras_s2s.data.batch_sampler import DROPPED, CorpusIndex, length_buckets
from keras_s2s.data.corpus_readers import (
    BLOCK_SIZE,
    as_list,
    check_files,
    check_sides,
    corpus_name,
    open_corpus,
)
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

__all__ = ["ScanOptions", "scan_corpora"]

_SUMS = ("source_tokens", "target_tokens")
_MAXIMA = ("longest_source", "longest_target")


@dataclass(frozen=True)
class ScanOptions:
    """The limits of pairs, and where a scan stores its results.

    Attributes:
        max_length: Most tokens of a side in training, the end token excluded.
        min_length: Fewest tokens of a side.
        max_ratio: Most tokens of the longer side for each token of the shorter one.
        unique: Whether a pair equal to an earlier one is left out.
        cache: A directory, on any file system that TensorFlow writes, for tokenized examples.
        copy: Whether the examples in the cache hold copy ids.
        keep: A directory for the statistics alone (`survey.npz`), where there is no `cache`. The
            file is read again, or replaced, as the cache is.
    """

    max_length: int
    min_length: int = 1
    max_ratio: float | None = None
    unique: bool = False
    cache: str | None = None
    copy: bool = False
    keep: str | None = None

    @property
    def limits(self) -> PairLimits:
        """The limits alone."""
        return PairLimits(self.max_length, self.min_length, self.max_ratio, self.unique)


def scan_corpora(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    max_length: int,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> CorpusStatistics:
    r"""Reads corpora once, tokenizes them as training does, and counts.

    With `cache`, the tokenized examples are written too, and `batches` reads them instead of the
    text. A later scan reuses the cache as long as every file (by size and time of change), both
    tokenizers and the limits are the same. Otherwise it writes new examples beside the old ones.

    Args:
        corpora: One corpus or several.
        source: The tokenizer of the source.
        target: The tokenizer of the target.
        max_length: Most tokens of a side in training, the end token excluded.
        progress: Called from time to time with the number of pairs read.
        **options: The other fields of `ScanOptions`.

    Raises:
        UserError: As `read_pairs`; a side is not of the kind or size of its tokenizer; or the
            cache cannot be written.
        ValueError: A cache is given for a tokenizer with sampling.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_s2s import data
    >>> from keras_s2s.config import Corpus
    >>> from keras_s2s.tokenizers import Whitespace
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pairs.tsv"
    >>> _ = path.write_text("a b\tx\na\t\n")
    >>> words = Whitespace(["a", "b", "x"])
    >>> data.scan_corpora(Corpus(pairs=str(path)), words, words, 10).describe()
    ['2 pairs, 1 target tokens; skipped 1 with an empty side']
    """
    options = ScanOptions(max_length, **options)
    corpora = as_list(corpora)
    check_files(corpora)
    for corpus in corpora:
        check_sides(corpus, source, target)
    if options.cache and any(getattr(side, "sampling", None) for side in (source, target)):
        expected = "expected none for a tokenizer with sampling"
        raise ValueError(f"cache: {expected}, got {options.cache!r}")
    stamps = tuple(file_stamp(path) for corpus in corpora for path in open_corpus(corpus).paths)
    key, directory = _storage(corpora, source, target, options, stamps)
    if directory and (statistics := example_cache.load_statistics(directory, corpora, key)):
        return statistics
    statistics = _scan(corpora, source, target, options, stamps, directory, progress)
    if directory:
        example_cache.save_statistics(example_cache.prepare_directory(directory), statistics, key)
    return statistics


def _storage(corpora, source, target, options, stamps):
    """The cache key and the directory of stored results, or None where nothing is stored."""
    if not options.cache and not options.keep:
        return None, None
    copy = options.copy and bool(options.cache)
    key = example_cache.cache_key(corpora, source, target, options.limits, stamps, copy)
    if not options.cache:
        return key, options.keep
    return key, example_cache.prepare_directory(f"{options.cache.rstrip('/')}/{key}")


def _scan(corpora, source, target, options, stamps, directory, progress):
    """Reads the corpora and returns their statistics; writes their examples with a cache."""
    repeated = find_duplicates(corpora) if options.unique else [None] * len(corpora)
    counters = [
        _CorpusCounter(corpus, mask, options.limits)
        for corpus, mask in zip(corpora, repeated, strict=True)
    ]
    with contextlib.ExitStack() as on_error:
        if options.cache:
            for number, counter in enumerate(counters):
                counter.writer = example_cache.ExampleWriter(directory, number, options.copy)
                on_error.callback(counter.writer.abandon)
        _count(counters, _block_encoder(source, target, options), progress)
        on_error.pop_all()
    return _statistics(counters, options.limits, stamps)


def _count(counters, encode_block, progress):
    """Counts corpora, and writes the examples of those that have a writer."""
    text = tf.TensorSpec([None], tf.string)
    spec = (tf.TensorSpec([], tf.int64), text, text, tf.TensorSpec([None], tf.float32))
    errors = []
    blocks = tf.data.Dataset.from_generator(
        _block_generator(counters, errors), output_signature=spec
    )
    encode_block = tf.autograph.experimental.do_not_convert(encode_block)
    encoded = blocks.map(encode_block, tf.data.AUTOTUNE, deterministic=True).prefetch(2)
    num_pairs = 0
    for number, lengths, rows in encoded.as_numpy_iterator():
        counters[number].add(np.stack(lengths), rows)
        num_pairs += len(lengths[0])
        if progress:
            progress(num_pairs)
    if errors:  # tf.data would turn it into an error of TensorFlow
        raise errors[0]


def _block_generator(counters, errors):
    """Returns a generator function of (corpus, sources, targets, weights) up to an error."""

    def generate():
        try:
            for number, counter in enumerate(counters):
                yield from ((number, *block[:3]) for block in counter.read())
        except UserError as error:
            errors.append(error)

    return generate


def _block_encoder(source, target, options):
    """Returns a function from a block to its token counts and, for a cache, its encoded rows."""

    def encode_block(number, sources, targets, weights):
        source_tokens, target_tokens = source.tokenize(sources), target.tokenize(targets)
        lengths = source_tokens.row_lengths(), target_tokens.row_lengths()
        if not options.cache:
            return number, lengths, {}
        # rows beyond the limits go first, so that no other row is padded to their length
        longer, shorter = tf.maximum(*lengths), tf.minimum(*lengths)
        fits = (shorter > 0) & (longer <= options.max_length)
        source_tokens = tf.ragged.boolean_mask(source_tokens, fits)
        target_tokens = tf.ragged.boolean_mask(target_tokens, fits)
        rows = encode(source_tokens, target_tokens, source, target, options.copy)
        return number, lengths, rows | {"weight": tf.boolean_mask(weights, fits), "fits": fits}

    return encode_block


class _CorpusCounter:
    """The running counts of one corpus."""

    def __init__(self, corpus, repeated, limits):
        self.corpus, self.repeated, self.limits = corpus, repeated, limits
        self.reader, self.writer = open_corpus(corpus), None
        self.bounds = np.asarray(length_buckets(limits.max_length))
        self.offsets, self.buckets = [self.reader.offsets()], bytearray()
        self.totals, self.lengths = Counter(), Counter()
        self.longest = np.zeros(2, np.int64)

    def read(self):
        """Yields blocks of pairs and records the offsets of each."""
        try:
            while block := self.reader.read(BLOCK_SIZE):
                self.offsets.append(self.reader.offsets())
                yield block
        finally:
            self.reader.close()

    def add(self, lengths, rows):
        """Counts one block by its numbers of tokens [2, B], and writes its rows."""
        kept = self._select_kept(lengths)
        longer = lengths.max(axis=0) + 1
        buckets = np.where(kept, np.searchsorted(self.bounds, longer), DROPPED)
        self.buckets.extend(buckets.astype(np.uint8).tobytes())
        self.longest = np.maximum(self.longest, lengths.max(axis=1))
        self.totals.update(dict(zip(_SUMS, lengths[:, kept].sum(axis=1).tolist(), strict=True)))
        self.lengths.update(longer[kept].tolist())
        if self.writer:
            kept_rows = kept[rows.pop("fits")]
            self.writer.add({key: values[kept_rows] for key, values in rows.items()})

    def _select_kept(self, lengths):
        """Which pairs of a block are kept, bool [B]; counts the reasons of the others."""
        first = len(self.buckets)
        repeated = self.repeated
        if repeated is not None:
            repeated = repeated[first : first + lengths.shape[1]]
        skipped = _skipped_by_reason(*lengths, self.limits, repeated)
        self.totals["pairs"] += lengths.shape[1]
        self.totals.update({reason: int(mask.sum()) for reason, mask in skipped.items()})
        return ~np.any(list(skipped.values()), axis=0)

    def counts(self) -> CorpusCounts:
        totals = {key: self.totals[key] for key in ("pairs", *SKIP_REASONS, *_SUMS)}
        longest = dict(zip(_MAXIMA, self.longest.tolist(), strict=True))
        lengths = dict(sorted(self.lengths.items()))
        name = corpus_name(self.corpus)
        return CorpusCounts(name=name, **totals, **longest, lengths=lengths)

    def index(self) -> CorpusIndex:
        weight = Fraction(self.corpus.weight).limit_denominator(WEIGHT_DENOMINATOR)
        buckets, offsets = np.frombuffer(self.buckets, np.uint8), np.array(self.offsets)
        return CorpusIndex(buckets, offsets, BLOCK_SIZE, weight, self.reader.sequential)


def _skipped_by_reason(source_lengths, target_lengths, limits, repeated):
    """Which pairs of these lengths [B] are skipped for each reason: bool [B], at most one True."""
    longer = np.maximum(source_lengths, target_lengths)
    shorter = np.minimum(source_lengths, target_lengths)
    applies = {
        "empty": shorter == 0,
        "too_short": shorter < limits.min_length,
        "too_long": longer > limits.max_length,
        "unbalanced": longer / np.maximum(shorter, 1) > (limits.max_ratio or np.inf),
        "duplicates": np.zeros(len(longer), bool) if repeated is None else repeated,
    }
    skipped = np.zeros(len(longer), bool)
    for reason, mask in applies.items():
        applies[reason] = mask & ~skipped
        skipped = skipped | mask
    return applies


def _statistics(counters, limits, stamps):
    parts = tuple(counter.counts() for counter in counters)
    keys = ("pairs", *SKIP_REASONS, *_SUMS)
    sums = {key: sum(getattr(part, key) for part in parts) for key in keys}
    maxima = {key: max(getattr(part, key) for part in parts) for key in _MAXIMA}
    lengths = sum((Counter(part.lengths) for part in parts), Counter())
    cached = counters[0].writer is not None
    return CorpusStatistics(
        name=corpus_name([counter.corpus for counter in counters]),
        **sums,
        **maxima,
        lengths=dict(sorted(lengths.items())),
        corpora=parts,
        limits=limits,
        indexes=tuple(counter.index() for counter in counters),
        stamps=stamps,
        examples=tuple(counter.writer.finish() for counter in counters) if cached else None,
    )
