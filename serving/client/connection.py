"""Connection to a model of a gRPC server with TensorFlow Serving's interface."""

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from google.protobuf.message import Message

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.serving.client import arguments, rpc
from keras_s2s.serving.client.metadata import (
    Metadata,
    VersionStatus,
    read_metadata,
    read_version_statuses,
)
from keras_s2s.serving.errors import DeadlineExceeded, NotFound, Unavailable, UnexpectedReply
from keras_s2s.signatures.arrays import to_array, to_text

__all__ = ["Connection"]


class Connection:
    """Connection to one model, for calls of any signature; see `client.Client`.

    Args:
        address, model, version, timeout, channel: as for `Client`.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = 60.0,
        channel: grpc.Channel | None = None,
    ) -> None:
        self.address = arguments.check_address(address)
        self.model = arguments.check_model(model)
        self.version = arguments.check_version(version)
        self.timeout = None if timeout is None else arguments.check_timeout(timeout)
        self._channel = channel or rpc.open_channel(address)
        self._predict = rpc.unary_method(self._channel, rpc.PREDICT, messages.PredictResponse)
        self._get_metadata = rpc.unary_method(
            self._channel, rpc.GET_MODEL_METADATA, messages.GetModelMetadataResponse
        )
        self._get_status = rpc.unary_method(
            self._channel, rpc.GET_MODEL_STATUS, messages.GetModelStatusResponse
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; calls in progress in other threads are cancelled."""
        self._channel.close()

    def predict(
        self,
        signature: str,
        inputs: dict[str, Any],
        *,
        outputs: Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Calls any signature of the model.

        Args:
            signature: name of the signature, such as `"serving_default"`.
            inputs: arrays by name, or Python values, which `signatures.arrays.to_array` converts
                (integers to int32, other numbers to float32, str to UTF-8).
            outputs: names of the outputs to return; None returns all.
            timeout: time limit of this call in seconds; None uses the client's.

        Returns:
            Arrays by output name; strings as object arrays of Python strings, invalid UTF-8
            replaced by U+FFFD.

        Raises:
            ValueError: if an input cannot be sent.
            CallError: if the call fails.
            UnexpectedReply: if an output cannot be read.
        """
        request = messages.PredictRequest(
            model_spec=self._model_spec(signature),
            output_filter=[] if outputs is None else list(outputs),
        )
        for name, value in inputs.items():
            tensor_codec.encode(to_array(value, name), request.inputs[name])
        response = self._call(self._predict, request, timeout)
        return {name: _decode_output(name, proto) for name, proto in response.outputs.items()}

    def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """Returns the states of all versions, newest first; of `version` alone if it is set."""
        request = messages.GetModelStatusRequest(model_spec=self._model_spec())
        return read_version_statuses(self._call(self._get_status, request, timeout))

    def metadata(self, *, timeout: float | None = None) -> Metadata:
        """Returns the signatures of the version in use: names, types, shapes, defaults."""
        request = messages.GetModelMetadataRequest(
            model_spec=self._model_spec(), metadata_field=["signature_def"]
        )
        response = self._call(self._get_metadata, request, timeout)
        packed = response.metadata["signature_def"].value
        return read_metadata(response, messages.SignatureDefMap.FromString(packed))

    def wait_until_ready(self, timeout: float = 60.0) -> int:
        """Waits until the model (its `version`, if set) is available.

        Args:
            timeout: time limit in seconds.

        Returns:
            The available version.

        Raises:
            DeadlineExceeded: if no version is available by then; the message tells the last
                state.
        """
        deadline = time.monotonic() + arguments.check_timeout(timeout)
        while True:
            cause = None
            try:
                statuses = self.status(timeout=max(0.1, min(5.0, deadline - time.monotonic())))
                ready = [status.version for status in statuses if status.state == "AVAILABLE"]
                if ready:
                    return ready[0]
                states = "; ".join(f"version {s.version} is {s.state}" for s in statuses)
            except (Unavailable, NotFound, DeadlineExceeded) as error:
                cause, states = error, error.details or ""
            if time.monotonic() >= deadline:
                message = f"not ready after {timeout:g} s: {states}"
                raise DeadlineExceeded(message, address=self.address, model=self.model) from cause
            time.sleep(0.1)

    def _model_spec(self, signature: str = "") -> messages.ModelSpec:
        spec = messages.ModelSpec(name=self.model, signature_name=signature)
        if self.version is not None:
            spec.version.value = self.version
        return spec

    def _call(
        self,
        method: Callable[..., rpc.ResponseT],
        request: Message,
        timeout: float | None,
    ) -> rpc.ResponseT:
        seconds = self.timeout if timeout is None else arguments.check_timeout(timeout)
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            raise rpc.call_error(error, self.address, self.model) from error


def _decode_output(name: str, proto: Any) -> np.ndarray:
    try:
        array = tensor_codec.decode(proto)
    except ValueError as error:
        raise UnexpectedReply(f"the output {name!r} cannot be read: {error}") from error
    return to_text(array) if array.dtype == np.object_ else array
