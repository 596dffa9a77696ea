"""Run by its path, in a process of its own: requests to a SavedModel through a Session.

It knows TensorFlow alone, as a server does, and takes the path that TensorFlow Serving takes.
Beside the requests lie `weights.json`, what the model was made from; it writes the replies, what
failed, and those weights that are others.
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

__all__ = ["ODD", "OUTCOME", "REPLIES", "REQUESTS", "WEIGHTS", "fingerprint", "main"]

REQUESTS, REPLIES, WEIGHTS = "requests", "replies", "weights.json"
OUTCOME, ODD = "outcome.json", "odd.npz"


def fingerprint(array) -> str:
    """A word for the type, the shape and every bit of an array."""
    array = np.ascontiguousarray(array)
    about = f"{array.dtype.name} {list(array.shape)} ".encode()
    return hashlib.sha256(about + array.tobytes()).hexdigest()


def main(directory, place) -> None:
    """Answers the requests in the folder `place` by the SavedModel in `directory`."""
    place = Path(place)
    outcome = {"failure": None, "answered": 0, "seconds": []}
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    try:
        with tf.compat.v1.Session(graph=tf.Graph(), config=config) as session:
            graph = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
            _answer(session, graph.signature_def, place, outcome)
            known = json.loads((place / WEIGHTS).read_text())
            if known is not None:
                _check_weights(session, place, set(known))
    except (tf.errors.OpError, ValueError, KeyError, OSError) as error:
        outcome["failure"] = str(getattr(error, "message", error))[:2000]
    (place / OUTCOME).write_text(json.dumps(outcome))


def _answer(session, signatures, place, outcome):
    with tf.io.TFRecordWriter(str(place / REPLIES)) as file:
        for record in _records(place / REQUESTS):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            begun = time.monotonic()
            reply = _predict(session, signatures, log.predict_log.request)
            outcome["seconds"].append(time.monotonic() - begun)
            file.write(reply.SerializeToString())
            outcome["answered"] += 1


def _records(path):
    return tf.compat.v1.io.tf_record_iterator(str(path))


def _predict(session, signatures, request):
    signature = signatures[request.model_spec.signature_name]
    protos = {**signature.defaults, **request.inputs}
    feeds = {signature.inputs[name].name: tf.make_ndarray(x) for name, x in protos.items()}
    names = list(request.output_filter) or list(signature.outputs)
    values = session.run([signature.outputs[name].name for name in names], feeds)
    reply = predict_pb2.PredictResponse()
    for name, value in zip(names, values, strict=True):
        info = signature.outputs[name]
        shape = np.shape(value)
        reply.outputs[name].CopyFrom(tf.make_tensor_proto(value, info.dtype, shape))
    return reply


def _check_weights(session, place, known):
    """Keeps the values of those that have not the stamp of any weight of the model."""
    nodes = [node for node in session.graph.get_operations() if node.type == "VarHandleOp"]
    with session.graph.as_default():  # all in one run: each prepares the whole graph anew
        readings = [
            tf.raw_ops.ReadVariableOp(resource=node.outputs[0], dtype=node.get_attr("dtype"))
            for node in nodes
        ]
    names = [node.get_attr("shared_name").decode() for node in nodes]
    values = zip(names, session.run(readings), strict=True)
    np.savez(
        place / ODD, **{name: value for name, value in values if fingerprint(value) not in known}
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
