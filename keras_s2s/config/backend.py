"""Selection of the Keras backend."""

import os

from keras_s2s.errors import UserError

__all__ = ["choose_backend"]


def choose_backend() -> None:
    """Selects TensorFlow as the Keras backend. Call it before the first import of Keras.

    `KERAS_BACKEND` overrides the backend of `~/.keras/keras.json`, so it is set here.

    Raises:
        UserError: `KERAS_BACKEND` names another backend.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise UserError(f"KERAS_BACKEND: expected 'tensorflow', got {backend!r}")
