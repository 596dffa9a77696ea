"""The papers' formulas in plain NumPy, float64 and loops, over the weights of our layers."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

# What an imported stack may have and ours has not of itself.
MARIAN = {"epsilon": 0.1, "positions": "vaswani", "scaled": False}


def randomise(layer, seed=0, scale=0.5):
    """Fills every weight with normal numbers: biases too, and norms that do something."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(scale=scale, size=w.shape) for w in layer.get_weights()])
    return layer


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def right_padded(lengths, width):
    """bool [B, width], True at the first `lengths[b]` places of row b."""
    return np.arange(width) < np.asarray(lengths)[:, None]


def skip_saturating_int8(types):
    """Parameters, of which int8's are skipped where the processor's sums of products saturate."""
    saturates = "vnni" not in Path("/proc/cpuinfo").read_text()
    skipped = pytest.mark.skipif(saturates, reason="sums of int8 products saturate here")
    return [pytest.param(x, marks=skipped) if x.startswith("int8") else x for x in types]


def cache_mask(max_length, position):
    """Of a cache of that size the places filled at a position, bool [1, 1, 1, 1, max_length]."""
    if max_length is None:
        return None
    return tf.constant(np.arange(max_length).reshape(1, 1, 1, 1, -1) <= position)


def arrays(nest):
    return tf.nest.map_structure(lambda x: None if x is None else np.asarray(x), nest)


def assert_close(given, expected, tolerance=1e-5):
    """Leaf by leaf; a list of rows is one array, and None is None."""
    given, expected = (np.array(x) if isinstance(x, list) else x for x in (given, expected))
    tf.nest.assert_same_structure(given, expected)
    for a, b in zip(tf.nest.flatten(arrays(given)), tf.nest.flatten(arrays(expected)), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def run_both(function, *arguments):
    """The result of an eager call, after the same inside a tf.function gave the same."""
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
    """Over a vector; zeros where the mask leaves nothing."""
    mask = np.ones(len(scores), bool) if mask is None else mask
    weights = np.zeros(len(scores))
    if mask.any():
        kept = np.exp(scores[mask] - scores[mask].max())
        weights[mask] = kept / kept.sum()
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
                    linear(layer.query_projection, query) + linear(layer.key_projection, place)
                ),
            )[0]
            for place in memory
        ]
    )
    weights = softmax(scores, mask)
    return weights @ memory, weights


def multi_head(query, keys, values, mask, heads):
    """Vaswani et al. 2017, 3.2.2, on projected rows [Q, D], [N, D]; mask [Q, N]."""
    size = query.shape[1] // heads
    outputs, weights = np.zeros_like(query), np.zeros((heads, len(query), len(keys)))
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(len(query)):
            scores = keys[:, part] @ query[i, part] / np.sqrt(size)
            weights[head, i] = softmax(scores, mask[i])
            outputs[i, part] = weights[head, i] @ values[:, part]
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
    centred = x - x.mean(-1, keepdims=True)
    x = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + layer.epsilon)
    return x * np.asarray(layer.gamma) + np.asarray(layer.beta)


def transformer_layer(layer, x, mask, memory=None, memory_mask=None):
    """One row [N, D] through a `TransformerLayer`: outputs, self weights, cross weights."""
    maps = [None, None]

    def look_back(x):
        x, maps[0] = self_attention(layer.self_attention, x, mask)
        return x

    def look_over(x):
        x, maps[1] = cross_attention(layer.cross_attention, x, memory, memory_mask)
        return x

    def feed(x):
        inner = np.maximum(linear(layer.feed_forward.inner, x), 0)
        return linear(layer.feed_forward.outer, inner)

    parts = [(layer.self_norm, look_back)]
    parts += [(layer.cross_norm, look_over)] if layer.cross else []
    for norm, part in [*parts, (layer.feed_norm, feed)]:
        pre = layer.norm == "pre"
        x = x + part(layer_norm(norm, x)) if pre else layer_norm(norm, x + part(x))
    return x, *maps


def add_positions(stack, x):
    """Vectors [N, D] as the first layer of a stack takes them."""
    scale = 8**0.5 if stack.scaled else 1.0
    first = stack.first_position
    return x * scale + sinusoids(range(first, first + len(x)), 8, stack.positions)


