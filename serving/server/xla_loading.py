"""How a server loads a version where XLA may compile its functions, and where it may not."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_s2s.serving import messages
from keras_s2s.serving.server import status
from keras_s2s.serving.server.predict import predict
from keras_s2s.serving.server.session import LoadedModel
from keras_s2s.serving.server.status import StatusError

__all__ = ["load_warmed_up", "load_without_xla"]

WARMUP = Path("assets.extra/tf_serving_warmup_requests")


def load_warmed_up(directory: Path) -> LoadedModel:
    """Loads a version and answers its warm-up requests, so that nothing is left to compile.

    Raises:
        StatusError: it does not load, or a request fails.
    """
    model, path = LoadedModel(directory), Path(directory) / WARMUP
    try:
        for record in _records(path) if path.is_file() else ():
            asked = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            predict(messages.PredictRequest.FromString(asked.SerializeToString()), model)
    except BaseException:
        model.close()
        raise
    return model


def load_without_xla(directory: Path) -> LoadedModel:
    """Loads a version unless it needs XLA: a call would only fail later.

    Raises:
        StatusError: it does not load, or needs XLA.
    """
    model = LoadedModel(directory)
    if model.compiles:
        model.close()
        flag = "--xla_cpu_compilation_enabled"
        message = f"XLA compilation disabled: this version needs a server with {flag}"
        raise StatusError(status.INTERNAL, message)
    return model


def _records(path):
    return tf.compat.v1.io.tf_record_iterator(str(path))
