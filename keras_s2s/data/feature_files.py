"""Files of features, sequences of real-valued frames: `.npz` archives and TFRecord files.

They have the interface of `LineReader`: an example is a row of bytes, the concatenated float32
numbers of its frames.
"""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.lib.io.tf_record import tf_record_random_reader

from keras_s2s.config import is_frames
from keras_s2s.data.line_files import open_binary, tensorflow_message
from keras_s2s.errors import UserError

__all__ = [
    "FeatureFile",
    "NpzFrames",
    "TFRecordFrames",
    "feature_size",
    "is_frames",
    "open_features",
    "read_features",
]

_PACKED = ("frames", "lengths")  # the arrays of an archive that holds all examples in one array
_BLOCK_SIZE = 64  # examples


def open_features(path: Path | str) -> "FeatureFile":
    """Returns a reader of a file of features, by the ending of its name."""
    return NpzFrames(path) if str(path).endswith(".npz") else TFRecordFrames(path)


def feature_size(path: Path | str) -> int:
    """Returns the size F of a frame of a file, from its first example.

    Raises:
        UserError: The file cannot be read, is empty, or its first example is invalid.
    """
    file = open_features(path)
    try:
        if not file.read(1):
            raise UserError(f"{path}: expected at least one example, got none")
        return file.size
    finally:
        file.close()


def read_features(path: Path | str) -> Iterator[np.ndarray]:
    """Yields the examples of a file of features, float32 arrays [S, F].

    Raises:
        UserError: The file cannot be read, or an example is invalid; the message names it.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from keras_s2s.data import read_features
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.npz"
    >>> np.savez(path, np.zeros([2, 3]), np.ones([1, 3]))
    >>> [array.shape for array in read_features(path)]
    [(2, 3), (1, 3)]
    """
    file = open_features(path)
    try:
        while block := file.read(_BLOCK_SIZE):
            for row in block:
                yield file.to_array(row)
    finally:
        file.close()


class FeatureFile:
    """Base class of readers that check the examples of a file and return them in order.

    Args:
        path: The file. It is opened by the first `read`.

    Attributes:
        path: The file, as a string.
        num_read: Number of examples read so far.
        offset: Position of the next example.
        size: Numbers in a frame, F; None before the first example.
    """

    description = ""  # the expected format, for an error message

    def __init__(self, path: Path | str):
        self.path, self.num_read, self.offset, self.size = str(path), 0, 0, None

    def read(self, count: int) -> list[bytes]:
        """Returns the next `count` examples as bytes, or fewer at the end of the file.

        Raises:
            UserError: The file cannot be read, or an example is invalid.
        """
        rows = []
        with self._naming_file():
            for name, values in self._read_arrays(count):
                rows.append(self._check(values, name).tobytes())
                self.num_read += 1
        return rows

    def seek(self, offset: int, num_read: int) -> None:
        """Continues with the example at `offset`, which is example `num_read` counted from 0."""
        self.offset, self.num_read = offset, num_read

    def to_array(self, row: bytes) -> np.ndarray:
        """Returns the features [S, F] of a row that `read` returned."""
        return np.frombuffer(row, "<f4").reshape(-1, self.size)

    def count(self) -> int:
        """Reads to the end and returns the number of examples of the file."""
        while self.read(_BLOCK_SIZE):
            pass
        return self.num_read

    def close(self) -> None:
        """Closes the file; a later `read` starts again at its first example."""
        raise NotImplementedError

    def _read_arrays(self, count):
        """Yields (name, array) of the next examples; the name is for an error message."""
        raise NotImplementedError

    def _check(self, values, name):
        location = f"{self.path}: example {self.num_read + 1}{name}"
        array = np.asarray(values)
        expected = f"expected real numbers [S, {self.size or 'F'}]"
        if array.ndim != 2 or not array.shape[1] or array.dtype.kind not in "fiub":
            raise UserError(f"{location}: {expected}, got {array.dtype} {list(array.shape)}")
        if self.size not in (None, array.shape[1]):
            raise UserError(f"{location}: {expected}, got {list(array.shape)}")
        array = array.astype("<f4")
        if not np.isfinite(array).all():
            frame = int(np.flatnonzero(~np.isfinite(array).all(1))[0])
            raise UserError(
                f"{location}: expected finite numbers, got infinity or NaN in frame {frame + 1}"
            )
        self.size = array.shape[1]
        return np.ascontiguousarray(array)

    @contextlib.contextmanager
    def _naming_file(self):
        """Turns the errors of reading the file into a `UserError` with its path."""
        try:
            yield
        except UserError:
            raise
        except tf.errors.OpError as error:
            message = tensorflow_message(error)
        except OSError as error:
            message = error.strerror or error
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError) as error:
            message = str(error) or type(error).__name__
        else:
            return
        raise UserError(f"{self.path}: expected {self.description}, got: {message}") from None


