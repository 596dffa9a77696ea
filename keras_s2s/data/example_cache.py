"""Cache of tokenized examples in a directory: written once, and read instead of the text.

DIR/KEY holds a TFRecord file for each corpus, with one `tf.train.Example` per block of pairs, and
`survey.npz` with the statistics. `survey.npz` is written last: without it the cache is not used.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data.batch_sampler import CorpusIndex
from keras_s2s.data.corpus_readers import BLOCK_SIZE, open_corpus
from keras_s2s.data.corpus_statistics import (
    WEIGHT_DENOMINATOR,
    CachedCorpus,
    CorpusCounts,
    CorpusStatistics,
    PairLimits,
)
from keras_s2s.data.line_files import is_remote, tensorflow_message
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Tokenizer

__all__ = ["ExampleWriter", "cache_key", "load_statistics", "prepare_directory", "save_statistics"]

_VERSION = 1  # of the format; files of another version are not read
_RECORD_OVERHEAD = 16  # bytes that TFRecord adds to a record
_STALE_AFTER = 3600.0  # seconds after which a partial file belongs to no running process


def cache_key(
    corpora: Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    limits: PairLimits,
    stamps: Sequence[tuple[int, int]],
    copy: bool,
) -> str:
    """Returns a name that changes with anything that changes the examples.

    Args:
        corpora: The corpora.
        source: The tokenizer of the source.
        target: The tokenizer of the target.
        limits: The limits of pairs.
        stamps: (bytes, time of change) of each file.
        copy: Whether the examples hold copy ids.
    """
    paths = [path for corpus in corpora for path in open_corpus(corpus).paths]
    paths = [path if is_remote(path) else os.path.abspath(path) for path in paths]
    sides = [_digest(source), _digest(target)]
    parts = [_VERSION, BLOCK_SIZE, paths, stamps, sides, dataclasses.asdict(limits), copy]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def _digest(tokenizer):
    """A digest of the files that a tokenizer is saved to."""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder, "tokenizer")
        for path in sorted(Path(folder).iterdir()):
            digest.update(path.name.encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()


def prepare_directory(directory: str) -> str:
    """Creates a directory where it is missing, and removes stale partial files from it.

    Returns:
        The directory.

    Raises:
        UserError: The directory cannot be created.
    """
    with _naming_file(directory):
        tf.io.gfile.makedirs(directory)
        for name in tf.io.gfile.listdir(directory):
            path = f"{directory}/{name}"
            partial = name.startswith(("survey.npz.", "examples-")) and name.endswith(".new")
            if partial and time.time() - tf.io.gfile.stat(path).mtime_nsec / 1e9 > _STALE_AFTER:
                tf.io.gfile.remove(path)
    return directory


class ExampleWriter:
    """Writes the examples of one corpus to a file that gets its name when it is complete.

    Args:
        directory: A directory from `prepare_directory`.
        number: The number of the corpus.
        copy: Whether the examples hold copy ids.

    Raises:
        UserError: The file cannot be written.
    """

    def __init__(self, directory: str, number: int, copy: bool):
        self.path, self.copy = f"{directory}/examples-{number}.tfrecord", copy
        self._partial_path = f"{self.path}.{os.getpid()}.new"
        self._ends, self._sums = [0], []
        with _naming_file(self.path):
            self._file = tf.io.TFRecordWriter(self._partial_path)

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Writes one block of the arrays that `encode` returns, with `weight`."""
        record = _serialize(rows)
        with _naming_file(self.path):
            self._file.write(record)
        self._ends.append(self._ends[-1] + len(record) + _RECORD_OVERHEAD)
        self._sums.append(zlib.crc32(record))

    def finish(self) -> CachedCorpus:
        """Renames the file to its final name."""
        with _naming_file(self.path):
            self._file.close()
            tf.io.gfile.rename(self._partial_path, self.path, overwrite=True)
        return CachedCorpus(self.path, np.array(self._ends), np.array(self._sums), self.copy)

    def abandon(self) -> None:
        """Removes the partial file."""
        with _naming_file(self.path):
            self._file.close()
            if tf.io.gfile.exists(self._partial_path):
                tf.io.gfile.remove(self._partial_path)


