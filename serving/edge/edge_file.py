"""A LiteRT file of this package: what it says of itself, and its signatures to call.

NumPy and ai-edge-litert alone: no TensorFlow is loaded.
"""

import contextlib
import json
import queue
import time

import numpy as np

from keras_s2s.serving.errors import StartError

__all__ = ["DESCRIPTION", "MODEL_CARD", "EdgeFile"]

DESCRIPTION = "keras_s2s"  # JSON: tokenizers, special ids, defaults, caps, signatures
MODEL_CARD = "keras_s2s.card"  # JSON: the model card
FORMAT = 1  # of `DESCRIPTION`, the newest that is read here


class EdgeFile:
    """A file in memory, and interpreters of it; threads may share it.

    A call's state is all in what it takes and gives, so any interpreter serves any call.

    Args:
        path: the file.
        threads: that an operation may use.
        interpreters: calls that may run at once; others wait for their turn.

    Attributes:
        about, card: what the file's metadata says.
        deadline: None, see `until`.

    Raises:
        StartError: it cannot be read, or is no such file.
    """

    deadline = None

    def __init__(self, path, threads=1, interpreters=1):
        _check_count("threads", threads)
        _check_count("interpreters", interpreters)
        try:
            with open(path, "rb") as file:
                self._content = file.read()
        except OSError as error:
            raise StartError(f"{path}: {error.strerror}") from None
        self._entries = _metadata(self._content, path)
        if DESCRIPTION not in self._entries:
            raise StartError(f"{path}: expected a LiteRT file of keras_s2s, came another")
        self.description, self.card = (
            _json(self._entries.get(name, b"{}"), path) for name in (DESCRIPTION, MODEL_CARD)
        )
        if self.description["format"] > FORMAT:
            came = f"came one of format {self.about['format']}"
            expected = f"expected a file of format {FORMAT}"
            raise StartError(f"{path}: {expected}, {came}: update keras_s2s")
        self._threads = threads
        self._free = queue.LifoQueue()  # a warm one first; None where one has yet to be made
        for _ in range(interpreters - 1):
            self._free.put(None)
        try:
            self._free.put(self._interpreter())
        except (ValueError, RuntimeError) as error:
            raise StartError(f"{path}: {error}") from None

    def _interpreter(self):
        from ai_edge_litert.interpreter import Interpreter

        return _Runners(Interpreter(model_content=self._content, num_threads=self._threads))

    def entry(self, name) -> bytes:
        """An entry of the metadata."""
        return self._entries[name]

    def inputs(self, signature) -> list[str]:
        """The names of a signature's inputs."""
        return self.description["signatures"][signature]["inputs"]

    def until(self, deadline):
        """This file, with a deadline by `time.monotonic`: calls begun later raise TimeoutError."""
        return _Until(self, deadline)

    def run(self, signature, **inputs) -> dict:
        """Calls a signature.

        Args:
            signature: its name.
            **inputs: arrays by name; those that it does not take are left out. Types and ranks
                are checked here, for an interpreter trusts them.

        Returns:
            Arrays by name.

        Raises:
            ValueError: naming the signature or input that is wrong.
        """
        return self.run_within(None, signature, inputs)

    def run_within(self, seconds, signature, inputs) -> dict:
        """`run`, that waits for its turn so many seconds, and then raises TimeoutError."""
        described = self.description["signatures"].get(signature)
        if described is None:
            known = ", ".join(self.description["signatures"])
            raise ValueError(f"signature: expected one of {known}, came {signature!r}")
        if "operations" in described:
            needed = f"{signature!r}, which needs {', '.join(described['operations'])}"
            raise ValueError(f"signature: expected one of built-in operations, came {needed}")
        given = {
            name: _checked(name, inputs.get(name), *form)
            for name, form in described["inputs"].items()
        }
        with self._turn(seconds) as runners:
            return runners[signature](**given)

    @contextlib.contextmanager
    def _turn(self, seconds):
        try:
            runners = self._free.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(_LATE) from None
        kept = None  # what failed is not trusted with a further call
        try:
            runners = runners or self._interpreter()
            yield runners
            kept = runners
        finally:
            self._free.put(kept)


class _Runners(dict):
    """The signatures of an interpreter by name, made when they are first called."""

    def __init__(self, interpreter):
        super().__init__()
        self._made = interpreter

    def __missing__(self, signature):
        self[signature] = self._made.get_signature_runner(signature)
        return self[signature]


_LATE = "the time is over"


class _Until:
    """An `EdgeFile` with a deadline."""

    def __init__(self, file, deadline):
        self._file, self.description, self.deadline = file, file.description, deadline

    def run(self, signature, **inputs):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(_LATE)
        return self._file.run_within(left, signature, inputs)


def _check_count(name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: expected a positive integer, came {value!r}")


def _checked(name, value, dtype, rank):
    if value is None:
        raise ValueError(f"{name}: expected {dtype} of rank {rank}, came none")
    value = np.asarray(value)
    if value.dtype != dtype or value.ndim != rank or not value.size:
        came = f"{value.dtype} {list(value.shape)}"
        raise ValueError(f"{name}: expected {dtype} of rank {rank} with elements, came {came}")
    return value


def _json(content, path):
    try:
        return json.loads(content)
    except ValueError as error:  # of UTF-8 or of JSON
        raise StartError(f"{path}: expected a LiteRT file, came a damaged one: {error}") from None


def _metadata(content, path):
    """The entries of a file's metadata by name."""
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise StartError(f"{path}: expected a LiteRT file, came another")
    try:
        model = schema.Model.GetRootAs(content)
        found = [model.Metadata(i) for i in range(model.MetadataLength())]
        return {
            one.Name().decode(): model.Buffers(one.Buffer()).DataAsNumpy().tobytes()
            for one in found
        }
    except Exception as error:  # struct.error, IndexError, ...: whatever reading beyond it gives
        raise StartError(f"{path}: expected a LiteRT file, came a damaged one: {error}") from None
