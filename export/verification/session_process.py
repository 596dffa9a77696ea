"""Separate process that runs a SavedModel as TensorFlow Serving does."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from keras_s2s.export.saved_model.warmup import write_requests
from keras_s2s.export.verification import session_worker
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import ProbeRequest
from keras_s2s.io import path_without_wildcards

__all__ = ["SessionProcess"]


class SessionProcess:
    """Process that loads a SavedModel and answers requests; a context manager.

    The process starts in the constructor, so that this process can work at the same time.

    Args:
        path: directory of the SavedModel.
        exchange: an empty directory for the files that the two processes exchange.
        requests: the requests.
        fingerprints: of the weights that the SavedModel may have, see
            `session_worker.fingerprint`; None skips the comparison of weights.

    Attributes:
        seconds: time that each request took; available after `responses`.
    """

    def __init__(
        self,
        path: Path | str,
        exchange: Path | str,
        requests: list[ProbeRequest],
        fingerprints: list[str] | None = None,
    ) -> None:
        self._exchange, self._requests = Path(exchange), requests
        write_requests(self._exchange / session_worker.REQUESTS, requests)
        (self._exchange / session_worker.WEIGHTS).write_text(json.dumps(fingerprints))
        self._link = contextlib.ExitStack()
        path = self._link.enter_context(path_without_wildcards(path))
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
        self._process = subprocess.Popen(
            # `-P`: files beside the script must not shadow modules of the same names
            [sys.executable, "-P", session_worker.__file__, str(path), str(exchange)],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # this process handles Ctrl-C
        )

    def __enter__(self) -> "SessionProcess":
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.kill()
        with self._link, self._process:
            pass

    def responses(self, timeout: float) -> list[dict[str, np.ndarray]]:
        """Waits for the process to end.

        Args:
            timeout: seconds to wait.

        Returns:
            For each request arrays by output name.

        Raises:
            VerificationError: the process takes longer than `timeout`, ends early or fails.
        """
        try:
            _, stderr = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise VerificationError(f"the export did not answer within {timeout:.0f} s") from None
        path = self._exchange / session_worker.OUTCOME
        if not path.exists():
            last_line = " ".join(stderr.strip().splitlines()[-1:])
            status = self._process.returncode
            raise VerificationError(
                f"the process that loads the export ended with status {status}: {last_line}"
            )
        outcome = json.loads(path.read_text())
        self.seconds = outcome["seconds"]
        if outcome["failure"] is not None:
            index = min(outcome["answered"], len(self._requests) - 1)
            signature = self._requests[index].signature
            raise VerificationError(
                f"the export fails at signature {signature}: {outcome['failure']}"
            )
        return list(self._read_responses())

    def unknown_weights(self) -> dict[str, np.ndarray]:
        """Weights of the SavedModel, by name, that have none of the given fingerprints."""
        with np.load(self._exchange / session_worker.UNKNOWN_WEIGHTS) as weights:
            return dict(weights)

    def _read_responses(self) -> Iterator[dict[str, np.ndarray]]:
        path = self._exchange / session_worker.RESPONSES
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            outputs = predict_pb2.PredictResponse.FromString(record).outputs
            yield {name: tf.make_ndarray(proto) for name, proto in outputs.items()}
