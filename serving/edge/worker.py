"""A process of its own in which a LiteRT file answers requests, with TensorFlow out of reach.

python -m keras_s2s.serving.edge_process FILE ASKED OUTCOME
"""

import pickle
import sys
import time

__all__ = ["BARRED", "OWN", "main"]

BARRED = ("tensorflow", "tensorflow_text", "keras", "tf_keras")
# Signatures of the file itself, by what a request calls them: its `translate` is of numbers.
OWN = {"numbers": "translate"}


class _Bar:
    """An import hook that has nothing of TensorFlow found."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BARRED:
            raise ImportError(f"{name} is barred in this process")


def main(path, asked, outcome) -> None:
    """Answers what is pickled in a file: a list of (signature, inputs).

    Args:
        path: the LiteRT file.
        asked: the file of requests.
        outcome: the file to write: a dict of `answers`, `failure`, and the seconds that it took
            to `start`.
    """
    sys.meta_path.insert(0, _Bar())
    begun = time.perf_counter()
    from keras_s2s.serving.edge.translator import EdgeTranslator

    with open(asked, "rb") as file:
        requests = pickle.load(file)
    made = {"answers": [], "failure": None}
    try:
        translator = EdgeTranslator(path)
        made["start"] = time.perf_counter() - begun
        for signature, inputs in requests:
            if signature in OWN:
                made["answers"].append(translator.run(OWN[signature], **inputs))
            else:
                made["answers"].append(translator.predict(signature, inputs))
    except Exception as error:  # whatever it is, the other process has to say it
        made["failure"] = f"{type(error).__name__}: {error}"
    with open(outcome, "wb") as file:
        pickle.dump(made, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
