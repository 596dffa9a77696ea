"""Warm-up requests of a SavedModel, in TensorFlow Serving's log format."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from keras_s2s.export.verification.probe_requests import (
    ProbeRequest,
    RequestCorpus,
    build_request,
)
from keras_s2s.signatures.fields import FORECAST, signature_fields

__all__ = ["WARMUP", "read_requests", "warmup_requests", "write_requests"]

WARMUP = "assets.extra/tf_serving_warmup_requests"  # run before a version becomes available


def warmup_requests(corpus: RequestCorpus) -> list[ProbeRequest]:
    """Builds one request for each signature and each common set of outputs.

    A server prepares the graph for every new set of outputs, and most clients of `translate` and
    `sample` do not fetch the alignment.

    Args:
        corpus: texts for the requests.
    """
    text = [corpus.texts[0]]
    several = [corpus.texts[i % len(corpus.texts)] for i in range(4)]
    requests = [
        build_request("serving_default", text),
        build_request("serving_default", several),
    ]
    if corpus.forecasts:
        forecast = FORECAST.name
        requests.append(build_request(forecast, text))
        requests.append(build_request(forecast, several, [{"steps": 2}]))
        return requests
    target = [{"target": corpus.targets[0]}]
    for name in ("translate", "sample"):
        outputs = tuple(field for field in signature_fields(name)[1] if field != "alignment")
        requests.append(build_request(name, text))
        requests.append(build_request(name, text, outputs=outputs))
    requests.append(build_request("translate", several, [{"beam_size": 1}, {"beam_size": 4}]))
    requests.append(build_request("score", text, target))
    requests.append(build_request("attention", text, target))
    return requests


def write_requests(path: Path | str, requests: list[ProbeRequest]) -> None:
    """Writes requests as a TFRecord file of `PredictionLog` messages."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            _fill_proto(log.predict_log.request, request)
            file.write(log.SerializeToString(deterministic=True))


def read_requests(path: Path | str) -> list[ProbeRequest]:
    """Reads a file that `write_requests` wrote."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    return [_from_proto(log.predict_log.request) for log in logs]


def _fill_proto(proto: predict_pb2.PredictRequest, request: ProbeRequest) -> None:
    proto.model_spec.signature_name = request.signature
    proto.output_filter.extend(request.outputs or ())
    fields, _ = signature_fields(request.signature)
    for name, column in request.inputs.items():
        tensor = tf.make_tensor_proto(column, fields[name].dtype, column.shape)
        proto.inputs[name].CopyFrom(tensor)


def _from_proto(proto: predict_pb2.PredictRequest) -> ProbeRequest:
    inputs = {name: tf.make_ndarray(tensor) for name, tensor in proto.inputs.items()}
    return ProbeRequest(proto.model_spec.signature_name, inputs, tuple(proto.output_filter) or None)
