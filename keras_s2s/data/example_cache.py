"""Tokenised examples kept in a directory: written once, and read in place of the text.

DIR/KEY holds, for each corpus, a TFRecord file with one `tf.train.Example` for every block of
pairs, and `survey.npz`, which is written last: without it the directory counts for nothing.
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
from collections.abc import Sequence
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

_VERSION = 1  # of what is written; another one is never read
_FRAME = 16  # bytes that TFRecord puts around a record
_OLD = 3600.0  # seconds after which a half-written file is taken for left over


def cache_key(
    corpora: Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    limits: PairLimits,
    stamps: Sequence,
    copy: bool,
) -> str:
    """A name that changes with whatever could change the examples."""
    paths = [path for corpus in corpora for path in open_corpus(corpus).paths]
    paths = [path if is_remote(path) else os.path.abspath(path) for path in paths]
    sides = [_digest(source), _digest(target)]
    parts = [_VERSION, BLOCK_SIZE, paths, stamps, sides, dataclasses.asdict(limits), copy]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def _digest(tokenizer):
    """Of all the files that a tokenizer is made from again."""
    made = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder, "tokenizer")
        for path in sorted(Path(folder).iterdir()):
            made.update(path.name.encode() + b"\n" + path.read_bytes())
    return made.hexdigest()


def prepare_directory(directory: str) -> str:
    """The directory, made where it is missing; what an earlier attempt left half-written goes.

    Raises:
        UserError: the directory cannot be made.
    """
    with _written(directory):
        tf.io.gfile.makedirs(directory)
        for name in tf.io.gfile.listdir(directory):
            path = f"{directory}/{name}"
            ours = name.startswith(("survey.npz.", "examples-")) and name.endswith(".new")
            if ours and time.time() - tf.io.gfile.stat(path).mtime_nsec / 1e9 > _OLD:
                tf.io.gfile.remove(path)
    return directory


class ExampleWriter:
    """One corpus' examples on their way into a file; seen under its name once it is whole.

    Args:
        directory: from `prepare_directory`.
        number: of the corpus.
        copy: whether the examples hold copy ids.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, directory: str, number: int, copy: bool):
        self.path, self.copy = f"{directory}/examples-{number}.tfrecord", copy
        self._beside = f"{self.path}.{os.getpid()}.new"
        self._ends, self._sums = [0], []
        with _written(self.path):
            self._file = tf.io.TFRecordWriter(self._beside)

    def add(self, rows: dict) -> None:
        """Writes one block of what `encode` gave, with `weight`, as NumPy arrays."""
        record = _pack(rows)
        with _written(self.path):
            self._file.write(record)
        self._ends.append(self._ends[-1] + len(record) + _FRAME)
        self._sums.append(zlib.crc32(record))

    def finish(self) -> CachedCorpus:
        """Gives the file its name."""
        with _written(self.path):
            self._file.close()
            tf.io.gfile.rename(self._beside, self.path, overwrite=True)
        return CachedCorpus(self.path, np.array(self._ends), np.array(self._sums), self.copy)

    def abandon(self) -> None:
        """Removes what was written."""
        with _written(self.path):
            self._file.close()
            if tf.io.gfile.exists(self._beside):
                tf.io.gfile.remove(self._beside)


def _pack(rows):
    """Ids one row after the other, without padding, and the rows' lengths; all little-endian."""
    made = {}
    for name, width in (("ids", "source"), ("copy_ids", "source"), ("labels", "target")):
        if name in rows:
            real = np.arange(rows[name].shape[1]) < rows[f"{width}_length"][:, None]
            made[name] = rows[name][real].astype("<i4")
    for name, kind in (("source_length", "<i4"), ("target_length", "<i4"), ("weight", "<f4")):
        made[name] = rows[name].astype(kind)
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[values.tobytes()]))
        for name, values in made.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def save_statistics(directory: str, survey: CorpusStatistics, key: str) -> None:
    """Writes the survey beside its examples, which makes them count, or alone.

    Raises:
        UserError: it cannot be written.
    """
    examples = survey.examples or ()
    about = {
        "key": key,
        "counts": survey.to_dict(),
        "stamps": survey.stamps,
        "examples": [[one.path.rpartition("/")[2], one.copy] for one in examples],
        "blocks": [[index.block, index.sequential] for index in survey.indexes],
    }
    arrays = {"about": np.array(json.dumps(about))}
    for number, index in enumerate(survey.indexes):
        arrays |= {f"buckets{number}": index.buckets, f"places{number}": index.places}
    for number, one in enumerate(examples):
        arrays |= {f"ends{number}": one.ends, f"sums{number}": one.sums}
    content = io.BytesIO()
    np.savez(content, **arrays)
    path = f"{directory}/survey.npz"
    beside = f"{path}.{os.getpid()}.new"
    with _written(path):
        with tf.io.gfile.GFile(beside, "wb") as file:
            file.write(content.getvalue())
        tf.io.gfile.rename(beside, path, overwrite=True)


def load_statistics(directory: str, corpora: Sequence[Corpus], key: str) -> CorpusStatistics | None:
    """The survey that `save_statistics` wrote, or None: there is none, another, or not all its examples."""
    path = f"{directory}/survey.npz"
    with _written(path):
        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path, "rb") as file:
            content = file.read()
    try:
        arrays = dict(np.load(io.BytesIO(content)))
        about = json.loads(str(arrays["about"]))
    except (ValueError, OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile):
        return None  # damaged: made anew
    survey = _survey(directory, arrays, about, corpora) if about["key"] == key else None
    return survey if survey and all(map(_is_whole, survey.examples or ())) else None


def _survey(directory, arrays, about, corpora):
    examples, indexes = [], []
    for number, (file, copy) in enumerate(about["examples"]):
        ends, sums = arrays[f"ends{number}"], arrays[f"sums{number}"]
        examples.append(CachedCorpus(f"{directory}/{file}", ends, sums, copy))
    for number, (block, sequential) in enumerate(about["blocks"]):
        weight = Fraction(corpora[number].weight).limit_denominator(WEIGHT_DENOMINATOR)
        pairs = arrays[f"buckets{number}"], arrays[f"places{number}"]
        indexes.append(CorpusIndex(*pairs, block, weight, sequential))
    counts = about["counts"]
    return CorpusStatistics(
        **vars(_counts(counts)),
        corpora=tuple(map(_counts, counts["corpora"])),
        limits=PairLimits(**counts["limits"]),
        indexes=tuple(indexes),
        stamps=tuple(map(tuple, about["stamps"])),
        examples=tuple(examples) or None,
    )


def _counts(plain):
    given = {field.name: plain[field.name] for field in dataclasses.fields(CorpusCounts)}
    lengths = {int(length): count for length, count in given["lengths"].items()}
    return CorpusCounts(**given | {"lengths": lengths})


def _is_whole(examples):
    try:
        return tf.io.gfile.stat(examples.path).length == examples.ends[-1]
    except tf.errors.OpError:
        return False


@contextlib.contextmanager
def _written(path):
    """Turns what writing a file raises into a user's error that names it."""
    try:
        yield
    except tf.errors.OpError as error:
        came = tensorflow_message(error).rpartition("; ")[2]  # before it stands a name of our own
        raise UserError(f"{path}: cannot be written: {came}") from None
