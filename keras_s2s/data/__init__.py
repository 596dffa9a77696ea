"""Data pipelines: corpora and strings to the inputs of a model.

`make_source` makes the model's inputs for `fit`, the translator and every export. `scan_corpora`
computes the statistics of corpora, and `batches` reads them into a `tf.data` pipeline of
`(x, y, sample_weight)`.
"""

from keras_s2s.data.batch_sampler import length_buckets
from keras_s2s.data.batching import batches, longest_batch
from keras_s2s.data.corpus_readers import read_lines, read_pairs, read_side
from keras_s2s.data.corpus_scan import ScanOptions, scan_corpora
from keras_s2s.data.corpus_statistics import CorpusStatistics
from keras_s2s.data.examples import (
    make_example,
    make_source,
    target_ids,
    target_strings,
)
from keras_s2s.data.feature_files import feature_size, is_frames, read_features
from keras_s2s.data.locate_batch import find_lines

# names of earlier versions
Survey = CorpusStatistics
read_frames = read_features
survey = scan_corpora
width_of = feature_size

__all__ = [
    "CorpusStatistics",
    "ScanOptions",
    "Survey",
    "batches",
    "feature_size",
    "find_lines",
    "is_frames",
    "length_buckets",
    "longest_batch",
    "make_example",
    "make_source",
    "read_features",
    "read_frames",
    "read_lines",
    "read_pairs",
    "read_side",
    "scan_corpora",
    "survey",
    "target_ids",
    "target_strings",
    "width_of",
]
