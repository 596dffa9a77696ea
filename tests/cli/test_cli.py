"""The command line: what it says, what it writes, and with which status it ends."""

import io
import json
import signal
import subprocess
import sys

import pytest
import sacrebleu

from keras_s2s import __version__
from keras_s2s.cli import main
from tests.cli.test_translate import loaded_once

CONFIG = """
data:
  train: {pairs: TRAIN}
  valid: {pairs: TRAIN}
  source_tokenizer: {kind: characters}
  target_tokenizer: {kind: whitespace}
  batch_tokens: 200
model:
  embedding: 16
  encoder: {kind: recurrent, units: 16, bidirectional: false}
  decoder: {kind: recurrent, units: 16}
training: {updates: 6, validate_every: 3, validate_lines: 5, scores: [wer, per]}
decoding: {beam_size: 3, max_length: 8}
export: {when: never}
"""
WORDS = ["abba", "baab", "aa", "b", "ab", "bab", "bb", "a", "abab", "bbb"]


def fails(capsys, *words):
    """The one line of an error that ends with status 2."""
    try:
        status = main(list(map(str, words)))
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"keras-s2s {__version__}\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["trian", "x.yml"], "got trian; the nearest is train"),
        (["xxx"], "one of vocab, train, average, update-vocab, translate, score, attention"),
        (["--json"], "required: COMMAND"),
        (["train"], "required: CONFIG"),
        (["translate", "run", "--bean-size", "3"], "unrecognized arguments: --bean-size"),
        (["translate", "run", "--beam-size", "0"], "an integer of at least 1, got 0"),
        (["translate", "run", "--beam-size", "x"], "an integer of at least 1, got x"),
        (["translate", "run", "--length-penalty", "nan"], "a number from -10 to 10, got nan"),
        (["train", "x.yml", "--run-dir", "x", "a.b=1", "--fast"], "unrecognized arguments:"),
        (["predict", "--server", "x", "--model", "m", "--batch-size", "0"], "unrecognized"),
        (["evaluate", "run", "--batch-size", "0"], "an integer of at least 1, got 0"),
        (["predict", "--server", "nowhere", "--model", "m", "x"], "HOST:PORT"),
        (["translate", "x", "--input", "no-such-file"], "no-such-file: expected a text file"),
        (["evaluate", "no-such-run"], "no-such-run: expected a run directory of keras-s2s train"),
        (["export", "run", "x", "--version", str(2**63)], "from 1 to 9223372036854775807, got"),
        (["serve", "--model-name=x", "--model-base-path=x", "--port=65536"], "from 0 to 65535"),
        (["export", "run", "x", "--checkpoint", "bets"], "got bets; the nearest is best"),
        (["serve", "--model_name=x", "--port=1"], "required: --model_base_path"),
        (["predict", "--server", "localhost:1", "hello"], "required: --model"),
    ],
)
def test_words_that_cannot_be_parsed(capsys, words, problem):
    line = fails(capsys, *words)
    assert line.startswith("keras-s2s")
    assert problem in line


def test_missing_configuration(capsys, tmp_path):
    line = fails(capsys, "train", tmp_path / "none.yml")
    assert line == (
        f"keras-s2s: error: {tmp_path / 'none.yml'}: expected a configuration file, "
        "got: No such file or directory\n"
    )


