"""gRPC calls of TensorFlow Serving's services."""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from keras_s2s.serving.client.proxies import describe_proxy, is_loopback
from keras_s2s.serving.errors import CALL_ERRORS, CallError, UnknownError

__all__ = [
    "GET_MODEL_METADATA",
    "GET_MODEL_STATUS",
    "PREDICT",
    "call_error",
    "open_channel",
    "unary_method",
]

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),  # no limit, as on the server's side
    ("grpc.max_receive_message_length", -1),
    # Short delays let `Client.wait_until_ready` notice a server soon after it starts.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

# Codes that a proxy can cause; with another code the server itself has answered.
_PROXY_CODES = {
    *("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "UNIMPLEMENTED", "INTERNAL"),
    *("PERMISSION_DENIED", "UNAUTHENTICATED", "CANCELLED"),
}

ResponseT = TypeVar("ResponseT", bound=Message)


def open_channel(address: str) -> grpc.Channel:
    """Returns a channel without TLS; the first call connects it.

    Addresses of this machine are connected directly, others as `http_proxy`, `no_proxy` and their
    kin in the environment say.
    """
    options = [*_CHANNEL_OPTIONS]
    if is_loopback(address):
        options.append(("grpc.enable_http_proxy", 0))
    return grpc.insecure_channel(address, options=options)


def unary_method(
    channel: grpc.Channel, path: str, response_class: type[ResponseT]
) -> Callable[..., ResponseT]:
    """Returns a function that sends a request message and returns a `response_class`."""

    def serialize(request: Message) -> bytes:
        return request.SerializeToString()

    return channel.unary_unary(
        path, request_serializer=serialize, response_deserializer=response_class.FromString
    )


def call_error(error: Any, address: str, model: str) -> CallError:
    """Returns the exception for a `grpc.RpcError` of a call."""
    code, details = error.code().name, error.details()
    proxy = describe_proxy(address) if code in _PROXY_CODES else ""
    if proxy:
        details = f"{details} ({proxy})"
    return CALL_ERRORS.get(code, UnknownError)(details, address=address, model=model)
