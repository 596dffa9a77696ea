"""Heads against the papers' formulas."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.heads import (
    AdaptiveSoftmaxHead,
    PointerGeneratorHead,
    PointerNetworkHead,
    SoftmaxHead,
    copy_distribution,
    log_normalizer,
    spread_over_source,
)
from keras_s2s.layers import loop_backend
from keras_s2s.layers.token_embedding import TokenEmbedding
from tests import references
from tests.references import assert_close, linear, normal, randomise, right_padded, run_both

V, S = 6, 5
MASK = right_padded([5, 3, 0], S)
# Row 0 has a word twice that is outside of the vocabulary (V + 1) and known word 4 twice.
COPY_IDS = np.array([[4, V + 1, 4, V + 1, 3], [V, 5, 3, 0, 0], [0, 0, 0, 0, 0]], "int32")


def context(source_index=None, **source):
    values = normal(3, S, 4, seed=2) * MASK[:, :, None]
    memory = {"values": tf.constant(values), "mask": MASK, "source_index": source_index}
    return {"memory": memory, "source": source}


def inputs(count=2):
    weights = normal(3, 1, count, S, seed=3) ** 2 * MASK[:, None, None]
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-9)
    outputs, embedded = normal(3, count, 8), normal(3, count, 7, seed=1)
    return [x.astype("float32") for x in (outputs, embedded, weights)]


def pointer():
    head = PointerGeneratorHead(V)
    head.build((None, None, 8), (None, None, 7), None, {"memory": {"values": (None, None, 4)}})
    return randomise(head)


def tied(kind=SoftmaxHead, size=V):
    embedding = TokenEmbedding(size, 8)
    embedding.build()
    randomise(embedding)
    head = kind(V)
    head.tie(embedding)
    return head, embedding


def test_softmax_head():
    head, x = SoftmaxHead(V), normal(3, 2, 8)
    head.build(x.shape)
    randomise(head)
    assert_close(run_both(head, x), linear(head.projection, x))
    assert not head.supports_copy
    assert not head.needs_attention


def test_tied_head_uses_the_table_and_a_bias_of_its_own():
    head, embedding = tied()
    x = normal(3, 2, 8)
    head.build(x.shape)
    randomise(head)
    assert_close(run_both(head, x), x @ embedding.table.numpy().T + head.bias.numpy())
    assert [w.path.split("/")[-1] for w in head.weights] == ["bias"]
    assert all(layer.built for layer in head._flatten_layers())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_float32_whatever_the_policy(policy, dtype):
    head, x = SoftmaxHead(V, dtype=policy), tf.cast(normal(3, 2, 8), dtype)
    logits = head(x)
    assert logits.dtype == tf.float32
    assert_close(logits, linear(head.projection, tf.cast(x, tf.float32)))


def test_copy_distribution_sums_what_falls_on_one_id():
    weights = inputs()[2][:, 0]
    given = run_both(copy_distribution, weights, COPY_IDS, tf.constant(V + S))
    expected = np.zeros((3, 2, V + S))
    for b, n, s in np.ndindex(3, 2, S):
        expected[b, n, COPY_IDS[b, s]] += weights[b, n, s]
    assert_close(given, expected, 1e-6)


def test_spread_over_source():
    weights, index = inputs()[2][:, 0], tf.constant([[0, 2, 4, 4, 4]] * 3)
    assert spread_over_source(weights, None, S) is weights
    given = spread_over_source(weights, index, 6)
    assert_close(given[..., 4], weights[..., 2:].sum(-1))
    np.testing.assert_array_equal(given[..., 1], 0.0)


def test_pointer_generator_head():
    head, (outputs, y, weights) = pointer(), inputs()
    seen = context(copy_ids=COPY_IDS)
    given = run_both(lambda o, y, w: head(o, y, w, seen), outputs, y, weights)
    assert given.dtype == np.float32
    assert given.shape == (3, 2, V + S)
    for b, n in np.ndindex(2, 2):
        expected = references.pointer_generator(
            head,
            outputs[b, n],
            y[b, n],
            weights[b, 0, n],
            seen["memory"]["values"][b].numpy(),
            COPY_IDS[b],
        )
        assert_close(np.exp(given[b, n]), expected, 1e-6)


def test_pointer_generator_probabilities_sum_to_one():
    head, given = pointer(), inputs()
    probabilities = np.exp(head(*given, context(copy_ids=COPY_IDS)))
    assert_close(probabilities[:2].sum(-1), np.ones((2, 2)))
    words = set(COPY_IDS[0]) | set(range(V))
    absent = [column for column in range(V + S) if column not in words]
    assert probabilities[0][:, absent].max() < 1e-10
    assert probabilities[0][:, V + 1].min() > 1e-3


def test_pointer_generator_over_an_empty_source_only_generates():
    head, given = pointer(), inputs()
    log_probs = head(*given, context(copy_ids=COPY_IDS)).numpy()
    assert np.isfinite(log_probs).all()
    expected = references.log_softmax(linear(head.projection, given[0][2]))
    assert_close(references.log_softmax(log_probs)[2, :, :V], expected)


def test_pointer_generator_gradients_are_finite_where_nothing_is_copied():
    head, given = pointer(), inputs()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(head(*given, context(copy_ids=COPY_IDS)))
    for gradient in tape.gradient(loss, head.trainable_variables):
        assert np.isfinite(gradient).all()


def test_pointer_generator_over_a_shortened_memory():
    head, (outputs, y, weights) = pointer(), inputs()
    index = tf.constant([[0, 0, 1, 2, 3]] * 3)
    ids = COPY_IDS[:, :4]
    given = head(outputs, y, weights, context(index, copy_ids=ids))
    spread = np.zeros((3, 1, 2, S), "float32")
    for place, position in enumerate(index[0]):
        spread[..., position] += weights[..., place]
    mixed = np.exp(given[0, 0])
    seen = context()["memory"]["values"][0].numpy()
    features = np.concatenate([weights[0, 0, 0] @ seen, outputs[0, 0], y[0, 0]])
    copied = 1 - references.sigmoid(linear(head.gate, features)[0])
    assert_close(mixed[V + 1], copied * spread[0, 0, 0, [1, 3]].sum(), 1e-6)


def test_tied_pointer_generator():
    head, embedding = tied(PointerGeneratorHead)
    outputs, y, weights = inputs()
    head.build((None, None, 8), (None, None, 7), None, {"memory": {"values": (None, None, 4)}})
    randomise(head)
    no_attention = np.zeros_like(weights)
    given = head(outputs, y, no_attention, context(copy_ids=COPY_IDS))
    expected = references.log_softmax(outputs @ embedding.table.numpy().T + head.bias.numpy())
    assert_close(references.log_softmax(given)[..., :V], expected)


def test_a_source_without_copy_ids():
    with pytest.raises(ValueError, match=r"source: expected 'copy_ids' \[B, S\] .*, came none"):
        pointer()(*inputs(), context())


def test_log_normalizer():
    x = normal(3, 2, 50) * [[[1.0], [30.0]]]
    x[0, 0, 7:], x[1] = -1e9, x[1] + 5000.0
    expected = tf.reduce_logsumexp(tf.cast(x, tf.float64), -1)
    x = x.astype("float32")
    assert_close(run_both(log_normalizer, x), expected, 1e-6)
    assert_close(run_both(log_normalizer, x, x.max(-1)), expected, 1e-6)
    assert_close(log_normalizer(x, fixed=True), expected, 1e-6)
    with loop_backend.growing():
        assert_close(log_normalizer(x), expected, 1e-6)


@pytest.mark.parametrize("far", [5000.0, -5000.0, np.nan])
def test_log_normalizer_of_a_row_beside_one_out_of_range(far):
    x = normal(4, 2, 50) * 10
    beside = np.concatenate([x, x[:1] + far]).astype("float32")
    alone, found = (run_both(log_normalizer, one.astype("float32")) for one in (x, beside))
    np.testing.assert_array_equal(found[:4], alone)
    expected = tf.reduce_logsumexp(tf.cast(beside[4:], tf.float64), -1)
    assert_close(found[4:], expected, 1e-6)


def made(kind, is_tied):
    if is_tied:
        head, embedding = tied(kind)
    else:
        head, embedding = kind(V), None
    head.build((None, None, 8), (None, None, 7), None, {"memory": {"values": (None, None, 4)}})
    randomise(head)
    return head, embedding


@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("kind", [SoftmaxHead, PointerGeneratorHead])
def test_weights_laid_out_for_search(kind, is_tied):
    head, embedding = made(kind, is_tied)
    given = [*inputs(), context(copy_ids=COPY_IDS)]
    expected, count = head(*given).numpy(), len(head.weights)
    assert_close(head.search_logits(*given), expected, 0)
    for multiple in (1, 4):
        padded = -expected.shape[2] % multiple if kind is SoftmaxHead else 0
        variables = head.prepare_search(multiple)
        assert [x.shape for x in variables] == [(given[0].shape[2] + 1, V + padded)]
        logits = run_both(lambda x: head.search_logits(x, *given[1:]), given[0])
        assert_close(logits[..., : expected.shape[2]], expected)
        assert logits.shape[2] == expected.shape[2] + padded
        assert (logits[..., expected.shape[2] :] == -1e9).all()
    assert_close(head(*given), expected, 0)
    assert len(head.weights) == count
    randomise(embedding or head, seed=5)
    again = head.prepare_search(4)
    assert [a is b for a, b in zip(again, variables, strict=True)] == [True] * len(again)
    assert_close(head.search_logits(*given)[..., : expected.shape[2]], head(*given))


def test_tie_of_another_vocabulary():
    with pytest.raises(ValueError, match=f"tie: expected an embedding of {V} tokens, came 9"):
        tied(size=9)


def test_tie_of_a_head_with_weights():
    head = SoftmaxHead(V)
    head.build((None, None, 8))
    with pytest.raises(ValueError, match="tie: expected a head without weights, came one that is"):
        head.tie(TokenEmbedding(V, 8))


def test_a_tied_head_without_its_table():
    with pytest.raises(ValueError, match=r"tied: expected tie\(embedding\) before the first call"):
        SoftmaxHead(V, tied=True)(normal(3, 2, 8))


@pytest.mark.parametrize("kind", [SoftmaxHead, PointerGeneratorHead])
def test_configuration_round_trip(kind):
    for head in (kind(V), tied(kind)[0]):
        config = head.get_config()
        assert kind.from_config(config).get_config() == config


# Adaptive softmax


def adaptive(size=20, **more):
    head = AdaptiveSoftmaxHead(size, **{"cutoffs": [5, 12], "factor": 2, **more})
    head.build((None, None, 8))
    return randomise(head)


def test_adaptive_softmax():
    head, x = adaptive(), normal(3, 2, 8)
    given = run_both(head, x)
    first = references.log_softmax(linear(head.head, x))
    assert first.shape[-1] == 5 + 2
    for word in range(20):
        expected = first[..., word] if word < 5 else None
        for number, (start, end) in enumerate([(5, 12), (12, 20)]):
            if start <= word < end:
                inner = linear(head.reductions[number], x)
                assert inner.shape[-1] == 8 // 2 ** (number + 1)
                inside = references.log_softmax(linear(head.tails[number], inner))
                expected = first[..., 5 + number] + inside[..., word - start]
        assert_close(given[..., word], expected)
    assert_close(np.exp(given).sum(-1), np.ones((3, 2)))
    assert_close(head.search_logits(x), given, 0)
    assert head.prepare_search(16) == []


def test_adaptive_softmax_of_small_vocabularies():
    head = adaptive(6, cutoffs=[5, 12])
    assert head(normal(1, 1, 8)).shape == (1, 1, 6)
    assert [tail.units for tail in head.tails] == [1]
    plain = adaptive(5)
    assert plain.tails == []
    expected = references.log_softmax(linear(plain.head, normal(1, 1, 8)))
    assert_close(plain(normal(1, 1, 8)), expected)
    assert adaptive(100, cutoffs=None).sizes == [40, 50]


def test_adaptive_softmax_refuses():
    for cutoffs in ([5, 5], [7, 3], [0, 4], [2.5]):
        with pytest.raises(ValueError, match="cutoffs: expected rising positive integers, came"):
            AdaptiveSoftmaxHead(9, cutoffs)
    with pytest.raises(ValueError, match="factor: expected a positive integer, came 0"):
        AdaptiveSoftmaxHead(9, factor=0)
    with pytest.raises(ValueError, match="tie: expected 'none' for adaptive_softmax, whose rare"):
        AdaptiveSoftmaxHead(V).tie(TokenEmbedding(V, 8))
    config = adaptive().get_config()
    assert AdaptiveSoftmaxHead.from_config(config).get_config() == config


# Pointer network

# Row 0 has the token of place 1 again at place 3; 3 is the end.
PLACES = np.array([[4, 5, 6, 5, 3], [4, 5, 3, 0, 0], [0, 0, 0, 0, 0]], "int32")


def network():
    head = PointerNetworkHead(attention_units=7)
    head.build((None, None, 8), None, None, {"memory": {"values": (None, None, 4)}})
    return randomise(head)


def test_pointer_network():
    head, outputs = network(), inputs()[0]
    seen = context(copy_ids=PLACES, mask=tf.constant(MASK))
    given = run_both(lambda x: head(x, None, None, seen), outputs)
    assert given.shape == (3, 2, 4 + S)
    pointer, values = head.pointer, seen["memory"]["values"].numpy()
    for b, n in np.ndindex(2, 2):
        _, weights = references.additive_attention(pointer, outputs[b, n], values[b], MASK[b])
        expected = np.zeros(4 + S)
        for place in range(S):
            expected[PLACES[b, place]] += weights[place]
        assert_close(np.exp(given[b, n]), expected, 1e-6)
        assert expected[3] > 1e-3
    assert np.isfinite(given).all()
    assert_close(head.search_logits(outputs, None, None, seen), given, 0)


def test_pointer_network_refuses():
    outputs = inputs()[0]
    with pytest.raises(ValueError, match=r"source: expected 'copy_ids' .*, came none"):
        network()(outputs, None, None, context(mask=tf.constant(MASK)))
    short = context(tf.zeros([3, S], tf.int32), copy_ids=PLACES, mask=tf.constant(MASK))
    with pytest.raises(ValueError, match="head: expected an encoder with a place for each"):
        network()(outputs, None, None, short)
    with pytest.raises(ValueError, match="vocabulary_size: expected 4, the special tokens, .* 9"):
        PointerNetworkHead(9)
    with pytest.raises(ValueError, match="tie: expected 'none' for a pointer network"):
        PointerNetworkHead().tie(TokenEmbedding(4, 8))
    config = network().get_config()
    assert PointerNetworkHead.from_config(config).get_config() == config


@pytest.mark.parametrize("ids", [[[0, 4, 5, 19], [12, 11, 3, 1]], [[0, 1, 2, 3]], [[19, 18]]])
def test_adaptive_softmax_of_targets_alone(ids):
    head, ids = adaptive(), np.array(ids)
    x = normal(*ids.shape, 8)
    variables = head.trainable_variables

    def alone(x, ids):
        with tf.GradientTape() as tape:
            found = head.target_log_probs(x, ids)
        return found, tape.gradient(found, variables, unconnected_gradients="zero")

    with tf.GradientTape() as tape:
        whole = tf.gather(head(x), ids, batch_dims=2)
    gradients = tape.gradient(whole, variables)
    found, made = alone(tf.constant(x), tf.constant(ids, tf.int32))
    assert_close(found, whole, 1e-5)
    for one, other in zip(made, gradients, strict=True):
        assert_close(tf.convert_to_tensor(one), other, 1e-5)
    compiled = tf.function(alone, autograph=False).get_concrete_function(
        tf.TensorSpec([None, None, 8]), tf.TensorSpec([None, None], tf.int32)
    )
    assert_close(compiled(tf.constant(x), tf.constant(ids, tf.int32))[0], whole, 1e-5)


def test_adaptive_softmax_of_no_targets():
    assert adaptive().target_log_probs(normal(2, 0, 8), np.zeros([2, 0], "int32")).shape == (2, 0)
    assert adaptive().target_log_probs(normal(0, 3, 8), np.zeros([0, 3], "int32")).shape == (0, 3)
