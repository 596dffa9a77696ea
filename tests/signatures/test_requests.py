"""Python values as the arrays of a request."""

import numpy as np
import pytest

from keras_s2s.errors import UserError
from keras_s2s.signatures.fields import LIST_INPUTS, TRANSLATE
from keras_s2s.signatures.requests import (
    limit_hypotheses,
    option_columns,
    pad_features,
    search_inputs,
    source_inputs,
    source_rows,
    target_inputs,
)


def test_features_are_padded():
    rows = source_rows([np.ones([2, 3]), [[1, 2, 3]]])
    inputs = source_inputs(rows)
    assert inputs["features"].shape == (2, 2, 3)
    assert inputs["features"].dtype == np.float32
    assert inputs["length"].tolist() == [2, 1]
    assert inputs["features"][1].tolist() == [[1, 2, 3], [0, 0, 0]]
    assert pad_features([], 3)["features"].shape == (0, 0, 3)


@pytest.mark.parametrize(
    ("rows", "num_features", "problem"),
    [
        ([np.ones([2, 3]), np.ones([2, 2])], None, r"features\[1\]: expected numbers \[S, 3\]"),
        ([np.ones([2, 3])], 2, r"features\[0\]: expected numbers \[S, 2\], got float64 \[2, 3\]"),
        (["a"], 2, r"features\[0\]: expected numbers \[S, 2\], got text"),
        ([np.ones(3)], None, r"features\[0\]: expected numbers \[S, F\]"),
        ("a", None, "texts: expected a list of strings, got the string 'a'"),
        ([["a"]], None, "texts: expected a flat list of strings"),
    ],
)
def test_wrong_sources_are_named(rows, num_features, problem):
    with pytest.raises(ValueError, match=problem):
        source_rows(rows, num_features)


def test_lone_surrogates_are_replaced_on_request():
    assert source_rows(["a\ud800"], encoding_errors="replace") == [b"a?"]
    columns = option_columns(TRANSLATE, {"disallowed": ["\ud800"]}, 1, "replace")
    assert columns["disallowed"].tolist() == [b"?"]


def test_one_list_for_all_rows_or_one_for_each():
    for value, expected in (
        (["x", "y"], [b"x\ny", b"x\ny"]),
        ("x\ny", [b"x\ny", b"x\ny"]),
        ([["x"], []], [b"x", b""]),
    ):
        inputs = search_inputs(TRANSLATE, ["a", "b"], {"constraints": value})
        assert inputs["constraints"].tolist() == expected


def test_lists_are_the_inputs_described_so():
    assert {"prefix_tokens", "constraints", "disallowed", "target_tokens"} == LIST_INPUTS


def test_targets_as_text_or_tokens():
    assert target_inputs(["a"], "b")["target"].tolist() == [b"b"]
    assert target_inputs(["a"], None, [["b", "c"]])["target_tokens"].tolist() == [b"b\nc"]
    with pytest.raises(ValueError, match="got neither"):
        target_inputs(["a"])


@pytest.mark.parametrize("beam_size", [[1, 4], np.array([1, 4]), (1, np.int64(4))])
def test_default_hypotheses_are_within_the_beam(beam_size):
    options = limit_hypotheses({"beam_size": beam_size}, 3)
    columns = search_inputs(TRANSLATE, ["a", "b"], options)
    assert columns["beam_size"].tolist() == [1, 4]
    assert columns["num_hypotheses"].tolist() == [1, 3]
    assert limit_hypotheses({"beam_size": 2, "num_hypotheses": 2}, 3)["num_hypotheses"] == 2
    assert limit_hypotheses({"max_length": 5}, 3) == {"max_length": 5}
    with pytest.raises(UserError, match="beam_size: expected a number that fits int32, got 42949"):
        limit_hypotheses({"beam_size": 2**32 + 4}, 3)


def test_arrays_of_strings_serve_as_lists():
    for value in (np.array(["x"]), np.array("x"), np.array(["x"], object)):
        columns = search_inputs(TRANSLATE, ["a", "b"], {"constraints": value})
        assert columns["constraints"].tolist() == [b"x", b"x"]
