"""From files and strings to what the model takes: the one place that makes its inputs.

`make_source` serves `fit`, the translator and every export alike; `batches` reads a corpus into a
`tf.data` pipeline of (x, y, sample_weight), and `scan_corpora` counts what that pipeline will find.
"""

from keras_s2s.data.batch_sampler import length_buckets
from keras_s2s.data.batching import batches, longest_batch
from keras_s2s.data.corpus_readers import read_lines, read_pairs, read_side
from keras_s2s.data.corpus_scan import scan_corpora
from keras_s2s.data.corpus_statistics import CorpusStatistics
from keras_s2s.data.examples import (
    make_example,
    make_source,
    target_ids,
    target_strings,
)
from keras_s2s.data.feature_files import feature_size, is_frames, read_features
from keras_s2s.data.locate_batch import find_lines

__all__ = [
    "CorpusStatistics",
    "batches",
    "feature_size",
    "find_lines",
    "is_frames",
    "length_buckets",
    "longest_batch",
    "make_example",
    "make_source",
    "read_features",
    "read_lines",
    "read_pairs",
    "read_side",
    "scan_corpora",
    "target_ids",
    "target_strings",
]
