"""Reference implementations of the papers' formulas in NumPy: float64 and loops.

They read the weights of the layers under test.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

# Options of imported Marian stacks that differ from the defaults.
MARIAN = {"epsilon": 0.1, "positions": "vaswani", "scaled": False}


def randomise(layer, seed=0, scale=0.5):
    """Fills every weight, biases and normalizations included, with normal random numbers."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(scale=scale, size=w.shape) for w in layer.get_weights()])
    return layer


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def right_padded(lengths, width):
    """bool [B, width], True at the first `lengths[b]` positions of row b."""
    return np.arange(width) < np.asarray(lengths)[:, None]


def skip_saturating_int8(types):
    """Test parameters; those of int8 are skipped on processors whose sums of products saturate."""
    saturates = "vnni" not in Path("/proc/cpuinfo").read_text()
    skipped = pytest.mark.skipif(saturates, reason="sums of int8 products saturate here")
    return [pytest.param(x, marks=skipped) if x.startswith("int8") else x for x in types]


def cache_mask(max_length, position):
    """Filled positions of a fixed-size cache at a step, bool [1, 1, 1, 1, max_length]."""
    if max_length is None:
        return None
    return tf.constant(np.arange(max_length).reshape(1, 1, 1, 1, -1) <= position)


def arrays(nest):
    return tf.nest.map_structure(lambda x: None if x is None else np.asarray(x), nest)


def assert_close(actual, expected, tolerance=1e-5):
    """Compares nests leaf by leaf; a list of rows is one array, and None equals None."""
    actual, expected = (np.array(x) if isinstance(x, list) else x for x in (actual, expected))
    tf.nest.assert_same_structure(actual, expected)
    leaves = (tf.nest.flatten(arrays(nest)) for nest in (actual, expected))
    for a, b in zip(*leaves, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def run_both(function, *arguments):
    """Result of an eager call, checked against the same call inside a tf.function."""
    eager = arrays(function(*arguments))
    assert_close(tf.function(function)(*arguments), eager, 1e-6)
    return eager


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def linear(layer, x):
    kernel = np.asarray(layer.kernel, "float64")
    if hasattr(layer, "gain"):  # Salimans & Kingma 2016, equation 2: w = g v / |v|
        columns = zip(kernel.T, np.asarray(layer.gain), strict=True)
        kernel = np.stack([g * v / np.linalg.norm(v) for v, g in columns], 1)
    y = np.asarray(x, "float64") @ kernel
    return y + np.asarray(layer.bias) if layer.use_bias else y


def softmax(scores, mask=None):
    """Softmax of a vector; zeros where everything is masked."""
    mask = np.ones(len(scores), bool) if mask is None else mask
    weights = np.zeros(len(scores))
    if mask.any():
        powers = np.exp(scores[mask] - scores[mask].max())
        weights[mask] = powers / powers.sum()
    return weights


def log_softmax(x):
    x = np.asarray(x, "float64")
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def additive_attention(layer, query, memory, mask):
    """Bahdanau et al. 2015, A.1.2, for one query [D] and one memory [M, D]: context, weights."""
    scores = np.array(
        [
            linear(
                layer.score,
                np.tanh(
                    linear(layer.query_projection, query) + linear(layer.key_projection, value)
                ),
            )[0]
            for value in memory
        ]
    )
    weights = softmax(scores, mask)
    return weights @ memory, weights


def multi_head(query, keys, values, mask, heads):
    """Vaswani et al. 2017, 3.2.2, on projected rows [Q, D], [N, D]; mask [Q, N]."""
    size = query.shape[1] // heads
    outputs, weights = np.zeros_like(query), np.zeros((heads, len(query), len(keys)))
    for head in range(heads):
        columns = slice(head * size, (head + 1) * size)
        for i in range(len(query)):
            scores = keys[:, columns] @ query[i, columns] / np.sqrt(size)
            weights[head, i] = softmax(scores, mask[i])
            outputs[i, columns] = weights[head, i] @ values[:, columns]
    return outputs, weights


def self_attention(layer, x, mask):
    query, keys, values = np.split(linear(layer.input_projection, x), 3, 1)
    outputs, weights = multi_head(query, keys, values, mask, layer.num_heads)
    return linear(layer.output_projection, outputs), weights


def cross_attention(layer, x, memory, mask):
    keys, values = np.split(linear(layer.memory_projection, memory), 2, 1)
    query = linear(layer.query_projection, x)
    mask = np.broadcast_to(mask, (len(x), len(memory)))
    outputs, weights = multi_head(query, keys, values, mask, layer.num_heads)
    return linear(layer.output_projection, outputs), weights


def layer_norm(layer, x):
    centered = x - x.mean(-1, keepdims=True)
    x = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + layer.epsilon)
    return x * np.asarray(layer.gamma) + np.asarray(layer.beta)


