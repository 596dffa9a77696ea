"""Responses of an in-process translator to probe requests."""

import numpy as np
import tensorflow as tf

from keras_s2s.export.verification.probe_requests import ProbeRequest
from keras_s2s.translator import Translator

__all__ = ["TIMEOUT", "run_request", "run_requests"]

# Seconds that a process with an export may take, in addition to ten times what the same requests
# take in this process.
TIMEOUT = 120


def run_request(translator: Translator, request: ProbeRequest) -> dict[str, np.ndarray]:
    """Runs one request.

    Args:
        translator: a `Translator` or a `Forecaster`.
        request: the request.

    Returns:
        Arrays by name of the requested outputs.
    """
    with tf.device("CPU"):  # the exports run on the CPU; some GPUs round more coarsely
        outputs = translator.predict(request.signature, request.inputs)
    return {name: outputs[name] for name in request.outputs or outputs}


def run_requests(
    translator: Translator, requests: list[ProbeRequest]
) -> list[dict[str, np.ndarray]]:
    """Runs several requests, one after the other; see `run_request`."""
    return [run_request(translator, request) for request in requests]
