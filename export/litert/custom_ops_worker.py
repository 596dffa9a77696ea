"""Worker process that runs a LiteRT file with tf.text's custom operations linked in.

python -m keras_s2s.export.litert.custom_ops_worker FILE REQUESTS OUTCOME
"""

import pickle
import sys

import tensorflow_text as tf_text
from ai_edge_litert.interpreter import InterpreterWithCustomOps

__all__ = ["main"]


def main(path: str, requests_path: str, outcome_path: str) -> None:
    """Runs requests and writes their responses.

    Args:
        path: the LiteRT file.
        requests_path: a pickled list of (signature, inputs).
        outcome_path: the file to write: a pickled dict with `answers` and `failure`.
    """
    with open(requests_path, "rb") as file:
        requests = pickle.load(file)
    outcome = {"answers": [], "failure": None}
    try:
        interpreter = InterpreterWithCustomOps(
            model_path=path, custom_op_registerers=tf_text.tflite_registrar.SELECT_TFTEXT_OPS
        )
        for signature, inputs in requests:
            outcome["answers"].append(interpreter.get_signature_runner(signature)(**inputs))
    except Exception as error:  # the parent process reports every failure
        outcome["failure"] = f"{type(error).__name__}: {error}"
    with open(outcome_path, "wb") as file:
        pickle.dump(outcome, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
