"""Quantization of stored weights: half precision or int8, computed in float32.

The matrices of a quantized export are dequantized once, when a server loads it. The export
therefore answers exactly as the model with the dequantized weights, and verification compares it
with that model. How far that model is from the original is measured separately, see
`measure_drift`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import ml_dtypes
import numpy as np
import tensorflow as tf

from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import build_request
from keras_s2s.export.verification.session_worker import fingerprint
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.translator import Translator

__all__ = [
    "QuantizedWeight",
    "check_drift",
    "dequantize",
    "measure_drift",
    "quantize",
    "quantized_weights",
]

HALF_TYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
INT8_MAX = 127.0


class QuantizedWeight(NamedTuple):
    """Stored form of a float32 matrix.

    Attributes:
        values: half precision, or int8 in [-127, 127].
        scale: float32 factor of int8 values that broadcasts to `values`; None for half precision.
        last: float32 [1, N], a last row that `values` does not contain; None if it contains all.
    """

    values: np.ndarray
    scale: np.ndarray | None = None
    last: np.ndarray | None = None


def quantize(array: np.ndarray, kind: str, keep_last: bool = False) -> QuantizedWeight:
    """Quantizes a float32 array of two or more dimensions.

    int8 is symmetric, scale = max |w| / 127, with one scale for each index of the last axis or for
    each row, whichever has the smaller error.

    Args:
        array: float32 values.
        kind: one of `variant.WEIGHT_TYPES`.
        keep_last: whether the last row stays float32: a bias, whose magnitudes differ from those
            of weights.

    Reference: Wu et al. 2020, arXiv:2004.09602, equations 4 and 6.
    """
    array, last = (array[:-1], array[-1:]) if keep_last else (array, None)
    if kind in HALF_TYPES:
        with np.errstate(over="ignore"):  # `quantized_weights` refuses infinities
            return QuantizedWeight(array.astype(HALF_TYPES[kind]), None, last)
    axes = tuple(range(array.ndim - 1)), tuple(range(1, array.ndim))
    candidates = [QuantizedWeight(*_quantize_int8(array, axis), last) for axis in axes]
    return min(candidates, key=lambda x: np.square(dequantize(x)[: len(array)] - array).sum())


def dequantize(weight: QuantizedWeight) -> np.ndarray:
    """The float32 array that a server computes with, to the bit."""
    array = weight.values.astype(np.float32)
    if weight.scale is not None:
        array = array * weight.scale
    return array if weight.last is None else np.concatenate([array, weight.last])


def _quantize_int8(array, axis):
    scale = np.max(np.abs(array), axis, keepdims=True) / np.float32(INT8_MAX)
    scale = np.where(scale > 0, scale, np.float32(1)).astype(np.float32)
    return np.rint(array / scale).clip(-INT8_MAX, INT8_MAX).astype(np.int8), scale


@contextlib.contextmanager
def quantized_weights(translator: Translator, kind: str) -> Iterator[dict[str, QuantizedWeight]]:
    """Sets a translator's weights to their dequantized values until the end of the block.

    Args:
        translator: the `Translator` to export.
        kind: one of `variant.WEIGHT_TYPES`.

    Yields:
        {`session_worker.fingerprint` of a dequantized weight: its `QuantizedWeight`}.

    Raises:
        VerificationError: a weight is not finite after quantization.
    """
    translator.prepare()
    weights = [w.value for w in translator.model.weights if _is_matrix(w.value)]
    originals = [weight.numpy() for weight in weights]
    quantized = {}
    try:
        for weight, value in zip(weights, originals, strict=True):
            _assign_quantized(weight, quantize(value, kind), quantized)
        translator.prepare()
        search_weights = translator.search_weights  # None for an ensemble
        for table in search_weights.variables if search_weights else ():
            _assign_quantized(table, quantize(table.numpy(), kind, keep_last=True), quantized)
        yield quantized
    finally:
        for weight, value in zip(weights, originals, strict=True):
            weight.assign(value)
        translator.prepare()


def measure_drift(translator: Translator, pairs: Sequence[tuple[str, str]]) -> Callable[[], float]:
    """Records log-probabilities of target tokens, to compare later ones with them.

    Args:
        translator: the `Translator` whose weights are going to be quantized.
        pairs: (source, target) texts.

    Returns:
        A function without arguments that returns the mean absolute change of the tokens'
        log-probabilities since this call, in nats.
    """
    sources, targets = zip(*pairs)
    request = build_request("score", sources, [{"target": target} for target in targets])

    def token_log_probs() -> np.ndarray:
        return translator.predict("score", request.inputs)["token_log_probs"]  # [B, T]

    before = token_log_probs()
    is_real = before > MISSING_SCORE / 2  # [B, T]
    return lambda: float(np.abs(token_log_probs() - before)[is_real].mean())


def check_drift(weights: str, drift: float, limit: float) -> None:
    """Refuses weights under which log-probabilities drift too far.

    Args:
        weights: type of the weights, for the message.
        drift: mean absolute change of a token's log-probability, in nats.
        limit: the largest accepted drift.

    Raises:
        VerificationError: `measure_drift` exceeds `limit` or is not a number.
    """
    if not drift <= limit:
        raise VerificationError(
            f"{weights} weights: expected log-probabilities of tokens that move by"
            f" {limit:g} at most in the mean, got {drift:.3g}"
        )


def _is_matrix(weight: tf.Variable) -> bool:
    return len(weight.shape) > 1 and weight.dtype == "float32"


def _assign_quantized(weight, quantized, by_fingerprint):
    value = dequantize(quantized)
    if not np.isfinite(value).all():
        dtype = quantized.values.dtype.name
        raise VerificationError(f"weight {weight.name}: not finite as {dtype}")
    weight.assign(value)
    by_fingerprint[fingerprint(value)] = quantized
