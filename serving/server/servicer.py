"""gRPC services of TensorFlow Serving that this server implements.

PredictionService: Predict and GetModelMetadata. ModelService: GetModelStatus. gRPC ends all other
calls with UNIMPLEMENTED.
"""

import logging
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import grpc

from keras_s2s.serving import messages
from keras_s2s.serving.server import status
from keras_s2s.serving.server.cancellation import Cancellation
from keras_s2s.serving.server.predict import predict
from keras_s2s.serving.server.status import StatusError
from keras_s2s.serving.server.versions import VersionSource, not_found_message

__all__ = ["Servicer", "add_servicer"]

_YEAR_SECONDS = 365 * 86400.0
_SIGNATURE_MAP_URL = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
_log = logging.getLogger(__name__)


class Servicer:
    """Answers requests; each method takes a request message and returns a response message.

    Every method raises StatusError with TensorFlow Serving's code and message for a request
    that it cannot answer.

    Args:
        models: the versions of each model, by model name.
    """

    def __init__(self, models: Mapping[str, VersionSource]) -> None:
        self._models = models

    def predict(
        self,
        request: messages.PredictRequest,
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> messages.PredictResponse:
        """Predict: runs a signature; `timeout` in seconds and `cancellation` end the run."""
        versions, number = self._select(request)
        with versions.use(number) as version:
            response = predict(request, version.loaded_model, timeout, cancellation)
        response.model_spec.name = versions.name
        response.model_spec.version.value = version.number
        return response

    def get_model_metadata(
        self,
        request: messages.GetModelMetadataRequest,
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> messages.GetModelMetadataResponse:
        """GetModelMetadata: all signatures of a version; nothing runs that could be ended."""
        _check_has_spec(request)
        if not request.metadata_field:
            raise _invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise _invalid(f"Metadata field {field} is not supported")
        versions, number = self._select(request)
        signature_map = messages.SignatureDefMap()
        response = messages.GetModelMetadataResponse()
        with versions.use(number) as version:
            for name, signature in version.loaded_model.signatures.items():
                content = signature.SerializeToString()
                signature_map.signature_def[name].ParseFromString(content)
        response.model_spec.name = versions.name
        response.model_spec.version.value = version.number
        response.metadata["signature_def"].type_url = _SIGNATURE_MAP_URL
        response.metadata["signature_def"].value = signature_map.SerializeToString()
        return response

    def get_model_status(
        self,
        request: messages.GetModelStatusRequest,
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> messages.GetModelStatusResponse:
        """GetModelStatus: the states of one or all known versions, newest first."""
        _check_has_spec(request)
        spec = request.model_spec
        number = spec.version.value if spec.HasField("version") else None
        versions = self._models[spec.name].list() if spec.name in self._models else []
        selected = [version for version in versions if number in (None, version.number)]
        if not selected:
            missing = "any versions" if number is None else f"version {number}"
            raise StatusError(status.NOT_FOUND, f"Could not find {missing} of model {spec.name}")
        response = messages.GetModelStatusResponse()
        for version in selected:
            entry = response.model_version_status.add(version=version.number, state=version.state)
            entry.status.error_code = version.code
            entry.status.error_message = version.message
        return response

    def _select(self, request: Any) -> tuple[VersionSource, int | None]:
        """Returns the versions of the requested model, and the version number or None."""
        _check_has_spec(request)
        spec = request.model_spec
        if not spec.name:
            raise _invalid("ModelSpec has no name specified.")
        if spec.version_label:
            raise _invalid(f"Unrecognized servable version label: {spec.version_label}")
        number = spec.version.value if spec.HasField("version") else None
        if spec.name not in self._models:
            raise StatusError(status.NOT_FOUND, not_found_message(spec.name, number))
        return self._models[spec.name], number


def _check_has_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise _invalid("Missing ModelSpec")


def _invalid(message: str) -> StatusError:
    return StatusError(status.INVALID_ARGUMENT, message)


def add_servicer(
    server: grpc.Server, servicer: Servicer, status_workers: futures.ThreadPoolExecutor
) -> None:
    """Registers a servicer's calls with a gRPC server that has not started.

    Args:
        server: the server; Predict runs in its threads.
        servicer: answers the calls.
        status_workers: threads of the other calls, which must not wait behind long runs.
    """
    services = {
        "tensorflow.serving.PredictionService": {
            "Predict": _handler(servicer.predict, messages.PredictRequest),
            "GetModelMetadata": _handler(
                servicer.get_model_metadata, messages.GetModelMetadataRequest, status_workers
            ),
        },
        "tensorflow.serving.ModelService": {
            "GetModelStatus": _handler(
                servicer.get_model_status, messages.GetModelStatusRequest, status_workers
            ),
        },
    }
    handlers = [grpc.method_handlers_generic_handler(*item) for item in services.items()]
    server.add_generic_rpc_handlers(tuple(handlers))


def _handler(
    method: Callable[..., Any],
    request_class: Any,
    workers: futures.ThreadPoolExecutor | None = None,
) -> grpc.RpcMethodHandler:
    """Returns the handler of a call; it runs in `workers` instead of the server's threads."""

    def respond(request: Any, context: grpc.ServicerContext) -> Any:
        cancellation = Cancellation()
        try:
            if not context.add_callback(cancellation.cancel):  # the caller has gone meanwhile
                raise StatusError(status.CANCELLED, "the caller has cancelled the call")
            return method(request, _seconds_left(context), cancellation)
        except StatusError as error:
            failure = error
        except Exception as error:  # a bug of the server must not look like a network failure
            _log.exception("a call failed")
            failure = StatusError(status.INTERNAL, f"{type(error).__name__}: {error}")
        return context.abort(failure.grpc_code, failure.wire_message)

    if workers is not None:
        respond.experimental_thread_pool = workers  # type: ignore[attr-defined]  # read by gRPC
    return grpc.unary_unary_rpc_method_handler(
        respond,
        request_deserializer=request_class.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


def _seconds_left(context: grpc.ServicerContext) -> float | None:
    """Returns the rest of the caller's time limit; None for gRPC's very long default."""
    seconds = context.time_remaining()
    return None if seconds is None or seconds > _YEAR_SECONDS else seconds
