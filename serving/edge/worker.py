"""Worker process that answers requests by a LiteRT file, with TensorFlow blocked.

python -m keras_s2s.serving.edge.worker FILE REQUESTS OUTCOME
"""

import pickle
import sys
import time
from typing import Any

__all__ = ["BLOCKED_MODULES", "FILE_SIGNATURES", "main"]

BLOCKED_MODULES = ("tensorflow", "tensorflow_text", "keras", "tf_keras")
# Signatures of the file itself by their names in a request; the file's `translate` takes ids.
FILE_SIGNATURES = {
    "numbers": "translate",
    "serving_ids": "serving_ids",
    "translate_ids": "translate_ids",
}


class _ImportBlocker:
    """Import hook that rejects the modules of TensorFlow."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in BLOCKED_MODULES:
            raise ImportError(f"{name} is blocked in this process")


def main(path: str, requests_path: str, outcome_path: str) -> None:
    """Answers the requests of a pickle file.

    Args:
        path: the LiteRT file.
        requests_path: pickled list of (signature, inputs).
        outcome_path: the file to write: a pickled dict of `answers`, `failure` (a message or
            None), and `start`, the seconds to load the model.
    """
    sys.meta_path.insert(0, _ImportBlocker())  # type: ignore[arg-type]
    start = time.perf_counter()
    from keras_s2s.serving.edge.translator import EdgeTranslator

    with open(requests_path, "rb") as file:
        requests = pickle.load(file)
    outcome: dict[str, Any] = {"answers": [], "failure": None}
    try:
        translator = EdgeTranslator(path)
        outcome["start"] = time.perf_counter() - start
        for signature, inputs in requests:
            if signature in FILE_SIGNATURES:
                answer = translator.run(FILE_SIGNATURES[signature], **inputs)
            else:
                answer = translator.predict(signature, inputs)
            outcome["answers"].append(answer)
    except Exception as error:  # any failure has to reach the parent process
        outcome["failure"] = f"{type(error).__name__}: {error}"
    with open(outcome_path, "wb") as file:
        pickle.dump(outcome, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
