"""Lists as options, `sample`, `score` and `attention`, against a server in this process."""

import numpy as np
import pytest

from keras_s2s.serving import RowError
from keras_s2s.signatures.fields import LIST_INPUTS, SIGNATURES, TRANSLATE
from keras_s2s.signatures.requests import search_inputs, target_inputs


@pytest.fixture(scope="module")
def base_path(written):
    from tests.serving.models import ALL

    return written(ALL)


def texts_of(rows):
    return [[one.text for one in row] for row in rows]


def test_list_options_are_those_of_the_signatures():
    fields = [field for signature in SIGNATURES.values() for field in signature.inputs]
    assert {field.name for field in fields if "one a line" in field.description} == LIST_INPUTS


@pytest.mark.parametrize(
    "disallowed",
    ["B\nD", ["B", "D"], ("B", b"D"), np.array(["B", "D"]), [["B", "D"], ["D", "B"]], iter("BD")],
    ids=["lines", "list", "tuple", "array", "lists", "iterator"],
)
def test_accepted_forms_of_a_list(client, disallowed):
    assert texts_of(client.translate(["a b c d", "b"], disallowed=disallowed)) == [["A C"], [""]]


def test_lists_for_each_text(client):
    rows = client.translate(
        ["a b c", "a b c", "a b c"],
        prefix_tokens=[["x"], [], ["y", "z"]],
        constraints=[["K L"], ["M", "N"], []],
    )
    assert [row[0].tokens for row in rows] == [
        ["x", "B", "C", "K L"],
        ["A", "B", "C", "M", "N"],
        ["y", "z", "C"],
    ]


def test_every_option_can_be_sent(client):
    options = {name: field.default for name, field in TRANSLATE.options().items()}
    assert texts_of(client.translate(["a b"], **options)) == [["A B"]]
    columns = {name: [value] * 3 for name, value in options.items()}
    assert texts_of(client.translate(["a", "b", "c"], **columns)) == [["A"], ["B"], ["C"]]


def test_options_are_sent_as_full_columns():
    """A batching server merges requests row by row."""
    inputs = search_inputs(
        TRANSLATE,
        ["a", "b"],
        {"beam_size": 2, "disallowed": ["x"], "replace_unknown": True, "min_length": None},
    )
    assert {name: array.tolist() for name, array in inputs.items()} == {
        "text": [b"a", b"b"],
        "beam_size": [2, 2],
        "disallowed": [b"x", b"x"],
        "replace_unknown": [True, True],
    }
    inputs = target_inputs(["a", "b"], None, ["x", "y"])
    assert inputs["target_tokens"].tolist() == [b"x\ny", b"x\ny"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"disallowed": ["a", "b\nc"]}, r"disallowed\[1\]: expected no line feed, got 'b\\nc'"),
        ({"constraints": [["a"], ["b\n"]]}, r"constraints\[1\]\[0\]: expected no line feed"),
        ({"prefix_tokens": 3}, "prefix_tokens: expected a list of strings, got 3"),
        ({"prefix_tokens": [3]}, r"prefix_tokens\[0\]: expected a string, got 3"),
        ({"prefix_tokens": [["a"], "b"]}, r"one list for each text, got 'b' .* prefix_tokens\[1\]"),
        ({"prefix_tokens": [["a"], [["b"]]]}, r"prefix_tokens\[1\]: expected a flat list"),
        ({"prefix_tokens": [["a"]]}, r"prefix_tokens: expected one value or 2, .* \[1\]"),
        ({"prefix_tokens": ["\ud800"]}, r"prefix_tokens\[0\]: expected valid Unicode"),
        ({"replace_unknown": 1}, "replace_unknown: expected bool, got 1"),
        ({"no_repeat_ngram": 1.5}, "no_repeat_ngram: expected int32, got 1.5"),
        ({"target_prefix": 3}, "target_prefix.*: expected a string, got 3"),
        ({"constraint": "x"}, "unknown option 'constraint': .* did you mean 'constraints'"),
    ],
)
def test_invalid_options_are_named(client, options, message):
    with pytest.raises(ValueError, match=message):
        client.translate(["a", "b"], **options)


def test_hypotheses_have_token_log_probs(client):
    first, second = client.translate(["a b c", "d"])
    assert first[0].token_log_probs == [0.0, -1.0, -2.0, -3.0]
    assert second[0].token_log_probs == [0.0, -1.0]


