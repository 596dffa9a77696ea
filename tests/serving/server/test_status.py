"""Status messages as TensorFlow Serving sends them."""

import grpc
import pytest

from keras_s2s.serving.server import status
from keras_s2s.serving.server.status import StatusError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024 + "...TRUNCATED"),
        ("x" * 1023 + "\N{SNOWMAN}", "x" * 1023 + "...TRUNCATED"),
    ],
    ids=["that fits", "one byte more", "a character over the end"],
)
def test_long_messages_are_truncated(message, expected):
    assert StatusError(status.INVALID_ARGUMENT, message).wire_message == expected


def test_codes_without_a_name_are_unknown():
    assert StatusError(status.NOT_FOUND, "").grpc_code is grpc.StatusCode.NOT_FOUND
    assert StatusError(99, "").grpc_code is grpc.StatusCode.UNKNOWN
