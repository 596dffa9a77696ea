"""Requests as TensorFlow Serving logs them, and those that it runs before a version is served."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from keras_s2s.export.verification.probe_requests import ProbeRequest, RequestCorpus, build_request
from keras_s2s.signatures.fields import FORECAST, signature_fields

__all__ = ["WARMUP", "read_requests", "warmup_requests", "write_requests"]

WARMUP = "assets.extra/tf_serving_warmup_requests"


def warmup_requests(material: RequestCorpus) -> list[ProbeRequest]:
    """A request for each signature and each way in which clients use it.

    A server prepares itself anew for every set of outputs that is asked for, and most clients of
    `translate` and `sample` do without the alignment.
    """
    text = [material.texts[0]]
    several = [material.texts[i % len(material.texts)] for i in range(4)]
    found = [build_request("serving_default", text), build_request("serving_default", several)]
    if material.forecasts:
        return [
            *found,
            build_request(FORECAST.name, text),
            build_request(FORECAST.name, several, [{"steps": 2}]),
        ]
    target = [{"target": material.targets[0]}]
    for name in ("translate", "sample"):
        brief = [field for field in signature_fields(name)[1] if field != "alignment"]
        found += [build_request(name, text), build_request(name, text, outputs=tuple(brief))]
    found.append(build_request("translate", several, [{"beam_size": 1}, {"beam_size": 4}]))
    return [*found, build_request("score", text, target), build_request("attention", text, target)]


def write_requests(path, probes) -> None:
    """Writes requests as a TFRecord file of `PredictionLog`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for probe in probes:
            log = prediction_log_pb2.PredictionLog()
            _fill(log.predict_log.request, probe)
            file.write(log.SerializeToString(deterministic=True))


def read_requests(path) -> list[ProbeRequest]:
    """The inverse of `write_requests`."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    return [_probe(log.predict_log.request) for log in logs]


def _fill(request: predict_pb2.PredictRequest, probe):
    request.model_spec.signature_name = probe.signature
    request.output_filter.extend(probe.outputs or ())
    fields, _ = signature_fields(probe.signature)
    for name, column in probe.inputs.items():
        proto = tf.make_tensor_proto(column, fields[name].dtype, column.shape)
        request.inputs[name].CopyFrom(proto)


def _probe(request):
    inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
    return ProbeRequest(
        request.model_spec.signature_name, inputs, tuple(request.output_filter) or None
    )
