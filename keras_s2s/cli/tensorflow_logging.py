"""TensorFlow without the lines that it logs before anyone can ask it not to."""

import os

from keras_s2s.config import choose_backend

__all__ = ["import_tensorflow"]

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_tensorflow() -> None:
    """Imports TensorFlow and starts its devices with the standard error turned away.

    What it logs then (the processor's features, a driver that is not there) comes before it reads
    `TF_CPP_MIN_LOG_LEVEL`. Errors are raised as ever. Whoever sets that variable sees everything.

    Raises:
        UserError: the environment asks Keras for another backend.
    """
    choose_backend()
    if LEVEL in os.environ:
        return
    os.environ[LEVEL] = "2"
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf

        # the first transposition of an int64 complains about processors without AVX-512
        tf.transpose(tf.constant([[1]], tf.int64))
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
