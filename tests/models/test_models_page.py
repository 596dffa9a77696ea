"""docs/models.md: every part is in it, and every configuration in it makes what it says."""

import re

import pytest
import yaml

from keras_s2s.attention.factory import ATTENTIONS
from keras_s2s.cli import main
from keras_s2s.config import ModelConfig, Noise, Objectives
from keras_s2s.losses.criterion import Criterion
from keras_s2s.models import KINDS, build, parts
from tests.system.test_readme import ROOT

TEXT = (ROOT / "docs" / "models.md").read_text()
ROWS = [
    [cell.strip(" `") for cell in line.split("|")[1:-1]]
    for line in TEXT.splitlines()
    if line.startswith("| ")
][2:]


def small(model):
    """The model of a row with parts of eight units."""
    sides = {side: {"units": 8, **model.get(side, {})} for side in ("encoder", "decoder")}
    if "encoders" in sides["encoder"]:
        del sides["encoder"]["units"]
    if model.get("head", {}).get("kind") == "pointer_network":
        sides["encoder"]["bidirectional"] = False
    return ModelConfig(**{**model, **sides})


@pytest.mark.parametrize(("part", "paper", "places", "text"), ROWS, ids=[r[3] for r in ROWS])
def test_a_row_makes_what_it_says(part, paper, places, text):
    for place in places.replace("`", "").split(", "):
        assert (ROOT / "keras_s2s" / place).is_file()
    said = yaml.safe_load(text)
    model = build(small(said.get("model", {})), 11, 11)
    for side in ("encoder", "decoder", "head"):
        kind = said.get("model", {}).get(side, {}).get("kind")
        assert kind is None or type(getattr(model, side)) is KINDS[side][kind]
    if "training" in said:
        objectives = Objectives(**said["training"]["objectives"])
        assert not objectives.is_cross_entropy_only and list(Criterion(objectives, model).terms)
    if "data" in said:
        assert Noise(**said["data"]["noise"]) != Noise()


def test_every_kind_is_on_the_page_and_in_the_catalogue(capsys):
    said = " ".join(row[3] for row in ROWS)
    for kind in [*(kind for kinds in KINDS.values() for kind in kinds), *ATTENTIONS]:
        assert re.search(rf"\b(kind|attention): {kind}\b", said), kind
    assert main(["catalog", "--parts"]) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert lines == [[row["part"], row["kind"], row["what"]] for row in parts()]
    listed = {(row["part"], row["kind"]) for row in parts()}
    assert listed >= {(part, kind) for part in KINDS for kind in KINDS[part]}
    assert listed >= {("attention", kind) for kind in ATTENTIONS}
    assert {("positions", "alibi"), ("positions", "t5"), ("objective", "r_drop")} <= listed
    assert all(re.fullmatch(r"\S.*\.", row["what"]) for row in parts())
