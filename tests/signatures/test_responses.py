"""Rows of responses as dataclasses."""

import numpy as np
import pytest

from keras_s2s.signatures import hard_alignment, pharaoh, signature_fields, signatures_for
from keras_s2s.signatures.responses import read_row, read_rows


def strings(*texts):
    return np.array([text.encode() for text in texts], np.object_)


def score_row(error=b""):
    return {
        "log_prob": np.float32(-3),
        "tokens": strings("a", "", "b", "</s>", ""),
        "token_log_probs": np.array([-1, -0.5, -0.5, -1, -1e9], np.float32),
        "words": strings("a b", "</s>", ""),
        "word_log_probs": np.array([-2, -1, -1e9], np.float32),
        "error": error,
    }


def test_padding_is_removed_at_the_end_alone():
    score = read_row("score", score_row())
    assert score.tokens == ["a", "", "b", "</s>"]
    assert score.token_log_probs == [-1, -0.5, -0.5, -1]
    assert score.word_log_probs == [-2, -1]


def test_errors_are_returned_beside_the_rows():
    scores, errors = read_rows("score", [score_row(), score_row("wrong \u00e9".encode())])
    assert errors == {1: "wrong \u00e9"}
    assert len(scores) == 2


def test_strings_may_be_decoded_already():
    row = score_row() | {"tokens": np.array(["a", ""], object), "words": np.array([""], object)}
    assert read_row("score", row).tokens == ["a"]


@pytest.mark.parametrize("variances", [True, False])
def test_a_forecast_is_cut_to_its_length(variances):
    row = {"values": np.ones([3, 2]), "lengths": np.int32(2), "error": b""}
    row |= {"variances": np.ones([3, 2])} if variances else {}
    forecast = read_row("forecast", row)
    assert forecast.values.shape == (2, 2)
    assert (forecast.variances is not None) == variances


def test_hard_alignment_ignores_the_end():
    alignment = np.array([[0.1, 0.2, 0.7], [0.5, 0.1, 0.4]])
    assert hard_alignment(alignment) == pharaoh(alignment) == [(1, 0), (0, 1)]
    assert hard_alignment(np.ones([2, 1])) == []


def test_signatures_by_the_kinds_of_their_sides():
    assert signatures_for(False, False)["translate"].input_names()[0] == "text"
    assert signatures_for(False, True)["forecast"].input_names() == ["text", "steps"]
    features = signatures_for(True, False)["translate"].input_names()
    assert features[:2] == ["features", "length"]
    assert "replace_unknown" not in features
    inputs, outputs = signature_fields("forecast")
    assert list(inputs) == ["text", "steps", "features", "length"]
    assert outputs == ["values", "variances", "lengths", "error"]
