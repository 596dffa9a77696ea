"""Objectives over attention against the papers' formulas."""

import numpy as np
import pytest

from keras_s2s import losses
from tests.losses.batches import ALIGNMENT, WEIGHTS, S, Y, attention, evaluate, real_positions
from tests.references import assert_close


def test_guided_alignment_by_cross_entropy():
    a, expected = attention(), 0.0
    for b, t in real_positions():
        for s in np.flatnonzero(ALIGNMENT[b, t]):
            expected -= np.log(a[b, t, s]) / ALIGNMENT[b, t].sum()
    result = evaluate(
        losses.guided_alignment(), {"alignment": ALIGNMENT}, attention={"cross": a[:, None]}
    )
    assert_close(result, (expected, 7.0))


def test_guided_alignment_by_squares():
    a, expected = attention(), 0.0
    for b, t in real_positions():
        if ALIGNMENT[b, t].any():  # a token without an alignment has no term
            reference = ALIGNMENT[b, t] / ALIGNMENT[b, t].sum()
            expected += sum((reference - a[b, t]) ** 2) / 2
    result = evaluate(
        losses.guided_alignment("squared"),
        {"alignment": ALIGNMENT},
        attention={"cross": a[:, None]},
    )
    assert_close(result, (expected, 7.0))


def test_guided_alignment_needs_an_alignment():
    with pytest.raises(ValueError, match=r"x: expected 'alignment' \[B, T, S\] .*, got none"):
        losses.guided_alignment()({}, Y, {}, WEIGHTS)
    with pytest.raises(ValueError, match="guided_alignment: expected one of .*, got 'mse'"):
        losses.guided_alignment("mse")


def test_coverage():
    a, expected = attention(), 0.0
    for b, t in real_positions():
        covered = sum((a[b, step] for step in range(t)), np.zeros(S))
        expected += sum(min(a[b, t, s], covered[s]) for s in range(S))
    result = evaluate(losses.coverage(), attention={"cross": a[:, None]})
    assert_close(result, (expected, 7.0))
    assert expected > 0.5
