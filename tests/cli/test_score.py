"""`score`, n-best lists scored anew, and `attention`."""

import base64
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.cli import main
from keras_s2s.cli.attention import _table
from keras_s2s.tensorboard.attention_records import unpack
from tests.cli.test_translate import failed, loaded_once, make_runs

PAIRS = [("ab", "A B"), ("b", "B"), ("bb", ""), ("abab", "A  zz B")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        loaded_once(monkeypatch)
        folder = make_runs(tmp_path_factory.mktemp("runs"))
        (folder / "pairs.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in PAIRS))
        (folder / "source.txt").write_text("".join(f"{s}\n" for s, _ in PAIRS))
        (folder / "target.txt").write_text("".join(f"{t}\n" for _, t in PAIRS))
        yield folder


@pytest.fixture
def run(capsys):
    """What a command that succeeds writes to the two streams."""

    def ask(*words):
        assert main(list(map(str, words))) == 0
        return capsys.readouterr()

    return ask


def test_levels_add_up(runs, run):
    words = ("score", runs / "one", "--pairs", runs / "pairs.tsv")
    out, err = run(*words, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["source"], row["target"]) for row in rows] == PAIRS
    assert rows[3]["words"] == ["A", "zz", "B", "</s>"]
    for row in rows:
        assert row["tokens"][-1] == row["words"][-1] == "</s>"
        for kind in ("token", "word"):
            total = sum(row[f"{kind}_log_probs"])
            assert len(row[f"{kind}s"]) == len(row[f"{kind}_log_probs"])
            assert total == pytest.approx(row["log_prob"], abs=1e-4)
    total, tokens = sum(row["log_prob"] for row in rows), sum(len(row["tokens"]) for row in rows)
    assert err.startswith(f"perplexity {np.exp(-total / tokens):.4f} per token: {tokens} tokens")
    assert run(*words)[0].split() == [f"{row['log_prob']:.4f}" for row in rows]
    table = [line.split("\t") for line in run(*words, "--format=tsv")[0].splitlines()]
    assert table == [
        [str(n), f"{row['log_prob']:.4f}", str(len(row["tokens"]))] for n, row in enumerate(rows, 1)
    ]
    by_word = [
        [(f"{x:.4f}", word) for word, x in zip(row["words"], row["word_log_probs"], strict=True)]
        for row in rows
    ]
    text = run(*words, "--level=word")[0].splitlines()
    assert [line.split("\t") for line in text] == [sum(map(list, row), []) for row in by_word]
    table = run(*words, "--level=word", "--format=tsv")[0].splitlines()
    assert [tuple(line.split("\t")) for line in table] == [
        (str(n), str(i), *cells)
        for n, row in enumerate(by_word, 1)
        for i, cells in enumerate(row, 1)
    ]


def test_aligned_files_give_what_pairs_give(runs, run, tmp_path):
    words = ("score", runs / "one", "--level=token", "--output")
    run(*words, tmp_path / "a.txt", "--pairs", runs / "pairs.tsv")
    sides = ("--source", runs / "source.txt", "--target", runs / "target.txt")
    _, err = run(*words, tmp_path / "b.txt", *sides, "--window=1", "--resume")
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]
    assert "of 4 pairs" in err


def test_translate_and_score_agree(runs, run, tmp_path):
    ask = ("translate", runs / "one", "--input", runs / "source.txt", "--json", "--n-best=3")
    found = [json.loads(line) for line in run(*ask, "--min-length=1")[0].splitlines()]
    pairs = [(row["source"], h) for row in found for h in row["hypotheses"] if h["finished"]]
    (tmp_path / "pairs.tsv").write_text("".join(f"{s}\t{h['text']}\n" for s, h in pairs))
    lines = run("score", runs / "one", "--pairs", tmp_path / "pairs.tsv")[0].split()
    for line, (_, h) in zip(lines, pairs, strict=True):
        assert float(line) == pytest.approx(h["log_prob"], abs=1e-3)


