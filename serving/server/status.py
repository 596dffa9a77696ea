"""Status codes and the exception that ends a call; TensorFlow's codes equal gRPC's."""

import grpc

__all__ = [
    "CANCELLED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OK",
    "UNKNOWN",
    "StatusError",
]

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
FAILED_PRECONDITION = 9
INTERNAL = 13
DATA_LOSS = 15

_MAX_MESSAGE_BYTES = 1024
_GRPC_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    """Ends a call with a status.

    Args:
        code: number of the status code.
        message: message for the client.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)

    @property
    def grpc_code(self) -> grpc.StatusCode:
        """The code in gRPC's enumeration; UNKNOWN for a number that gRPC does not define."""
        return _GRPC_CODES.get(self.code, grpc.StatusCode.UNKNOWN)

    @property
    def wire_message(self) -> str:
        """The message truncated to 1,024 bytes, as TensorFlow Serving sends it."""
        encoded = self.message.encode(errors="replace")
        if len(encoded) <= _MAX_MESSAGE_BYTES:
            return self.message
        return encoded[:_MAX_MESSAGE_BYTES].decode(errors="ignore") + "...TRUNCATED"
