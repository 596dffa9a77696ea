"""Text to text by a LiteRT file: options, streams, scores, threads, and no TensorFlow."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from keras_s2s import cli
from keras_s2s.serving import EdgeTranslator, StartError

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ["a b c", "", "c zz", "i h g f e d", "zz yy"]
OPTIONS = [
    {"beam_size": 1},
    {"beam_size": 4, "num_hypotheses": 3, "length_penalty": 0.0},
    {"beam_size": 3, "coverage_penalty": 0.3, "no_repeat_ngram": 2},
    {"beam_size": 2, "target_prefix": "a b", "max_new_tokens": 3},
    {"beam_size": 4, "constraints": ["c", "d e"], "num_hypotheses": 2},
    {"constraints": ["d e"], "target_prefix": "b d", "max_new_tokens": 1},
    {"beam_size": 3, "disallowed": ["a", "b c"], "repetition_penalty": 1.4},
    {"beam_size": 4, "num_hypotheses": 2, "beam_groups": 2, "diversity_penalty": 0.5},
    {"num_hypotheses": 3, "alternatives_at": 0},
    {"beam_size": 2, "replace_unknown": True, "max_length_ratio": 1.5},
]


@pytest.fixture(scope="module")
def made(copying_file):
    """A `Translator` whose model copies, and the file that was exported of it."""
    translator, path = copying_file
    return translator, path / "model.tflite"


@pytest.fixture(scope="module")
def edge(made):
    return EdgeTranslator(made[1], threads=2)


def same(found, expected):
    assert [h.tokens for h in found] == [h.tokens for h in expected]
    for one, other in zip(found, expected):
        assert (one.text, one.finished) == (other.text, other.finished)
        assert one.source_tokens == other.source_tokens
        for name in ("score", "log_prob", "token_log_probs", "alignment"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda given: list(given)[-1])
def test_options_mean_what_they_mean_to_a_translator(made, edge, options):
    expected = made[0].decode(TEXTS, **options)
    for size in (1, 3):
        found = edge.decode(TEXTS, batch_size=size, **options)
        for row, other in zip(found, expected, strict=True):
            same(row, other)


def test_options_of_single_texts_share_a_batch(made, edge):
    given = {"beam_size": [1, 3, 2, 4, 1], "target_prefix": ["", "a", "", "", "b"]}
    found = edge.decode(TEXTS, batch_size=5, **given)
    for row, other in zip(found, made[0].decode(TEXTS, **given)):
        same(row, other)


def test_bytes_that_are_no_text_are_the_same_pieces(made, edge):
    raw = np.array([b"a \xff\xfeb", b"\xe2\x82 c", b"b"], np.object_)
    given = {"text": raw, "target_prefix": np.array([b"\xff\xfeb", b"\xe2\x82 a", b"\xff"], "O")}
    expected, found = (one.predict("translate", given) for one in (made[0], edge))
    np.testing.assert_array_equal(found["tokens"], expected["tokens"])
    np.testing.assert_array_equal(found["error"], expected["error"])
    assert found["tokens"][0, 0, 0] == "\ufffd\ufffdb".encode()  # a copy


def test_a_row_with_an_error_fails_no_other(made, edge):
    texts = ["a", "b " * 1100, "c"]
    found, problems = edge.decode(texts, errors="return")
    expected, others = made[0].decode(texts, errors="return")
    assert problems == others == {1: "text tokens: expected 0 to 1024, got 1100"}
    assert found[1] == []
    assert [row[0].tokens for row in found[::2]] == [row[0].tokens for row in expected[::2]]


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 99},
        {"beam_size": 2, "num_hypotheses": 3},
        {"length_penalty": float("nan")},
        {"beam_size": 3, "beam_groups": 2},
        {"target_prefix": "a", "prefix_tokens": ["a"]},
        {"target_prefix": "a b c", "max_length": 2},
        {"constraints": ["a b c"], "max_length": 2},
        {"constraints": ["b c d"], "target_prefix": "a b", "max_new_tokens": 1},
        {"constraints": ["a b"], "disallowed": ["b"]},
        {"constraints": ["b", "a q", "r"]},
        {"min_length": 5, "max_length": 3},
        {"alternatives_at": 0, "target_prefix": "a"},
    ],
    ids=str,
)
def test_what_is_wrong_is_said_as_a_translator_says_it(made, edge, options):
    _, expected = made[0].decode(["a"], errors="return", **options)
    _, problems = edge.decode(["a"], errors="return", **options)
    assert problems == expected
    with pytest.raises(ValueError) as said:
        edge.translate(["a"], **options)
    assert str(said.value) == expected[0]


def test_an_unknown_option_is_named(edge):
    with pytest.raises(ValueError, match="unknown option 'beam': expected .* 'beam_size'"):
        edge.translate(["a"], beam=3)


def test_scores(made, edge):
    targets = ["a b", "", "zz c", "g"]
    found = edge.score(TEXTS[:4], targets)
    for one, other in zip(found, made[0].score(TEXTS[:4], targets), strict=True):
        assert (one.tokens, one.words) == (other.tokens, other.words)
        for name in ("log_prob", "token_log_probs", "word_log_probs"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-4)
    best = edge.decode(["a b c"], beam_size=2)[0][0]
    again = edge.score(["a b c"], target_tokens=[best.tokens])[0]
    np.testing.assert_allclose(again.log_prob, best.log_prob, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"target_prefix": "b"}, {"no_repeat_ngram": 1}], ids=str)
def test_a_stream_grows_to_the_greedy_target(edge, options):
    (expected,) = edge.decode(["i h g f"], beam_size=1, **options)
    grown = list(edge.stream("i h g f", **options))
    same(grown[-1:], expected)
    for one, after in zip(grown, grown[1:]):
        assert after.tokens[: len(one.tokens)] == one.tokens
        assert not one.finished
        assert one.alignment.shape == (len(one.tokens), 5)
    assert len({len(one.tokens) for one in grown}) >= len(expected[0].tokens)


def test_a_stream_of_many_is_refused(edge):
    with pytest.raises(ValueError, match="alternatives_at: expected none of a stream"):
        edge.stream("a", alternatives_at=0)


def test_threads_share_a_translator(edge):
    texts = [" ".join("abcdefghi"[: 1 + i % 9]) for i in range(24)]
    expected = [edge.translate([text], beam_size=2) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: edge.translate([text], beam_size=2), texts))
    assert found == expected


def test_a_process_without_tensorflow(made):
    path = made[1]
    code = f"""
