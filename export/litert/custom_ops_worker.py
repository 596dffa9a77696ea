"""A process of its own in which a LiteRT file answers with tf.text's operations linked in.

python -m keras_s2s.export.litert_process FILE ASKED OUTCOME
"""

import pickle
import sys

import tensorflow_text as tf_text
from ai_edge_litert.interpreter import InterpreterWithCustomOps

__all__ = ["main"]


def main(path, asked, outcome) -> None:
    """Answers what is pickled in a file: a list of (signature, inputs).

    Args:
        path: the LiteRT file.
        asked: the file of requests.
        outcome: the file to write: a dict of `answers` and `failure`.
    """
    with open(asked, "rb") as file:
        requests = pickle.load(file)
    made = {"answers": [], "failure": None}
    try:
        interpreter = InterpreterWithCustomOps(
            model_path=path, custom_op_registerers=tf_text.tflite_registrar.SELECT_TFTEXT_OPS
        )
        for signature, inputs in requests:
            made["answers"].append(interpreter.get_signature_runner(signature)(**inputs))
    except Exception as error:  # whatever it is, the other process has to say it
        made["failure"] = f"{type(error).__name__}: {error}"
    with open(outcome, "wb") as file:
        pickle.dump(made, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
