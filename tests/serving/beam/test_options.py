"""Search options of a corpus and their flags; Apache Beam is not needed."""

import numpy as np
import pytest

from keras_s2s.serving.beam import command_line, optional_beam, pipeline
from keras_s2s.serving.beam.options import check_options
from keras_s2s.signatures.fields import LIST_INPUTS, TRANSLATE

REQUIRED_FLAGS = ["--model", "m", "--input", "a", "--output", "o"]


def test_every_option_has_a_flag():
    argv = ["--model", "m", "--input", "a", "b", "--output", "o/"]
    options = {}
    for name, field in TRANSLATE.options().items():
        if field.dtype == "bool":
            argv, options[name] = [*argv, f"--{name}"], True
        elif name in LIST_INPUTS:
            argv = [*argv, f"--{name.replace('_', '-')}", "x y", "z"]
            options[name] = ["x y", "z"]
        else:
            argv, options[name] = [*argv, f"--{name}", str(field.default)], field.default
    flags, beam_flags = command_line.parse([*argv, "--runner", "X", "--direct_num_workers=2"])
    assert beam_flags == ["--runner", "X", "--direct_num_workers=2"]
    assert (flags.model, flags.input, flags.output) == ("m", ["a", "b"], "o/")
    assert {name: getattr(flags, name) for name in options} == options
    checked = check_options(options)
    assert checked.keys() == options.keys()
    assert checked["constraints"] == b"x y\nz"
    assert checked["beam_size"].dtype == np.int32


def test_omitted_options_are_none():
    flags, beam_flags = command_line.parse(REQUIRED_FLAGS)
    assert not beam_flags
    assert {getattr(flags, name) for name in TRANSLATE.options()} == {None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_sise": 2}, "unknown option 'beam_sise'.*did you mean 'beam_size'"),
        ({"beam_size": 2.5}, "beam_size: expected int32, got 2.5"),
        ({"beam_size": 0}, "^beam_size: expected at least 1, got 0"),
        ({"beam_size": [1, 2]}, r"^beam_size: expected one value for all texts, got \[1, 2\]"),
        ({"length_penalty": 20}, "^length_penalty: expected -10 to 10, got 20"),
        ({"length_penalty": float("nan")}, "^length_penalty: expected -10 to 10, got nan"),
        ({"constraints": ["a\nb"]}, "expected no line feed"),
        ({"text": "a"}, "unknown option 'text'"),
    ],
)
def test_invalid_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        check_options(options)


@pytest.mark.parametrize("batch_size", [0, 2.5, True])
def test_invalid_batch_size_is_named(batch_size, monkeypatch, base_path):
    monkeypatch.setattr(optional_beam, "apache_beam", object())
    with pytest.raises(ValueError, match=f"^batch_size: expected a .* got {batch_size}"):
        pipeline.Translate(base_path, batch_size=batch_size)


def test_missing_beam_names_the_extra(monkeypatch, capsys, base_path):
    monkeypatch.setattr(optional_beam, "apache_beam", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-s2s\[beam\]'"):
        pipeline.Translate(base_path)
    assert pipeline.main(REQUIRED_FLAGS) == 2
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1
    assert "error: Apache Beam is not installed" in stderr
