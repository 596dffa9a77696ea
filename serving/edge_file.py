"""A LiteRT file of this package: what it says of itself, and its signatures to call.

NumPy and ai-edge-litert alone: no TensorFlow is loaded.
"""

import json
import threading

import numpy as np

from keras_s2s.serving.errors import StartError

__all__ = ["ABOUT", "CARD", "EdgeFile"]

ABOUT = "keras_s2s"  # JSON: tokenizers, special ids, defaults, caps, signatures
CARD = "keras_s2s.card"  # JSON: the model card


class EdgeFile:
    """A file in memory, and an interpreter of it; threads may share it, and take turns.

    Args:
        path: the file.
        threads: that an operation may use.

    Attributes:
        about, card: what the file's metadata says.

    Raises:
        StartError: it cannot be read, or is no such file.
    """

    def __init__(self, path, threads=1):
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise ValueError(f"threads: expected a positive integer, came {threads!r}")
        try:
            with open(path, "rb") as file:
                self._content = file.read()
        except OSError as error:
            raise StartError(f"{path}: {error.strerror}") from None
        self._entries = _metadata(self._content, path)
        if ABOUT not in self._entries:
            raise StartError(f"{path}: expected a LiteRT file of keras_s2s, came another")
        self.about = json.loads(self._entries[ABOUT])
        self.card = json.loads(self._entries.get(CARD, b"{}"))
        self._lock, self._runners = threading.Lock(), {}
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_content=self._content, num_threads=threads)
        except (ValueError, RuntimeError) as error:
            raise StartError(f"{path}: {error}") from None

    def entry(self, name) -> bytes:
        """An entry of the metadata."""
        return self._entries[name]

    def inputs(self, signature) -> list[str]:
        """The names of a signature's inputs."""
        return self.about["signatures"][signature]["inputs"]

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
        described = self.about["signatures"].get(signature)
        if described is None:
            known = ", ".join(self.about["signatures"])
            raise ValueError(f"signature: expected one of {known}, came {signature!r}")
        given = {
            name: _checked(name, inputs.get(name), *form)
            for name, form in described["inputs"].items()
        }
        with self._lock:
            if signature not in self._runners:
                self._runners[signature] = self._interpreter.get_signature_runner(signature)
            return self._runners[signature](**given)


def _checked(name, value, dtype, rank):
    if value is None:
        raise ValueError(f"{name}: expected {dtype} of rank {rank}, came none")
    value = np.asarray(value)
    if value.dtype != dtype or value.ndim != rank or not value.size:
        came = f"{value.dtype} {list(value.shape)}"
        raise ValueError(f"{name}: expected {dtype} of rank {rank} with elements, came {came}")
    return value


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