def transformer_layer(layer, x, mask, memory=None, memory_mask=None):
    """One row [N, D] through a `TransformerLayer`: outputs, self weights, cross weights."""
    maps = [None, None]

    def self_attend(x):
        x, maps[0] = self_attention(layer.self_attention, x, mask)
        return x

    def cross_attend(x):
        x, maps[1] = cross_attention(layer.cross_attention, x, memory, memory_mask)
        return x

    def feed(x):
        inner = np.maximum(linear(layer.feed_forward.inner, x), 0)
        return linear(layer.feed_forward.outer, inner)

    blocks = [(layer.self_norm, self_attend)]
    blocks += [(layer.cross_norm, cross_attend)] if layer.cross else []
    for norm, block in [*blocks, (layer.feed_norm, feed)]:
        is_pre = layer.norm == "pre"
        x = x + block(layer_norm(norm, x)) if is_pre else layer_norm(norm, x + block(x))
    return x, *maps


def add_positions(stack, x):
    """Inputs [N, D] of the first layer of a stack, positions included."""
    scale = 8**0.5 if stack.scaled else 1.0
    first = stack.first_position
    return x * scale + sinusoids(range(first, first + len(x)), 8, stack.positions)


def sinusoids(positions, units, kind="sinusoidal"):
    """Sines, then cosines; wavelengths from 2 pi to 10,000 * 2 pi, or one step short of it."""
    half = units // 2
    signal = np.zeros((len(positions), units))
    for row, position in enumerate(positions):
        for i in range(half):
            last = max(half - 1, 1) if kind == "sinusoidal" else half
            angle = position / 10000 ** (i / last)
            signal[row, i], signal[row, half + i] = np.sin(angle), np.cos(angle)
    return signal


def gru_step(cell, projected, states):
    """Cho et al. 2014, with the reset gate after the product."""
    z_x, r_x, n_x = np.split(projected, 3)
    z_h, r_h, n_h = np.split(linear(cell.recurrent_projection, states["h"]), 3)
    z, r = sigmoid(z_x + z_h), sigmoid(r_x + r_h)
    return {"h": z * states["h"] + (1 - z) * np.tanh(n_x + r * n_h)}


def lstm_step(cell, projected, states):
    """Gers et al. 2000, the forget gate open by 1."""
    gates = projected + linear(cell.recurrent_projection, states["h"])
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f + 1) * states["c"] + sigmoid(i) * np.tanh(g)
    return {"h": sigmoid(o) * np.tanh(c), "c": c}


def layer_norm_gru_step(cell, x, states):
    """Ba et al. 2016, appendix: update and reset normalized together, the candidate separately."""
    units, h = cell.units, states["h"]
    x, recurrent = linear(cell.input_projection, x), linear(cell.recurrent_projection, h)
    gates = [
        layer_norm(norms[0], part[: 2 * units])
        for norms, part in ((cell.input_norms, x), (cell.recurrent_norms, recurrent))
    ]
    z, r = np.split(sigmoid(sum(gates)), 2)
    new = layer_norm(cell.input_norms[1], x[2 * units :])
    new = np.tanh(new + r * layer_norm(cell.recurrent_norms[1], recurrent[2 * units :]))
    return {"h": z * h + (1 - z) * new}


