"""A LiteRT file is proved before it is published: by a process without TensorFlow."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

import keras_s2s
from keras_s2s.export.verification.comparison import NotProven
from keras_s2s.export.verification.probe_requests import build_probe_requests, build_request
from keras_s2s.export.verification.request_runner import TIMEOUT, run_request
from keras_s2s.export.verification.rounding_ties import find_difference
from keras_s2s.metrics import higher_is_better, score
from keras_s2s.metrics.evaluation import evaluate

__all__ = [
    "QUANTIZATION_LIMITS",
    "SIGNATURES",
    "measure_quantization",
    "run_file",
    "verify_float32",
]

SIGNATURES = ("serving_default", "translate", "score")
PROCESS = "keras_s2s.serving.edge.worker"
NAMES = "this process", "the LiteRT file"
# How many points of its metric a quantised model may lose on the validation data, and how far
# the mean log-probability of its targets' tokens may move, in nats.
QUANTIZATION_LIMITS = {
    "float16": (0.5, 0.005),
    "dynamic_int8": (1.0, 0.1),
    "weight_int8": (1.0, 0.1),
    "int4": (3.0, 0.3),
}


def run_file(path, place, asked, process=PROCESS) -> list[dict]:
    """What a LiteRT file answers in a process of its own, in which TensorFlow cannot be imported.

    Args:
        path: the file.
        place: a directory for what the two processes tell each other.
        asked: list of `build_probe_requests.Probe`.
        process: the module that it runs.

    Returns:
        For each probe arrays by output.

    Raises:
        NotProven: it fails, dies or takes too long.
    """
    place = Path(place)
    requests, outcome = place / "asked.pickle", place / "outcome.pickle"
    requests.write_bytes(pickle.dumps([(probe.signature, probe.inputs) for probe in asked]))
    outcome.unlink(missing_ok=True)
    root = Path(keras_s2s.__file__).parent.parent
    command = [sys.executable, "-P", "-m", process, *map(str, (path, requests, outcome))]
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=10 * TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise NotProven(f"{NAMES[1]} did not answer within {10 * TIMEOUT} s") from None
    if not outcome.exists():
        last = " ".join(done.stderr.strip().splitlines()[-1:])
        raise NotProven(f"the process of {NAMES[1]} ended by {done.returncode}: {last}")
    made = pickle.loads(outcome.read_bytes())
    if made["failure"] is not None:
        number = min(len(made["answers"]), len(asked) - 1)
        signature = asked[number].signature
        raise NotProven(f"{NAMES[1]} fails at signature {signature}: {made['failure']}")
    return [
        {name: answer[name] for name in probe.outputs or answer}
        for probe, answer in zip(asked, made["answers"], strict=True)
    ]


def verify_float32(translator, path, place, material) -> int:
    """Compares a float32 file with the translator that it was made from.

    Strings, ids and lengths have to be equal (see `ties`), float values to 1e-4, over the
    `build_probe_requests` of all signatures that both have.

    Returns:
        The number of requests.

    Raises:
        NotProven: with the first difference.
    """

    def answers(probes):
        return [run_request(translator, probe) for probe in probes]

    asked = [probe for probe in build_probe_requests(material) if probe.signature in SIGNATURES]
    theirs = run_file(path, place, asked)
    for probe, one, two in zip(asked, answers(asked), theirs, strict=True):
        found = find_difference(probe, one, two, answers)
        if found:
            raise NotProven(found.between(*NAMES))
    return len(asked)


def measure_quantization(translator, path, place, pairs, metric, quantization) -> dict:
    """How far a quantised file is from the translator that it was made from.

    Args:
        pairs: (source, reference) texts, at least one.
        metric: name of one of `metrics.SCORERS`; None compares no texts with references.
        quantization: that of the file.

    Returns:
        Figures for the model card.

    Raises:
        NotProven: the file falls by more than `QUANTIZATION_LIMITS` allows.
    """
    sources, references = map(list, zip(*pairs, strict=True))
    targets = [{"target": reference} for reference in references]
    asked = [build_request("serving_default", sources), build_request("score", sources, targets)]
    texts, scores = run_file(path, place, asked)
    theirs = [text.decode("utf-8", "replace") for text in texts["text"]]
    ours = evaluate(translator, pairs, [metric or "exact"])
    fall, drift = QUANTIZATION_LIMITS[quantization]
    figures = {
        "lines": len(pairs),
        "equal": float(np.mean([one == two for one, two in zip(ours.hypotheses, theirs)])),
        "drift": _drift(scores, run_request(translator, asked[1])),
        "drift_limit": drift,
    }
    if not figures["drift"] <= drift:
        raise NotProven(
            f"quantize: expected {quantization} to move the mean log-probability of a token by at"
            f" most {drift}, came {figures['drift']:.4f}"
        )
    if metric:
        before, after = ours.scores[metric], score([metric], theirs, references, sources)[metric]
        lost = (before - after) * (1 if higher_is_better(metric) else -1)
        figures |= {"metric": metric, "float32": before, "quantized": after, "limit": fall}
        if not lost <= fall:
            raise NotProven(
                f"quantize: expected {quantization} to lose at most {fall} points of {metric} on"
                f" {len(pairs)} lines, came {lost:.2f}: {before:.2f} became {after:.2f}"
            )
    return figures


def _drift(one, two):
    """How far the mean log-probability of a token moves."""
    sums = []
    for given in (one, two):
        each = given["token_log_probs"]
        sums.append(float(each[each > -1e8].mean()))
    return abs(sums[0] - sums[1])
