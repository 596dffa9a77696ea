"""Search compiled by XLA for some sizes equals the plain search, which runs where it must."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.search import CompiledSearch, Options, compiled_search, no_constraints, search
from tests.conformance import models

MAX_STEPS = 8  # steps: a target of seven tokens and its end
MARK = 1000.0


@pytest.fixture(scope="module")
def searches():
    """The plain search, and one compiled for 4 positions and beams of 1 and 3, in which the scores
    of the plain loop are marked."""
    model = models.make("pre", "pre", "tied")
    compiled = CompiledSearch({1, 3}, [4], MAX_STEPS)

    def marked(*arguments, **options):
        hypotheses = search(*arguments, **options)
        return hypotheses._replace(score=hypotheses.score + MARK)

    def trace(function):
        numbers, reals = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
        source = {
            "ids": tf.TensorSpec([None, None], tf.int32),
            "mask": tf.TensorSpec([None, None], tf.bool),
        }
        options = Options(numbers, numbers, reals, reals, numbers, numbers)

        @tf.function(input_signature=[source, options, numbers], autograph=False)
        def run(source, options, ngram):
            rows = tf.shape(source["mask"])[0]
            constraint_options = no_constraints(rows)._replace(no_repeat_ngram=ngram)
            return function(model.begin, model.next, source, options, constraint_options)

        return run.get_concrete_function()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_search, "search", marked)
        return trace(search), trace(compiled)


def run(function, lengths, beam, num_hypotheses=1, longest=MAX_STEPS - 1, ngram=0):
    source, rows = models.source(lengths, width=max(lengths)), len(lengths)
    del source["copy_ids"]
    ones, real_ones = np.ones(rows, np.int32), np.ones(rows, np.float32)
    options = Options(
        ones * beam, ones * num_hypotheses, real_ones * 0.6, real_ones * 5, ones * 2, ones * longest
    )
    result = function(source, Options(*map(tf.constant, options)), tf.constant(ones * ngram))
    return {name: value.numpy() for name, value in result._asdict().items()}


@pytest.mark.parametrize(
    "request_, is_plain",
    [
        ({"lengths": [3], "beam": 1}, False),
        ({"lengths": [4], "beam": 3, "num_hypotheses": 3}, False),
        ({"lengths": [1], "beam": 2, "num_hypotheses": 2}, False),  # the third slot stays empty
        ({"lengths": [2], "beam": 3, "longest": 0}, False),
        ({"lengths": [3], "beam": 3, "longest": 2}, False),
        ({"lengths": [5], "beam": 3}, True),
        ({"lengths": [3], "beam": 4, "num_hypotheses": 2}, True),
        ({"lengths": [3, 2], "beam": 1}, True),
        ({"lengths": [3], "beam": 3, "ngram": 2}, True),
    ],
)
def test_requests_that_fit_are_compiled_and_all_results_are_equal(searches, request_, is_plain):
    expected, actual = (run(function, **request_) for function in searches)
    assert (actual["score"].max() > MARK / 2) == is_plain
    actual["score"] -= MARK * is_plain
    for name, value in expected.items():
        assert value.shape == actual[name].shape, name
        if value.dtype.kind == "f":
            np.testing.assert_allclose(actual[name], value, atol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(actual[name], value, err_msg=name)


def test_a_search_that_is_not_final_repeats_in_the_plain_loop(searches):
    expected = run(searches[0], [3], 1, longest=30)
    actual = run(searches[1], [3], 1, longest=30)
    assert expected["lengths"].max() >= MAX_STEPS, "the model ends too early for this test"
    assert actual["score"][0, 0] > MARK / 2
    np.testing.assert_array_equal(expected["ids"], actual["ids"])
