"""What can go wrong with a served model, as exceptions.

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
    │   ├── Unavailable                   UNAVAILABLE: nobody answers (a ConnectionError)
    │   ├── DataLoss                      DATA_LOSS
    │   └── Unauthenticated               UNAUTHENTICATED
    ├── RowError                          the model refused some rows of a request
    └── UnexpectedReply                   the reply is not what the signature promises

A wrong argument to the client is a bare ValueError that names it.
"""

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
    """Anything that the server and the client raise on purpose; `str` is one clear line."""


class StartError(ServingError, ValueError):
    """The server cannot start: a port in use, no model at the base path, one that fails to load."""


class RowError(ServingError):
    """The model refused some rows of a request and answered the others.

    Attributes:
        errors: what was wrong, by the row's number.
        results: what the call would have given for every row; at each row of `errors` no
            hypotheses, or None.
    """

    def __init__(self, errors: dict[int, str], results: list):
        self.errors = errors
        self.results = results
        row, first = next(iter(errors.items()))
        more = f" (and {len(errors) - 1} more of {len(results)} rows)" if len(errors) > 1 else ""
        super().__init__(f"row {row}: {first}{more}")


class UnexpectedReply(ServingError):
    """The server answered, but without the outputs or shapes that the signature promises."""


class CallError(ServingError):
    """A call ended with a gRPC status; each code has a class of its own below.

    Attributes:
        code: the status code's name, such as `"NOT_FOUND"`.
        details: the server's message, or gRPC's own.
        address: where the call went.
        model: the model it named.
    """

    code = ""

    def __init__(self, details: str, *, address: str, model: str):
        self.details = details
        self.address = address
        self.model = model
        super().__init__(self._line())

    def _line(self):
        return f"{self.address}: model {self.model!r}: {self.details} ({self.code})"


class Cancelled(CallError):
    """The call was cancelled, by the caller or by a server that is going down."""

    code = "CANCELLED"


class UnknownError(CallError):
    """The server failed in a way that it does not explain."""

    code = "UNKNOWN"


class InvalidArgument(CallError):
    """The request is wrong: a missing or extra input, a type, a shape, an output's name."""

    code = "INVALID_ARGUMENT"


class DeadlineExceeded(CallError, TimeoutError):
    """No answer came within the call's `timeout`."""

    code = "DEADLINE_EXCEEDED"


class NotFound(CallError):
    """The server serves no model of this name, or not this version of it."""

    code = "NOT_FOUND"


class AlreadyExists(CallError):
    """What the call would make is there already."""

    code = "ALREADY_EXISTS"


class PermissionDenied(CallError):
    """The server knows the caller and does not allow the call."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(CallError):
    """Too many calls at once, or a message larger than one side accepts."""

    code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(CallError):
    """The model cannot do this: it has no such signature, or its variables are missing."""

    code = "FAILED_PRECONDITION"


class Aborted(CallError):
    """The server gave the call up."""

    code = "ABORTED"


class OutOfRange(CallError):
    """A value lies outside what the model accepts."""

    code = "OUT_OF_RANGE"


class Unimplemented(CallError):
    """The server has no such call; it may not be TensorFlow Serving."""

    code = "UNIMPLEMENTED"


class InternalError(CallError):
    """The server or the model broke."""

    code = "INTERNAL"


class Unavailable(CallError, ConnectionError):
    """Nobody answers at the address, or the server is too busy to take the call."""

    code = "UNAVAILABLE"

    def _line(self):
        return f"{self.address}: model {self.model!r} cannot be reached now: {self.details}"


class DataLoss(CallError):
    """Data is lost or damaged on the way or on the server's disk."""

    code = "DATA_LOSS"


class Unauthenticated(CallError):
    """The server wants to know who calls."""

    code = "UNAUTHENTICATED"


CALL_ERRORS = {kind.code: kind for kind in CallError.__subclasses__()}
