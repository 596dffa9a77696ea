"""Corpora on Apache Beam: what needs no Beam: options, files, the model, what is written."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_s2s.serving import errors
from keras_s2s.serving.beam import command, io, optional_beam, pipeline
from keras_s2s.serving.beam.engine import Engine
from keras_s2s.signatures.fields import TRANSLATE
from keras_s2s.signatures.responses import Hypothesis

WORDS = ["--model", "m", "--input", "a", "--output", "o"]


@pytest.fixture(scope="module")
def engine(base_path):
    engine = Engine(base_path / "1")
    yield engine
    engine.close()


def texts_of(found):
    return [[one.text for one in hypotheses] for hypotheses, _ in found]


# Options and words


def test_every_option_of_the_table_is_a_flag():
    argv = ["--model", "m", "--input", "a", "b", "--output", "o/"]
    given = {}
    for name, field in TRANSLATE.options().items():
        if field.dtype == "bool":
            argv, given[name] = [*argv, f"--{name}"], True
        elif name in command.LISTS:
            argv, given[name] = [*argv, f"--{name.replace('_', '-')}", "x y", "z"], ["x y", "z"]
        else:
            argv, given[name] = [*argv, f"--{name}", str(field.default)], field.default
    found, rest = command.parse([*argv, "--runner", "X", "--direct_num_workers=2"])
    assert rest == ["--runner", "X", "--direct_num_workers=2"]
    assert (found.model, found.input, found.output) == ("m", ["a", "b"], "o/")
    assert {name: getattr(found, name) for name in given} == given
    checked = pipeline.check_options(given)
    assert checked.keys() == given.keys()
    assert checked["constraints"] == b"x y\nz"
    assert checked["beam_size"].dtype == np.int32


def test_options_that_are_left_out_are_the_exports():
    found, rest = command.parse(WORDS)
    assert not rest
    assert {getattr(found, name) for name in TRANSLATE.options()} == {None}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"beam_sise": 2}, "unknown option 'beam_sise'.*did you mean 'beam_size'"),
        ({"beam_size": 2.5}, "beam_size must be int32, not 2.5"),
        ({"beam_size": 0}, "^beam_size: expected at least 1, came 0"),
        ({"beam_size": [1, 2]}, r"^beam_size: expected one value for all texts, came \[1, 2\]"),
        ({"length_penalty": 20}, "^length_penalty: expected -10 to 10, came 20"),
        ({"length_penalty": float("nan")}, "^length_penalty: expected -10 to 10, came nan"),
        ({"constraints": ["a\nb"]}, "must not hold a newline"),
        ({"text": "a"}, "unknown option 'text'"),
    ],
)
def test_a_wrong_option_is_named(options, problem):
    with pytest.raises(ValueError, match=problem):
        pipeline.check_options(options)


def test_without_beam_the_extra_is_named(monkeypatch, capsys, base_path):
    monkeypatch.setattr(optional_beam, "apache_beam", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-s2s\[beam\]'"):
        pipeline.Translate(base_path)
    assert pipeline.main(WORDS) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "error: Apache Beam is not installed" in told


# Files


def test_exports_are_found(base_path, tmp_path):
    version = str(base_path / "1")
    assert io.find_export(f"{version}/") == io.find_export(base_path) == version
    for name in ("2", "10", ".tmp-11"):
        (tmp_path / name).mkdir()
        shutil.copy(base_path / "1" / "saved_model.pb", tmp_path / name)
    (tmp_path / "12").mkdir()
    assert io.find_export(tmp_path) == str(tmp_path / "10")
    for wrong in (tmp_path / "12", tmp_path / "none"):
        with pytest.raises(ValueError, match=f"^{wrong}: expected an export"):
            io.find_export(wrong)


def test_inputs_are_found_once_and_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt.gz", "sub/a.txt", "x[1].txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    found = io.find_inputs(["./b.txt", "*.txt", "*.gz", "x[1].txt"])
    assert found == ["a.txt.gz", "./b.txt", "x[1].txt"]
    assert io.find_inputs(["**/*.txt"]) == ["b.txt", "sub/a.txt", "x[1].txt"]
    for none in ("c.txt", "*.tsv", "sub"):
        with pytest.raises(ValueError, match="^--input .* came none$"):
            io.find_inputs([none])


@pytest.mark.parametrize(
    ("prefix", "inputs", "suffix", "outputs", "errors"),
    [
        ("out/", ["d/a.txt.gz", "d/b"], ".jsonl", ["out/a.txt.jsonl", "out/b.jsonl"], "out/"),
        ("out/de", ["d/a.txt"], "", ["out/de-a.txt"], "out/de."),
        ("o/", ["d/x/a", "d/y/a"], "", ["o/x/a", "o/y/a"], "o/"),
        ("o/", ["gs://b/c/x/a", "gs://b/c/a"], "", ["o/x/a", "o/a"], "o/"),
        ("o/", ["gs://b/a", "gs://c/a"], "", ["o/b/a", "o/c/a"], "o/"),
    ],
    ids=range(5),
)
def test_outputs_are_named_after_inputs(prefix, inputs, suffix, outputs, errors):
    found = io.name_outputs(prefix, inputs, suffix)
    assert found == (outputs, f"{errors}errors.jsonl")


def test_no_output_takes_the_place_of_another_file():
    with pytest.raises(ValueError, match="^--output o/: the output o/a for d/a.gz is that for d/a"):
        io.name_outputs("o/", ["d/a", "d/a.gz"], "")
    with pytest.raises(ValueError, match="the output ./d/a for d/a is the input d/a too"):
        io.name_outputs("./d/", ["d/a"], "")
    with pytest.raises(ValueError, match="for errors is the input d/errors.jsonl too"):
        io.name_outputs("d/", ["d/errors.jsonl"], ".x")


def test_lines_are_read_as_training_reads_them(tmp_path):
    text = b"\xef\xbb\xbfa\r\n\n\xff\nb\x85c\rd"
    for path, content in (("a", text), ("a.gz", gzip.compress(text[:6]) + gzip.compress(text[6:]))):
        (tmp_path / path).write_bytes(content)
        found = list(io.read_lines(str(tmp_path / path)))
        assert found == [b"a", b"", b"\xff", b"b\x85c\rd"]


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"a\nb\n" * 9)[:-4])
    with pytest.raises(ValueError, match=rf"^{path}:\d+: cannot be read: Compressed file ended"):
        list(io.read_lines(str(path)))
    with pytest.raises(ValueError, match=":1: cannot be read: .*No such file"):
        list(io.read_lines(str(tmp_path / "none")))


# The model


def test_the_engine_agrees_with_the_client(engine, base_path, client):
    texts = ["one two", "", "three", "vier fünf 六"]
    options = {"beam_size": 4, "num_hypotheses": 3, "length_penalty": 0.0, "constraints": ["x"]}
    for given in ({}, options, pipeline.check_options(options)):
        model = Engine(base_path / "1", given, alignment=True)
        found = model.translate(texts)
        expected = client.translate(texts, **(options if given else {}))
        model.close()
        assert [error for _, error in found] == [""] * 4
        for (row, _), others in zip(found, expected, strict=True):
            for one, other in zip(row, others, strict=True):
                np.testing.assert_array_equal(one.alignment, other.alignment)
                assert {**vars(one), "alignment": 0} == {**vars(other), "alignment": 0}
    assert engine.translate(["a"])[0][0][0].alignment is None


def test_refused_rows_carry_their_error(base_path):
    model = Engine(base_path / "1", {"num_hypotheses": 3, "beam_size": 2})
    assert model.translate(["a", "b"]) == [([], "num_hypotheses must be at most beam_size")] * 2
    model.close()


def test_a_batch_that_cannot_run_is_tried_in_halves(engine, monkeypatch):
    translate, sizes, kind = engine._model.translate, [], errors.ResourceExhausted

    def tight(texts, **options):
        sizes.append(len(texts))
        if len(texts) > 2 or "bad" in texts:
            raise kind("out of memory", address="a", model="m")
        return translate(texts, **options)

    monkeypatch.setattr(engine._model, "translate", tight)
    found = engine.translate(["a", "bad", "c", "d"])
    assert texts_of(found) == [["A"], [], ["C"], ["D"]]
    assert [error for _, error in found] == ["", "out of memory", "", ""]
    assert sizes == [4, 2, 1, 1, 2]
    kind = errors.InternalError  # no row's fault: the runner may try again elsewhere
    with pytest.raises(errors.InternalError):
        engine.translate(["a", "bad"])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda found: found.pop("translate"), "expected the signature translate, came .*slow"),
        (lambda found: found["translate"].inputs.pop("beam_size"), "no input 'beam_size'"),
        (lambda found: found["translate"].outputs.pop("score"), "no output 'score'"),
        (lambda found: found["translate"].defaults.pop("max_length"), "no default of 'max_length'"),
    ],
    ids=["signature", "input", "output", "default"],
)
def test_an_export_without_what_is_asked_is_named(base_path, monkeypatch, change, problem):
    from keras_s2s.serving.server import local_model

    class Poor(local_model.LoadedModel):
        def __init__(self, directory):
            super().__init__(directory)
            change(self.signatures)

    monkeypatch.setattr(local_model, "LoadedModel", Poor)
    with pytest.raises(ValueError, match=f"^{base_path}/1: .*{problem}"):
        Engine(base_path / "1", {"beam_size": 2})


def test_an_export_that_does_not_load_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ValueError, match=f"^{tmp_path}: "):
        Engine(tmp_path)


# What is written


def test_results_are_rendered():
    found = tuple(
        Hypothesis(text, np.float32(-0.1), -np.inf, ["a"], [], None, True, [-0.5, -1e9])
        for text in ("a\tb\nc", "d")
    )
    one = pipeline.Result("s", found[:1], "", (1, 20_001))
    inputs = ["x", "y"]
    assert command.render(one, inputs, "text") == [((1, 1, 2), (20_001, b"a\tb c"))]
    two = pipeline.Result("s", found, "", (1, 7))
    assert command.render(two, inputs, "text")[0][1] == (7, b"a b c\td")
    ((place, (_, line)),) = command.render(one, inputs, "jsonl")
    row = json.loads(line)
    assert place == (1, 1, 2)
    assert (row["file"], row["number"], row["source"]) == ("y", 20_001, "s")
    assert row["hypotheses"] == [
        {
            "text": "a\tb\nc",
            "score": -0.1,
            "log_prob": None,
            "tokens": ["a"],
            "token_log_probs": [-0.5, -1e9],
            "finished": True,
        }
    ]


def test_a_refused_line_is_an_error_and_an_empty_line():
    refused = pipeline.Result("é", (), "why", (0, 3))
    error, *rest = command.render(refused, ["x"], "jsonl")
    told = {"file": "x", "number": 3, "source": "é", "error": "why"}
    assert (error[0], json.loads(error[1][1])) == ((1, 0, 0), told)
    assert not rest
    assert command.render(refused, ["x"], "text") == [error, ((0, 0, 0), (3, b""))]
