"""Targets that grow: over a real server in this process, and over replies made up."""

import pytest

from keras_s2s.serving import RowError
from keras_s2s.serving.client import streaming
from keras_s2s.signatures.fields import SAMPLE, TRANSLATE
from keras_s2s.signatures.responses import Hypothesis


@pytest.fixture(scope="module")
def base_path(tmp_path_factory):
    from tests.serving.models import export

    path = tmp_path_factory.mktemp("shout")
    export(path, signatures=(TRANSLATE, SAMPLE))
    return path


def hypothesis(tokens, finished):
    return Hypothesis(" ".join(tokens), 0.0, 0.0, list(tokens), [], None, finished)


class Scripted:
    """Gives one reply after another, and keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.calls = list(replies), []

    def __call__(self, texts, **options):
        self.calls.append(options)
        reply = self.replies.pop(0)
        return [[hypothesis(*reply)] if reply else []]

    def stream(self, chunk=2, signature=TRANSLATE, **options):
        return [
            (one.text, one.finished)
            for one in streaming.stream(self, signature, "source", chunk, options)
        ]


def grown(client, text, chunk, **options):
    return [(len(one.tokens), one.finished) for one in client.stream(text, chunk=chunk, **options)]


def test_a_target_grows_to_that_of_an_uncut_call(client):
    text = "a b c d e f g h i j"
    *_, last = found = list(client.stream(text, chunk=4))
    assert [one.text for one in found] == ["A B C D", "A B C D E F G H", "A B C D E F G H I J"]
    assert [one.finished for one in found] == [False, False, True]
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
def test_a_stream_ends_where_the_uncut_call_does(client, options, expected):
    text = "a b c d e f g h"
    assert grown(client, text, 4, **options) == expected
    *_, last = client.stream(text, chunk=4, **options)
    assert [last] == client.translate([text], alignment=False, beam_size=1, **options)[0]


def test_a_text_without_a_target_gives_one_empty_hypothesis(client):
    assert grown(client, "", 4) == [(0, True)]


def test_draws_go_on_as_they_would_have(client):
    options = {"seed": 3, "temperature": 2.0, "prefix_tokens": ["x"]}
    *_, last = found = list(client.stream("a b c d e", chunk=2, sampling=True, **options))
    assert [one.text for one in found] == ["x B3 C3", "x B3 C3 D3 E3", "x B3 C3 D3 E3"]
    assert [last] == client.sample(["a b c d e"], alignment=False, **options)[0]


def test_attention_comes_when_it_is_asked_for(client):
    shapes = [one.alignment.shape for one in client.stream("a b c", chunk=2, alignment=True)]
    assert shapes == [(2, 4), (3, 4)]
    assert [one.alignment for one in client.stream("a b c", chunk=2)] == [None, None]


def test_each_step_sends_the_tokens_so_far_and_never_their_text():
    ask = Scripted(("x y a b", False), ("x y a b c", True))
    ask.replies = [(["x", "y z"], False), (["x", "y z", "a"], True)]
    assert ask.stream(target_prefix="x", length_penalty=1.0, max_length=None) == [
        ("x y z", False),
        ("x y z a", True),
    ]
    first, second = ask.calls
    same = {"max_new_tokens": 2, "beam_size": 1, "num_hypotheses": 1, "length_penalty": 1.0}
    assert first == {**same, "target_prefix": "x"}
    assert second == {**same, "target_prefix": None, "prefix_tokens": [["x", "y z"]]}


def test_the_end_of_a_cut_target_is_only_a_guess():
    """What the model holds likeliest at the cut need not be what is drawn."""
    ask = Scripted(("ab", True), ("abcd", True), ("abcd", True))
    assert ask.stream(signature=SAMPLE, seed=1) == [
        ("a b", False),
        ("a b c d", False),
        ("a b c d", True),
    ]
    assert [call["num_samples"] for call in ask.calls] == [1, 1, 1]
    assert "beam_size" not in ask.calls[0]


def test_a_token_that_is_no_line_ends_the_pieces():
    ask = Scripted(
        ("ab", False), (["a", "b", "\n", "c"], False), (["a", "b", "\n", "c", "d"], True)
    )
    assert [text for text, _ in ask.stream(target_prefix="a")] == ["a b", "a b \n c", "a b \n c d"]
    assert ask.calls[2] == {
        "max_new_tokens": 0,
        "beam_size": 1,
        "num_hypotheses": 1,
        "target_prefix": "a",
    }


def test_no_hypothesis_ends_a_stream():
    assert Scripted(None).stream() == []
    assert Scripted(("ab", False), None).stream() == [("a b", False)]


def test_a_wider_beam_is_sent_as_it_is_told():
    ask = Scripted(("a", True))
    assert ask.stream(beam_size=4) == [("a", True)]
    assert ask.calls[0]["beam_size"] == 4


@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        (["a"], {}, r"text must be one string, not \['a'\]"),
        ("a", {"chunk": 0}, "chunk must be a positive whole number of tokens, not 0"),
        ("a", {"chunk": 2.5}, "chunk must be a positive whole number"),
        ("a", {"beamsize": 1}, "unknown option 'beamsize'"),
        ("a", {"seed": 1}, "unknown option 'seed'"),
        ("a", {"max_length": "b"}, "max_length must be int32"),
        ("a", {"max_length": [1, 2]}, "max_length must be one value or one for each of the 1"),
        ("a", {"num_hypotheses": 2}, "a stream takes no num_hypotheses"),
        ("a", {"constraints": ["b"]}, "a stream takes no constraints"),
        ("a", {"alternatives_at": 0}, "a stream takes no alternatives_at"),
        ("a", {"num_samples": 2, "sampling": True}, "a stream takes no num_samples"),
        ("a", {"beam_size": 2, "sampling": True}, "unknown option 'beam_size'"),
    ],
)
def test_wrong_arguments_are_told_before_the_first_step(client, text, options, problem):
    with pytest.raises(ValueError, match=problem):
        client.stream(text, **options)


def test_what_the_model_refuses_is_told_by_the_first_step(client):
    stream = client.stream("a", beam_size=0)
    with pytest.raises(RowError, match="^row 0: num_hypotheses must be at most beam_size"):
        next(stream)
