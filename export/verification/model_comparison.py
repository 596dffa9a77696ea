"""Models that should be one: the same requests have to get the same answers."""

import tempfile
from pathlib import Path

from keras_s2s.errors import UserError
from keras_s2s.export.saved_model.warmup import WARMUP, read_requests
from keras_s2s.export.verification.comparison import NotProven
from keras_s2s.export.verification.probe_requests import (
    RequestCorpus,
    build_probe_requests,
    build_request,
)
from keras_s2s.export.verification.request_runner import TIMEOUT
from keras_s2s.export.verification.rounding_ties import find_difference
from keras_s2s.export.verification.session_process import SessionProcess
from keras_s2s.signatures.fields import FORECAST

__all__ = ["load_export_corpus", "session_runner", "verify_models"]

TOKENS = 2


def verify_models(models: dict, material: RequestCorpus, signatures=None) -> int:
    """Asks every model the requests of a proof, and compares the answers with the first's.

    Args:
        models: by name, functions of a list of `build_probe_requests.Probe` that give a dict of arrays for each.
        material: what the requests are made of; without tokens, those of the first model's
            answers are taken.
        signatures: names of those to ask; all of them when None.

    Returns:
        The number of requests.

    Raises:
        NotProven: with the first difference.
    """
    first, *others = models
    if not (material.tokens or material.forecasts):
        material = _with_tokens(material, models[first])
    asked = [
        probe
        for probe in build_probe_requests(material)
        if signatures is None or probe.signature in signatures
    ]
    expected = [_readable(answer) for answer in models[first](asked)]
    for other in others:
        answers = map(_readable, models[other](asked))
        for probe, one, two in zip(asked, expected, answers, strict=True):
            found = find_difference(probe, one, two, models[first])
            if found:
                raise NotProven(found.between(first, other))
    return len(asked)


def session_runner(path):
    """The function for `verify_models` of a SavedModel's directory, run by a fresh process."""

    def answers(asked):
        with (
            tempfile.TemporaryDirectory() as place,
            SessionProcess(path, place, asked) as process,
        ):
            return process.answers(10 * TIMEOUT)

    return answers


def load_export_corpus(path) -> RequestCorpus:
    """The texts and targets of an export's warm-up requests.

    Raises:
        UserError: there are none.
    """
    requests = Path(path) / WARMUP
    if not requests.is_file():
        raise UserError(f"{requests}: expected warm-up requests to take texts from, came no file")
    asked = read_requests(requests)
    most = max(asked, key=lambda probe: probe.rows)
    forecasts = any(probe.signature == FORECAST.name for probe in asked)
    if "features" in most.inputs:
        pairs = zip(most.inputs["features"], most.inputs["length"], strict=True)
        texts, unique = [row[:size] for row, size in pairs], tuple
    else:
        texts, unique = most.inputs["text"], dict.fromkeys
    targets = [x for probe in asked for x in probe.inputs.get("target", ())]
    targets = tuple(dict.fromkeys(targets)) or ("a",)
    return RequestCorpus(tuple(unique(texts)), targets, (), forecasts)


def _with_tokens(material, answers):
    (found,) = answers([build_request("translate", material.texts, outputs=("tokens",))])
    tokens = [token for token in dict.fromkeys(_readable(found)["tokens"].ravel()) if token]
    return RequestCorpus(material.texts, material.targets, tuple(tokens[:TOKENS]) or ("a",))


def _readable(answer):
    """Strings as a client has them: bytes that are no UTF-8 are replaced."""
    return {
        name: _decoded(value) if value.dtype.kind == "O" else value
        for name, value in answer.items()
    }


def _decoded(array):
    decoded = array.copy()
    flat = decoded.reshape(-1)
    for i, value in enumerate(flat):
        flat[i] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return decoded
