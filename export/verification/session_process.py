"""The other process: a SavedModel answers requests where nothing of this process is known."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from keras_s2s.export.saved_model.warmup import write_requests
from keras_s2s.export.verification import session_worker
from keras_s2s.export.verification.comparison import NotProven

__all__ = ["SessionProcess"]


class SessionProcess:
    """A process that loads a SavedModel as TensorFlow Serving does; in a `with` block.

    Args:
        path: the SavedModel's directory.
        place: an empty directory for what the two processes tell each other.
        asked: list of `probes.Probe`.
        stamps: `replay.stamp`s of the weights that it may have; None does not look at them.

    Attributes:
        seconds: that each request took, once there are `answers`.
    """

    def __init__(self, path, place, asked, stamps=None):
        self._place, self._asked = Path(place), asked
        write_requests(self._place / session_worker.REQUESTS, asked)
        (self._place / session_worker.WEIGHTS).write_text(json.dumps(stamps))
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
        self._process = subprocess.Popen(
            # `-P`: what lies beside the script must not stand for modules of the same names
            [sys.executable, "-P", session_worker.__file__, str(path), str(place)],
            env=os.environ | quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # Ctrl-C is for this process to handle
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        with self._process:
            pass

    def answers(self, seconds: float) -> list[dict]:
        """Waits for it, and gives arrays by output for each request.

        Raises:
            NotProven: it takes longer than `seconds`, ends early or fails.
        """
        try:
            _, said = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise NotProven(f"the export did not answer within {seconds:.0f} s") from None
        path = self._place / session_worker.OUTCOME
        if not path.exists():
            last = " ".join(said.strip().splitlines()[-1:])
            status = self._process.returncode
            raise NotProven(f"the process that loads the export ended by {status}: {last}")
        outcome = json.loads(path.read_text())
        self.seconds = outcome["seconds"]
        if outcome["failure"] is not None:
            number = min(outcome["answered"], len(self._asked) - 1)
            signature = self._asked[number].signature
            raise NotProven(f"the export fails at signature {signature}: {outcome['failure']}")
        return list(self._read())

    def odd_weights(self) -> dict:
        """Arrays by name: the weights whose stamp is none of those given."""
        with np.load(self._place / session_worker.ODD) as odd:
            return dict(odd)

    def _read(self):
        for reply in tf.data.TFRecordDataset(
            str(self._place / session_worker.REPLIES)
        ).as_numpy_iterator():
            outputs = predict_pb2.PredictResponse.FromString(reply).outputs
            yield {name: tf.make_ndarray(proto) for name, proto in outputs.items()}
