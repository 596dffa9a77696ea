"""Run by a test in a process of its own: SavedModels through a v1 Session, without keras_s2s."""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401

OPTIONS = ("beam_size", "num_hypotheses", "length_penalty", "max_length")


def texts_of(rows):
    return np.array([bytes(row) for row in rows], dtype=object)


def run(session, signature, feed):
    outputs = {name: info.name for name, info in signature.outputs.items()}
    return session.run(outputs, {signature.inputs[name].name: x for name, x in feed.items()})


def read(directory, request):
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], directory)
        translate = graph.signature_def["translate"]
        default = graph.signature_def["serving_default"]
        feed = {"text": texts_of(request["texts"])}
        feed |= {name: np.array(x) for name, x in zip(OPTIONS, request["options"])}
        found = run(session, translate, feed)
        left_out = {name: tf.make_ndarray(x) for name, x in translate.defaults.items()}
        alone = run(session, translate, {"text": texts_of([b""]), **left_out})
        found["blank"] = alone["text"][:, 0]
        found["empty"] = run(session, default, {"text": texts_of([])})["text"]
        both = run(session, default, {"text": feed["text"]})
        best = run(session, translate, {"text": feed["text"], **left_out})
        if not (both["text"] == best["text"][:, 0]).all():
            raise SystemExit("serving_default is not translate with its defaults")
    return found


def main():
    request = json.load(sys.stdin)
    stored = {}
    for name in request["names"]:
        found = read(os.path.join(request["directory"], name, "1"), request)
        stored.update({f"{name}/{key}": value for key, value in found.items()})
    if any(module.split(".")[0] == "keras_s2s" for module in sys.modules):
        raise SystemExit("keras_s2s was imported")
    np.savez(request["result"], **stored)


if __name__ == "__main__":
    main()
