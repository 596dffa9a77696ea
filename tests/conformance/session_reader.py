"""A script that runs SavedModels in a v1 Session, without keras_s2s."""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401


def column(values, kind):
    """An input; strings are lists of their bytes."""
    if kind == tf.string:
        return np.array([bytes(value) for value in values], dtype=object)
    return np.array(values, kind.as_numpy_dtype)


def run(session, signature, given):
    """The outputs of a signature; a missing input has the signature's default."""
    feed = {name: tf.make_ndarray(value) for name, value in signature.defaults.items()}
    types = {name: tf.as_dtype(info.dtype) for name, info in signature.inputs.items()}
    feed |= {name: column(values, types[name]) for name, values in given.items()}
    outputs = {name: info.name for name, info in signature.outputs.items()}
    return session.run(outputs, {signature.inputs[name].name: x for name, x in feed.items()})


def read(directory, calls):
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], directory)
        results = {}
        for name, given in calls.items():
            signature = graph.signature_def[name]
            for kind, feed in (
                ("given", given),
                ("defaults", {"text": given["text"]}),
                ("blank", {"text": [[]]}),
                ("empty", {"text": []}),
            ):
                outputs = run(session, signature, feed)
                results |= {f"{name}/{kind}/{key}": value for key, value in outputs.items()}
    return results


def main():
    request = json.load(sys.stdin)
    stored = {}
    for name in request["names"]:
        results = read(os.path.join(request["directory"], name, "1"), request["calls"])
        stored.update({f"{name}/{key}": value for key, value in results.items()})
    if any(module.split(".")[0] == "keras_s2s" for module in sys.modules):
        raise SystemExit("keras_s2s was imported")
    np.savez(request["result"], **stored)


if __name__ == "__main__":
    main()