def layer_norm_lstm_step(cell, x, states):
    """Ba et al. 2016, equations 20 to 22, the forget gate open by 1."""
    gates = layer_norm(cell.input_norms[0], linear(cell.input_projection, x))
    recurrent = linear(cell.recurrent_projection, states["h"])
    i, f, g, o = np.split(gates + layer_norm(cell.recurrent_norms[0], recurrent), 4)
    c = sigmoid(f + 1) * states["c"] + sigmoid(i) * np.tanh(g)
    return {"h": sigmoid(o) * np.tanh(layer_norm(cell.memory_norm, c)), "c": c}


STEPS = {"gru": gru_step, "lstm": lstm_step}
NORMED = {"layer_norm_gru": layer_norm_gru_step, "layer_norm_lstm": layer_norm_lstm_step}


def cell_step(kind, cell, x, states):
    if kind in NORMED:
        return NORMED[kind](cell, x, states)
    return STEPS[kind](cell, linear(cell.input_projection, x), states)


def run_cell(kind, cell, inputs, length, reverse=False):
    """One row, of which the first `length` positions are real: outputs [S, U], final states."""
    states = {name: np.zeros(cell.units) for name in cell.state_names}
    outputs = np.zeros((len(inputs), cell.units))
    for position in reversed(range(length)) if reverse else range(length):
        states = cell_step(kind, cell, inputs[position], states)
        outputs[position] = states["h"]
    return outputs, states


def bahdanau(decoder, inputs, memory, mask, states):
    """One row through a `RecurrentDecoder`: outputs [T, U], weights [T, M].

    c_i = attention(s_(i-1)); layer 1 reads [y; c]; output tanh(W [s_i; c_i; y_i] + b).
    """
    outputs, weights = [], []
    for y in inputs:
        top = states[-1]["h"]
        c, step_weights = additive_attention(decoder.attention, top, memory, mask)
        first = decoder.cells[0]
        x = linear(first.input_projection, y) + linear(decoder.context_projection, c)
        states = [STEPS[decoder.cell](first, x, states[0]), *states[1:]]
        for i, cell in enumerate(decoder.cells[1:], 1):
            states[i] = cell_step(decoder.cell, cell, states[i - 1]["h"], states[i])
        outputs.append(np.tanh(linear(decoder.readout, np.concatenate([states[-1]["h"], c, y]))))
        weights.append(step_weights)
    return np.array(outputs), np.array(weights)


def pointer_generator(head, output, y, weights, memory, copy_ids):
    """See et al. 2017, equations 8 and 9, one position: probabilities [V + S]."""
    features = np.concatenate([weights @ memory, output, y])
    gate = sigmoid(linear(head.gate, features)[0])
    probabilities = np.zeros(head.vocabulary_size + len(copy_ids))
    logits = linear(head.projection, output)
    probabilities[: head.vocabulary_size] = gate * np.exp(log_softmax(logits))
    for position, column in enumerate(copy_ids):
        probabilities[column] += (1 - gate) * weights[position]
    return probabilities


def smoothed_cross_entropy(logits, y, weights, smoothing, vocabulary_size):
    """Szegedy et al. 2016, section 7: the sum over real tokens, with the explicit distribution."""
    total = 0.0
    for row, ids, row_weights in zip(logits, y, weights, strict=True):
        for scores, token, weight in zip(row, ids, row_weights, strict=True):
            smoothed = np.zeros(len(scores))
            smoothed[:vocabulary_size] = smoothing / vocabulary_size
            smoothed[token] += 1 - smoothing
            total -= weight * (smoothed @ log_softmax(scores))
    return total
