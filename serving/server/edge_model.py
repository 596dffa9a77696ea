"""The LiteRT file of a version behind the server, without TensorFlow."""

import os
from collections.abc import Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.serving.edge.predict import EDGE_SIGNATURES
from keras_s2s.serving.edge.translator import EdgeTranslator
from keras_s2s.serving.errors import StartError
from keras_s2s.serving.server import status
from keras_s2s.serving.server.cancellation import Cancellation
from keras_s2s.serving.server.status import StatusError
from keras_s2s.signatures.arrays import to_array
from keras_s2s.signatures.fields import SERVING_DEFAULT, Field, Signature

__all__ = ["MODEL_FILE", "EdgeModel"]

MODEL_FILE = "model.tflite"  # the name that TensorFlow Serving expects
_METHOD = "tensorflow/serving/predict"
_FAILED = "Failed to invoke TfLite interpreter"  # TensorFlow Serving's message
_TIMED_OUT = "Timed out waiting for notification"  # TensorFlow's message
_C_NAMES = {"float32": "float", "float64": "double"}  # in TensorFlow's messages


class EdgeModel:
    """The `model.tflite` of a version; threads may share it, one call runs on each core.

    Args:
        directory: the version directory.

    Attributes:
        signatures: SignatureDef messages by name, equal to those of a SavedModel of the same run.
        supports_cancellation: True: a search looks for a cancellation before each step.

    Raises:
        StatusError: if the file does not load.
    """

    supports_cancellation = True

    def __init__(self, directory: Path) -> None:
        path = directory / MODEL_FILE
        try:
            self._translator = EdgeTranslator(path, interpreters=os.cpu_count() or 1)
        except StartError as error:
            raise _invalid(str(error)) from error
        except ImportError as error:
            message = f"{path} needs a package: {error}"
            raise StatusError(status.FAILED_PRECONDITION, message) from error
        self._check_runs(path)
        self.signatures: dict[str, Any] = {
            name: _signature_def(signature, self._translator.defaults)
            for name, signature in EDGE_SIGNATURES.items()
            if self._translator.supports(name)
        }

    def _check_runs(self, path: Path) -> None:
        """Checks the digest and runs once: a damaged file must not replace one that works."""
        text = np.array([b""], np.object_)
        try:
            self._translator.verify_digest()
            self._translator.predict(SERVING_DEFAULT.name, {"text": text})
        except Exception as error:  # a damaged file may raise anything
            raise StatusError(status.DATA_LOSS, f"{path}: {error}") from error

    def run(
        self,
        feeds: dict[str, np.ndarray],
        fetches: list[str],
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> list[np.ndarray]:
        """Runs a signature.

        Args:
            feeds: arrays by the tensor names of a signature's inputs, [B], strings as object
                arrays of bytes; an option may also be a scalar or [1].
            fetches: names of the output tensors to return, of one signature.
            timeout: time limit of the search in seconds; None is no limit.
            cancellation: ends the search before its next step.

        Returns:
            The arrays of `fetches`, in the same order.

        Raises:
            StatusError: if an input has the wrong type or shape, the time limit is reached, the
                run is cancelled or the file fails.
        """
        name = fetches[0].partition("/")[0]
        inputs = _check_inputs(EDGE_SIGNATURES[name], feeds)
        outputs = [fetch.removeprefix(f"{name}/") for fetch in fetches]
        is_cancelled = None if cancellation is None else lambda: cancellation.is_cancelled
        try:
            arrays = self._translator.predict(name, inputs, outputs, timeout, is_cancelled)
        except CancelledError as error:
            raise StatusError(status.CANCELLED, str(error)) from error
        except TimeoutError as error:
            raise StatusError(status.DEADLINE_EXCEEDED, _TIMED_OUT) from error
        except ValueError as error:
            raise _invalid(str(error)) from error
        except RuntimeError as error:
            raise StatusError(status.INTERNAL, f"{_FAILED}: {error}") from error
        return [arrays[output] for output in outputs]

    def close(self) -> None:
        """Releases the model's memory; no call may be in progress."""
        del self._translator


def _feed_name(signature: Signature, field: Field) -> str:
    return f"{signature.name}_{field.name}:0"


def _fetch_name(signature: Signature, field: Field) -> str:
    return f"{signature.name}/{field.name}"


def _signature_def(signature: Signature, defaults: dict[str, Any]) -> messages.SignatureDef:
    signature_def = messages.SignatureDef(method_name=_METHOD)
    for field in signature.inputs:
        _fill_info(signature_def.inputs[field.name], _feed_name(signature, field), field)
    for field in signature.outputs:
        _fill_info(signature_def.outputs[field.name], _fetch_name(signature, field), field)
    for name, field in signature.options().items():
        value = to_array([defaults.get(name, field.default)], name, field.dtype)
        tensor_codec.encode(value, signature_def.defaults[name])
    return signature_def


def _fill_info(info: Any, tensor_name: str, field: Field) -> None:
    """Fills a TensorInfo message."""
    info.name, info.dtype = tensor_name, tensor_codec.type_number(field.dtype)
    info.tensor_shape.SetInParent()
    for _ in field.shape:
        info.tensor_shape.dim.add(size=-1)


def _check_inputs(signature: Signature, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the inputs by alias, each [B]; the interpreter does not check them itself."""
    fields = {_feed_name(signature, field): field for field in signature.inputs}
    for position, name in enumerate(sorted(feeds)):
        expected, dtype = fields[name].dtype, _dtype_name(feeds[name])
        if dtype != expected:
            raise _invalid(
                f"Expects arg[{position}] to be {_c_name(expected)}"
                f" but {_c_name(dtype)} is provided"
            )
    inputs = {fields[name].name: value for name, value in feeds.items()}
    batch_shape = inputs["text"].shape
    if len(batch_shape) != 1:
        raise _invalid(f"text: expected a vector, got the shape {list(batch_shape)}")
    return {name: _to_column(name, value, batch_shape) for name, value in inputs.items()}


def _to_column(name: str, value: np.ndarray, batch_shape: Sequence[int]) -> np.ndarray:
    if value.ndim > 1 or value.size not in (1, *batch_shape):
        raise _invalid(
            f"{name}: expected one value or one for each of {batch_shape[0]} rows,"
            f" got the shape {list(value.shape)}"
        )
    return np.broadcast_to(value.reshape(-1), batch_shape)  # [B]


def _dtype_name(array: np.ndarray) -> str:
    return "string" if array.dtype == np.object_ else array.dtype.name


def _c_name(dtype: str) -> str:
    return _C_NAMES.get(dtype, dtype)


def _invalid(message: str) -> StatusError:
    return StatusError(status.INVALID_ARGUMENT, message)
