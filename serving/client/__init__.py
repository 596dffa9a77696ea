"""gRPC client of served models."""

from keras_s2s.lazy_imports import lazy_attributes

_LAZY = {"Client": ".client"}  # other modules of this package need less

__all__ = ["Client"]

__getattr__, __dir__ = lazy_attributes(__name__, _LAZY)
