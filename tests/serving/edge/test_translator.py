"""Translation by a LiteRT file: options, streams, scores, threads, without TensorFlow."""

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
def model_file(copying_file):
    """A `Translator` with a copying model, and its exported file."""
    translator, path = copying_file
    return translator, path / "model.tflite"


@pytest.fixture(scope="module")
def edge(model_file):
    return EdgeTranslator(model_file[1], threads=2)


def assert_close(hypotheses, expected):
    assert [one.tokens for one in hypotheses] == [one.tokens for one in expected]
    for one, other in zip(hypotheses, expected):
        assert (one.text, one.finished) == (other.text, other.finished)
        assert one.source_tokens == other.source_tokens
        for name in ("score", "log_prob", "token_log_probs", "alignment"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: list(options)[-1])
def test_options_agree_with_translator(model_file, edge, options):
    expected = model_file[0].decode(TEXTS, **options)
    for size in (1, 3):
        rows = edge.decode(TEXTS, batch_size=size, **options)
        for row, other in zip(rows, expected, strict=True):
            assert_close(row, other)


def test_options_for_each_text_share_a_batch(model_file, edge):
    options = {"beam_size": [1, 3, 2, 4, 1], "target_prefix": ["", "a", "", "", "b"]}
    rows = edge.decode(TEXTS, batch_size=5, **options)
    for row, other in zip(rows, model_file[0].decode(TEXTS, **options)):
        assert_close(row, other)


def test_invalid_utf8_gives_the_same_tokens(model_file, edge):
    raw = np.array([b"a \xff\xfeb", b"\xe2\x82 c", b"b"], np.object_)
    inputs = {"text": raw, "target_prefix": np.array([b"\xff\xfeb", b"\xe2\x82 a", b"\xff"], "O")}
    expected = model_file[0].predict("translate", inputs)
    outputs = edge.predict("translate", inputs)
    np.testing.assert_array_equal(outputs["tokens"], expected["tokens"])
    np.testing.assert_array_equal(outputs["error"], expected["error"])
    assert outputs["tokens"][0, 0, 0] == "\ufffd\ufffdb".encode()  # a copy


def test_error_rejects_only_its_row(model_file, edge):
    texts = ["a", "b " * 1100, "c"]
    rows, problems = edge.decode(texts, errors="return")
    expected, expected_problems = model_file[0].decode(texts, errors="return")
    assert problems == expected_problems == {1: "text tokens: expected 0 to 1024, got 1100"}
    assert rows[1] == []
    assert [row[0].tokens for row in rows[::2]] == [row[0].tokens for row in expected[::2]]


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
def test_error_messages_equal_translators(model_file, edge, options):
    _, expected = model_file[0].decode(["a"], errors="return", **options)
    _, problems = edge.decode(["a"], errors="return", **options)
    assert problems == expected
    with pytest.raises(ValueError) as caught:
        edge.translate(["a"], **options)
    assert str(caught.value) == expected[0]


def test_unknown_option_is_named(edge):
    with pytest.raises(ValueError, match="unknown option 'beam': expected .* 'beam_size'"):
        edge.translate(["a"], beam=3)


def test_scores(model_file, edge):
    targets = ["a b", "", "zz c", "g"]
    scores = edge.score(TEXTS[:4], targets)
    for one, other in zip(scores, model_file[0].score(TEXTS[:4], targets), strict=True):
        assert (one.tokens, one.words) == (other.tokens, other.words)
        for name in ("log_prob", "token_log_probs", "word_log_probs"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-4)
    best = edge.decode(["a b c"], beam_size=2)[0][0]
    rescored = edge.score(["a b c"], target_tokens=[best.tokens])[0]
    np.testing.assert_allclose(rescored.log_prob, best.log_prob, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"target_prefix": "b"}, {"no_repeat_ngram": 1}], ids=str)
def test_stream_ends_with_the_greedy_target(edge, options):
    (expected,) = edge.decode(["i h g f"], beam_size=1, **options)
    stream = list(edge.stream("i h g f", **options))
    assert_close(stream[-1:], expected)
    for one, after in zip(stream, stream[1:]):
        assert after.tokens[: len(one.tokens)] == one.tokens
        assert not one.finished
        assert one.alignment.shape == (len(one.tokens), 5)
    assert len({len(one.tokens) for one in stream}) >= len(expected[0].tokens)


