"""Worker process that answers requests with a SavedModel through a TensorFlow Session.

The script is run by its path and imports TensorFlow only, as a server does; it loads the model as
TensorFlow Serving does. It reads the requests and `weights.json`, the fingerprints of the exported
model's weights, from a directory, and writes the responses, the outcome, and the weights whose
fingerprint is unknown.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

__all__ = [
    "OUTCOME",
    "REQUESTS",
    "RESPONSES",
    "UNKNOWN_WEIGHTS",
    "WEIGHTS",
    "fingerprint",
    "main",
]

REQUESTS, RESPONSES, WEIGHTS = "requests", "responses", "weights.json"
OUTCOME, UNKNOWN_WEIGHTS = "outcome.json", "unknown_weights.npz"


def fingerprint(array: np.ndarray) -> str:
    """A digest of the type, the shape and every bit of an array."""
    array = np.ascontiguousarray(array)
    header = f"{array.dtype.name} {list(array.shape)} ".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def main(model_directory: str, exchange_directory: str) -> None:
    """Answers the requests in a directory.

    Args:
        model_directory: directory of the SavedModel.
        exchange_directory: directory with the requests, where the responses are written.
    """
    exchange = Path(exchange_directory)
    outcome = {"failure": None, "answered": 0, "seconds": []}
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    try:
        with tf.compat.v1.Session(graph=tf.Graph(), config=config) as session:
            graph = tf.compat.v1.saved_model.load(session, ["serve"], str(model_directory))
            _answer_requests(session, graph.signature_def, exchange, outcome)
            fingerprints = json.loads((exchange / WEIGHTS).read_text())
            if fingerprints is not None:
                _save_unknown_weights(session, exchange, set(fingerprints))
    except (tf.errors.OpError, ValueError, KeyError, OSError) as error:
        outcome["failure"] = str(getattr(error, "message", error))[:2000]
    (exchange / OUTCOME).write_text(json.dumps(outcome))


def _answer_requests(session, signatures, exchange, outcome):
    with tf.io.TFRecordWriter(str(exchange / RESPONSES)) as file:
        for record in tf.compat.v1.io.tf_record_iterator(str(exchange / REQUESTS)):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            start = time.monotonic()
            response = _predict(session, signatures, log.predict_log.request)
            outcome["seconds"].append(time.monotonic() - start)
            file.write(response.SerializeToString())
            outcome["answered"] += 1


def _predict(session, signatures, request):
    signature = signatures[request.model_spec.signature_name]
    protos = {**signature.defaults, **request.inputs}
    feeds = {signature.inputs[name].name: tf.make_ndarray(x) for name, x in protos.items()}
    names = list(request.output_filter) or list(signature.outputs)
    values = session.run([signature.outputs[name].name for name in names], feeds)
    response = predict_pb2.PredictResponse()
    for name, value in zip(names, values, strict=True):
        dtype = signature.outputs[name].dtype
        response.outputs[name].CopyFrom(tf.make_tensor_proto(value, dtype, np.shape(value)))
    return response


def _save_unknown_weights(session, exchange, fingerprints):
    """Saves the values of the weights that have none of the fingerprints."""
    nodes = [node for node in session.graph.get_operations() if node.type == "VarHandleOp"]
    with session.graph.as_default():  # one `run` for all: every call prepares the graph again
        reads = [
            tf.raw_ops.ReadVariableOp(resource=node.outputs[0], dtype=node.get_attr("dtype"))
            for node in nodes
        ]
    names = [node.get_attr("shared_name").decode() for node in nodes]
    values = dict(zip(names, session.run(reads), strict=True))
    unknown = {
        name: value for name, value in values.items() if fingerprint(value) not in fingerprints
    }
    np.savez(exchange / UNKNOWN_WEIGHTS, **unknown)


if __name__ == "__main__":
    main(*sys.argv[1:])