@pytest.fixture(scope="module")
def nbest(runs):
    path = runs / "nbest.jsonl"
    ask = ("translate", runs / "one", "--input", runs / "source.txt", "--json", "--n-best=3")
    assert main(list(map(str, [*ask, "--output", path]))) == 0
    return path


@pytest.mark.parametrize("words", [(), ("--by-tokens",)])
def test_lists_are_ranked_anew(runs, run, nbest, words):
    ask = ("score", runs / "two", "--nbest", nbest, "--weight", 0.25, "--length-penalty", 1)
    found = [json.loads(line) for line in run(*ask, *words)[0].splitlines()]
    for before, row in zip(nbest.read_text().splitlines(), found, strict=True):
        old = {h["text"]: h for h in json.loads(before)["hypotheses"]}
        assert {h["text"] for h in row["hypotheses"]} == old.keys()
        scores = [h["score"] for h in row["hypotheses"]]
        assert scores == sorted(scores, reverse=True)
        for h in row["hypotheses"]:
            penalty = (5 + len(h["tokens"]) + 1) / 6
            wanted = 0.75 * h["first_score"] + 0.25 * h["rescore_log_prob"] / penalty
            assert h["score"] == pytest.approx(wanted, abs=1e-5)
            assert h["first_score"] == old[h["text"]]["score"]
            assert h["log_prob"] == old[h["text"]]["log_prob"]


def test_the_same_model_changes_no_rank(runs, run, nbest):
    found = run("score", runs / "one", "--nbest", nbest, "--weight", 1, "--by-tokens")[0]
    for before, line in zip(nbest.read_text().splitlines(), found.splitlines(), strict=True):
        old, new = json.loads(before)["hypotheses"], json.loads(line)["hypotheses"]
        for h, g in zip(old, new, strict=True):
            if h["finished"]:
                assert h["tokens"] == g["tokens"]
                assert g["score"] == pytest.approx(h["score"], abs=1e-4)
    best = run("score", runs / "one", "--nbest", nbest, "--weight", 0, "--format=text")[0]
    firsts = [json.loads(line)["hypotheses"][0]["text"] for line in nbest.read_text().splitlines()]
    assert best.splitlines() == firsts


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x", "expected a JSON object, as translate --json writes"),
        ("[]", "expected a JSON object with source, a text"),
        ('{"source": "a"}', "expected a JSON object with hypotheses, a list"),
        ('{"source": "a", "hypotheses": [{"score": 1}]}', "hypothesis 1: expected text, a string"),
        (r'{"source": "\ud800", "hypotheses": []}', "with source, a text"),
        ('{"source": "a", "hypotheses": [{"text": "", "score": NaN}]}', "expected score, a number"),
        ('{"source": "a", "hypotheses": [{"text": "", "score": 1}]}', "expected tokens, a list"),
    ],
)
def test_a_list_that_is_none_names_file_and_line(tmp_path, line, problem):
    path = tmp_path / "nbest.jsonl"
    path.write_text(f'{{"source": "a", "hypotheses": []}}\n{line}\n')
    said = failed(["score", "run", "--nbest", path, "--by-tokens"])
    assert f"error: {path}:2: " in said
    assert problem in said


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "expected --source and --target, or --pairs alone, or --nbest alone"),
        (["--source", "a"], "expected --source and --target, or --pairs alone"),
        (["--pairs", "a", "--nbest", "b"], "or --nbest alone"),
        (["--nbest", "b", "--format", "tsv"], "--nbest: expected the level sequence and the"),
        (["--pairs", "none.tsv"], "none.tsv: expected a text file, got: No such file"),
    ],
)
def test_inputs_are_one_of_three(words, problem):
    assert problem in failed(["score", "run", *words])


def test_a_target_that_is_refused_is_named(runs, capsys, tmp_path):
    (tmp_path / "pairs.tsv").write_text(f"a\tA\nb\t{'A ' * 1100}\n")
    assert main(["score", str(runs / "one"), "--pairs", str(tmp_path / "pairs.tsv")]) == 2
    out, err = capsys.readouterr()
    assert out.count("\n") == 2
    assert out.endswith("\n\n")
    assert "of 1 pairs" in err
    assert "error: line 2: target tokens: expected 0 to 1024, got 1100" in err


