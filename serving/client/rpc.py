"""gRPC calls of TensorFlow Serving's services."""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

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

ResponseT = TypeVar("ResponseT", bound=Message)


def open_channel(address: str) -> grpc.Channel:
    """Returns a channel without TLS; the first call connects it."""
    return grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)


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
    error_class = CALL_ERRORS.get(error.code().name, UnknownError)
    return error_class(error.details(), address=address, model=model)
