"""Every preset of the catalogue, tiny: exported by the command line, proved, and verified."""

import pytest

from keras_s2s.cli import main
from keras_s2s.config import Decoding
from keras_s2s.export.model_card import read_card
from keras_s2s.models import PRESETS, build
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.tokenizers import Pointers
from keras_s2s.translator import Translator
from tests.export.tiny_models import shrink_preset, tokenizers
from tests.references import randomise

pytestmark = pytest.mark.slow

# What gives vectors has its own tests, in test_frames.py.
OF_TOKENS = [name for name, preset in PRESETS.items() if preset["head"]["kind"] != "regression"]


@pytest.mark.parametrize("preset", OF_TOKENS)
def test_a_preset_is_exported_proved_and_verified(preset, tmp_path, capsys):
    pair = tokenizers()
    if preset == "pointer_network":
        pair = pair[0], Pointers(pair[0])
    model = randomise(build(shrink_preset(preset), *(one.size for one in pair)), scale=0.3)
    assert model.count_params() < 50_000  # 33 thousand are two tables of 1024 positions
    run, base = tmp_path / "run", tmp_path / "served"
    Translator(model, *pair, Decoding(beam_size=2, max_length=8)).save(run)
    assert main(["export", str(run), str(base)]) == 0  # proved, or it is not published
    assert capsys.readouterr().out == f"{base / '1'}\n"
    assert main(["verify", str(run), str(base)]) == 0
    assert "all answers equal" in capsys.readouterr().out
    assert read_card(base / "1")["sizes"]["parameters"] == model.count_params()
    with LocalModel(base) as served:  # the target's vocabulary lacks h
        found = served.translate(["a h b", "a b"], prefix_tokens=["h"], max_length=4)
    first = [hypotheses[0].tokens[0] for hypotheses in found]
    assert first == ["h" if model.supports_copy else "<unk>", "<unk>"]
