"""Two searches of one model may part where rounding decides: that is no difference of models.

Sums in another order move a log-probability by some 1e-6. Now and then that is more than what lay
between two hypotheses at the edge of a beam, or between a draw and the edge of a token's share.
What was found then still has the log-probability that it claims, under either model.
"""

import numpy as np

from keras_s2s.export.verification.comparison import TOLERANCE, first_difference
from keras_s2s.export.verification.probe_requests import ProbeRequest
from keras_s2s.signatures.fields import MISSING_SCORE

__all__ = ["find_difference"]

MOST = 2  # rows of a request
SEARCHES = ("translate", "sample")
PADS = dict.fromkeys(("token_log_probs", "score", "log_prob"), MISSING_SCORE)


def find_difference(probe, one: dict, other: dict, answers):
    """As `comparing.first_difference`, but for rows in which rounding may have decided.

    Args:
        probe: the `probes.Probe` that both answered.
        one, other: the two answers.
        answers: function of a list of probes, which gives the first model's answers.
    """
    for _ in range(MOST):
        found = first_difference(probe, one, other)
        if not found or not _chosen_otherwise(probe, found.row, other, answers):
            return found
        probe, one, other = _without(found.row, probe, one, other)
    return first_difference(probe, one, other)


def _chosen_otherwise(probe, row, found, answers):
    """Whether the first model gives what was `found` the log-probabilities that it claims."""
    wanted = {"tokens", "lengths", "log_prob", "error"}
    if probe.signature not in SEARCHES or not wanted <= found.keys() or found["error"][row]:
        return False
    real = found["log_prob"][row] > MISSING_SCORE / 2  # [K]
    if not real.any():
        return False
    tokens = [[x for x in line if x] for line in found["tokens"][row][real]]  # "" pads
    if list(map(len, tokens)) != found["lengths"][row][real].tolist():
        return False
    lists = [b"\n".join(x.encode() if isinstance(x, str) else x for x in line) for line in tokens]
    sources = {
        name: np.repeat(column[row : row + 1], len(lists), 0)
        for name, column in probe.source().items()
    }
    targets = np.empty(len(lists), np.object_)
    targets[:] = lists
    (scored,) = answers([ProbeRequest("score", sources | {"target_tokens": targets})])
    return np.allclose(scored["log_prob"], found["log_prob"][row][real], rtol=1e-6, atol=TOLERANCE)


def _without(row, probe, one, other):
    """All without a row, and without the width that it alone needed."""
    inputs = {name: np.delete(column, row, 0) for name, column in probe.inputs.items()}
    one, other = ({n: np.delete(x, row, 0) for n, x in each.items()} for each in (one, other))
    for name in one.keys() & other.keys():
        shape = np.minimum(one[name].shape, other[name].shape)
        one[name], other[name] = (_cut(name, each[name], shape) for each in (one, other))
    return ProbeRequest(probe.signature, inputs, probe.outputs), one, other


def _cut(name, array, shape):
    """An array cut to a shape, if that takes padding alone."""
    cut = array[tuple(map(slice, shape))]
    real = array.astype(bool) if array.dtype.kind == "O" else array != PADS.get(name, 0)
    return cut if real.sum() == real[tuple(map(slice, shape))].sum() else array
