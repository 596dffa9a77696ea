"""The listing of presets with sizes and papers, in Python and on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s.cli import catalog, main
from keras_s2s.config import ModelConfig
from keras_s2s.errors import UserError
from keras_s2s.models import PAPERS, PRESETS, build, count_parameters, listing, parts
from tests.models.test_builder import SIZES, SOURCE_SIZE, V, shrunk

FAST = ("transformer_relative", "rnnsearch")


@pytest.mark.parametrize("preset", ["gru", "gnmt", "convs2s", "transformer_relative"])
def test_parameters_equal_those_of_the_built_model(preset):
    config = shrunk(preset)
    assert count_parameters(config, SOURCE_SIZE, V) == build(config, SOURCE_SIZE, V).count_params()


@pytest.mark.parametrize(
    "preset",
    [pytest.param(p, marks=[] if p in FAST else pytest.mark.slow) for p in SIZES],
)
def test_parameters_by_hand(preset):
    assert count_parameters(ModelConfig(preset=preset), SOURCE_SIZE, V) == SIZES[preset]


def test_unknown_preset():
    with pytest.raises(UserError, match="model.preset: .*the nearest is 'gnmt'"):
        count_parameters(ModelConfig(preset="gmnt"), SOURCE_SIZE, V)


def test_every_preset_names_its_paper():
    assert list(PAPERS) == list(PRESETS)
    cited = [p for p, paper in PAPERS.items() if "arXiv:" in paper or "D19-5632" in paper]
    assert [p for p in PRESETS if p not in cited] == ["noisy_gated", "noisy_linear"]


SOME = ("gru_small", "transformer_tiny")


@pytest.mark.parametrize("names", [SOME, pytest.param((), marks=pytest.mark.slow)])
def test_the_command(names, capsys):
    result = listing(100, *([names] if names else []))
    assert [row["name"] for row in result] == list(names or PRESETS)
    assert main(["catalog", *names, "--vocabulary", "100"]) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first == "parameters with 100 tokens on either side"
    for row, preset in zip(rows, result, strict=True):
        name, parameters, paper = row.split(maxsplit=2)
        assert (name, paper) == (preset["name"], preset["paper"])
        assert int(parameters.replace(",", "")) == preset["parameters"]


def test_the_table_of_the_command_lists_all_presets_and_parts():
    table = json.loads((Path(catalog.__file__).parent / catalog.TABLE).read_text(encoding="utf-8"))
    remedy = "run tools/catalog, which writes the table anew"
    assert {row["name"]: row["paper"] for row in table["presets"]} == PAPERS, remedy
    assert [row["name"] for row in table["presets"]] == list(PRESETS), remedy
    assert table["parts"] == parts(), remedy


def test_the_command_needs_no_tensorflow():
    code = (
        "import sys; from keras_s2s.cli import main\n"
        "main(['catalog']); main(['catalog', '--parts'])\n"
        "print('tensorflow' in sys.modules, 'keras' in sys.modules, file=sys.stderr)"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert completed.stderr == "False False\n"


def test_the_command_as_json(capsys):
    assert main(["catalog", "gru_small", "--vocabulary", "100", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == {"vocabulary": 100, "presets": listing(100, ["gru_small"])}


def test_the_command_with_an_unknown_preset(capsys):
    assert main(["catalog", "gru_smal"]) == 2
    assert "the nearest is 'gru_small'" in capsys.readouterr().err


def test_the_command_with_an_invalid_vocabulary(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["catalog", "--vocabulary", "3"])
    assert "expected an integer of at least 4, got 3" in capsys.readouterr().err
