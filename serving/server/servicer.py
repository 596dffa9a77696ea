"""The calls of TensorFlow Serving's gRPC services that this server answers.

PredictionService: Predict and GetModelMetadata. ModelService: GetModelStatus. Every other call
ends with UNIMPLEMENTED, which gRPC itself says.
"""

import logging

import grpc

from keras_s2s.serving import messages
from keras_s2s.serving.server import status
from keras_s2s.serving.server.predict import predict
from keras_s2s.serving.server.status import StatusError
from keras_s2s.serving.server.versions import ModelVersions, not_found

__all__ = ["Servicer", "add_servicer"]

_YEAR = 365 * 86400.0
_SIGNATURES = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
_log = logging.getLogger(__name__)


class Servicer:
    """Answers requests by the models it is given; each method takes a request, gives a reply.

    Every method raises StatusError with TensorFlow Serving's code and message for a request
    that it cannot answer.

    Args:
        models: the versions of each model, by its name.
    """

    def __init__(self, models: dict[str, ModelVersions]):
        self._models = models

    def predict(self, request, timeout=None):
        """Predict: runs a signature; `timeout` in seconds bounds the run."""
        models, number = self._models_of(request)
        with models.use(number) as version:
            reply = predict(request, version.model, timeout)
        reply.model_spec.name = models.name
        reply.model_spec.version.value = version.number
        return reply

    def get_model_metadata(self, request, timeout=None):
        """GetModelMetadata: all signatures of a version; it runs nothing, so no `timeout` holds."""
        _check_spec(request)
        if not request.metadata_field:
            raise _invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise _invalid(f"Metadata field {field} is not supported")
        models, number = self._models_of(request)
        signatures = messages.SignatureDefMap()
        reply = messages.GetModelMetadataResponse()
        with models.use(number) as version:
            for name, signature in version.model.signatures.items():
                signatures.signature_def[name].ParseFromString(signature.SerializeToString())
        reply.model_spec.name = models.name
        reply.model_spec.version.value = version.number
        reply.metadata["signature_def"].type_url = _SIGNATURES
        reply.metadata["signature_def"].value = signatures.SerializeToString()
        return reply

    def get_model_status(self, request, timeout=None):
        """GetModelStatus: the states of one or all versions seen, newest first."""
        _check_spec(request)
        spec = request.model_spec
        number = spec.version.value if spec.HasField("version") else None
        versions = self._models[spec.name].list() if spec.name in self._models else []
        wanted = [version for version in versions if number in (None, version.number)]
        if not wanted:
            what = "any versions" if number is None else f"version {number}"
            raise StatusError(status.NOT_FOUND, f"Could not find {what} of model {spec.name}")
        reply = messages.GetModelStatusResponse()
        for version in wanted:
            one = reply.model_version_status.add(version=version.number, state=version.state)
            one.status.error_code = version.code
            one.status.error_message = version.message
        return reply

    def _models_of(self, request):
        """The model that a request names, and the version or None for the latest."""
        _check_spec(request)
        spec = request.model_spec
        if not spec.name:
            raise _invalid("ModelSpec has no name specified.")
        if spec.version_label:
            raise _invalid(f"Unrecognized servable version label: {spec.version_label}")
        number = spec.version.value if spec.HasField("version") else None
        if spec.name not in self._models:
            raise StatusError(status.NOT_FOUND, not_found(spec.name, number))
        return self._models[spec.name], number


def _check_spec(request):
    if not request.HasField("model_spec"):
        raise _invalid("Missing ModelSpec")


def _invalid(message):
    return StatusError(status.INVALID_ARGUMENT, message)


def add_servicer(server: grpc.Server, servicer: Servicer) -> None:
    """Registers a servicer's calls with a gRPC server that has not started."""
    services = {
        "tensorflow.serving.PredictionService": {
            "Predict": _handler(servicer.predict, messages.PredictRequest),
            "GetModelMetadata": _handler(
                servicer.get_model_metadata, messages.GetModelMetadataRequest
            ),
        },
        "tensorflow.serving.ModelService": {
            "GetModelStatus": _handler(servicer.get_model_status, messages.GetModelStatusRequest),
        },
    }
    handlers = [grpc.method_handlers_generic_handler(*item) for item in services.items()]
    server.add_generic_rpc_handlers(tuple(handlers))


def _handler(method, request_class):
    def answer(request, context):
        try:
            return method(request, _seconds_left(context))
        except StatusError as error:
            failure = error
        except Exception as error:  # a fault of ours must not look like one of the network
            _log.exception("a call failed")
            failure = StatusError(status.INTERNAL, f"{type(error).__name__}: {error}")
        return context.abort(failure.grpc_code, failure.wire_message)

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request_class.FromString,
        response_serializer=lambda reply: reply.SerializeToString(),
    )


def _seconds_left(context):
    """What remains of the caller's deadline; None without one, which gRPC gives as an eternity."""
    left = context.time_remaining()
    return None if left is None or left > _YEAR else left
