"""gRPC client of served models."""

from typing import Any

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    # Imported on first access: other modules of this package need less.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keras_s2s.serving.client.client import Client

    return Client
