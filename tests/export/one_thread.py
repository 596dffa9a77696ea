"""Script of tests: concurrent requests to a SavedModel with one thread for operations."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401

TEXTS = ["a b c", "", "i h g f e d c b a", "b"]


def main(path, requests):
    """Prints how many of the requests have the same response as the first."""
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    with tf.compat.v1.Session(graph=tf.Graph(), config=config) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], path)
        signature = loaded.signature_def["translate"]
        feed = {
            signature.inputs[name].name: np.resize(tf.make_ndarray(value), len(TEXTS))
            for name, value in signature.defaults.items()
        }
        # One row with a constrained search, so that all branches and loops run.
        feed[signature.inputs["no_repeat_ngram"].name] = np.array([0, 2, 0, 0], np.int32)
        feed[signature.inputs["text"].name] = np.array(TEXTS, object)
        outputs = [signature.outputs[name].name for name in ("text", "score")]
        with ThreadPoolExecutor(8) as pool:
            responses = list(pool.map(lambda _: session.run(outputs, feed), range(requests)))
        first = responses[0]
        # The order of summation depends on the other rows of a batch.
        equal = [
            np.array_equal(first[0], response[0]) and np.allclose(first[1], response[1], atol=1e-5)
            for response in responses
        ]
        sys.stdout.write(f"{sum(equal)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
