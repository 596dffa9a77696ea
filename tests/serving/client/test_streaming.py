"""Streams of growing targets, from a server in this process and from scripted responses."""

import pytest

from keras_s2s.serving import RowError
from keras_s2s.serving.client import streaming
from keras_s2s.signatures.fields import SAMPLE, TRANSLATE
from keras_s2s.signatures.responses import Hypothesis


@pytest.fixture(scope="module")
def base_path(written):
    return written((TRANSLATE, SAMPLE))


def hypothesis(tokens, finished):
    return Hypothesis(" ".join(tokens), 0.0, 0.0, list(tokens), [], None, finished)


class ScriptedTranslate:
    """Returns one response after another and records the options of the calls."""

    def __init__(self, *responses):
        self.responses, self.calls = list(responses), []

    def __call__(self, texts, **options):
        self.calls.append(options)
        response = self.responses.pop(0)
        return [[hypothesis(*response)] if response else []]

    def stream(self, chunk=2, signature=TRANSLATE, **options):
        return [
            (one.text, one.finished)
            for one in streaming.stream(self, signature, "source", chunk, options)
        ]


def stream_lengths(client, text, chunk, **options):
    return [(len(one.tokens), one.finished) for one in client.stream(text, chunk=chunk, **options)]


def test_stream_ends_with_the_result_of_one_call(client):
    text = "a b c d e f g h i j"
    *_, last = hypotheses = list(client.stream(text, chunk=4))
    assert [one.text for one in hypotheses] == ["A B C D", "A B C D E F G H", "A B C D E F G H I J"]
    assert [one.finished for one in hypotheses] == [False, False, True]
    assert [last] == client.translate([text], alignment=False, beam_size=1)[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(4, False), (8, False), (8, True)]),
        ({"max_length": 6}, [(4, False), (6, False)]),
        ({"max_length": 4}, [(4, False)]),
        ({"max_length": 0}, [(0, False)]),
        ({"max_new_tokens": 6}, [(4, False), (6, False)]),
        ({"max_new_tokens": [4]}, [(4, False)]),
        ({"max_new_tokens": 8}, [(4, False), (8, True)]),
        ({"max_new_tokens": 0, "prefix_tokens": ["x", "y"]}, [(6, False), (8, True)]),
        ({"max_new_tokens": 5, "prefix_tokens": [["x", "y"]]}, [(6, False), (7, False)]),
        ({"target_prefix": "x y z"}, [(7, False), (8, True)]),
    ],
)
def test_stream_respects_length_options(client, options, expected):
    text = "a b c d e f g h"
    assert stream_lengths(client, text, 4, **options) == expected
    *_, last = client.stream(text, chunk=4, **options)
    assert [last] == client.translate([text], alignment=False, beam_size=1, **options)[0]


def test_empty_target_is_one_hypothesis(client):
    assert stream_lengths(client, "", 4) == [(0, True)]


def test_stream_of_samples_equals_one_call(client):
    options = {"seed": 3, "temperature": 2.0, "prefix_tokens": ["x"]}
    *_, last = samples = list(client.stream("a b c d e", chunk=2, sampling=True, **options))
    assert [one.text for one in samples] == ["x B3 C3", "x B3 C3 D3 E3", "x B3 C3 D3 E3"]
    assert [last] == client.sample(["a b c d e"], alignment=False, **options)[0]


def test_alignment_is_optional(client):
    shapes = [one.alignment.shape for one in client.stream("a b c", chunk=2, alignment=True)]
    assert shapes == [(2, 4), (3, 4)]
    assert [one.alignment for one in client.stream("a b c", chunk=2)] == [None, None]


def test_each_step_sends_the_tokens_so_far():
    translate = ScriptedTranslate((["x", "y z"], False), (["x", "y z", "a"], True))
    assert translate.stream(target_prefix="x", length_penalty=1.0, max_length=None) == [
        ("x y z", False),
        ("x y z a", True),
    ]
    first, second = translate.calls
    common = {"max_new_tokens": 2, "beam_size": 1, "num_hypotheses": 1, "length_penalty": 1.0}
    assert first == {**common, "target_prefix": "x"}
    assert second == {**common, "target_prefix": None, "prefix_tokens": [["x", "y z"]]}


def test_end_of_a_cut_target_is_provisional():
    """A sample may continue where the end token is most likely."""
    translate = ScriptedTranslate(("ab", True), ("abcd", True), ("abcd", True))
    assert translate.stream(signature=SAMPLE, seed=1) == [
        ("a b", False),
        ("a b c d", False),
        ("a b c d", True),
    ]
    assert [call["num_samples"] for call in translate.calls] == [1, 1, 1]
    assert "beam_size" not in translate.calls[0]


def test_token_with_a_newline_ends_the_stream():
    translate = ScriptedTranslate(
        ("ab", False), (["a", "b", "\n", "c"], False), (["a", "b", "\n", "c", "d"], True)
    )
    assert [text for text, _ in translate.stream(target_prefix="a")] == [
        "a b",
        "a b \n c",
        "a b \n c d",
    ]
    assert translate.calls[2] == {
        "max_new_tokens": 0,
        "beam_size": 1,
        "num_hypotheses": 1,
        "target_prefix": "a",
    }


def test_missing_hypothesis_ends_the_stream():
    assert ScriptedTranslate(None).stream() == []
    assert ScriptedTranslate(("ab", False), None).stream() == [("a b", False)]


def test_beam_size_is_sent():
    translate = ScriptedTranslate(("a", True))
    assert translate.stream(beam_size=4) == [("a", True)]
    assert translate.calls[0]["beam_size"] == 4


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (["a"], {}, r"text must be one string, not \['a'\]"),
        ("a", {"chunk": 0}, "chunk: expected a positive whole number of tokens, got 0"),
        ("a", {"chunk": 2.5}, "chunk: expected a positive whole number"),
        ("a", {"beamsize": 1}, "unknown option 'beamsize'"),
        ("a", {"seed": 1}, "unknown option 'seed'"),
        ("a", {"max_length": "b"}, "max_length: expected int32"),
        ("a", {"max_length": [1, 2]}, "max_length: expected one value or 1, one for each"),
        ("a", {"num_hypotheses": 2}, "a stream takes no num_hypotheses"),
        ("a", {"constraints": ["b"]}, "a stream takes no constraints"),
        ("a", {"alternatives_at": 0}, "a stream takes no alternatives_at"),
        ("a", {"num_samples": 2, "sampling": True}, "a stream takes no num_samples"),
        ("a", {"beam_size": 2, "sampling": True}, "unknown option 'beam_size'"),
    ],
)
def test_invalid_arguments_are_named_before_the_first_step(client, text, options, message):
    with pytest.raises(ValueError, match=message):
        client.stream(text, **options)


def test_first_step_raises_the_models_row_error(client):
    stream = client.stream("a", beam_size=0)
    with pytest.raises(RowError, match="^row 0: num_hypotheses must be at most beam_size"):
        next(stream)