class NpzFrames(FeatureFile):
    """The examples of an `.npz` archive, in the order of its arrays.

    Either every array is an example [S, F], or there are two arrays: `frames` [N, F] with the
    frames of all examples, and `lengths` [E] with the number of frames of each example.

    Args:
        path: The archive.
    """

    description = "an .npz archive of arrays [S, F]"

    def __init__(self, path: Path | str):
        super().__init__(path)
        self._file = self._archive = self._packed = None

    def seek(self, offset: int, num_read: int) -> None:
        self.num_read = self.offset = num_read

    def close(self) -> None:
        for file in (self._archive, self._file):
            if file is not None:
                file.close()
        self._file = self._archive = self._packed = None
        self.num_read = self.offset = 0

    def _read_arrays(self, count):
        self._open()
        if self._packed is not None:
            frames, ends = self._packed
            for number in range(self.num_read, min(self.num_read + count, len(ends) - 1)):
                yield "", frames[ends[number] : ends[number + 1]]
        else:
            for name in self._archive.files[self.num_read : self.num_read + count]:
                yield f" ({name})", self._archive[name]
        self.offset = self.num_read

    def _open(self):
        if self._archive is not None:
            return
        self._file = open_binary(self.path)
        archive = np.load(self._file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("one array")
        self._archive = archive
        if set(archive.files) == set(_PACKED):
            self._packed = self._unpack(*(archive[name] for name in _PACKED))

    def _unpack(self, frames, lengths):
        """The frames of all examples and the ends of the examples in them."""
        valid = lengths.ndim == 1 and lengths.dtype.kind in "iu" and (lengths >= 0).all()
        if not valid or frames.ndim != 2 or lengths.sum() != len(frames):
            actual = f"{list(frames.shape)} and {lengths.dtype} {list(lengths.shape)}"
            total = f" of sum {lengths.sum()}" if valid else ""
            raise UserError(
                f"{self.path}: expected frames [N, F] and lengths [E] that sum to N, got {actual}"
                f"{total}"
            )
        return frames, np.concatenate([[0], np.cumsum(lengths)])


class TFRecordFrames(FeatureFile):
    """The examples of a TFRecord file.

    A record is a `tf.train.SequenceExample` whose one feature list (or `values`) has a float_list
    of F numbers for each frame, or a `tf.train.Example` with a float_list `values` of S * F
    numbers and an int64_list `shape` of S and F.

    Args:
        path: The TFRecord file.
    """

    description = "a TFRecord file of frames"

    def __init__(self, path: Path | str):
        super().__init__(path)
        self._file = None

    def close(self) -> None:
        self._file, self.num_read, self.offset = None, 0, 0

    def _read_arrays(self, count):
        if self._file is None:
            self._file = tf_record_random_reader(self.path)
        for _ in range(count):
            try:
                record, self.offset = self._file.read(self.offset)  # verifies the checksums
            except IndexError:  # end of the file
                return
            yield "", self._parse(record)

    def _parse(self, record):
        location = f"{self.path}: example {self.num_read + 1}"
        try:
            sequence = tf.train.SequenceExample.FromString(record)
        except Exception as error:  # the type depends on the protobuf implementation
            raise UserError(f"{location}: expected a tf.train.Example, got: {error}") from None
        lists = sequence.feature_lists.feature_list
        if lists:
            name = "values" if "values" in lists or len(lists) > 1 else next(iter(lists))
            return self._parse_frames(lists[name].feature, location)
        features = sequence.context.feature
        values = np.array(features["values"].float_list.value, "<f4")
        shape = list(features["shape"].int64_list.value)
        if len(shape) != 2 or shape[0] * shape[1] != len(values):
            raise UserError(
                f"{location}: expected float_list values of S * F numbers and int64_list shape of S"
                f" and F, got {len(values)} numbers and the shape {shape}"
            )
        return values.reshape(shape)

    def _parse_frames(self, features, location):
        rows = [list(feature.float_list.value) for feature in features]
        sizes = {len(row) for row in rows}
        if len(sizes) > 1:
            actual = f"{min(sizes)} and {max(sizes)}"
            raise UserError(f"{location}: expected as many numbers in every frame, got {actual}")
        return np.array(rows, "<f4").reshape(len(rows), sizes.pop() if sizes else 1)
