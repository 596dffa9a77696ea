"""Files of frames, sequences of real vectors: `.npz` archives and TFRecord files.

They are read as `files.Lines` reads text: an example is a row, of bytes here, the float32 numbers
of its frames one after the other.
"""

import contextlib
import zipfile
import zlib

import numpy as np
import tensorflow as tf
from tensorflow.python.lib.io.tf_record import tf_record_random_reader

from keras_s2s.config import is_frames
from keras_s2s.data.line_files import open_binary, tensorflow_message
from keras_s2s.errors import UserError

__all__ = [
    "NpzFrames",
    "TFRecordFrames",
    "feature_size",
    "is_frames",
    "open_features",
    "read_features",
]

_PACKED = ("frames", "lengths")  # the arrays of an archive that holds all examples in one


def open_features(path):
    """A file of frames, `NpzFrames` or `TFRecordFrames` by its name."""
    return NpzFrames(path) if str(path).endswith(".npz") else TFRecordFrames(path)


def feature_size(path) -> int:
    """Numbers in a frame of a file, F, known from its first example.

    Raises:
        UserError: the file cannot be read, holds no example or its first one is none.
    """
    file = open_features(path)
    try:
        if not file.take(1):
            raise UserError(f"{path}: expected at least one example, came none")
        return file.width
    finally:
        file.close()


def read_features(path):
    """The examples of a file, float32 arrays [S, F], one at a time.

    Raises:
        UserError: as `feature_size`, or naming the example that is none.
    """
    file = open_features(path)
    try:
        while block := file.take(64):
            for row in block:
                yield file.array(row)
    finally:
        file.close()


class _Frames:
    """What both kinds share: rows in order, each checked.

    Attributes:
        path: the file.
        number: examples taken so far.
        offset: where the next one begins.
        width: numbers in a frame, F; None before the first example.
    """

    def __init__(self, path):
        self.path, self.number, self.offset, self.width = str(path), 0, 0, None

    def take(self, count: int) -> list[bytes]:
        """The next examples as bytes, `count` of them but at the end of the file.

        Raises:
            UserError: the file cannot be read, or naming the example that is none.
        """
        rows = []
        with self._reading():
            for name, values in self._next(count):
                rows.append(self._checked(values, name).tobytes())
                self.number += 1
        return rows

    def array(self, row: bytes) -> np.ndarray:
        """The frames [S, F] of a row that `take` gave."""
        return np.frombuffer(row, "<f4").reshape(-1, self.width)

    def count(self) -> int:
        """The number of all examples, those taken and those left."""
        while self.take(64):
            pass
        return self.number

    def _next(self, count):
        raise NotImplementedError

    def _checked(self, values, name):
        place = f"{self.path}: example {self.number + 1}{name}"
        array = np.asarray(values)
        expected = f"expected real numbers [S, {self.width or 'F'}]"
        if array.ndim != 2 or not array.shape[1] or array.dtype.kind not in "fiub":
            raise UserError(f"{place}: {expected}, came {array.dtype} {list(array.shape)}")
        if self.width not in (None, array.shape[1]):
            raise UserError(f"{place}: {expected}, came {list(array.shape)}")
        array = array.astype("<f4")
        if not np.isfinite(array).all():
            frame = int(np.flatnonzero(~np.isfinite(array).all(1))[0])
            raise UserError(f"{place}: expected finite numbers, came others in frame {frame + 1}")
        self.width = array.shape[1]
        return np.ascontiguousarray(array)

    @contextlib.contextmanager
    def _reading(self):
        try:
            yield
        except OSError as error:
            came = error.strerror or error
            raise UserError(f"{self.path}: expected {self.what}, came: {came}") from None
        except tf.errors.OpError as error:
            came = tensorflow_message(error)
            raise UserError(f"{self.path}: expected {self.what}, came: {came}") from None
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError) as error:
            if isinstance(error, UserError):
                raise
            came = str(error) or type(error).__name__
            raise UserError(f"{self.path}: expected {self.what}, came: {came}") from None


