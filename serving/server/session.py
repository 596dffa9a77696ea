"""A SavedModel in a TensorFlow 1 Session, the code path of TensorFlow Serving.

The model fails where it would fail in the C++ server; the eager `tf.saved_model.load` accepts
exports that the server cannot run.
"""

import ctypes
import gc
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers ops that a graph may use
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.util import deprecation

from keras_s2s.errors import UserError
from keras_s2s.io import path_without_wildcards
from keras_s2s.serving.server import status
from keras_s2s.serving.server.status import StatusError

__all__ = ["LoadedModel", "disable_xla"]


class LoadedModel:
    """The graph tagged `serve` of a SavedModel in its own Session; threads may share it.

    Args:
        directory: the version directory, which holds `saved_model.pb`.

    Attributes:
        signatures: SignatureDef messages by name.
        needs_xla: whether some functions run only where XLA compiles them.

    Raises:
        StatusError: with TensorFlow's code and message, if the model does not load.
    """

    def __init__(self, directory: Path) -> None:
        self._graph: Any = tf.Graph()
        self._session: Any = tf.compat.v1.Session(graph=self._graph)
        self._tensor_handles: dict[str, Any] = {}
        try:
            meta_graph = self._load(directory)
        except BaseException:
            self.close()
            raise
        self.signatures: dict[str, Any] = dict(meta_graph.signature_def)
        functions = meta_graph.graph_def.library.function
        self.needs_xla = any(function.attr["_XlaMustCompile"].b for function in functions)

    def _load(self, directory: Path) -> Any:
        _check_graph_file(directory)
        try:
            with (
                path_without_wildcards(directory) as path,
                self._graph.as_default(),
                deprecation.silence(),
            ):
                return tf.compat.v1.saved_model.load(self._session, ["serve"], str(path))
        except UserError as error:
            raise StatusError(status.INVALID_ARGUMENT, str(error)) from error
        except tf.errors.OpError as error:
            raise StatusError(error.error_code, error.message) from error
        except (OSError, RuntimeError) as error:  # no such file; no graph with the tag
            raise StatusError(status.NOT_FOUND, str(error)) from error
        except (ValueError, KeyError) as error:  # no variables; an op unknown to this TensorFlow
            raise StatusError(status.INVALID_ARGUMENT, str(error)) from error

    def run(
        self, feeds: dict[str, np.ndarray], fetches: list[str], timeout: float | None = None
    ) -> list[np.ndarray]:
        """Runs the graph.

        Args:
            feeds: arrays by tensor name; strings as object arrays of bytes. Neither types nor
                shapes are checked or converted.
            fetches: names of the tensors to return.
            timeout: time limit of the run in seconds; None is no limit.

        Returns:
            The arrays of `fetches`, in the same order.

        Raises:
            StatusError: with the code and message of the op that failed.
        """
        options = _run_options(timeout)
        try:
            # `Session.run` would reject ranks and convert types that the C++ server accepts.
            values = pywrap_tf_session.TF_SessionRun_wrapper(
                self._session._session,
                options,
                {self._tensor_handle(name): value for name, value in feeds.items()},
                [self._tensor_handle(name) for name in fetches],
                [],
                None,
            )
        except tf.errors.OpError as error:
            raise StatusError(error.error_code, error.message) from error
        finally:
            if options is not None:
                pywrap_tf_session.TF_DeleteBuffer(options)
        return [_as_array(value) for value in values]

    def close(self) -> None:
        """Releases the model's memory; a run in progress would fail."""
        self._session.close()
        self._tensor_handles.clear()
        self._graph = self._session = None
        gc.collect()  # a graph is a reference cycle, which Python would keep for a long time

    def _tensor_handle(self, name: str) -> Any:
        if name not in self._tensor_handles:
            try:
                tensor = self._graph.get_tensor_by_name(name)
            except (KeyError, ValueError) as error:
                raise StatusError(status.INVALID_ARGUMENT, str(error)) from error
            self._tensor_handles[name] = tensor._as_tf_output()
        return self._tensor_handles[name]


def _check_graph_file(directory: Path) -> None:
    if not any((directory / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise StatusError(
            status.NOT_FOUND,
            "Specified file path does not appear to contain a SavedModel bundle (should have a"
            f" file called `saved_model.pb`)\nSpecified file path: {directory}",
        )


def _run_options(timeout: float | None) -> Any:
    if timeout is None:
        return None
    milliseconds = max(1, int(timeout * 1000))
    options = tf.compat.v1.RunOptions(timeout_in_ms=milliseconds)
    return pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())


def _as_array(value: Any) -> np.ndarray:
    """Converts a result: scalars are returned as bytes and NumPy scalars."""
    return np.array(value, np.object_) if isinstance(value, bytes) else np.asarray(value)


def disable_xla() -> None:
    """Makes functions compiled by XLA fail in this process, as they do in TensorFlow Serving.

    The stock server does not compile by XLA unless a flag is set. Without this function an export
    that needs XLA would pass here and fail in production. The setting lasts until the process
    ends.
    """
    library = Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"
    try:
        ctypes.CDLL(str(library))._ZN10tensorflow21DisableXlaCompilationEv()
    except (OSError, AttributeError):  # another build of TensorFlow: serve nevertheless
        return
