"""LiteRT files of keras_s2s: their metadata and calls of their signatures.

It needs NumPy and ai-edge-litert; TensorFlow is not loaded.
"""

import json
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import numpy as np

from keras_s2s.serving.edge.interpreter_pool import TIME_OVER, InterpreterPool
from keras_s2s.serving.errors import StartError
from keras_s2s.signatures.litert_digest import DIGEST_KEY, is_digest_correct

__all__ = ["DESCRIPTION", "MODEL_CARD", "EdgeFile", "EdgeFileWithDeadline"]

# Names of entries in a file's metadata.
DESCRIPTION = "keras_s2s"  # JSON: tokenizers, special ids, defaults, caps, signatures
MODEL_CARD = "keras_s2s.card"  # JSON
FORMAT = 1  # the newest format of `DESCRIPTION` that this version reads

PathLike = str | os.PathLike[str]


class EdgeFile:
    """A LiteRT file in memory and interpreters of it; threads may share it.

    Args:
        path: the file.
        threads: number of threads of an operation.
        interpreters: number of calls that may run at once; further calls wait.

    Attributes:
        description: the parsed entry `DESCRIPTION` of the metadata.
        card: the parsed entry `MODEL_CARD` of the metadata.
        deadline: None; see `with_deadline`.

    Raises:
        StartError: if the file cannot be read, or is not a LiteRT file of keras_s2s.
    """

    deadline: float | None = None

    def __init__(self, path: PathLike, threads: int = 1, interpreters: int = 1) -> None:
        _check_count("threads", threads)
        _check_count("interpreters", interpreters)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            raise StartError(f"{path}: {error.strerror}") from None
        self._entries = _read_metadata(content, path)
        if DESCRIPTION not in self._entries:
            raise StartError(f"{path}: expected a LiteRT file of keras_s2s, got another")
        self.description = _parse_json(self._entries[DESCRIPTION], path)
        self.card = _parse_json(self._entries.get(MODEL_CARD, b"{}"), path)
        self._content, self._path = content, path
        if self.description["format"] > FORMAT:
            raise StartError(
                f"{path}: expected a file of format {FORMAT},"
                f" got one of format {self.description['format']}: update keras_s2s"
            )
        try:
            self._interpreters = InterpreterPool(content, threads, interpreters)
        except (ValueError, RuntimeError) as error:
            raise StartError(f"{path}: {error}") from None

    def verify_digest(self) -> bool:
        """Compares the file with the digest in its model card.

        Returns:
            True if they agree, False for a file without a digest, which an earlier version made.

        Raises:
            StartError: if the file is damaged.
        """
        digest = self.card.get("litert", {}).get(DIGEST_KEY)
        if digest is None:
            return False
        if not is_digest_correct(self._content, digest):
            raise StartError(
                f"{self._path}: expected a file with the SHA-256 of its card, got a damaged one:"
                " copy or export it again"
            )
        return True

    def entry(self, name: str) -> bytes:
        """Returns an entry of the metadata."""
        return self._entries[name]

    def inputs(self, signature: str) -> dict[str, list[Any]]:
        """Returns the dtype and rank of a signature's inputs, by name."""
        return self.description["signatures"][signature]["inputs"]

    def with_deadline(
        self, deadline: float, is_cancelled: Callable[[], bool] | None = None
    ) -> "EdgeFileWithDeadline":
        """Returns this file with a deadline by `time.monotonic`, which may be infinite.

        Calls after the deadline raise TimeoutError, calls for which `is_cancelled` returns True
        raise CancelledError.
        """
        return EdgeFileWithDeadline(self, deadline, is_cancelled)

    def run(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature: name of the signature.
            **inputs: arrays by name; names that the signature lacks are ignored. Types and ranks
                are checked here, since an interpreter does not check them.

        Returns:
            Arrays by output name.

        Raises:
            ValueError: if the signature or an input is invalid; the message names it.
        """
        return self.run_within(None, signature, inputs)

    def run_within(
        self, seconds: float | None, signature: str, inputs: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        """Calls a signature as `run` does, with a limit of the wait for a free interpreter.

        Raises:
            ValueError: as `run`.
            TimeoutError: if no interpreter is free after `seconds`.
        """
        signatures = self.description["signatures"]
        if signature not in signatures:
            known = ", ".join(signatures)
            raise ValueError(f"signature: expected one of {known}, got {signature!r}")
        if "operations" in signatures[signature]:
            operations = ", ".join(signatures[signature]["operations"])
            raise ValueError(
                "signature: expected one of built-in operations,"
                f" got {signature!r}, which needs {operations}"
            )
        checked = {
            name: _check_input(name, inputs.get(name), *dtype_and_rank)
            for name, dtype_and_rank in self.inputs(signature).items()
        }
        with self._interpreters.borrow(seconds) as runners:
            return runners[signature](**checked)


class EdgeFileWithDeadline:
    """An `EdgeFile` whose calls fail after a deadline or a cancellation.

    Args:
        file: the file.
        deadline: the deadline by `time.monotonic`, or infinity.
        is_cancelled: tells whether calls fail from now on; None is never.
    """

    def __init__(
        self, file: EdgeFile, deadline: float, is_cancelled: Callable[[], bool] | None = None
    ) -> None:
        self._file = file
        self._is_cancelled = is_cancelled
        self.description = file.description
        self.deadline = deadline

    def run(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls a signature; see `EdgeFile.run`.

        Raises:
            TimeoutError: after the deadline.
            concurrent.futures.CancelledError: after the cancellation.
        """
        if self._is_cancelled is not None and self._is_cancelled():
            raise CancelledError("the run is cancelled")
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError(TIME_OVER)
        limit = None if math.isinf(seconds) else seconds
        return self._file.run_within(limit, signature, inputs)


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: expected a positive integer, got {value!r}")


def _check_input(name: str, value: Any, dtype: str, rank: int) -> np.ndarray:
    if value is None:
        raise ValueError(f"{name}: expected {dtype} of rank {rank}, got none")
    array = np.asarray(value)
    if array.dtype != dtype or array.ndim != rank or not array.size:
        raise ValueError(
            f"{name}: expected {dtype} of rank {rank} with elements,"
            f" got {array.dtype} {list(array.shape)}"
        )
    return array


def _parse_json(content: bytes, path: PathLike) -> dict[str, Any]:
    try:
        return json.loads(content)
    except ValueError as error:  # invalid UTF-8 or JSON
        raise StartError(f"{path}: expected a LiteRT file, got a damaged one: {error}") from None


def _read_metadata(content: bytes, path: PathLike) -> dict[str, bytes]:
    """Returns the entries of a LiteRT file's metadata by name."""
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise StartError(f"{path}: expected a LiteRT file, got another")
    try:
        model = schema.Model.GetRootAs(content)
        entries = [model.Metadata(i) for i in range(model.MetadataLength())]
        return {
            entry.Name().decode(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            for entry in entries
        }
    except Exception as error:  # reading beyond the end raises struct.error, IndexError, ...
        raise StartError(f"{path}: expected a LiteRT file, got a damaged one: {error}") from None