import json, sys
class Bar:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tensorflow_text", "sentencepiece"):
            raise ImportError(name)
sys.meta_path.insert(0, Bar())
from keras_s2s.serving import EdgeTranslator
edge = EdgeTranslator({str(path)!r})
found = edge.translate({TEXTS!r}, beam_size=2)
found += [one.text for one in edge.stream("a b")][-1:]
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    expected = made[0].translate(TEXTS, beam_size=2) + made[0].translate(["a b"], beam_size=1)
    assert json.loads(done.stdout) == expected


def test_commands(made, tmp_path, capsys):
    translator, path = made
    (tmp_path / "in").write_text("a b c\ni h\n")
    assert cli.main(["translate", str(path), "--input", str(tmp_path / "in")]) == 0
    assert capsys.readouterr().out.splitlines() == translator.translate(["a b c", "i h"])
    words = ["translate", str(path), "--input", str(tmp_path / "in"), "--sample"]
    assert cli.main(words) == 2
    assert "expected a model that draws, came a LiteRT file" in capsys.readouterr().err
    translator.save(tmp_path / "run")
    assert cli.main(["verify", str(path), str(tmp_path / "run")]) == 0
    assert "all answers equal" in capsys.readouterr().out


DAMAGED = b"\x1c\0\0\0TFL3" + b"\xff" * 40


@pytest.mark.parametrize("content", [None, b"", b"model", DAMAGED], ids=str)
def test_what_is_no_file_of_ours_is_refused(tmp_path, content):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError, match="model.tflite: "):
        EdgeTranslator(path)


def test_what_a_file_is_given_is_checked(edge):
    with pytest.raises(ValueError, match="threads: expected a positive integer, came 0"):
        EdgeTranslator("model.tflite", threads=0)
    file = edge._file
    with pytest.raises(ValueError, match="signature: expected one of .*, came 'encoder'"):
        file.run("encoder")
    with pytest.raises(ValueError, match="ids: expected int32 of rank 2 with elements, came int64"):
        file.run("encode", ids=np.zeros([1, 2], np.int64))
