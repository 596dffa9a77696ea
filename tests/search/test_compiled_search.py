"""A search compiled by XLA for some sizes is the search, and takes the plain loop where it must."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.search import CompiledSearch, Options, compiled_search, no_constraints, search
from tests.conformance import models

MOST = 8  # steps: a target of seven tokens and its end
MARK = 1000.0


@pytest.fixture(scope="module")
def pair():
    """The search itself, and one compiled for 4 places and beams of 1 and 3, which marks the
    scores that come from the plain loop."""
    model = models.make("pre", "pre", "tied")
    compiled = CompiledSearch({1, 3}, [4], MOST)

    def marked(*arguments, **options):
        found = search(*arguments, **options)
        return found._replace(score=found.score + MARK)

    def make(function):
        numbers, reals = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
        source = {
            "ids": tf.TensorSpec([None, None], tf.int32),
            "mask": tf.TensorSpec([None, None], tf.bool),
        }
        options = Options(numbers, numbers, reals, reals, numbers, numbers)

        @tf.function(input_signature=[source, options, numbers], autograph=False)
        def run(source, options, ngram):
            extras = no_constraints(tf.shape(source["mask"])[0])._replace(no_repeat_ngram=ngram)
            return function(model.begin, model.next, source, options, extras)

        return run.get_concrete_function()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_search, "search", marked)
        return make(search), make(compiled)


def ask(function, lengths, beam, wanted=1, longest=MOST - 1, ngram=0):
    source, rows = models.source(lengths, width=max(lengths)), len(lengths)
    del source["copy_ids"]
    whole, real = np.ones(rows, np.int32), np.ones(rows, np.float32)
    options = Options(
        whole * beam, whole * wanted, real * 0.6, real * 5, whole * 2, whole * longest
    )
    found = function(source, Options(*map(tf.constant, options)), tf.constant(whole * ngram))
    return {name: value.numpy() for name, value in found._asdict().items()}


@pytest.mark.parametrize(
    "request_, plainly",
    [
        ({"lengths": [3], "beam": 1}, False),
        ({"lengths": [4], "beam": 3, "wanted": 3}, False),
        ({"lengths": [1], "beam": 2, "wanted": 2}, False),  # the third slot stays empty
        ({"lengths": [2], "beam": 3, "longest": 0}, False),
        ({"lengths": [3], "beam": 3, "longest": 2}, False),
        ({"lengths": [5], "beam": 3}, True),
        ({"lengths": [3], "beam": 4, "wanted": 2}, True),
        ({"lengths": [3, 2], "beam": 1}, True),
        ({"lengths": [3], "beam": 3, "ngram": 2}, True),
    ],
)
def test_what_fits_is_compiled_and_all_is_equal(pair, request_, plainly):
    expected, found = (ask(function, **request_) for function in pair)
    assert (found["score"].max() > MARK / 2) == plainly
    found["score"] -= MARK * plainly
    for name, value in expected.items():
        assert value.shape == found[name].shape, name
        if value.dtype.kind == "f":
            np.testing.assert_allclose(found[name], value, atol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_search_that_has_no_end_goes_on_in_the_plain_loop(pair):
    model = ask(pair[0], [3], 1, longest=30)
    found = ask(pair[1], [3], 1, longest=30)
    assert model["lengths"].max() >= MOST, "the model ends too early to tell"
    assert found["score"][0, 0] > MARK / 2
    np.testing.assert_array_equal(model["ids"], found["ids"])
