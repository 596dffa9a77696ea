"""Beams of more than 64 slots in every loop backend, against exhaustive search.

Position and parent of an ended hypothesis once shared one number with room for 64 slots.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import search
from keras_s2s.layers.loop_backend import LITERT
from keras_s2s.search.loop import search_fixed_shapes
from tests.search.references import LONGEST, PrefixTable, exhaustive_search, hypotheses, options

WIDTH = 128
CASE = [WIDTH], [WIDTH], [0.6], [LONGEST]


def check(table, result):
    expected = exhaustive_search(table, 0, 0.6, LONGEST)
    assert 64 < len(expected) < WIDTH
    actual = hypotheses(result, 0)
    assert [tokens for *_, tokens in actual] == [tokens for *_, tokens in expected]
    np.testing.assert_allclose([h[:2] for h in actual], [h[:2] for h in expected], atol=1e-4)
    for k, (*_, tokens) in enumerate(actual):
        codes = [table.log_probs_after(0, tokens[:i])[1] for i in range(len(tokens))]
        np.testing.assert_array_equal(result.alignment[0, k, : len(tokens), 0], codes)


@pytest.mark.parametrize("graph", [False, True])
def test_tensorflow(graph):
    table = PrefixTable(1)
    run = tf.function(search.search, autograph=False) if graph else search.search
    check(table, run(table.begin, table.step, table.source, options(*CASE)))


def test_xla():
    table = PrefixTable(1)

    @tf.function(jit_compile=True, autograph=False)
    def run():
        return search_fixed_shapes(
            table.begin, table.step, table.source, options(*CASE), WIDTH, LONGEST + 1
        )

    is_final, result = run()
    assert is_final
    check(table, result)


def test_litert():
    from ai_edge_litert.interpreter import Interpreter

    from keras_s2s.export.litert.converter import convert

    table, values = PrefixTable(1), options(*CASE)
    table.log_probs = tf.constant(table.log_probs)

    def run(mask, **columns):
        result = search.search(
            table.begin,
            table.step,
            {"mask": mask},
            search.Options(**columns),
            loop_backend=LITERT,
        )
        return {name: tf.identity(value) for name, value in result._asdict().items()}

    specs = {name: tf.TensorSpec([None], x.dtype, name) for name, x in values._asdict().items()} | {
        "mask": tf.TensorSpec([None, None], tf.bool, "mask")
    }
    concrete = tf.function(run, autograph=False).get_concrete_function(**specs)
    interpreter = Interpreter(model_content=convert({"search": concrete}, []))
    inputs = {name: x.numpy() for name, x in values._asdict().items()}
    result = interpreter.get_signature_runner("search")(mask=np.ones([1, 3], bool), **inputs)
    table.log_probs = table.log_probs.numpy()
    check(table, search.Hypotheses(**result))


@pytest.mark.parametrize("vocabulary", [40, 150, 300, 320])  # cut into blocks or not
def test_beams_wider_than_half_a_vocabulary(vocabulary):
    """The first step has a single slot, with fewer continuations than 2 K."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (97, vocabulary)).astype("float32")
    shifted = tf.nn.log_softmax(logits).numpy()

    def begin(source, width, max_length=None):
        return {}, {"code": tf.zeros([tf.shape(source["mask"])[0], width], tf.int32)}

    def step(ids, position, context, state, maps="alignment", normalize=True):
        code = (state["code"] * 31 + ids * 7) % 97
        return tf.gather(tf.constant(logits), code), {"code": code}, None

    @tf.function(autograph=False)
    def run(width):
        return search.search(
            begin, step, {"mask": tf.ones([1, 2], tf.bool)}, options(*width), alignment=False
        )[:6]

    wide = 4 * vocabulary // 5
    ids, lengths, score, log_prob, _, _ = (x.numpy() for x in run(([wide], [wide], [0.0], [2])))
    assert (score[0] > search.NEG_INF / 2).all()
    assert len({tuple(row[:n]) for row, n in zip(ids[0], lengths[0])}) == wide
    for tokens, length, value in zip(ids[0], lengths[0], log_prob[0]):
        code, previous, total = 0, 2, 0.0
        for token in [*tokens[:length].tolist(), 3]:
            code, previous = (code * 31 + previous * 7) % 97, token
            total += shifted[code, token]
        assert value == pytest.approx(total, abs=1e-4)