def test_attention_as_json_table_and_picture(runs, run, tmp_path):
    ask = ("attention", runs / "one", "--text", "abba", "--target", "A zz")
    found = json.loads(run(*ask, "--json")[0])
    assert found["source_tokens"] == [*"abba", "</s>"]
    assert found["tokens"][-1] == "</s>"
    ((name, weights),) = found["maps"].items()
    assert np.array(weights).sum(1) == pytest.approx(np.ones(3), abs=1e-4)
    run(*ask, "--output", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == found
    header, *rows = run(*ask, "--map", name)[0].splitlines()
    assert header.split() == [name, *found["source_tokens"]]
    shares = [[f"{100 * x:.0f}" for x in line] for line in weights]
    assert [row.split()[1:] for row in rows] == shares
    run(*ask, "--output", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_attention_as_svg_page_and_record(runs, run, tmp_path):
    ask = ("attention", runs / "one", "--text", "<b>a", "--target", "A zz")
    run(*ask, "--map", "all", "--output", tmp_path / "a.svg")
    texts = [node.text for node in ElementTree.parse(tmp_path / "a.svg").iter() if node.text]
    assert {"<", "attention", "all: 1 maps"} <= set(texts)
    run(*ask, "--output", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "<b>" not in page
    found = json.loads(run(*ask, "--json")[0])
    assert run(*ask, "--logdir", tmp_path / "logs")[0] == ""
    (path,) = (tmp_path / "logs").iterdir()
    lines = tf.data.TFRecordDataset([str(path)])
    events = (tf.compat.v1.Event.FromString(line.numpy()) for line in lines)
    (value,) = (value for event in events for value in event.summary.value)
    record = unpack(value.tensor.string_val[0])
    assert list(record.source_tokens) == found["source_tokens"]
    assert record.text == "A zz"
    ((name, weights),) = found["maps"].items()
    assert record.maps["cross"][0] == (name,)
    np.testing.assert_allclose(record.maps["cross"][1][0], weights, atol=1 / 500)
    (data,) = re.findall(r'<script id="attention-data"[^>]*>(.*?)</script>', page)
    assert unpack(base64.b64decode(json.loads(data)[0]["data"])).source_tokens[0] == "<"


def test_attention_without_a_target_shows_the_best(runs, run):
    (best,) = json.loads(
        run("translate", runs / "one", "--input", runs / "source.txt", "--json")[0].splitlines()[0]
    )["hypotheses"]
    found = json.loads(run("attention", runs / "one", "--text", PAIRS[0][0], "--json")[0])
    assert found["tokens"] == [*best["tokens"], "</s>"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--output", "x.gif"], "expected a name that ends in .json, .html, .png or .svg"),
        (["--output", "x.png", "--json"], "expected --json or a .png, got both"),
        (["--output", "none/x.png"], "expected a folder that exists"),
        (["--map", "none"], "--map: expected one of attention, got none"),
        (["--map", "all"], "--map: expected one of attention, got all; a grid needs a picture"),
        (["--map", "all", "--json"], "--map: expected a table or a picture, got json, which"),
    ],
)
def test_wrong_pictures_are_named(runs, words, problem):
    assert problem in failed(["attention", runs / "one", "--text", "a", *words])


@pytest.mark.parametrize("words", [[], ["--target", "A"]])
def test_a_text_that_is_too_long_has_no_table(runs, capsys, words):
    said = failed(["attention", runs / "one", "--text", "a" * 1500, *words])
    assert said.endswith("error: text tokens: expected 0 to 1024, got 1500\n")
    assert capsys.readouterr().out == ""


def test_a_table_keeps_its_columns():
    weights = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    lines = list(_table("mean of 2 maps", weights, ["東京", "e\u0301", "</s>"], ["tōkyō", "x"]))
    assert lines == [
        "mean of 2 maps  東京    e\u0301  </s>",
        "tōkyō             50   50     0",
        "x                100    0     0",
    ]
