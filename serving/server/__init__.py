"""gRPC server with TensorFlow Serving's interface."""

from keras_s2s.lazy_imports import lazy_attributes

_LAZY = {"Server": ".server"}  # other modules of this package need less

__all__ = ["Server"]

__getattr__, __dir__ = lazy_attributes(__name__, _LAZY)