def test_unknown_key_names_the_nearest(capsys, tmp_path):
    path = tmp_path / "x.yml"
    path.write_text("training:\n  update: 3\n")
    line = fails(capsys, "train", path)
    assert f"{path}:2: unknown key training.update; the nearest is training.updates" in line
    line = fails(capsys, "train", path, "training.update=1")
    assert "unknown key training.update" in line
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with train.tsv, tiny.yml and the run that `train` made of them."""
    folder = tmp_path_factory.mktemp("cli")
    lines = [f"{word}\t{' '.join(word).upper()}\n" for word in WORDS]
    (folder / "train.tsv").write_text("".join(lines))
    (folder / "tiny.yml").write_text(CONFIG.replace("TRAIN", str(folder / "train.tsv")))
    assert main(["train", str(folder / "tiny.yml"), "--run-dir", str(folder / "run")]) == 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        loaded_once(monkeypatch)
        yield folder


def run(capsys, *words):
    """What a command that succeeds writes to the standard output."""
    assert main(list(map(str, words))) == 0
    return capsys.readouterr().out


def test_vocab_makes_the_tokenizers(place, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(capsys, "vocab", place / "tiny.yml")
    made = tmp_path / "runs" / "tiny" / "tokenizers"
    for name in ("source.json", "target.json"):
        assert (made / name).read_bytes() == (place / "run" / "tokenizers" / name).read_bytes()
    assert not (tmp_path / "runs" / "tiny" / "config.yml").exists()


def test_vocab_reports_how_the_tokenizers_fit(place, capsys, tmp_path):
    words = ("vocab", place / "tiny.yml", "data.max_length=3", "--run-dir", tmp_path / "run")
    report = json.loads(run(capsys, *words, "--json"))
    assert list(report) == ["source", "target"]
    source = report["source"]
    assert (source["kind"], source["size"], source["shared"]) == ("characters", 6, False)
    assert source["train"]["beyond"] == sum(len(word) > 3 for word in WORDS)
    assert source["train"]["offenders"][0] == [f"{place / 'train.tsv'}:1", 4]
    assert source["train"] == source["valid"]
    table = run(capsys, *words)
    assert table.startswith("source: characters, 6 entries\n")
    header, train = table.splitlines()[1:3]
    assert header.endswith("over 3")
    assert train.split()[:4] == ["train", "10", str(source["train"]["pieces"]), "100"]
    assert f"longest in valid: {place / 'train.tsv'}:1 (4), " in table


def test_vocab_takes_other_settings_until_there_is_a_checkpoint(place, capsys, tmp_path):
    words = ("vocab", place / "tiny.yml", "--run-dir", tmp_path / "run", "--json")
    other = "data.source_tokenizer={kind: bytes}"
    assert json.loads(run(capsys, *words))["source"]["kind"] == "characters"
    assert json.loads(run(capsys, *words, other))["source"]["kind"] == "bytes"
    assert json.loads(run(capsys, *words))["source"]["kind"] == "characters"
    line = fails(capsys, "vocab", place / "tiny.yml", other, "--run-dir", place / "run")
    assert "made_with.yml: data.source_tokenizer.kind is 'characters' in this run" in line


def test_train_again_goes_on(place, capsys, tmp_path):
    words = ("train", place / "tiny.yml", "training.updates=3", "--run-dir", tmp_path / "run")
    assert json.loads(run(capsys, *words, "--json"))["step"] == 3
    words = ("train", place / "tiny.yml", "--run-dir", tmp_path / "run", "training.updates=6")
    main(list(map(str, words)))
    assert "going on from update 3" in capsys.readouterr().err


def test_translate_gives_a_line_for_every_line(place, capsys, tmp_path):
    given, made = tmp_path / "in.txt", tmp_path / "out.txt"
    given.write_text("abba\n\nxyz \u2028 \N{CAT FACE}\n\nb", encoding="utf-8")
    run(capsys, "translate", place / "run", "--input", given, "--output", made)
    assert made.read_text().count("\n") == 5
    assert sorted(tmp_path.iterdir()) == [given, made]
    assert run(capsys, "translate", place / "run", "--input", given) == made.read_text()


def test_translate_reads_the_standard_input(place, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfab\r\nb\n")))
    first, second = run(capsys, "translate", place / "run", "--json").splitlines()
    assert json.loads(first)["source"] == "ab"
    assert json.loads(second)["source"] == "b"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\n\xff\n")))
    line = fails(capsys, "translate", place / "run")
    assert "standard input:2: expected UTF-8, got byte 0xff at column 1" in line


def test_translate_writes_columns_of_scores(place, capsys, tmp_path):
    (tmp_path / "in.txt").write_text("abba\nb\n")
    words = ("translate", place / "run", "--input", tmp_path / "in.txt", "--num-hypotheses", 2)
    for line in run(capsys, *words, "--scores").splitlines():
        first, _, second, _ = line.split("\t")
        assert float(first) >= float(second)
    texts = [line.split("\t") for line in run(capsys, *words).splitlines()]
    as_json = [json.loads(line) for line in run(capsys, *words, "--json").splitlines()]
    assert [[h["text"] for h in row["hypotheses"]] for row in as_json] == texts


def test_broken_input_leaves_the_old_output(place, capsys, tmp_path):
    given, made = tmp_path / "in.txt", tmp_path / "out.txt"
    given.write_bytes(b"ab\n\xff\n")
    made.write_text("old")
    line = fails(capsys, "translate", place / "run", "--input", given, "--output", made)
    assert f"{given}:2: expected UTF-8" in line
    assert made.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [given, made]
    line = fails(capsys, "translate", place / "run", "--output", tmp_path / "none" / "out.txt")
    assert "expected a folder that exists" in line


def test_search_options_reach_the_search(place, capsys, tmp_path):
    (tmp_path / "in.txt").write_text("abba\n")
    words = ("translate", place / "run", "--input", tmp_path / "in.txt")
    assert run(capsys, *words, "--max-length", 0) == "\n"
    line = fails(capsys, *words, "--num-hypotheses", 9)
    assert "num_hypotheses: expected 1 to 3, got 9" in line


def test_evaluate_scores_what_translate_writes(place, capsys, tmp_path):
    words = ("evaluate", place / "run", "--output", tmp_path / "out.txt", "--json")
    scores = json.loads(run(capsys, *words))
    assert list(scores) == ["lines", "accuracy", "perplexity", "wer", "per", "signatures"]
    assert list(scores["signatures"]) == ["accuracy", "perplexity", "wer", "per"]
    found = (tmp_path / "out.txt").read_text().splitlines()
    wrong = sum(text != " ".join(word).upper() for word, text in zip(WORDS, found, strict=True))
    assert scores["wer"] == pytest.approx(100 * wrong / len(WORDS))
    assert scores["lines"] == len(WORDS)
    assert 0 < scores["accuracy"] < 1
    assert scores["perplexity"] > 1


def test_evaluate_takes_other_pairs(place, capsys, tmp_path):
    (tmp_path / "a.txt").write_text("ab\n\n")
    (tmp_path / "b.txt").write_text("A B\nA\n")
    words = ("evaluate", place / "run", "--source", tmp_path / "a.txt")
    table = run(capsys, *words, "--target", tmp_path / "b.txt", "--metrics", "exact", "ter")
    assert [line.split()[0] for line in table.splitlines()] == ["lines", "exact", "ter"]
    assert table.splitlines()[2].endswith(f"|version:{sacrebleu.__version__}")
    assert "expected --source and --target, or --pairs alone" in fails(capsys, *words)
    line = fails(capsys, "evaluate", place / "run", "--metrics", "blue")
    assert "expected some of accuracy, perplexity, bleu" in line


@pytest.fixture(scope="module")
def served(place):
    """HOST:PORT of `keras-s2s serve` over the exported run, in a process of its own."""
    base = place / "export" / "tiny"
    assert main(["export", str(place / "run"), str(base)]) == 0
    words = ["serve", "--model_name=tiny", f"--model_base_path={base}", "--port=0"]
    command = [sys.executable, "-m", "keras_s2s", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            said = server.stdout.readline()
            assert said.startswith("serving tiny version 1 at ")
            yield said.split()[-1]
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0
        finally:
            server.kill()


def test_predict_says_what_translate_says(place, served, capsys, monkeypatch, tmp_path):
    asked = ("predict", "--server", served, "--model", "tiny")
    texts = ["abba", "", "b", "\N{CAT FACE}"]
    given = ("\n".join(texts) + "\n").encode()
    (tmp_path / "in.txt").write_bytes(given)
    own = run(capsys, "translate", place / "run", "--input", tmp_path / "in.txt")
    assert run(capsys, *asked, *texts) == own
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert run(capsys, *asked, "-") == own
    (line,) = run(capsys, *asked, "ab", "--num-hypotheses", 3, "--scores").splitlines()
    assert len(line.split("\t")) == 6


@pytest.mark.slow
def test_a_model_is_named_the_same_way_everywhere(place, served, capsys, tmp_path):
    (tmp_path / "in.txt").write_text("abba\n\nb\n")
    (tmp_path / "pairs.tsv").write_text("abba\tA B B\nb\t\n")
    commands = (
        ("translate", "--input", tmp_path / "in.txt", "--n-best=2", "--alignment=pharaoh"),
        ("translate", "--input", tmp_path / "in.txt", "--sample", "--seed=3"),
        ("score", "--pairs", tmp_path / "pairs.tsv", "--level=word"),
        ("attention", "--text=abba"),
    )
    models = (place / "run", place / "export" / "tiny", f"grpc://{served}/tiny")
    for name, *words in commands:
        own, export, server = (run(capsys, name, model, *words) for model in models)
        assert own.strip()
        assert export == own
        assert server == own
    line = fails(capsys, "translate", models[1], "--ensemble", place / "run", *commands[0][1:3])
    assert f"--ensemble: expected runs, got {models[1]}" in line


def test_inspect_shows_an_export(place, served, capsys):
    directory = place / "export" / "tiny"
    text = run(capsys, "inspect", directory)
    assert text.startswith(f"{directory / '1'}: SavedModel, ")
    assert "\nsignature serving_default\n" in text
    found = json.loads(run(capsys, "inspect", directory / "1", "--json"))
    assert found["signatures"]["serving_default"]["inputs"] == {
        "text": {"dtype": "string", "shape": [None]}
    }


def test_predict_goes_on_after_a_text_the_server_refuses(served, capsys):
    words = ["predict", "--server", served, "--model", "tiny", "--json", "ab" * 600, "b"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    found = [json.loads(line)["hypotheses"] for line in out.splitlines()]
    assert [len(hypotheses) for hypotheses in found] == [0, 1]
    assert err.startswith("keras-s2s: error: line 1: text tokens: expected 0 to 1024, got 1200")


def test_a_reader_that_has_gone_is_no_error(served):
    predict = f"'{sys.executable}' -m keras_s2s predict --server {served} --model tiny"
    command = f"yes ab | head -n 300 | {predict} --json | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[2]}}"], capture_output=True
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


def test_predict_names_what_is_not_there(served, capsys):
    asked = ("predict", "--timeout", 5, "--server")
    assert "localhost:1" in fails(capsys, *asked, "localhost:1", "--model", "tiny", "ab")
    assert "other" in fails(capsys, *asked, served, "--model", "other", "ab")


def test_serve_names_what_is_wrong(place, served, capsys):
    words = ("serve", "--model_name=tiny", "--model_base_path")
    assert f"{place / 'none'}" in fails(capsys, *words, place / "none", "--port=0")
    port = served.rpartition(":")[2]
    assert port in fails(capsys, *words, place / "export" / "tiny", f"--port={port}")


def test_export_refuses_a_version_that_exists(place, served, capsys):
    base = place / "export" / "tiny"
    line = fails(capsys, "export", place / "run", base, "--version", 1)
    assert "version: expected one that is free, got 1" in line
    assert "got a path that does not exist" in fails(capsys, "export", place / "none", base)
    assert "got a folder without config.yml" in fails(capsys, "translate", base.parent)
    assert sorted(path.name for path in base.iterdir()) == ["1"]


@pytest.mark.slow
def test_training_publishes_its_best(place, capsys, tmp_path):
    words = ("train", place / "tiny.yml", "export.when=best", "export.keep=1")
    run(capsys, *words, "--run-dir", tmp_path / "run")
    (kept,) = (tmp_path / "run" / "export").iterdir()
    best = json.loads((tmp_path / "run" / "best" / "checkpoint.json").read_text())
    assert kept.name == str(best["step"])


def test_output_to_a_folder_a_full_device_and_a_link(place, capsys, tmp_path):
    (tmp_path / "in.txt").write_text("abba\n")
    words = ("translate", place / "run", "--input", tmp_path / "in.txt", "--output")
    assert "expected a file, got a folder" in fails(capsys, *words, tmp_path)
    full = subprocess.run(
        [sys.executable, "-m", "keras_s2s", *map(str, words), "/dev/full"],
        capture_output=True,
        text=True,
    )
    assert full.returncode == 2
    assert full.stderr.endswith("keras-s2s: error: /dev/full: No space left on device\n")
    (tmp_path / "link.txt").symlink_to(tmp_path / "out.txt")
    run(capsys, *words, tmp_path / "link.txt")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "out.txt").read_text().count("\n") == 1


def test_interrupt_ends_with_130(monkeypatch, place):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_s2s.cli.train.import_tensorflow", interrupted)
    assert main(["train", str(place / "tiny.yml")]) == 130
