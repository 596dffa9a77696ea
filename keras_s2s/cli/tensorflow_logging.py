"""Import of TensorFlow without its start-up log lines."""

import os

from keras_s2s.config import choose_backend

__all__ = ["import_tensorflow"]

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_tensorflow() -> None:
    """Imports TensorFlow and initializes its devices with the standard error silenced.

    TensorFlow logs processor features and missing drivers before it reads
    `TF_CPP_MIN_LOG_LEVEL`. Errors are raised as usual. Set that variable to 0 or 1 to see all log
    lines.

    Raises:
        UserError: if the environment selects another Keras backend.
    """
    choose_backend()
    if os.environ.setdefault(LEVEL, "2") in ("0", "1"):
        return
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        import tensorflow as tf

        # the first transpose of an int64 tensor logs a warning on processors without AVX-512
        tf.transpose(tf.constant([[1]], tf.int64))
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)
