"""Vocabulary weights for search: the logits of the call, in the columns that a search uses."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.heads import AdaptiveSoftmaxHead, PointerGeneratorHead, RegressionHead, SoftmaxHead
from keras_s2s.layers.dense import NormalizedLinear
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models.search_weights import SearchWeights
from tests.references import assert_close, linear, normal, randomise, right_padded, run_both

V, S, D = 6, 5, 8
MASK = right_padded([5, 3, 0], S)
COPY_IDS = np.array([[4, V + 1, 4, V + 1, 3], [V, 5, 3, 0, 0], [0, 0, 0, 0, 0]], "int32")
SHAPES = (None, None, D), (None, None, 7), None, {"memory": {"values": (None, None, 4)}}


class Model:
    """The parts of a `Seq2Seq` that the weights for search come from."""

    def __init__(self, head, layers=()):
        self.head, self.layers = head, list(layers)

    def _flatten_layers(self):
        return self.layers


def make_head(kind, is_tied=False):
    head, embedding = kind(V), None
    if is_tied:
        embedding = TokenEmbedding(V, D)
        embedding.build()
        head.tie(randomise(embedding))
    head.build(*SHAPES)
    return randomise(head), embedding


def inputs():
    weights = normal(3, 1, 2, S, seed=3) ** 2 * MASK[:, None, None]
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-9)
    outputs, embedded, weights = (
        x.astype("float32") for x in (normal(3, 2, D), normal(3, 2, 7, seed=1), weights)
    )
    values = tf.constant(normal(3, S, 4, seed=2) * MASK[:, :, None])
    memory = {"values": values, "mask": MASK, "source_index": None}
    return outputs, embedded, weights, {"memory": memory, "source": {"copy_ids": COPY_IDS}}


@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("kind", [SoftmaxHead, PointerGeneratorHead])
def test_logits_are_those_of_the_call(kind, is_tied):
    head, embedding = make_head(kind, is_tied)
    outputs, *others = inputs()
    expected, count = head(outputs, *others).numpy(), len(head.weights)
    for multiple in (1, 4):
        padding = -expected.shape[2] % multiple if kind is SoftmaxHead else 0
        weights = SearchWeights(Model(head), multiple=multiple)
        assert weights.kernel.shape == (D + 1, V + padding)
        assert weights.variables == (weights.kernel,)
        logits = run_both(lambda x, w=weights: w.logits(head, x, *others), outputs)
        assert_close(logits[..., : expected.shape[2]], expected)
        assert logits.shape[2] == expected.shape[2] + padding
        assert (logits[..., expected.shape[2] :] == -1e9).all()
    assert_close(head(outputs, *others), expected, 0)
    assert len(head.weights) == count
    randomise(embedding or head, seed=5)
    kernel = weights.kernel
    weights.update(Model(head))
    assert weights.kernel is kernel
    assert_close(
        weights.logits(head, outputs, *others)[..., : expected.shape[2]], head(outputs, *others)
    )


def test_a_head_without_vocabulary_weights_is_called():
    head = AdaptiveSoftmaxHead(20, [5, 12], 2)
    head.build((None, None, D))
    randomise(head)
    weights = SearchWeights(Model(head), multiple=16)
    assert weights.kernel is None
    assert weights.variables == ()
    x = normal(3, 2, D)
    assert_close(weights.logits(head, x), head(x), 0)


@pytest.mark.parametrize("kind", [SoftmaxHead, PointerGeneratorHead])
def test_columns_of_some_tokens(kind):
    head, _ = make_head(kind)
    outputs, *others, context = inputs()
    tokens = [0, 1, 2, 3, 5]
    weights = SearchWeights(Model(head), tokens)
    vocabulary = linear(head.projection, outputs)[..., tokens]
    if kind is SoftmaxHead:
        logits = weights.logits(head, outputs, *others, context)
        assert_close(logits[..., : len(tokens)], vocabulary)
        assert logits.shape[2] == 16
    columns = tf.constant([[4, 0, 5], [4, 3, 6], [1, 2, 9]])
    copied = {"source": {"copied": COPY_IDS}}
    expected = [[5, 0, 4], [5, 3, 5], [1, 2, 0]]
    if kind is SoftmaxHead:
        expected = [[5, 0, V], [5, 3, V], [1, 2, V]]  # columns of padding
    np.testing.assert_array_equal(weights.token_ids(columns, copied), expected)
    assert SearchWeights(Model(head)).token_ids(columns, copied) is columns


@pytest.mark.parametrize("head", [AdaptiveSoftmaxHead(20), RegressionHead(3)])
def test_tokens_need_a_row_each(head):
    message = f"tokens: expected a head with a row for every token, got a {type(head).__name__}"
    with pytest.raises(ValueError, match=message):
        SearchWeights(Model(head), tokens=[0, 1, 2, 3])


def test_scales_of_normalized_layers_are_fixed_until_an_update():
    layer, x = NormalizedLinear(4), normal(3, 5)
    layer.build((None, 5))
    model = Model(make_head(SoftmaxHead)[0], [randomise(layer)])
    weights = SearchWeights(model)
    assert [scale.shape for scale in weights.scales] == [(4,)]
    before = layer(x)
    layer.gain.assign(layer.gain * 2)
    assert_close(layer(x) - layer.bias, before - layer.bias, 1e-6)
    weights.update(model)
    assert_close(layer(x) - layer.bias, 2 * (before - layer.bias), 1e-6)
