"""Verification of a SavedModel before it is published."""

import time
from pathlib import Path

import numpy as np

from keras_s2s.export.saved_model.serving_compatibility import check_serving_compatibility
from keras_s2s.export.saved_model.warmup import WARMUP, read_requests
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import (
    ProbeRequest,
    RequestCorpus,
    build_probe_requests,
)
from keras_s2s.export.verification.request_runner import TIMEOUT, run_requests
from keras_s2s.export.verification.rounding_ties import find_difference
from keras_s2s.export.verification.session_process import SessionProcess
from keras_s2s.export.verification.session_worker import fingerprint
from keras_s2s.translator import Translator

__all__ = ["verify_export"]

NAMES = "this process", "the export"


def verify_export(
    translator: Translator,
    path: Path | str,
    exchange: Path | str,
    corpus: RequestCorpus,
    xla: bool = False,
) -> list[float]:
    """Compares a SavedModel with the translator that it was exported from.

    First the graph is checked for operations that a stock server lacks. Then a separate process
    loads the export as TensorFlow Serving does and answers the warm-up requests and the probe
    requests. Strings, ids and lengths have to be equal (see `rounding_ties`), floating-point
    values to 1e-4, and every weight to the bit.

    Args:
        translator: the exported `Translator` or `Forecaster`.
        path: directory of the SavedModel.
        exchange: an empty directory for the files that the two processes exchange.
        corpus: texts for the requests.
        xla: whether functions may be compiled by XLA.

    Returns:
        Seconds that the separate process took for each of the warm-up requests.

    Raises:
        VerificationError: with the first difference.
    """

    def run(requests: list[ProbeRequest]) -> list[dict[str, np.ndarray]]:
        return run_requests(translator, requests)

    check_serving_compatibility(path, xla)
    warmup = read_requests(Path(path) / WARMUP)
    requests = [*warmup, *build_probe_requests(corpus)]
    weights = translator.variables()
    fingerprints = [fingerprint(variable.numpy()) for variable in weights]
    with SessionProcess(path, exchange, requests, fingerprints) as process:
        start = time.monotonic()
        expected = run(requests)
        responses = process.responses(TIMEOUT + 10 * (time.monotonic() - start))
        for request, reference, response in zip(requests, expected, responses, strict=True):
            difference = find_difference(request, reference, response, run)
            if difference:
                raise VerificationError(difference.describe(*NAMES))
        for name, value in process.unknown_weights().items():
            raise VerificationError(_describe_weight(name, value, weights))
        return process.seconds[: len(warmup)]


def _describe_weight(name, value, weights):
    """How a weight of the export differs from the model's weight of the same name."""
    candidates = [x.numpy() for x in weights if x.name.removesuffix(":0") == name]
    candidates = [x for x in candidates if x.shape == value.shape and x.dtype == value.dtype]
    if not candidates:
        form = f"{value.dtype.name} {list(value.shape)}"
        return f"weight {name} of the export, {form}, is not a weight of the model"
    expected = candidates[0]
    index = tuple(int(i) for i in np.argwhere(expected != value)[0])
    values = f"{expected[index]:.9g}", f"{value[index]:.9g}"
    return f"weight {name}{list(index)}\n  {NAMES[0]}  {values[0]}\n  {NAMES[1]:12}  {values[1]}"
