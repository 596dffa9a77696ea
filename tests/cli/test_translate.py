"""`translate`: every option of a search and of sampling, and every form of what comes out."""

import argparse
import functools
import gzip
import io
import json
import sys

import keras
import pytest

from keras_s2s.cli import main
from keras_s2s.cli.formatting import add_output_options, format_hypotheses
from keras_s2s.cli.option_flags import (
    add_line_options,
    add_sampling_options,
    add_search_options,
    search_options,
)
from keras_s2s.signatures.fields import SAMPLE, TRANSLATE
from keras_s2s.signatures.responses import Hypothesis

WORDS = ["abba", "baab", "aa", "b", "ab", "bab", "bb", "a", "abab", "bbb"]
TEXTS = ["abba", "b", "", "ab"]


def make_runs(folder):
    """Saves two runs of untrained models with one pair of tokenizers, `one` and `two`."""
    from keras_s2s import Translator, models, tokenizers
    from keras_s2s.config import Decoding, ModelConfig, TokenizerConfig

    source = tokenizers.train(TokenizerConfig(kind="characters"), WORDS)
    target = tokenizers.train(
        TokenizerConfig(kind="whitespace"), [" ".join(word).upper() for word in WORDS]
    )
    for seed, name in enumerate(("one", "two"), 1):
        keras.utils.set_random_seed(seed)
        model = models.build(ModelConfig(preset="gru_small"), source.size, target.size)
        Translator(model, source, target, Decoding(beam_size=3, max_length=8)).save(folder / name)
    return folder


def loaded_once(monkeypatch):
    """Every command of a test module asks the same translators: tracing takes seconds."""
    from keras_s2s import translator

    load = functools.cache(translator.Translator.load)

    def cached(runs, *args, **kwargs):
        return load(tuple(runs) if isinstance(runs, list) else runs, *args, **kwargs)

    monkeypatch.setattr(translator.Translator, "load", cached)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        loaded_once(monkeypatch)
        yield make_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def translate(runs, tmp_path, capsys):
    """What `translate` writes for TEXTS, as a list of lines."""
    (tmp_path / "in.txt").write_text("".join(text + "\n" for text in TEXTS))

    def ask(*words, run="one", status=0):
        words = ["translate", runs / run, "--input", tmp_path / "in.txt", *words]
        assert main(list(map(str, words))) == status
        out, err = capsys.readouterr()
        return out.splitlines() if status == 0 else (out, err)

    return ask


def parse(*words):
    parser = argparse.ArgumentParser()
    for add in (add_search_options, add_line_options, add_sampling_options, add_output_options):
        add(parser)
    return parser.parse_args(words)


def test_every_option_has_a_flag():
    words = []
    for field in (TRANSLATE.options() | SAMPLE.options()).values():
        flag = "--" + field.name.replace("_", "-").replace("constraints", "constraint")
        words += [flag] if field.dtype == "bool" else [flag, "1"]
    for sample, signature in (([], TRANSLATE), (["--sample"], SAMPLE)):
        arguments = parse(*words, *sample)
        other = TRANSLATE.options().keys() ^ SAMPLE.options().keys()
        for name in other - signature.options().keys():
            setattr(arguments, name, None)
        assert search_options(arguments).keys() == signature.options().keys()
    assert search_options(parse()) == {}
    assert search_options(parse("--no-replace-unknown")) == {"replace_unknown": False}
    assert search_options(parse("--n-best", "3")) == {"num_hypotheses": 3}


def test_lists_are_lines():
    words = ("--constraint", "a b", "--constraint", "c", "--disallowed", "d")
    found = search_options(parse(*words, "--prefix-tokens", "x  y"))
    assert found == {"constraints": "a b\nc", "disallowed": "d", "prefix_tokens": "x\ny"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--length-penalty", "11"], "a number from -10 to 10, got 11"),
        (["--beam-size", "0"], "an integer of at least 1, got 0"),
        (["--beam-size", str(2**31)], f"an integer from 1 to {2**31 - 1}, got {2**31}"),
        (["--top-p", "1.5"], "a number from 0 to 1, got 1.5"),
        (["--alternatives-at", "-2"], "an integer of at least -1, got -2"),
        (["--seed", str(2**31)], f"an integer from -{2**31} to {2**31 - 1}, got"),
        (["--alignment", "pharao"], "got pharao; the nearest is pharaoh"),
        (["--window", "0"], "an integer of at least 1, got 0"),
    ],
)
def test_ranges_are_checked(capsys, words, problem):
    with pytest.raises(SystemExit, match="2"):
        main(["translate", "run", *words])
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--temperature", "2"], "--temperature: expected --sample, got none"),
        (["--sample", "--beam-size", "2"], "--beam-size: expected a search, without --sample"),
        (["--sample", "--constraint", "A"], "--constraint: expected a search, without --sample"),
        (["--sample", "--constraints-file", "x"], "--constraints-file: expected a search, without"),
        (["--target-prefix", "A", "--prefix-file", "x"], "--prefix-file: expected --target-prefix"),
        (["--resume"], "--resume: expected --input and --output, both files"),
        (["--num-hypotheses", "9"], "error: num_hypotheses: expected 1 to 3, got 9"),
        (["--beam-groups", "2"], "error: beam_groups: expected a divisor of beam_size, 3, got 2"),
        (["--constraints-file", "none.txt"], "none.txt: expected a text file, got: No such file"),
    ],
)
def test_wrong_options_are_named(translate, words, problem):
    out, err = translate(*words, status=2)
    assert out == ""
    assert problem in err
    assert err.count("\n") == 1