def test_stream_of_alternatives_is_rejected(edge):
    with pytest.raises(ValueError, match="alternatives_at: expected none of a stream"):
        edge.stream("a", alternatives_at=0)


def test_threads_share_a_translator(edge):
    texts = [" ".join("abcdefghi"[: 1 + i % 9]) for i in range(24)]
    expected = [edge.translate([text], beam_size=2) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        translations = list(pool.map(lambda text: edge.translate([text], beam_size=2), texts))
    assert translations == expected


def test_process_without_tensorflow(model_file):
    path = model_file[1]
    code = f"""
import json, sys
class ImportBlocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tensorflow_text", "sentencepiece"):
            raise ImportError(name)
sys.meta_path.insert(0, ImportBlocker())
from keras_s2s.serving import EdgeTranslator
edge = EdgeTranslator({str(path)!r})
texts = edge.translate({TEXTS!r}, beam_size=2)
texts += [hypothesis.text for hypothesis in edge.stream("a b")][-1:]
print(json.dumps(texts))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    expected = model_file[0].translate(TEXTS, beam_size=2) + model_file[0].translate(
        ["a b"], beam_size=1
    )
    assert json.loads(done.stdout) == expected


def test_commands(model_file, tmp_path, capsys):
    translator, path = model_file
    (tmp_path / "in").write_text("a b c\ni h\n")
    assert cli.main(["translate", str(path), "--input", str(tmp_path / "in")]) == 0
    assert capsys.readouterr().out.splitlines() == translator.translate(["a b c", "i h"])
    words = ["translate", str(path), "--input", str(tmp_path / "in"), "--sample"]
    assert cli.main(words) == 2
    assert "expected a model with sampling, got a LiteRT file" in capsys.readouterr().err
    translator.save(tmp_path / "run")
    assert cli.main(["verify", str(path), str(tmp_path / "run")]) == 0
    assert "all answers equal" in capsys.readouterr().out


DAMAGED = b"\x1c\0\0\0TFL3" + b"\xff" * 40


@pytest.mark.parametrize("content", [None, b"", b"model", DAMAGED], ids=str)
def test_other_files_are_rejected(tmp_path, content):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError, match="model.tflite: "):
        EdgeTranslator(path)


def test_inputs_of_a_file_are_checked(edge):
    with pytest.raises(ValueError, match="threads: expected a positive integer, got 0"):
        EdgeTranslator("model.tflite", threads=0)
    file = edge._file
    with pytest.raises(ValueError, match="signature: expected one of .*, got 'encoder'"):
        file.run("encoder")
    with pytest.raises(ValueError, match="ids: expected int32 of rank 2 with elements, got int64"):
        file.run("encode", ids=np.zeros([1, 2], np.int64))


@pytest.fixture
def damaged_file(model_file, tmp_path):
    """A copy with one bit of the weights turned."""
    content = bytearray(model_file[1].read_bytes())
    weights = np.ascontiguousarray(model_file[0].model.trainable_variables[0].value.numpy())
    place = content.find(weights.tobytes()[:64])
    assert place > 0
    content[place] ^= 1
    path = tmp_path / "damaged.tflite"
    path.write_bytes(content)
    return path


def test_damaged_weights_are_found_by_the_digest(model_file, damaged_file, capsys):
    assert EdgeTranslator(model_file[1], check_digest=True).verify_digest()
    assert EdgeTranslator(damaged_file).translate(["a"])  # it answers without the check
    expected = "expected a file with the SHA-256 of its card, got a damaged one"
    with pytest.raises(StartError, match=expected):
        EdgeTranslator(damaged_file, check_digest=True)
    for words in (["verify", damaged_file], ["translate", damaged_file, "--input", __file__]):
        assert cli.main([*map(str, words)]) == 2
        assert "got a damaged one" in capsys.readouterr().err
    assert cli.main(["verify", str(model_file[1])]) == 0
    assert capsys.readouterr().out == f"{model_file[1]}: as it was exported\n"


def test_file_without_a_digest_opens_unless_one_is_asked_for(model_file):
    edge = EdgeTranslator(model_file[1])
    del edge._file.card["litert"]["file_sha256"]
    assert not edge.verify_digest()