def _serialize(rows):
    """A record of the concatenated rows without padding and of their lengths, little-endian."""
    arrays = {}
    for name, side in (("ids", "source"), ("copy_ids", "source"), ("labels", "target")):
        if name in rows:
            mask = np.arange(rows[name].shape[1]) < rows[f"{side}_length"][:, None]
            arrays[name] = rows[name][mask].astype("<i4")
    for name, dtype in (("source_length", "<i4"), ("target_length", "<i4"), ("weight", "<f4")):
        arrays[name] = rows[name].astype(dtype)
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[values.tobytes()]))
        for name, values in arrays.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def save_statistics(directory: str, statistics: CorpusStatistics, key: str) -> None:
    """Writes statistics to `survey.npz`, after the examples that they describe.

    Raises:
        UserError: The file cannot be written.
    """
    examples = statistics.examples or ()
    about = {
        "key": key,
        "counts": statistics.to_dict(),
        "stamps": statistics.stamps,
        "examples": [[cached.path.rpartition("/")[2], cached.copy] for cached in examples],
        "blocks": [[index.block_size, index.sequential] for index in statistics.indexes],
    }
    arrays = {"about": np.array(json.dumps(about))}
    for number, index in enumerate(statistics.indexes):
        arrays |= {f"buckets{number}": index.buckets, f"places{number}": index.offsets}
    for number, cached in enumerate(examples):
        arrays |= {f"ends{number}": cached.ends, f"sums{number}": cached.sums}
    content = io.BytesIO()
    np.savez(content, **arrays)
    path = f"{directory}/survey.npz"
    partial_path = f"{path}.{os.getpid()}.new"
    with _naming_file(path):
        with tf.io.gfile.GFile(partial_path, "wb") as file:
            file.write(content.getvalue())
        tf.io.gfile.rename(partial_path, path, overwrite=True)


def load_statistics(directory: str, corpora: Sequence[Corpus], key: str) -> CorpusStatistics | None:
    """Returns the statistics that `save_statistics` wrote.

    Returns:
        None where there are none with this key, the file is damaged, or an example file is missing
        or incomplete.
    """
    path = f"{directory}/survey.npz"
    with _naming_file(path):
        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path, "rb") as file:
            content = file.read()
    try:
        arrays = dict(np.load(io.BytesIO(content)))
        about = json.loads(str(arrays["about"]))
    except (ValueError, OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile):
        return None
    if about["key"] != key:
        return None
    statistics = _parse_statistics(directory, arrays, about, corpora)
    return statistics if all(map(_is_complete, statistics.examples or ())) else None


def _parse_statistics(directory, arrays, about, corpora):
    examples, indexes = [], []
    for number, (file, copy) in enumerate(about["examples"]):
        ends, sums = arrays[f"ends{number}"], arrays[f"sums{number}"]
        examples.append(CachedCorpus(f"{directory}/{file}", ends, sums, copy))
    for number, (block_size, sequential) in enumerate(about["blocks"]):
        weight = Fraction(corpora[number].weight).limit_denominator(WEIGHT_DENOMINATOR)
        pairs = arrays[f"buckets{number}"], arrays[f"places{number}"]
        indexes.append(CorpusIndex(*pairs, block_size, weight, sequential))
    counts = about["counts"]
    return CorpusStatistics(
        **vars(_parse_counts(counts)),
        corpora=tuple(map(_parse_counts, counts["corpora"])),
        limits=PairLimits(**counts["limits"]),
        indexes=tuple(indexes),
        stamps=tuple(map(tuple, about["stamps"])),
        examples=tuple(examples) or None,
    )


def _parse_counts(values):
    fields = {field.name: values[field.name] for field in dataclasses.fields(CorpusCounts)}
    lengths = {int(length): count for length, count in fields["lengths"].items()}
    return CorpusCounts(**fields | {"lengths": lengths})


def _is_complete(cached):
    try:
        return tf.io.gfile.stat(cached.path).length == cached.ends[-1]
    except tf.errors.OpError:
        return False


@contextlib.contextmanager
def _naming_file(path) -> Iterator[None]:
    """Turns the errors of writing a file into a `UserError` with its path."""
    try:
        yield
    except tf.errors.OpError as error:
        # the part before the last "; " names the partial file
        message = tensorflow_message(error).rpartition("; ")[2]
        raise UserError(f"{path}: cannot be written: {message}") from None