def test_models_that_cannot_be_used_are_named(translate, tmp_path):
    assert "x.tflite: No such file" in translate(run="x.tflite", status=2)[1]
    for name, problem in (
        ("grpc://localhost:1", "grpc://localhost:1: expected grpc://HOST:PORT/NAME"),
        ("grpc://nowhere/x", "'HOST:PORT', got 'nowhere'"),
        ("none", "none: expected a run directory"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            assert problem in failed(["translate", name, "--input", "in.txt"])


def failed(words):
    """The line of the error that a command ends with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", said := io.StringIO())
        assert main(list(map(str, words))) == 2
    return said.getvalue()


def test_forms_of_the_output_hold_the_same(translate):
    found = [json.loads(line) for line in translate("--n-best", 2, "--format", "json")]
    assert [row["source"] for row in found] == TEXTS
    flat = [
        (number, rank, h)
        for number, row in enumerate(found, 1)
        for rank, h in enumerate(row["hypotheses"], 1)
    ]
    for _, _, h in flat:
        assert h["text"] == " ".join(h["tokens"])
        assert len(h["token_log_probs"]) == len(h["tokens"]) + 1 or not h["finished"]
        assert sum(h["token_log_probs"]) == pytest.approx(h["log_prob"], abs=1e-4)
    rows = [line.split("\t") for line in translate("--n-best", 2, "--format=tsv", "--with-tokens")]
    assert rows == [
        [str(n), str(rank), f"{h['score']:.4f}", f"{h['log_prob']:.4f}", h["text"], h["text"]]
        for n, rank, h in flat
    ]
    lines = translate("--n-best", 2, "--scores")
    assert [line.split("\t") for line in lines] == [
        [cell for h in row["hypotheses"] for cell in (f"{h['score']:.4f}", h["text"])]
        for row in found
    ]


def test_alignments_agree(translate):
    words = ("--alignment", "soft", "--json", "--max-length", 4, "--min-length", 4)
    soft = [json.loads(line) for line in translate(*words)]
    hard = [json.loads(line) for line in translate("--alignment=hard", *words[2:])]
    pairs = [json.loads(line) for line in translate("--alignment=pharaoh", *words[2:])]
    for one, two, three in zip(soft, hard, pairs, strict=True):
        size = len(one["source_tokens"])
        assert one["source_tokens"] == two["source_tokens"] == [*one["source"], "</s>"]
        weights, places = (row["hypotheses"][0]["alignment"] for row in (one, two))
        assert {len(line) for line in weights} == {size}
        assert all(sum(line) == pytest.approx(1, abs=1e-4) for line in weights)
        best = [max(range(size - 1), key=line.__getitem__) if size > 1 else -1 for line in weights]
        assert places == best
        pharaoh = " ".join(f"{place}-{i}" for i, place in enumerate(best) if size > 1)
        assert three["hypotheses"][0]["alignment"] == pharaoh
    first = translate("--alignment=soft", *words[3:])[1].split("\t")
    assert first[0] == soft[1]["hypotheses"][0]["text"]
    assert [len(cell.split(",")) for cell in first[1].split(" ")] == [2] * 4


def test_tabs_and_line_ends_of_a_text_stay_in_their_cell():
    h = Hypothesis("a\tb\nc", -1.0, -2.0, ["a\t"], [], None, True, [float("-inf")])
    assert format_hypotheses(3, "x", [h], parse()) == ["a\tb c"]
    assert format_hypotheses(3, "x", [h], parse("--scores")) == ["-1.0000\ta b c"]
    assert format_hypotheses(3, "x", [h], parse("--format=tsv")) == [
        "3\t1\t-1.0000\t-2.0000\ta b c"
    ]
    (line,) = format_hypotheses(3, "x", [h], parse("--json"))
    assert json.loads(line)["hypotheses"][0]["token_log_probs"] == [None]
    assert format_hypotheses(3, "x", [], parse("--format=tsv")) == []
    assert format_hypotheses(3, "x", [], parse(), "bad") == [""]
    (line,) = format_hypotheses(3, "x", [], parse("--json"), "bad")
    assert json.loads(line) == {"source": "x", "hypotheses": [], "error": "bad"}


def test_options_of_all_lines_reach_the_search(translate):
    for line in translate("--constraint", "B A", "--constraint", "B B", "--disallowed", "<unk>"):
        assert "B A" in line
        assert "B B" in line
        assert "<unk>" not in line
    for line in translate("--prefix-tokens", "B A", "--max-new-tokens", 1):
        assert line.startswith("B A")
        assert len(line.split()) <= 3


def test_options_of_single_lines(translate, tmp_path):
    (tmp_path / "constraints.txt").write_text("A A\tB\n\nB B B\n\n")
    (tmp_path / "prefixes.txt").write_text("B\nA B\n\nA A A\n")
    words = ["--constraints-file", tmp_path / "constraints.txt", "--constraint", "B A"]
    found = translate(*words, "--prefix-file", tmp_path / "prefixes.txt")
    assert all("B A" in line for line in found)
    assert "A A" in found[0]
    assert "B B B" in found[2]
    for line, prefix in zip(found, ("B", "A B", "", "A A A"), strict=True):
        assert line.startswith(prefix)
    (tmp_path / "prefixes.txt").write_text("B\nA B\n\n")
    _, err = translate("--prefix-file", tmp_path / "prefixes.txt", status=2)
    assert f"prefixes.txt: expected as many lines as {tmp_path / 'in.txt'}, got 3" in err


def test_a_line_that_is_refused_spoils_no_other(translate, tmp_path):
    (tmp_path / "prefixes.txt").write_text("\n" + "A " * 9 + "\n\nB\n")
    out, err = translate("--prefix-file", tmp_path / "prefixes.txt", status=2)
    assert err.startswith("keras-s2s: error: line 2: target_prefix: expected at most 8 tokens")
    first, refused, _, last = out.splitlines()  # the third is of an empty text
    assert first and not refused and last.startswith("B")


def test_a_text_that_is_too_long_is_named_when_all_is_done(runs, tmp_path):
    (tmp_path / "in.txt").write_text("ab\n" + "a" * 1500 + "\nb\n")
    words = ["translate", runs / "one", "--input", tmp_path / "in.txt", "--json", "--output"]
    line = failed([*words, tmp_path / "out.jsonl"])
    assert line == "keras-s2s: error: line 2: text tokens: expected 0 to 1024, got 1500\n"
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [len(row["hypotheses"]) for row in found] == [1, 0, 1]
    assert found[1]["error"].startswith("text tokens")


def test_sampling_depends_on_the_seed_and_the_line_alone(translate):
    words = ("--sample", "--num-samples", 3, "--format=tsv")
    found = translate(*words, "--seed", 5)
    assert found == translate(*words, "--seed", 5, "--batch-size", 1, "--window", 3)
    assert found != translate(*words, "--seed", 6)
    assert len(found) == 3 * len(TEXTS)
    first = translate(*words, "--seed", 8)
    assert [row.split("\t")[2:] for row in first[:3]] != [row.split("\t")[2:] for row in found[:3]]
    greedy = translate("--sample", "--top-k", 1)
    assert greedy == translate("--beam-size", 1)


def test_windows_and_zipped_files_change_nothing(runs, translate, tmp_path):
    with gzip.open(tmp_path / "in.txt.gz", "wt") as file:
        file.write("\n".join(TEXTS))
    words = ["translate", runs / "one", "--input", tmp_path / "in.txt.gz", "--window=3"]
    assert main(list(map(str, [*words, "--batch-size=2", "--output", tmp_path / "out.txt"]))) == 0
    assert (tmp_path / "out.txt").read_text().splitlines() == translate()


def test_an_ensemble_is_one_model(runs, translate):
    one, two, both = (
        [json.loads(line) for line in translate("--json", *words, run=run)]
        for words, run in (
            ((), "one"),
            ((), "two"),
            (("--ensemble", runs / "two"), "one"),
        )
    )
    assert both not in (one, two)
    itself = [json.loads(line) for line in translate("--json", "--ensemble", runs / "one")]
    for row, alone in zip(itself, one, strict=True):
        (h,), (other,) = row["hypotheses"], alone["hypotheses"]
        assert h["tokens"] == other["tokens"]
        assert h["score"] == pytest.approx(other["score"], abs=1e-5)
