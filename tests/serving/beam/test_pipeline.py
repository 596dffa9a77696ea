"""The pipeline on Apache Beam, in a separate virtual environment; expectations by `Engine`."""

import gzip
import json
import random
import subprocess
import types
from pathlib import Path

import keras
import pytest

from keras_s2s.serving.beam.engine import Engine
from keras_s2s.serving.beam.rendering import hypothesis_to_dict

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
WORDS = ["one", "two", "three", "vier", "fünf", "六"]
COMMAND = ("-m", "keras_s2s.serving.beam.pipeline")
SMALL_BLOCKS = (
    "-c",
    "import sys; from keras_s2s.serving.beam import ordered_output, pipeline;"
    " ordered_output.BLOCK_LINES = 4; sys.exit(pipeline.main())",
)


@pytest.fixture(scope="module")
def python():
    """The Python interpreter with Apache Beam; its environment is created when missing."""
    subprocess.run([ROOT / "tools" / "beam-venv"], check=True)
    return ROOT / ".venv-beam" / "bin" / "python"


@pytest.fixture
def beam_run(python, tmp_path):
    def run(*words):
        command = [str(python), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
        errors = [line for line in done.stderr.splitlines() if line]
        return types.SimpleNamespace(status=done.returncode, out=done.stdout, errors=errors)

    return run


@pytest.fixture
def corpus(tmp_path):
    """Three files in `in/`; lines of invalid UTF-8 are None."""
    generator = random.Random(7)
    lines = [" ".join(generator.choices(WORDS, k=generator.randrange(9))) for _ in range(75)]
    lines[3], lines[20], lines[21] = "", None, None
    files = {"in/a.txt": lines[:50], "in/b.txt.gz": lines[50:], "in/empty.txt": []}
    (tmp_path / "in").mkdir()
    for name, rows in files.items():
        content = [b"a\xffb" if line is None else line.encode() for line in rows]
        content = b"".join(line + b"\n" for line in content)
        (tmp_path / name).write_bytes(gzip.compress(content) if name[-1] == "z" else content)
    return files


def test_text_output_keeps_line_numbers(beam_run, corpus, tmp_path, base_path):
    done = beam_run(
        *SMALL_BLOCKS,
        "--model",
        base_path,
        "--input",
        "in/*",
        "--output",
        "out/",
        "--runner",
        "DirectRunner",
        "--batch-size",
        4,
    )
    assert done.status == 0, done.errors
    engine = Engine(base_path / "1")
    for name, lines in corpus.items():
        expected = "".join(
            ("" if line is None else engine.translate([line])[0][0][0].text) + "\n"
            for line in lines
        )
        assert (tmp_path / "out" / name[3:].removesuffix(".gz")).read_text() == expected
    engine.close()
    errors = (tmp_path / "out/errors.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in errors] == [21, 22]
    assert json.loads(errors[0]) == {
        "file": "in/a.txt",
        "number": 21,
        "source": "a\ufffdb",
        "error": "expected UTF-8, got byte 0xff at column 2",
    }
    tokens = sum(len(line.split()) for line in sum(corpus.values(), []) if line)
    assert done.errors[-1] == f"75 lines, {tokens} tokens, 2 errors, see out/errors.jsonl"
    assert not list(tmp_path.glob("out/.parts-*"))


def test_json_output_of_several_processes(beam_run, corpus, tmp_path, base_path):
    done = beam_run(
        *COMMAND,
        "--model",
        base_path / "1",
        "--input",
        "in/a.txt",
        "in/b*.gz",
        "--output",
        "de",
        "--format",
        "jsonl",
        "--beam-size",
        4,
        "--num_hypotheses",
        3,
        "--constraints",
        "x y",
        "z",
        "--runner",
        "FnApiRunner",
        "--direct_running_mode",
        "multi_processing",
        "--direct_num_workers",
        2,
    )
    assert done.status == 0, done.errors
    options = {"beam_size": 4, "num_hypotheses": 3, "constraints": ["x y", "z"]}
    engine = Engine(base_path / "1", options)
    for name in ("in/a.txt", "in/b.txt.gz"):
        lines = [(n, line) for n, line in enumerate(corpus[name], 1) if line is not None]
        output = tmp_path / f"de-{name[3:].removesuffix('.gz')}.jsonl"
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        assert [(row["number"], row["source"]) for row in rows] == lines
        assert {row["file"] for row in rows} == {name}
        expected = engine.translate([line for _, line in lines])
        for row, (hypotheses, _) in zip(rows, expected, strict=True):
            assert row["hypotheses"] == [hypothesis_to_dict(one) for one in hypotheses]
    engine.close()
    assert len((tmp_path / "de.errors.jsonl").read_text().splitlines()) == 2


def test_transform_accepts_texts_and_pairs_and_loads_once(beam_run, tmp_path, base_path):
    script = tmp_path / "own.py"
    script.write_text(f"""
import apache_beam as beam
from keras_s2s.serving.beam import engine, pipeline

loads, load = [], engine.Engine.__init__
engine.Engine.__init__ = lambda *a: (loads.append(1), load(*a))[1]
texts = ["one", ("key", "two three"), ""]
with beam.Pipeline() as whole:
    translate = pipeline.Translate({str(base_path)!r}, {{"max_length": 1}}, 2, alignment=True)
    translated = whole | beam.Create(texts) | beam.Reshuffle() | translate
    translated.results | "Shape" >> beam.Map(lambda one: print(
        one.key, one.text, one.hypotheses[0].text, one.hypotheses[0].alignment.shape))
    translated.errors | "Error" >> beam.Map(lambda one: print(repr(one.text), one.error))
print(len(loads), "loaded")

for words in ([b"one"], [1]):
    try:
        with beam.Pipeline() as whole:
            whole | beam.Create(words) | translate
    except TypeError as error:
        print(error)
""")
    done = beam_run(script)
    assert done.status == 0, done.errors
    *rows, bytes_error, int_error = done.out.splitlines()
    expected = ["None one ONE (1, 2)", "key two three TWO (1, 3)", "None   (0, 1)", "1 loaded"]
    assert sorted(rows) == sorted(expected)
    assert "Translate: expected texts or pairs (key, text), got b'one'" in bytes_error
    assert "got 1" in int_error


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_error_is_the_last_line_and_no_file_remains(mode, beam_run, tmp_path, base_path):
    (tmp_path / "a.txt").write_text("a\nb\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"a\nb\n" * 9)[:-4])
    damaged = tmp_path / "damaged"
    (damaged / "3").mkdir(parents=True)
    (damaged / "3" / "saved_model.pb").write_bytes(b"no model")
    flags = {"--model": base_path, "--input": "a.txt", "--output": "out/"}
    for changes, message in (
        ({"--input": "cut.gz"}, r"cut.gz:19: cannot be read: Compressed file ended"),
        ({"--max_num_workerz": 2}, "--max_num_workerz: expected a flag of this command or of Beam"),
        ({"--model": damaged}, f"error: {damaged}/3: "),
        ({"--num-hypotheses": 9}, "every line was refused, the first one for: num_hypotheses"),
    ):
        all_flags = {**flags, "--direct_running_mode": mode, **changes}
        done = beam_run(*COMMAND, *(word for flag in all_flags.items() for word in flag))
        assert done.status == 2, done.errors
        assert message in done.errors[-1]
        assert not list(tmp_path.glob("out/.parts-*"))
        assert sorted(path.name for path in tmp_path.glob("out/*")) in (
            [],
            ["a.txt", "errors.jsonl"],
        )
    assert (tmp_path / "out/a.txt").read_text() == "\n\n"


def test_remote_export_is_copied(beam_run, tmp_path, base_path):
    script = tmp_path / "own.py"
    script.write_text(f"""
from pathlib import Path
from keras_s2s.serving.beam import exports
exports.open_raw = lambda path: open(path, "rb")
exports.copy_export({str(base_path / "1")!r}, Path("copy"))
""")
    assert beam_run(script).status == 0
    for path in (base_path / "1").rglob("*"):
        copy = tmp_path / "copy" / path.relative_to(base_path / "1")
        assert path.is_dir() or copy.read_bytes() == path.read_bytes()


@pytest.fixture
def translator(tmp_path):
    from keras_s2s import models
    from keras_s2s.config import Decoding, ModelConfig, TokenizerConfig
    from keras_s2s.export import export_translator
    from keras_s2s.tokenizers import train
    from keras_s2s.translator import Translator

    characters = TokenizerConfig(kind="characters", size=None)
    tokenizers = [train(characters, [letters]) for letters in ("abcdef ", "xyz ")]
    keras.utils.set_random_seed(5)
    model = ModelConfig(encoder={"units": 8}, decoder={"units": 8}, embedding=4)
    built = models.build(model, *(one.size for one in tokenizers))
    translator = Translator(built, *tokenizers, Decoding(beam_size=3, max_length=12))
    export_translator(translator, tmp_path / "ours")
    return translator


def test_exported_model_agrees_with_its_translator(beam_run, tmp_path, translator):
    lines = ["abc def", "", "e", "a" * 2000, "fed cab"]
    (tmp_path / "a.txt").write_text("".join(line + "\n" for line in lines))
    done = beam_run(
        *COMMAND,
        "--model",
        "ours",
        "--input",
        "a.txt",
        "--output",
        "out/",
        "--format",
        "jsonl",
        "--num-hypotheses",
        2,
        "--length-penalty",
        0.1,
    )
    assert done.status == 0, done.errors
    rows = [json.loads(line) for line in (tmp_path / "out/a.txt.jsonl").read_text().splitlines()]
    assert [row["number"] for row in rows] == [1, 2, 3, 5]
    expected = translator.decode(lines[:3] + lines[4:], num_hypotheses=2, length_penalty=0.1)
    for row, others in zip(rows, expected, strict=True):
        for one, other in zip(row["hypotheses"], others, strict=True):
            assert (one["text"], one["tokens"]) == (other.text, other.tokens)
            assert one["score"] == pytest.approx(other.score, abs=1e-4)
    (error,) = (tmp_path / "out/errors.jsonl").read_text().splitlines()
    error = json.loads(error)
    assert (error["number"], error["source"]) == (4, lines[3])
    assert "1024" in error["error"]
