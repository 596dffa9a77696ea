"""A SavedModel in this process behind the interface of `Client`."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from keras_s2s.serving import messages
from keras_s2s.serving.client.client import Client
from keras_s2s.serving.errors import StartError
from keras_s2s.serving.server import status
from keras_s2s.serving.server.servicer import Servicer
from keras_s2s.serving.server.session import LoadedModel
from keras_s2s.serving.server.status import StatusError
from keras_s2s.serving.server.version import AVAILABLE, Version
from keras_s2s.serving.server.version_directories import find_version

__all__ = ["LocalModel"]

_CALLS = {
    "Predict": ("predict", messages.PredictRequest),
    "GetModelMetadata": ("get_model_metadata", messages.GetModelMetadataRequest),
    "GetModelStatus": ("get_model_status", messages.GetModelStatusRequest),
}


class LocalModel(Client):
    """A SavedModel with the methods, checks and errors of `Client`, without a server.

    The graph runs in a TensorFlow 1 Session, the code path of TensorFlow Serving.

    Args:
        path: the directory of a SavedModel, or a base path, of which the highest version is used.

    Raises:
        StartError: if there is no SavedModel, or it does not load.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        directory, number = find_version(path)
        try:
            model = LoadedModel(directory)
        except StatusError as error:
            raise StartError(f"{directory}: {error}") from error
        name = directory.parent.name or directory.name
        version = Version(number, AVAILABLE, model=model)
        servicer = Servicer({name: _SingleVersion(name, version)})
        channel: Any = _InProcessChannel(servicer, model.close)
        super().__init__("localhost:0", name, timeout=None, channel=channel)
        self.address = str(directory)


class _SingleVersion:
    """The only version of a model, with the interface of `ModelVersions`."""

    def __init__(self, name: str, version: Version) -> None:
        self.name = name
        self._version = version

    @contextlib.contextmanager
    def use(self, number: int | None = None) -> Iterator[Version]:
        if number not in (None, self._version.number):
            raise StatusError(status.NOT_FOUND, f"{self.name} has no version {number}")
        yield self._version

    def list(self) -> list[Version]:
        return [self._version]


class _InProcessChannel:
    """The methods of `grpc.Channel` that `Client` uses, without a network."""

    def __init__(self, servicer: Servicer, close: Callable[[], None]) -> None:
        self._servicer = servicer
        self.close = close

    def unary_unary(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
    ) -> Callable[..., Any]:
        method_name, request_class = _CALLS[path.rpartition("/")[2]]
        method = getattr(self._servicer, method_name)

        def call(request: Any, timeout: float | None = None) -> Any:
            try:
                response = method(request_class.FromString(request_serializer(request)), timeout)
            except StatusError as error:
                raise _InProcessError(error) from error
            return response_deserializer(response.SerializeToString())

        return call


class _InProcessError(grpc.RpcError):
    """A StatusError as an error of a gRPC call."""

    def __init__(self, error: StatusError) -> None:
        super().__init__(error.message)
        self._error = error

    def code(self) -> grpc.StatusCode:
        return self._error.grpc_code

    def details(self) -> str:
        return self._error.wire_message
