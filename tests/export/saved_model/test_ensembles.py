"""Ensembles as one export."""

import json

import numpy as np
import pytest

from keras_s2s import cli
from keras_s2s.config import Decoding
from tests.export.tiny_models import make_translator

TEXTS = ["a b c", "", "i h g f e d", "zz a"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    for number, parts in enumerate([("bigru", "gru", "softmax"), ("pre", "pre", "tied")]):
        translator = make_translator(Decoding(beam_size=3, max_length=6), parts)
        random = np.random.default_rng(number)
        for weight in translator.model.trainable_variables:
            weight.assign_add(random.normal(0, 0.3, weight.shape))
        translator.save(directory / str(number))
    (directory / "in.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    return directory


def translations(capsys, model, *words):
    form = ("--format", "json", "--num-hypotheses", "3", "--input")
    arguments = ("translate", model, *form, model.parent / "in.txt", *words)
    assert cli.main([str(word) for word in arguments]) == 0
    rows = map(json.loads, capsys.readouterr().out.splitlines())
    return [[(h["text"], h["score"]) for h in row["hypotheses"]] for row in rows]


@pytest.mark.slow
def test_ensemble_is_exported_as_one_model(directory, capsys):
    first, second = directory / "0", directory / "1"
    assert cli.main(["export", str(first), str(directory / "both"), "--ensemble", str(second)]) == 0
    capsys.readouterr()
    expected = translations(capsys, first, "--ensemble", second)
    actual = translations(capsys, directory / "both")
    assert [[text for text, _ in row] for row in actual] == [
        [t for t, _ in row] for row in expected
    ]
    for row, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose([s for _, s in row], [s for _, s in other], atol=1e-4)
    assert actual != translations(capsys, first)
    assert sum(map(len, actual)) == 3 * len(TEXTS)


def test_invalid_ensembles_are_reported(directory, capsys):
    first = str(directory / "0")
    for words, problem in (
        (["--ensemble", str(directory / "none")], "none"),
        (
            ["--ensemble", first, "--format", "ctranslate2"],
            "--ensemble: expected no value with --format",
        ),
        (["--ensemble", first, "--shortlist", "4"], "shortlist: expected none for an"),
    ):
        assert cli.main(["export", first, str(directory / "x"), *words]) == 2
        assert problem in capsys.readouterr().err
    assert not (directory / "x").exists()
