"""`export --format ctranslate2`."""

from keras_s2s.cli import main
from keras_s2s.translator import Translator
from tests.export.ctranslate2.transformer_models import PAIR, make


def test_by_the_command(tmp_path, capsys):
    Translator(make("pre", "pre", "none", PAIR), *PAIR).save(tmp_path / "run")
    words = ["export", str(tmp_path / "run"), str(tmp_path / "model"), "--format", "ctranslate2"]
    assert main([*words, "--quantize", "int2"]) == 2
    assert "quantization: expected one of int8, int8_" in capsys.readouterr().err
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'model'}\n"
    assert (tmp_path / "model" / "model.bin").is_file()
