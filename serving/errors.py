"""Exceptions of the client and the server.

    ServingError
    ├── StartError (a ValueError)         the server cannot start
    ├── CallError                         a call ended with a gRPC status
    │   ├── Cancelled                     CANCELLED
    │   ├── UnknownError                  UNKNOWN
    │   ├── InvalidArgument               INVALID_ARGUMENT: an input of the wrong name, type, ...
    │   ├── DeadlineExceeded              DEADLINE_EXCEEDED (a TimeoutError)
    │   ├── NotFound                      NOT_FOUND: no such model or version is served
    │   ├── AlreadyExists                 ALREADY_EXISTS
    │   ├── PermissionDenied              PERMISSION_DENIED
    │   ├── ResourceExhausted             RESOURCE_EXHAUSTED: too many calls, too large a message
    │   ├── FailedPrecondition            FAILED_PRECONDITION: no such signature
    │   ├── Aborted                       ABORTED
    │   ├── OutOfRange                    OUT_OF_RANGE
    │   ├── Unimplemented                 UNIMPLEMENTED
    │   ├── InternalError                 INTERNAL
    │   ├── Unavailable                   UNAVAILABLE: no connection (a ConnectionError)
    │   ├── DataLoss                      DATA_LOSS
    │   └── Unauthenticated               UNAUTHENTICATED
    ├── RowError                          the model rejected some rows of a request
    └── UnexpectedReply                   the response does not match the signature

An invalid argument to the client raises a plain ValueError that names the argument.
"""

from typing import Any

__all__ = [
    "CALL_ERRORS",
    "Aborted",
    "AlreadyExists",
    "CallError",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "InternalError",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "RowError",
    "ServingError",
    "StartError",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedReply",
    "Unimplemented",
    "UnknownError",
]


class ServingError(Exception):
    """Base class of the errors of server and client; `str` is one line.

    Example:

    >>> from keras_s2s.serving import ServingError, StartError
    >>> issubclass(StartError, ServingError)
    True
    """


class StartError(ServingError, ValueError):
    """The server cannot start: the port is in use, or the base path has no model that loads.

    Example:

    >>> from keras_s2s.serving import Server, StartError
    >>> try:
    ...     Server("pronounce", "/missing", 0).start()
    ... except StartError as error:
    ...     print(error)
    model_base_path /missing does not exist
    """


class RowError(ServingError):
    """The model rejected some rows of a request and answered the others.

    Args:
        errors: error messages by row number.
        results: the results of all rows; rows in `errors` have an empty list of hypotheses, or
            None.

    Example:

    >>> from keras_s2s.serving import RowError
    >>> print(RowError({1: "beam_size: expected 1 to 16, got 99"}, [["A"], []]))
    row 1: beam_size: expected 1 to 16, got 99
    """

    def __init__(self, errors: dict[int, str], results: list[Any]) -> None:
        self.errors = errors
        self.results = results
        row, first = next(iter(errors.items()))
        more = f" (and {len(errors) - 1} more of {len(results)} rows)" if len(errors) > 1 else ""
        super().__init__(f"row {row}: {first}{more}")


class UnexpectedReply(ServingError):
    """The response lacks an output of the signature, or an output has another type or shape."""


class CallError(ServingError):
    """A call ended with a gRPC status; each status code has its own subclass.

    Args:
        details: message of the server, or of gRPC.
        address: address of the server.
        model: name of the requested model.

    Attributes:
        code: name of the status code, such as `"NOT_FOUND"`.
    """

    code = ""

    def __init__(self, details: str | None, *, address: str, model: str) -> None:
        self.details = details
        self.address = address
        self.model = model
        super().__init__(self._message())

    def _message(self) -> str:
        return f"{self.address}: model {self.model!r}: {self.details} ({self.code})"


class Cancelled(CallError):
    """The call was cancelled, by the caller or by a server that shuts down."""

    code = "CANCELLED"


class UnknownError(CallError):
    """The server failed without a more specific status."""

    code = "UNKNOWN"


class InvalidArgument(CallError):
    """The request is invalid: a missing or unknown input or output, a wrong type or shape."""

    code = "INVALID_ARGUMENT"


class DeadlineExceeded(CallError, TimeoutError):
    """The call took longer than its `timeout`."""

    code = "DEADLINE_EXCEEDED"


class NotFound(CallError):
    """The server has no model of this name, or not the requested version."""

    code = "NOT_FOUND"


class AlreadyExists(CallError):
    """The call would create something that already exists."""

    code = "ALREADY_EXISTS"


class PermissionDenied(CallError):
    """The caller is not allowed to make the call."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(CallError):
    """Too many concurrent calls, or a message larger than one side accepts."""

    code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(CallError):
    """The model has no such signature, or its variables are missing."""

    code = "FAILED_PRECONDITION"


class Aborted(CallError):
    """The server aborted the call."""

    code = "ABORTED"


class OutOfRange(CallError):
    """A value is outside the range that the model accepts."""

    code = "OUT_OF_RANGE"


class Unimplemented(CallError):
    """The server does not implement the call; it may not be TensorFlow Serving."""

    code = "UNIMPLEMENTED"


class InternalError(CallError):
    """The server or the model failed with an internal error."""

    code = "INTERNAL"


class Unavailable(CallError, ConnectionError):
    """The address does not respond, or the server is too busy to accept the call."""

    code = "UNAVAILABLE"

    def _message(self) -> str:
        return f"{self.address}: model {self.model!r} cannot be reached now: {self.details}"


class DataLoss(CallError):
    """Data was lost or damaged in transit or on the server's disk."""

    code = "DATA_LOSS"


class Unauthenticated(CallError):
    """The server requires credentials."""

    code = "UNAUTHENTICATED"


CALL_ERRORS: dict[str, type[CallError]] = {
    error_class.code: error_class for error_class in CallError.__subclasses__()
}
