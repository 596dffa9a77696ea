"""Monotonic attention against the paper's formulas and simulated alignments."""

import numpy as np

from keras_s2s.attention import (
    MonotonicAttention,
)
from tests.attention.memory_steps import (
    MASK,
    build,
    check,
    run_steps,
)
from tests.references import (
    assert_close,
    linear,
    sigmoid,
)


def stop_probabilities(layer, q, values, mask):
    """Raffel et al. 2017, equations 16 and 7: the probability of stopping at every position."""
    vector = np.asarray(layer.score.kernel)[:, 0]
    hidden = linear(layer.query_projection, q) + linear(layer.key_projection, values)
    energy = np.tanh(hidden) @ vector / np.sqrt((vector**2).sum())
    return sigmoid(float(layer.gain) * energy + float(layer.bias)) * mask


def make():
    layer = build(MonotonicAttention(7, noise=0.0))
    layer.gain.assign(3.0)
    layer.bias.assign(0.3)
    return layer


def test_hard_weights_in_decoding():
    layer, visited = make(), set()

    def formula(queries, values, mask):
        position, weights = 0, []
        for q in queries:
            stops = stop_probabilities(layer, q, values, mask)
            while position < len(values) and stops[position] < 0.5:
                position += 1
            visited.add(position)
            weights.append(np.arange(len(values)) == position)
        return np.array(weights) @ values, np.array(weights, float)

    check(layer, formula, *run_steps(layer))
    assert len(visited) > 2
    assert len(MASK[0]) in visited  # an alignment passed the end


def test_expected_weights_in_training():
    layer = make()

    def formula(queries, values, mask):
        previous, weights = np.eye(len(values))[0], []
        for q in queries:
            stops, current = stop_probabilities(layer, q, values, mask), np.zeros(len(values))
            for start, position in zip(*np.triu_indices(len(values)), strict=True):
                passed = np.prod(1 - stops[start:position])
                current[position] += previous[start] * passed * stops[position]
            weights.append(current)
            previous = current
        return np.array(weights) @ values, np.array(weights)

    results = run_steps(layer, training=True)
    check(layer, formula, *results)
    assert results[-1].sum(-1).max() <= 1 + 1e-6


def test_soft_weights_are_the_mean_of_sampled_alignments():
    layer, draws, random = make(), 20000, np.random.default_rng(0)
    queries, memory, _, weights = run_steps(layer, training=True)
    positions, values = np.zeros(draws, int), memory.values[0].numpy()
    for step, q in enumerate(queries[:, 0, 0]):
        stops = stop_probabilities(layer, q, values, MASK[0])
        for i in range(draws):
            while positions[i] < len(values) and random.random() >= stops[positions[i]]:
                positions[i] += 1
        counts = np.bincount(positions, minlength=len(values) + 1)[: len(values)]
        np.testing.assert_allclose(weights[step, 0, 0, 0], counts / draws, atol=0.015)


def test_noise_in_training_only():
    layer = build(MonotonicAttention(7, noise=2.0))
    hard = [run_steps(layer)[-1] for _ in range(2)]
    soft = [run_steps(layer, training=True)[-1] for _ in range(2)]
    assert_close(hard[0], hard[1], 0)
    assert np.abs(soft[0] - soft[1]).max() > 0.05
    assert set(np.unique(hard[0])) <= {0.0, 1.0}


def test_initial_gain_and_offset():
    layer = MonotonicAttention(16, offset=-4.0)
    layer.build((None, None, 4), None, (None, None, 6))
    assert float(layer.bias) == -4
    assert float(layer.gain) == 0.25
