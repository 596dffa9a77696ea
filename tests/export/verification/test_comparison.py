"""Comparison of two responses, and the requests whose responses are compared."""

import numpy as np
import pytest

from keras_s2s.export.verification.comparison import first_difference
from keras_s2s.export.verification.probe_requests import (
    RequestCorpus,
    build_probe_requests,
    build_request,
)
from keras_s2s.export.verification.session_worker import fingerprint
from keras_s2s.signatures.fields import SIGNATURES
from keras_s2s.signatures.option_groups import signature_options

REQUEST = build_request("score", ["a"], [{"target": "b"}])
RESPONSE = {"log_prob": np.ones([1], np.float32)}


def test_equal_responses():
    assert first_difference(REQUEST, RESPONSE, dict(RESPONSE)) is None


@pytest.mark.parametrize(
    ("other", "output", "values"),
    [
        ({"extra": np.ones([1], np.float32)}, "extra", ("missing", "float32 [1]")),
        ({"log_prob": np.ones([1])}, "log_prob, as a whole", ("float32 [1]", "float64 [1]")),
        (
            {"log_prob": np.ones([2], np.float32)},
            "log_prob, as a whole",
            ("float32 [1]", "float32 [2]"),
        ),
        ({"log_prob": np.float32([1.001])}, "log_prob", ("1", "1.00100005")),
    ],
    ids=["output", "type", "shape", "value"],
)
def test_differences_are_found(other, output, values):
    difference = first_difference(REQUEST, RESPONSE, RESPONSE | other)
    assert (difference.output, difference.values) == (output, values)


def test_rows_are_those_of_the_request():
    two = {"log_prob": np.ones([2], np.float32)}
    assert first_difference(REQUEST, two, dict(two)).output == "log_prob, expected 1 rows"


def test_fingerprints_depend_on_type_and_shape():
    arrays = np.zeros([2, 3], np.float32), np.zeros([3, 2], np.float32), np.zeros([2, 3], np.int32)
    assert len({fingerprint(array) for array in arrays}) == 3
    assert fingerprint(arrays[0]) == fingerprint(arrays[0].copy())


@pytest.mark.parametrize("texts", [("a",), ("a", "b c", "d")])
@pytest.mark.parametrize("name", ["translate", "sample"])
def test_every_option_is_requested(name, texts):
    requests = build_probe_requests(RequestCorpus(texts, ("b",)))
    defaults = {field.name: field.default for field in SIGNATURES[name].inputs}
    for option in signature_options(name):
        columns = [r.inputs[option.name] for r in requests if option.name in r.inputs]
        values = {str(value) for column in columns for value in column}
        assert values - {str(defaults[option.name])}, option.name
