"""One version of a model in memory, run on the path that TensorFlow Serving itself takes.

A SavedModel is loaded into a TensorFlow 1 Session, as the C++ server does, and fails where it
would fail there; the eager `tf.saved_model.load` forgives exports that the server cannot run.
"""

import ctypes
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  its ops must be known before a graph that uses them loads
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.util import deprecation

from keras_s2s.serving.server import status
from keras_s2s.serving.server.status import StatusError

__all__ = ["LoadedModel", "disable_xla"]


class LoadedModel:
    """A SavedModel's graph tagged `serve` in a Session of its own; threads may share it.

    Args:
        directory: the version's directory, which holds `saved_model.pb`.

    Attributes:
        signatures: the SignatureDefs by name.
        compiles: whether some of its functions run only where XLA compiles them.

    Raises:
        StatusError: with TensorFlow's code and message, if it does not load.
    """

    def __init__(self, directory: Path):
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph)
        self._outputs = {}
        try:
            meta_graph = self._load(directory)
        except BaseException:
            self._session.close()
            raise
        self.signatures = dict(meta_graph.signature_def)
        functions = meta_graph.graph_def.library.function
        self.compiles = any(function.attr["_XlaMustCompile"].b for function in functions)

    def _load(self, directory):
        _check_pb(directory)
        try:
            with self._graph.as_default(), deprecation.silence():
                return tf.compat.v1.saved_model.load(self._session, ["serve"], str(directory))
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
            feeds: arrays by the names of the graph's tensors; strings as object arrays of
                bytes. Neither types nor shapes are checked or cast on the way.
            fetches: names of the tensors wanted.
            timeout: seconds that the run may take; None is no limit.

        Returns:
            The arrays of `fetches`, in their order.

        Raises:
            StatusError: with the code and message of the op that failed.
        """
        options = _run_options(timeout)
        try:
            # `Session.run` would refuse ranks and cast types that the C++ server lets through
            values = pywrap_tf_session.TF_SessionRun_wrapper(
                self._session._session,
                options,
                {self._output(name): value for name, value in feeds.items()},
                [self._output(name) for name in fetches],
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
        """Frees the memory; a run under way fails, so call it when there is none."""
        self._session.close()

    def _output(self, name):
        if name not in self._outputs:
            try:
                tensor = self._graph.get_tensor_by_name(name)
            except (KeyError, ValueError) as error:
                raise StatusError(status.INVALID_ARGUMENT, str(error)) from error
            self._outputs[name] = tensor._as_tf_output()
        return self._outputs[name]


def _check_pb(directory):
    if not any((directory / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise StatusError(
            status.NOT_FOUND,
            "Specified file path does not appear to contain a SavedModel bundle (should have a"
            f" file called `saved_model.pb`)\nSpecified file path: {directory}",
        )


def _run_options(timeout):
    if timeout is None:
        return None
    milliseconds = max(1, int(timeout * 1000))
    options = tf.compat.v1.RunOptions(timeout_in_ms=milliseconds)
    return pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())


def _as_array(value):
    """The run gives scalars as plain bytes and NumPy scalars."""
    return np.array(value, np.object_) if isinstance(value, bytes) else np.asarray(value)


def disable_xla() -> None:
    """Makes functions compiled by XLA fail in this process, as they do in TensorFlow Serving.

    The stock server links no XLA compiler unless asked; without this an export that needs it
    would pass here and fail in production. It holds until the process ends.
    """
    library = Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"
    try:
        ctypes.CDLL(str(library))._ZN10tensorflow21DisableXlaCompilationEv()
    except (OSError, AttributeError):  # another build of TensorFlow: serve all the same
        return
