"""Rows of replies: what is cut off, what is refused, what is no reply of the signature."""

import re

import numpy as np
import pytest

from keras_s2s.serving import RowError, errors
from keras_s2s.serving.client.responses import read_rows
from keras_s2s.signatures.fields import ATTENTION, SAMPLE, SCORE, TRANSLATE

SIZES = {"B": 2, "K": 3, "T": 4, "U": 5, "S": 2, "W": 3, "A": 2, "E": 1, "D": 3}
OUTPUTS = [
    (signature, field)
    for signature in (TRANSLATE, SAMPLE, SCORE, ATTENTION)
    for field in signature.outputs
]
each_output = pytest.mark.parametrize(
    ("signature", "field"), OUTPUTS, ids=[f"{one.name}-{field.name}" for one, field in OUTPUTS]
)


def replied(signature):
    """Outputs of the right types and shapes, all of them zero or empty."""
    return {
        field.name: np.full(
            [SIZES[letter] for letter in field.shape],
            "" if field.dtype == "string" else 0,
            np.object_ if field.dtype == "string" else field.dtype,
        )
        for field in signature.outputs
    }


@each_output
def test_only_optional_outputs_may_be_missing(signature, field):
    outputs = replied(signature)
    del outputs[field.name]
    if field.is_optional:
        assert len(read_rows(signature, outputs, 2)) == 2
    else:
        problem = f"^the reply to {signature.name} lacks the output '{field.name}'$"
        with pytest.raises(errors.UnexpectedReply, match=problem):
            read_rows(signature, outputs, 2)


def test_an_output_that_was_not_asked_for_is_not_missed():
    outputs = replied(TRANSLATE)
    del outputs["alignment"]
    rows = read_rows(TRANSLATE, outputs, 2, omitted=("alignment",))
    assert [one.alignment for one in rows[0]] == [None] * 3


@each_output
def test_every_size_is_held_against_the_letters(signature, field):
    outputs = replied(signature)
    array = outputs[field.name]
    for wrong in (array[..., None], array[:1], np.asarray(array[0], array.dtype)):
        shape = re.escape(f"'{field.name}' of {signature.name} has the shape {list(wrong.shape)};")
        with pytest.raises(errors.UnexpectedReply, match=shape):
            read_rows(signature, outputs | {field.name: wrong}, 2)


@each_output
def test_every_type_is_held_against_the_table(signature, field):
    outputs = replied(signature)
    wrong = np.zeros(outputs[field.name].shape, np.int64 if field.dtype != "int32" else np.float32)
    problem = f"'{field.name}' of {signature.name} is .*; expected {field.dtype}$"
    with pytest.raises(errors.UnexpectedReply, match=problem):
        read_rows(signature, outputs | {field.name: wrong}, 2)


def test_letters_stand_for_one_size_in_all_outputs():
    outputs = replied(TRANSLATE)
    outputs["tokens"] = outputs["tokens"][:, :2]
    problem = r"'tokens' .* has the shape \[2, 2, 4\]; expected \[2, 3, 'T'\]$"
    with pytest.raises(errors.UnexpectedReply, match=problem):
        read_rows(TRANSLATE, outputs, 2)
    outputs = replied(TRANSLATE)
    outputs["token_log_probs"] = outputs["token_log_probs"][:, :, :4]
    problem = r"'token_log_probs' .* has the shape \[2, 3, 4\]; expected \[2, 3, 5\]$"
    with pytest.raises(errors.UnexpectedReply, match=problem):
        read_rows(TRANSLATE, outputs, 2)


@pytest.mark.parametrize("signature", [TRANSLATE, SAMPLE], ids=["translate", "sample"])
def test_refused_rows_have_no_hypotheses(signature):
    outputs = replied(signature)
    outputs["error"][1] = "too long"
    with pytest.raises(RowError, match="^row 1: too long$") as caught:
        read_rows(signature, outputs, 2)
    assert [len(row) for row in caught.value.results] == [3, 0]


@pytest.mark.parametrize("signature", [SCORE, ATTENTION], ids=["score", "attention"])
def test_refused_rows_have_no_result(signature):
    outputs = replied(signature)
    outputs["error"][0] = "too long"
    with pytest.raises(RowError, match="^row 0: too long$") as caught:
        read_rows(signature, outputs, 2)
    assert [row is None for row in caught.value.results] == [True, False]


def test_maps_without_a_name_are_padding():
    outputs = replied(ATTENTION)
    outputs["names"][1] = ["", "last"]
    outputs["attention"][1, 1] = 1.0
    outputs["source_tokens"][1] = ["a", "</s>"]
    outputs["tokens"][1, :1] = "</s>"
    none, one = read_rows(ATTENTION, outputs, 2)
    assert (none.names, none.attention.shape) == ([], (0, 0, 0))
    assert one.names == ["last"]
    assert one.attention.tolist() == [[[1.0, 1.0]]]
    assert (one.encoder_names, one.encoder_attention.shape) == ([], (0, 2, 2))
