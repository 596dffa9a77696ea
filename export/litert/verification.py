"""Verification of a LiteRT file in a process without TensorFlow, before it is published."""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import keras_s2s
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import (
    ProbeRequest,
    RequestCorpus,
    build_probe_requests,
    build_request,
)
from keras_s2s.export.verification.request_runner import TIMEOUT, run_request, run_requests
from keras_s2s.export.verification.rounding_ties import find_difference
from keras_s2s.metrics import higher_is_better, score
from keras_s2s.metrics.evaluation import evaluate
from keras_s2s.signatures.arrays import to_text
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.translator import Translator

__all__ = [
    "QUANTIZATION_LIMITS",
    "SIGNATURES",
    "measure_quantization",
    "run_file",
    "verify_float32",
]

SIGNATURES = ("serving_default", "translate", "score")
WORKER = "keras_s2s.serving.edge.worker"  # TensorFlow cannot be imported in it
NAMES = "this process", "the LiteRT file"
# For each quantization, how many points of its metric a model may lose on the validation data, and
# by how much the mean log-probability of the targets' tokens may change, in nats.
QUANTIZATION_LIMITS = {
    "float16": (0.5, 0.005),
    "dynamic_int8": (1.0, 0.1),
    "weight_int8": (1.0, 0.1),
    "int4": (3.0, 0.3),
}


def run_file(
    path: Path | str,
    exchange: Path | str,
    requests: list[ProbeRequest],
    worker: str = WORKER,
) -> list[dict[str, np.ndarray]]:
    """Runs requests on a LiteRT file in a separate process.

    Args:
        path: the file.
        exchange: a directory for the files that the two processes exchange.
        requests: the requests.
        worker: the module that the process runs.

    Returns:
        For each request arrays by output name.

    Raises:
        VerificationError: the process fails, dies or takes too long.
    """
    requests_path, outcome_path = (
        Path(exchange) / x for x in ("requests.pickle", "outcome.pickle")
    )
    pairs = [(request.signature, request.inputs) for request in requests]
    requests_path.write_bytes(pickle.dumps(pairs))
    outcome_path.unlink(missing_ok=True)
    stderr, status = _run_worker(worker, path, requests_path, outcome_path)
    if not outcome_path.exists():
        last_line = " ".join(stderr.strip().splitlines()[-1:])
        raise VerificationError(
            f"the process of {NAMES[1]} ended with status {status}: {last_line}"
        )
    outcome = pickle.loads(outcome_path.read_bytes())
    responses = outcome["answers"]
    if outcome["failure"] is not None:
        signature = requests[min(len(responses), len(requests) - 1)].signature
        raise VerificationError(f"{NAMES[1]} fails at signature {signature}: {outcome['failure']}")
    return [
        {name: response[name] for name in request.outputs or response}
        for request, response in zip(requests, responses, strict=True)
    ]


def _run_worker(worker, *paths):
    root = Path(keras_s2s.__file__).parent.parent
    timeout = 10 * TIMEOUT
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-m", worker, *map(str, paths)],
            env=os.environ | {"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise VerificationError(f"{NAMES[1]} did not answer within {timeout} s") from None
    return process.stderr, process.returncode


def verify_float32(
    translator: Translator, path: Path | str, exchange: Path | str, corpus: RequestCorpus
) -> int:
    """Compares a float32 file with the translator that it was exported from.

    Strings, ids and lengths have to be equal (see `rounding_ties`), floating-point values to 1e-4,
    for the probe requests of all signatures that both have.

    Args:
        translator: the exported `Translator`.
        path, exchange: as for `run_file`.
        corpus: texts for the requests.

    Returns:
        The number of requests.

    Raises:
        VerificationError: with the first difference.
    """

    def run(requests: list[ProbeRequest]) -> list[dict[str, np.ndarray]]:
        return run_requests(translator, requests)

    requests = [r for r in build_probe_requests(corpus) if r.signature in SIGNATURES]
    responses = run_file(path, exchange, requests)
    for request, reference, response in zip(requests, run(requests), responses, strict=True):
        difference = find_difference(request, reference, response, run)
        if difference:
            raise VerificationError(difference.describe(*NAMES))
    return len(requests)


def measure_quantization(
    translator: Translator,
    path: Path | str,
    exchange: Path | str,
    pairs: Sequence[tuple[str, str]],
    metric: str | None,
    quantization: str,
) -> dict[str, Any]:
    """Measures how far a quantized file is from the translator that it was exported from.

    Args:
        translator: the exported `Translator`.
        path, exchange: as for `run_file`.
        pairs: (source, reference) texts, at least one.
        metric: one of `metrics.SCORERS`; None does not compare texts with references.
        quantization: quantization of the file.

    Returns:
        Figures for the model card.

    Raises:
        VerificationError: the file exceeds a limit of `QUANTIZATION_LIMITS`.
    """
    sources, references = map(list, zip(*pairs, strict=True))
    targets = [{"target": reference} for reference in references]
    requests = [
        build_request("serving_default", sources),
        build_request("score", sources, targets),
    ]
    texts, scores = run_file(path, exchange, requests)
    hypotheses = to_text(texts["text"]).tolist()
    original = evaluate(translator, pairs, [metric or "exact"])
    max_loss, max_drift = QUANTIZATION_LIMITS[quantization]
    figures = {
        "lines": len(pairs),
        "equal": float(np.mean([x == y for x, y in zip(original.hypotheses, hypotheses)])),
        "drift": _drift(scores, run_request(translator, requests[1])),
        "drift_limit": max_drift,
    }
    if not figures["drift"] <= max_drift:
        raise VerificationError(
            f"quantize: expected {quantization} to move the mean log-probability of a token by at"
            f" most {max_drift}, got {figures['drift']:.4f}"
        )
    if not metric:
        return figures
    before = original.scores[metric]
    after = score([metric], hypotheses, references, sources)[metric]
    loss = (before - after) * (1 if higher_is_better(metric) else -1)
    if not loss <= max_loss:
        raise VerificationError(
            f"quantize: expected {quantization} to lose at most {max_loss} points of {metric} on"
            f" {len(pairs)} lines, got {loss:.2f}: {before:.2f} became {after:.2f}"
        )
    return figures | {"metric": metric, "float32": before, "quantized": after, "limit": max_loss}


def _drift(first, second):
    """Absolute difference of the mean log-probabilities of tokens."""
    means = []
    for response in (first, second):
        log_probs = response["token_log_probs"]
        means.append(float(log_probs[log_probs > 0.1 * MISSING_SCORE].mean()))
    return abs(means[0] - means[1])
