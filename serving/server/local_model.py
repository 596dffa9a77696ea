"""A SavedModel in this process, asked as a served one is: the same calls, checks and errors."""

import contextlib
from pathlib import Path

import grpc

from keras_s2s.serving import messages
from keras_s2s.serving.client.client import Client
from keras_s2s.serving.errors import StartError
from keras_s2s.serving.server import status
from keras_s2s.serving.server.servicer import Servicer
from keras_s2s.serving.server.session import LoadedModel
from keras_s2s.serving.server.status import StatusError
from keras_s2s.serving.server.version_directories import find_versions
from keras_s2s.serving.server.versions import AVAILABLE, Version

__all__ = ["LocalModel", "find_version"]

_CALLS = {
    "Predict": ("predict", messages.PredictRequest),
    "GetModelMetadata": ("get_model_metadata", messages.GetModelMetadataRequest),
    "GetModelStatus": ("get_model_status", messages.GetModelStatusRequest),
}


class LocalModel(Client):
    """What `Client` is, without a server: `translate`, `sample`, `score`, `attention` and all else.

    The graph runs in a TensorFlow 1 Session, the path that TensorFlow Serving takes.

    Args:
        path: the directory of a SavedModel, or a base path, of which the highest version is taken.

    Raises:
        StartError: if there is no SavedModel, or one that does not load.
    """

    def __init__(self, path):
        directory, number = find_version(path)
        try:
            model = LoadedModel(directory)
        except StatusError as error:
            raise StartError(f"{directory}: {error}") from error
        name = directory.parent.name or directory.name
        version = Version(number, AVAILABLE, model=model)
        channel = _Channel(Servicer({name: _One(name, version)}), model.close)
        super().__init__("localhost:0", name, timeout=None, channel=channel)
        self.address = str(directory)


def find_version(path) -> tuple[Path, int]:
    """The directory of a SavedModel and its number, 0 where its name is none.

    Args:
        path: the directory itself, or a base path with `1/`, `2/`, ... in it.

    Raises:
        StartError: if there is none.
    """
    path = Path(path)
    if not (path / "saved_model.pb").is_file():
        found = find_versions(path) if path.is_dir() else {}
        path = found[max(found)] if found else path
        if not (path / "saved_model.pb").is_file():
            raise StartError(f"{path}: expected a SavedModel, came nothing named saved_model.pb")
    number = path.absolute().name
    return path, int(number) if number.isdecimal() else 0


class _One:
    """The only version of a model, as `ModelVersions` of it."""

    def __init__(self, name, version):
        self.name = name
        self._version = version

    @contextlib.contextmanager
    def use(self, number=None):
        if number not in (None, self._version.number):
            raise StatusError(status.NOT_FOUND, f"{self.name} has no version {number}")
        yield self._version

    def list(self):
        return [self._version]


class _Channel:
    """What `Client` uses of a `grpc.Channel`, by calls of this process."""

    def __init__(self, servicer, close):
        self._servicer = servicer
        self.close = close

    def unary_unary(self, path, request_serializer, response_deserializer):
        method, request_class = _CALLS[path.rpartition("/")[2]]
        answer = getattr(self._servicer, method)

        def call(request, timeout=None):
            try:
                reply = answer(request_class.FromString(request_serializer(request)), timeout)
            except StatusError as error:
                raise _CallFailed(error) from error
            return response_deserializer(reply.SerializeToString())

        return call


class _CallFailed(grpc.RpcError):
    def __init__(self, error):
        super().__init__(error.message)
        self._error = error

    def code(self):
        return self._error.grpc_code

    def details(self):
        return self._error.wire_message
