"""Comparison of models that should be equal, by their responses to the same requests."""

import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from keras_s2s.errors import UserError
from keras_s2s.export.saved_model.warmup import WARMUP, read_requests
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import (
    ProbeRequest,
    RequestCorpus,
    build_probe_requests,
    build_request,
)
from keras_s2s.export.verification.request_runner import TIMEOUT
from keras_s2s.export.verification.rounding_ties import find_difference
from keras_s2s.export.verification.session_process import SessionProcess
from keras_s2s.signatures.arrays import to_text
from keras_s2s.signatures.fields import FORECAST

__all__ = ["load_export_corpus", "session_runner", "verify_models"]

MAX_TOKENS = 2

Runner = Callable[[list[ProbeRequest]], list[dict[str, np.ndarray]]]


def verify_models(
    models: dict[str, Runner],
    corpus: RequestCorpus,
    signatures: Collection[str] | None = None,
) -> int:
    """Runs the probe requests on every model and compares the responses with the first model's.

    Args:
        models: functions by model name; each runs a list of requests and returns for each a dict
            of arrays.
        corpus: texts for the requests; if it has no tokens, tokens of the first model's
            translations are used.
        signatures: names of the signatures to request; all when None.

    Returns:
        The number of requests.

    Raises:
        VerificationError: with the first difference.
    """
    first, *others = models
    if not (corpus.tokens or corpus.forecasts):
        corpus = _add_tokens(corpus, models[first])
    requests = [
        request
        for request in build_probe_requests(corpus)
        if signatures is None or request.signature in signatures
    ]
    expected = [_decode_strings(response) for response in models[first](requests)]
    for other in others:
        responses = map(_decode_strings, models[other](requests))
        for request, reference, response in zip(requests, expected, responses, strict=True):
            difference = find_difference(request, reference, response, models[first])
            if difference:
                raise VerificationError(difference.describe(first, other))
    return len(requests)


def session_runner(path: Path | str) -> Runner:
    """A function for `verify_models` that runs a SavedModel in a separate process.

    Args:
        path: directory of the SavedModel.
    """

    def run(requests: list[ProbeRequest]) -> list[dict[str, np.ndarray]]:
        with (
            tempfile.TemporaryDirectory() as exchange,
            SessionProcess(path, exchange, requests) as process,
        ):
            return process.responses(10 * TIMEOUT)

    return run


def load_export_corpus(path: Path | str) -> RequestCorpus:
    """Loads the texts and targets of a SavedModel's warm-up requests.

    Args:
        path: directory of the SavedModel.

    Raises:
        UserError: the SavedModel has no warm-up requests.
    """
    path = Path(path) / WARMUP
    if not path.is_file():
        raise UserError(f"{path}: expected warm-up requests to take texts from, got no file")
    requests = read_requests(path)
    largest = max(requests, key=lambda request: request.rows)
    forecasts = any(request.signature == FORECAST.name for request in requests)
    if "features" in largest.inputs:
        rows = zip(largest.inputs["features"], largest.inputs["length"], strict=True)
        texts = tuple(features[:length] for features, length in rows)
    else:
        texts = tuple(dict.fromkeys(largest.inputs["text"]))
    targets = [x for request in requests for x in request.inputs.get("target", ())]
    return RequestCorpus(texts, tuple(dict.fromkeys(targets)) or ("a",), (), forecasts)


def _add_tokens(corpus, run):
    (response,) = run([build_request("translate", corpus.texts, outputs=("tokens",))])
    tokens = dict.fromkeys(_decode_strings(response)["tokens"].ravel())
    tokens = tuple(token for token in tokens if token)[:MAX_TOKENS]
    return RequestCorpus(corpus.texts, corpus.targets, tokens or ("a",))


def _decode_strings(response):
    """Strings as clients return them: invalid UTF-8 is replaced."""
    return {
        name: to_text(value) if value.dtype.kind == "O" else value
        for name, value in response.items()
    }
