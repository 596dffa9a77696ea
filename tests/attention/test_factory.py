"""Properties of every attention that `make_attention` makes."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.attention import (
    ATTENTIONS,
    DotAttention,
    GatedAttention,
    LocationAttention,
    MultiHeadAttention,
    make_attention,
)
from keras_s2s.encoders import Memory, masked_mean
from tests.attention.memory_steps import (
    MASK,
    K,
    build,
    run_steps,
)
from tests.references import (
    assert_close,
    normal,
)


@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_a_call_equals_the_first_step(kind):
    layer = build(make_attention(kind, 8), 8, 8)
    values, queries = tf.constant(normal(3, 5, 8)), tf.constant(normal(3, K, 8, seed=3))
    mean = masked_mean(values, tf.constant(MASK))
    memory = Memory(values, tf.constant(MASK), mean)
    tensors = {"values": values, "mask": memory.mask, **layer.prepare(memory)}
    state = layer.initial_state(tensors, K)
    state = tf.nest.map_structure(lambda x: tf.reshape(x, [3 * K, -1]), state)
    context, weights, _ = layer.attend(tf.reshape(queries, [3 * K, 8]), (3, K), tensors, state)
    has_no_keys = kind in ("multi_head", "none")
    arguments = (values,) if has_no_keys else (layer.project(values), values)
    call_context, maps = layer(queries, *arguments, mask=memory.mask)
    weights = weights if kind == "multi_head" else weights[:, 0]
    assert_close((tf.reshape(call_context, [3 * K, -1]), maps), (context, weights), 1e-6)
    unmasked = layer(queries, *arguments)
    assert_close(unmasked, layer(queries, *arguments, mask=tf.ones([3, 5], tf.bool)), 0)


@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_weights_are_float32_in_half_precision(kind):
    layer = build(make_attention(kind, 8, dtype="mixed_bfloat16"), 8, 8)
    _, _, contexts, weights = run_steps(layer, 8, 8)
    assert weights.dtype == np.float32
    float32_layer = build(make_attention(kind, 8), 8, 8)
    np.testing.assert_allclose(contexts, run_steps(float32_layer, 8, 8)[2], atol=0.25)


@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_every_weight_has_a_gradient(kind):
    layer = build(make_attention(kind, 8), 8, 8)
    values = tf.constant(normal(3, 5, 8))
    memory = Memory(values, tf.constant(MASK), tf.zeros([3, 8]))
    with tf.GradientTape() as tape:
        tensors = {"values": values, "mask": memory.mask, **layer.prepare(memory)}
        state, total = layer.initial_state(tensors, 1), 0.0
        state = tf.nest.map_structure(lambda x: tf.reshape(x, [3, -1]), state)
        for position in range(3):
            query = normal(3, 8, seed=position)
            context, _, state = layer.attend(query, (3, 1), tensors, state, training=True)
            total += tf.reduce_sum(context * normal(3, context.shape[-1], seed=9))
    gradients = tape.gradient(total, layer.trainable_variables)
    without_gradient = (
        {id(w) for w in layer.query_projection.weights} if kind == "linear" else set()
    )
    for weight, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert np.isfinite(gradient).all(), weight.path
        if id(weight) not in without_gradient:
            assert np.abs(gradient).max() > 1e-6, weight.path


@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_configuration_round_trip(kind):
    layer = make_attention(kind, 8)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: make_attention("locations", 4),
            "attention: expected one of additive, .*, got 'locations'; the nearest is 'location'",
        ),
        (lambda: make_attention({"filters": 3}, 4), "attention: expected one of .*, got None"),
        (lambda: make_attention(["dot"], 4), r"attention: expected one of .*, got \['dot'\]"),
        (
            lambda: make_attention({"kind": "location", "filter": 3}, 4),
            "attention.filter: unknown key of 'location', expected one of units, filters,",
        ),
        (
            lambda: make_attention({"kind": "dot", "form": "general"}, 4),
            "attention.form: unknown key of 'dot', expected none",
        ),
        (lambda: DotAttention("cosine"), "form: expected 'dot', 'scaled' or 'general', got"),
        (
            lambda: build(DotAttention("scaled")),
            "attention: 'scaled' expected a memory of the query's width 4, got 6; use 'general'",
        ),
        (lambda: LocationAttention(4, 0), "filters: expected a positive integer, got 0"),
        (lambda: MultiHeadAttention(8, 3), r"num_heads: expected a divisor of units \(8\), got 3"),
        (
            lambda: build(GatedAttention(4, 6)),
            "source_units: expected fewer than the memory's width 6, got 6",
        ),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
