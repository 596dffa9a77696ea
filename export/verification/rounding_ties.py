"""Comparison of search results that tolerates decisions made by rounding.

Sums in another order change a log-probability by about 1e-6. Occasionally this exceeds the gap
between two hypotheses at the edge of a beam, or between a random draw and the boundary of a
token's share, and the two searches of one model return different hypotheses. Such hypotheses still
have the log-probability that is reported with them, under either model.
"""

from collections.abc import Callable

import numpy as np

from keras_s2s.export.verification.comparison import (
    ABSOLUTE_TOLERANCE,
    Difference,
    first_difference,
)
from keras_s2s.export.verification.probe_requests import ProbeRequest
from keras_s2s.signatures.fields import MISSING_SCORE

__all__ = ["find_difference"]

MAX_TIED_ROWS = 2  # of a request
SEARCH_SIGNATURES = ("translate", "sample")
PADDING = dict.fromkeys(("token_log_probs", "score", "log_prob"), MISSING_SCORE)


def find_difference(
    request: ProbeRequest,
    first: dict[str, np.ndarray],
    second: dict[str, np.ndarray],
    run_first: Callable[[list[ProbeRequest]], list[dict[str, np.ndarray]]],
) -> Difference | None:
    """Compares two responses as `first_difference` does, but ignores a few tied rows.

    Args:
        request: the request that both models answered.
        first, second: the two responses.
        run_first: function that runs requests on the first model.

    Returns:
        The first difference; None if there is none or rounding explains it.
    """
    for _ in range(MAX_TIED_ROWS):
        difference = first_difference(request, first, second)
        if not difference or not _is_tie(request, difference.row, second, run_first):
            return difference
        request, first, second = _remove_row(difference.row, request, first, second)
    return first_difference(request, first, second)


def _is_tie(request, row, response, run_first):
    """Whether the first model gives a row's hypotheses the log-probabilities reported for them."""
    required = {"tokens", "lengths", "log_prob", "error"}
    if request.signature not in SEARCH_SIGNATURES or not required <= response.keys():
        return False
    if response["error"][row]:
        return False
    is_real = response["log_prob"][row] > MISSING_SCORE / 2  # [K]
    if not is_real.any():
        return False
    hypotheses = [[x for x in tokens if x] for tokens in response["tokens"][row][is_real]]
    if list(map(len, hypotheses)) != response["lengths"][row][is_real].tolist():
        return False
    (scored,) = run_first([_score_request(request, row, hypotheses)])
    log_probs = response["log_prob"][row][is_real]
    return np.allclose(scored["log_prob"], log_probs, rtol=1e-6, atol=ABSOLUTE_TOLERANCE)


def _score_request(request, row, hypotheses):
    """A request for the log-probabilities of a row's hypotheses."""
    source = {
        name: np.repeat(column[row : row + 1], len(hypotheses), 0)
        for name, column in request.source().items()
    }
    targets = np.empty(len(hypotheses), np.object_)
    targets[:] = [
        b"\n".join(x.encode() if isinstance(x, str) else x for x in tokens) for tokens in hypotheses
    ]
    return ProbeRequest("score", source | {"target_tokens": targets})


def _remove_row(row, request, first, second):
    """The request and both responses without a row, and without padding only that row needed."""
    inputs = {name: np.delete(column, row, 0) for name, column in request.inputs.items()}
    first, second = (
        {name: np.delete(array, row, 0) for name, array in response.items()}
        for response in (first, second)
    )
    for name in first.keys() & second.keys():
        shape = np.minimum(first[name].shape, second[name].shape)
        first[name] = _trim_padding(name, first[name], shape)
        second[name] = _trim_padding(name, second[name], shape)
    return ProbeRequest(request.signature, inputs, request.outputs), first, second


def _trim_padding(name, array, shape):
    """An array cut to a shape if that removes padding only; otherwise the array."""
    slices = tuple(map(slice, shape))
    is_real = array.astype(bool) if array.dtype.kind == "O" else array != PADDING.get(name, 0)
    return array[slices] if is_real.sum() == is_real[slices].sum() else array
