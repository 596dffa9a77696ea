"""The command line: what it says, what it writes, and with which status it ends."""

import pytest

from keras_s2s import __version__
from keras_s2s.cli import main


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
        (["trian", "x.yml"], "came trian; the nearest is train"),
        (["xxx"], "expected one of vocab, train, translate, evaluate, export, serve, predict"),
        ([], "required: COMMAND"),
        (["train"], "required: CONFIG"),
        (["translate", "run", "--bean-size", "3"], "unrecognized arguments: --bean-size"),
        (["translate", "run", "--beam-size", "0"], "a whole number of at least 1, came 0"),
        (["translate", "run", "--beam-size", "x"], "a whole number of at least 1, came x"),
        (["translate", "run", "--length-penalty", "nan"], "a number of at least 0, came nan"),
        (["export", "run", "x", "--checkpoint", "bets"], "came bets; the nearest is best"),
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
        "came: No such file or directory\n"
    )


def test_unknown_key_names_the_nearest(capsys, tmp_path):
    path = tmp_path / "x.yml"
    path.write_text("training:\n  update: 3\n")
    line = fails(capsys, "train", path)
    assert f"{path}:2: unknown key training.update; the nearest is training.updates" in line
    line = fails(capsys, "train", path, "training.update=1")
    assert "unknown key training.update" in line
    assert not (tmp_path / "runs").exists()