class NpzFrames(_Frames):
    """The examples of an `.npz` archive, in the order of the file.

    Either every array is an example [S, F], or there are two: `frames` [N, F], those of all
    examples one after the other, and `lengths` [E], how many belong to each.
    """

    what = "an .npz archive of arrays [S, F]"

    def __init__(self, path):
        super().__init__(path)
        self._file = self._archive = self._packed = None

    def seek(self, offset: int, number: int) -> None:
        """Goes to the example `number` (from 0)."""
        self.number = self.offset = number

    def close(self) -> None:
        """Lets go of the file; a later `take` begins again."""
        for file in (self._archive, self._file):
            if file is not None:
                file.close()
        self._file = self._archive = self._packed = None
        self.number = self.offset = 0

    def _next(self, count):
        self._open()
        if self._packed is not None:
            frames, ends = self._packed
            for number in range(self.number, min(self.number + count, len(ends) - 1)):
                yield "", frames[ends[number] : ends[number + 1]]
        else:
            for name in self._archive.files[self.number : self.number + count]:
                yield f" ({name})", self._archive[name]
        self.offset = self.number

    def _open(self):
        if self._archive is not None:
            return
        self._file = open_binary(self.path)
        found = np.load(self._file, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise ValueError("one array")
        self._archive = found
        if set(self._archive.files) == set(_PACKED):
            self._packed = self._unpack(*(self._archive[name] for name in _PACKED))

    def _unpack(self, frames, lengths):
        whole = lengths.ndim == 1 and lengths.dtype.kind in "iu" and (lengths >= 0).all()
        if not whole or frames.ndim != 2 or lengths.sum() != len(frames):
            came = f"{list(frames.shape)} and {lengths.dtype} {list(lengths.shape)}"
            summed = f" of sum {lengths.sum()}" if whole else ""
            raise UserError(
                f"{self.path}: expected frames [N, F] and lengths [E] that sum to N, came {came}"
                f"{summed}"
            )
        return frames, np.concatenate([[0], np.cumsum(lengths)])


class TFRecordFrames(_Frames):
    """The examples of a TFRecord file.

    A record is a `tf.train.SequenceExample` whose one feature list (or `values`) has a float_list
    of F numbers for each frame, or a `tf.train.Example` with a float_list `values` of S * F
    numbers and an int64_list `shape` of S and F.
    """

    what = "a TFRecord file of frames"

    def __init__(self, path):
        super().__init__(path)
        self._file = None

    def seek(self, offset: int, number: int) -> None:
        """Goes to the record that began at `offset` when `number` had been taken."""
        self.offset, self.number = offset, number

    def close(self) -> None:
        """Lets go of the file; a later `take` begins again."""
        self._file, self.number, self.offset = None, 0, 0

    def _next(self, count):
        if self._file is None:
            self._file = tf_record_random_reader(self.path)
        for _ in range(count):
            try:
                record, self.offset = self._file.read(self.offset)  # checks its sums
            except IndexError:  # the end
                return
            yield "", self._values(record)

    def _values(self, record):
        place = f"{self.path}: example {self.number + 1}"
        try:
            sequence = tf.train.SequenceExample.FromString(record)
        except Exception as error:  # protobuf's own kind
            raise UserError(f"{place}: expected a tf.train.Example, came: {error}") from None
        lists = sequence.feature_lists.feature_list
        if lists:
            name = "values" if "values" in lists or len(lists) > 1 else next(iter(lists))
            rows = [list(one.float_list.value) for one in lists[name].feature]
            sizes = {len(row) for row in rows}
            if len(sizes) > 1:
                came = f"{min(sizes)} and {max(sizes)}"
                raise UserError(f"{place}: expected as many numbers in every frame, came {came}")
            return np.array(rows, "<f4").reshape(len(rows), sizes.pop() if sizes else 1)
        found = sequence.context.feature
        values = np.array(found["values"].float_list.value, "<f4")
        shape = list(found["shape"].int64_list.value)
        if len(shape) != 2 or shape[0] * shape[1] != len(values):
            raise UserError(
                f"{place}: expected float_list values of S * F numbers and int64_list shape of S"
                f" and F, came {len(values)} numbers and the shape {shape}"
            )
        return values.reshape(shape)
