"""Weights in fewer bytes: what is stored of each, and what it is once it has been read.

A packed export computes in float32 as every other: its matrices are unpacked when a server loads
it. So it answers exactly as the model with the unpacked weights, which is what a proof compares
it with; how far that is from the model itself is measured beside it.
"""

import contextlib
from typing import NamedTuple

import ml_dtypes
import numpy as np

from keras_s2s.export.verification.comparison import NotProven
from keras_s2s.export.verification.probe_requests import build_request
from keras_s2s.export.verification.session_worker import fingerprint
from keras_s2s.signatures.fields import MISSING_SCORE

__all__ = [
    "QuantizedWeight",
    "check_drift",
    "dequantize",
    "measure_drift",
    "quantize",
    "quantized_weights",
]

HALVES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
LEVELS = 127.0


class QuantizedWeight(NamedTuple):
    """What is stored of a float32 matrix.

    Attributes:
        values: half precision, or int8 in [-127, 127].
        scale: float32 that broadcasts to `values`, by which int8 is multiplied; None for halves.
        last: float32 [1, N], a last row that `values` does not hold; None where it holds all.
    """

    values: np.ndarray
    scale: np.ndarray | None = None
    last: np.ndarray | None = None


def quantize(array, kind, keep_last=False) -> QuantizedWeight:
    """Packs a float32 array of two or more dimensions.

    int8 has a scale for each of the last axis's places or for each row, whichever is closer:
    symmetric, scale = max |w| / 127 (Wu et al. 2020, arXiv:2004.09602, equations 4 and 6).

    Args:
        array: float32.
        kind: one of `variants.WEIGHTS`.
        keep_last: leave the last row as it is: a bias, whose sizes are others than weights'.
    """
    array, last = (array[:-1], array[-1:]) if keep_last else (array, None)
    if kind in HALVES:
        with np.errstate(over="ignore"):  # `quantized_weights` refuses what is not finite
            return QuantizedWeight(array.astype(HALVES[kind]), None, last)
    axes = tuple(range(array.ndim - 1)), tuple(range(1, array.ndim))
    choices = [QuantizedWeight(*_quantised(array, axis), last) for axis in axes]
    return min(choices, key=lambda one: np.square(dequantize(one)[: len(array)] - array).sum())


def dequantize(packed: QuantizedWeight) -> np.ndarray:
    """The float32 array that a server has of it, to the bit."""
    array = packed.values.astype(np.float32)
    if packed.scale is not None:
        array = array * packed.scale
    return array if packed.last is None else np.concatenate([array, packed.last])


def _quantised(array, axis):
    scale = np.max(np.abs(array), axis, keepdims=True) / np.float32(LEVELS)
    scale = np.where(scale > 0, scale, np.float32(1)).astype(np.float32)
    return np.rint(array / scale).clip(-LEVELS, LEVELS).astype(np.int8), scale


@contextlib.contextmanager
def quantized_weights(translator, kind):
    """Gives a `Translator` the weights of its packed export, and its own again afterwards.

    Yields:
        {`replay.stamp` of a weight: its `QuantizedWeight`}.

    Raises:
        NotProven: a weight is not finite once it is packed.
    """
    translator.prepare()
    weights = [w.value for w in translator.model.weights if _is_matrix(w.value)]
    before = [weight.numpy() for weight in weights]
    found = {}
    try:
        for weight, value in zip(weights, before, strict=True):
            _give(weight, quantize(value, kind), found)
        translator.prepare()
        for table in translator.tables.search:
            _give(table, quantize(table.numpy(), kind, keep_last=True), found)
        yield found
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)
        translator.prepare()


def measure_drift(translator, pairs):
    """A function that tells how far log-probabilities have moved since this call.

    Args:
        translator: what is going to be packed.
        pairs: (source, target) texts.

    Returns:
        function without arguments: the mean over the tokens of all targets, in nats.
    """
    sources, targets = zip(*pairs)
    probe = build_request("score", sources, [{"target": target} for target in targets])

    def look():
        log_probs = translator.predict("score", probe.inputs)["token_log_probs"]
        return log_probs, log_probs > MISSING_SCORE / 2

    before, real = look()
    return lambda: float(np.abs(look()[0] - before)[real].mean())


def check_drift(weights, drift, limit):
    """Refuses, by a `NotProven`, a kind of weights under which log-probabilities moved too far."""
    if not drift <= limit:
        raise NotProven(
            f"{weights} weights: expected log-probabilities of tokens that move by"
            f" {limit:g} at most in the mean, came {drift:.3g}"
        )


def _is_matrix(weight):
    return len(weight.shape) > 1 and weight.dtype == "float32"


def _give(weight, one, found):
    value = dequantize(one)
    if not np.isfinite(value).all():
        raise NotProven(f"weight {weight.name}: not finite as {one.values.dtype.name}")
    weight.assign(value)
    found[fingerprint(value)] = one
