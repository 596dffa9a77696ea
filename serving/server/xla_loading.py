"""Loading of SavedModels with functions that XLA compiles, with and without XLA."""

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_s2s.serving import messages
from keras_s2s.serving.server import status
from keras_s2s.serving.server.predict import predict
from keras_s2s.serving.server.session import LoadedModel
from keras_s2s.serving.server.status import StatusError

__all__ = ["load_warmed_up", "load_without_xla"]

WARMUP_REQUESTS = Path("assets.extra/tf_serving_warmup_requests")


def load_warmed_up(directory: Path) -> LoadedModel:
    """Loads a version and runs its warm-up requests, which compile its functions.

    Raises:
        StatusError: if it does not load, or a request fails.
    """
    model, path = LoadedModel(directory), Path(directory) / WARMUP_REQUESTS
    try:
        for record in _records(path) if path.is_file() else ():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            predict(messages.PredictRequest.FromString(request.SerializeToString()), model)
    except BaseException:
        model.close()
        raise
    return model


def load_without_xla(directory: Path) -> LoadedModel:
    """Loads a version that does not need XLA.

    Raises:
        StatusError: if it does not load, or needs XLA: its calls would fail.
    """
    model = LoadedModel(directory)
    if model.needs_xla:
        model.close()
        flag = "--xla_cpu_compilation_enabled"
        message = f"XLA compilation disabled: this version needs a server with {flag}"
        raise StatusError(status.INTERNAL, message)
    return model


def _records(path: Path) -> Iterator[bytes]:
    return tf.compat.v1.io.tf_record_iterator(str(path))