def sinusoids(positions, units, kind="sinusoidal"):
    """Wave lengths from 2 pi to 10,000 * 2 pi, or just short of it: sines, then cosines."""
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
    """Ba et al. 2016, appendix: update and reset normalised together, the candidate alone."""
    units, h = cell.units, states["h"]
    x, own = linear(cell.input_projection, x), linear(cell.recurrent_projection, h)
    gates = [
        layer_norm(norms[0], part[: 2 * units])
        for norms, part in ((cell.input_norms, x), (cell.recurrent_norms, own))
    ]
    z, r = np.split(sigmoid(sum(gates)), 2)
    new = layer_norm(cell.input_norms[1], x[2 * units :])
    new = np.tanh(new + r * layer_norm(cell.recurrent_norms[1], own[2 * units :]))
    return {"h": z * h + (1 - z) * new}


def layer_norm_lstm_step(cell, x, states):
    """Ba et al. 2016, equations 20 to 22, the forget gate open by 1."""
    gates = layer_norm(cell.input_norms[0], linear(cell.input_projection, x))
    own = linear(cell.recurrent_projection, states["h"])
    i, f, g, o = np.split(gates + layer_norm(cell.recurrent_norms[0], own), 4)
    c = sigmoid(f + 1) * states["c"] + sigmoid(i) * np.tanh(g)
    return {"h": sigmoid(o) * np.tanh(layer_norm(cell.memory_norm, c)), "c": c}


STEPS = {"gru": gru_step, "lstm": lstm_step}
NORMED = {"layer_norm_gru": layer_norm_gru_step, "layer_norm_lstm": layer_norm_lstm_step}


def cell_step(kind, cell, x, states):
    if kind in NORMED:
        return NORMED[kind](cell, x, states)
    return STEPS[kind](cell, linear(cell.input_projection, x), states)


def run_cell(kind, cell, inputs, length, reverse=False):
    """One row: only its first `length` places are read. Outputs [S, U], final states."""
    states = {name: np.zeros(cell.units) for name in cell.state_names}
    outputs = np.zeros((len(inputs), cell.units))
    for place in reversed(range(length)) if reverse else range(length):
        states = cell_step(kind, cell, inputs[place], states)
        outputs[place] = states["h"]
    return outputs, states


def bahdanau(decoder, inputs, memory, mask, states):
    """One row through a `RecurrentDecoder`: outputs [T, U], weights [T, M].

    c_i = attention(s_(i-1)); layer 1 reads [y; c]; output tanh(W [s_i; c_i; y_i] + b).
    """
    outputs, weights = [], []
    for y in inputs:
        top = states[-1]["h"]
        c, seen = additive_attention(decoder.attention, top, memory, mask)
        first = decoder.cells[0]
        x = linear(first.input_projection, y) + linear(decoder.context_projection, c)
        states = [STEPS[decoder.cell](first, x, states[0]), *states[1:]]
        for i, cell in enumerate(decoder.cells[1:], 1):
            states[i] = cell_step(decoder.cell, cell, states[i - 1]["h"], states[i])
        outputs.append(np.tanh(linear(decoder.readout, np.concatenate([states[-1]["h"], c, y]))))
        weights.append(seen)
    return np.array(outputs), np.array(weights)


def pointer_generator(head, output, y, weights, memory, copy_ids):
    """See et al. 2017, equations 8 and 9, one position: probabilities [V + S]."""
    features = np.concatenate([weights @ memory, output, y])
    gate = sigmoid(linear(head.gate, features)[0])
    probabilities = np.zeros(head.vocabulary_size + len(copy_ids))
    logits = linear(head.projection, output)
    probabilities[: head.vocabulary_size] = gate * np.exp(log_softmax(logits))
    for place, column in enumerate(copy_ids):
        probabilities[column] += (1 - gate) * weights[place]
    return probabilities


def smoothed_cross_entropy(logits, y, weights, smoothing, vocabulary_size):
    """Szegedy et al. 2016, section 7: the sum over real tokens against the whole distribution."""
    total = 0.0
    for row, ids, row_weights in zip(logits, y, weights, strict=True):
        for scores, token, weight in zip(row, ids, row_weights, strict=True):
            wanted = np.zeros(len(scores))
            wanted[:vocabulary_size] = smoothing / vocabulary_size
            wanted[token] += 1 - smoothing
            total -= weight * (wanted @ log_softmax(scores))
    return total