def test_samples_are_hypotheses(client):
    rows = client.sample(
        ["a b", "c"], num_samples=[2, 1], seed=[3, 7], temperature=2, top_k=4, top_p=0.9, min_p=0.1
    )
    assert texts_of(rows) == [["A3 B3", "A4 B4"], ["C7"]]
    assert [one.log_prob for one in rows[0]] == [-0.25, -1.25]
    assert rows[1][0].alignment.shape == (1, 2)
    assert client.sample([]) == []
    (row,) = client.sample(["a b c"], alignment=False, prefix_tokens=["x"], max_new_tokens=1)
    assert (row[0].tokens, row[0].finished, row[0].alignment) == (["x", "B0"], False, None)


def test_options_and_errors_of_samples(client):
    with pytest.raises(ValueError, match=r"unknown option 'beam_size': .*\['num_samples',"):
        client.sample(["a"], beam_size=3)
    with pytest.raises(RowError, match="^row 1: temperature must be above 0") as caught:
        client.sample(["a", "b", "c"], temperature=[1, 0, 1])
    assert texts_of(caught.value.results) == [["A0"], [], ["C0"]]


def test_scores_of_texts_and_of_tokens(client):
    first, second = client.score(["a b", "c"], ["X Y Z", ""])
    assert first.tokens == ["X", "Y", "Z", "</s>"]
    assert first.token_log_probs == [0.0, -1.0, -2.0, -3.0]
    assert (first.words, first.word_log_probs) == (["X Y Z", "</s>"], [-3.0, -3.0])
    assert first.log_prob == -6.0
    assert (second.tokens, second.token_log_probs) == (["</s>"], [0.0])
    assert (second.words, second.word_log_probs) == (["</s>"], [0.0])
    assert client.score(["a b"], target_tokens=["X", "Y", "Z"]) == [first]
    assert client.score(["a", "b"], target_tokens=[["X", "Y", "Z"], []]) == [first, second]
    assert client.score(["a", "b"], "X Y Z") == [first, first]
    assert client.score([], []) == []


def test_attention_is_trimmed_to_each_row(client):
    long, short = client.attention(["a b c", "d"], ["X Y", ""])
    assert (long.source_tokens, long.tokens) == (["a", "b", "c", "</s>"], ["X", "Y", "</s>"])
    assert long.names == ["layer 1", "layer 2"]
    assert long.attention.shape == (2, 3, 4)
    assert long.encoder_names == ["encoder 1"]
    assert long.encoder_attention.shape == (1, 4, 4)
    assert long.decoder_names == ["decoder 1"]
    assert long.decoder_attention.shape == (1, 3, 3)
    assert (short.source_tokens, short.tokens) == (["d", "</s>"], ["</s>"])
    np.testing.assert_allclose(short.attention, [[[0.0, 0.1]], [[1.0, 1.1]]])
    np.testing.assert_allclose(short.encoder_attention, [[[0.0, 0.1], [1.0, 1.1]]])
    np.testing.assert_allclose(short.decoder_attention, [[[0.0]]])
    (same,) = client.attention(["a b c"], target_tokens=["X", "Y"])
    np.testing.assert_array_equal(same.attention, long.attention)


@pytest.mark.parametrize("method", ["score", "attention"])
def test_rejected_targets_are_named_and_other_rows_returned(client, method):
    with pytest.raises(RowError, match="^row 1: target: refused$") as caught:
        getattr(client, method)(["a", "b", "c"], ["X", "refuse", "Y Z"])
    tokens = [row and row.tokens for row in caught.value.results]
    assert tokens == [["X", "</s>"], None, ["Y", "Z", "</s>"]]


@pytest.mark.parametrize("method", ["score", "attention"])
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({}, "targets: expected either targets or target_tokens, got neither"),
        (
            {"targets": ["a"], "target_tokens": [["a"]]},
            "targets or target_tokens, got both",
        ),
        ({"targets": ["a", "b"]}, "targets: expected one value or 1, one for each text"),
        ({"targets": [3]}, r"targets\[0\]: expected a string, got 3"),
        ({"target_tokens": [["a\n"]]}, r"target_tokens\[0\]\[0\]: expected no line feed"),
    ],
    ids=["none", "both", "count", "type", "newline"],
)
def test_invalid_targets_are_named(client, method, targets, message):
    with pytest.raises(ValueError, match=message):
        getattr(client, method)(["x"], **targets)


def test_timeout_of_a_call(client):
    for call in (client.sample, client.score, client.attention):
        targets = {} if call == client.sample else {"targets": "x"}
        assert len(call(["a"], timeout=20, **targets)) == 1
        with pytest.raises(ValueError, match="timeout: expected a positive number"):
            call(["a"], timeout=0, **targets)
