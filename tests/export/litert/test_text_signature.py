"""Signature `translate` of a LiteRT file, with texts as numbers."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_s2s.config import Decoding, TokenizerConfig
from keras_s2s.export.litert import text_signature
from keras_s2s.export.litert.exporter import export_litert_translator
from keras_s2s.export.litert.text_signature import (
    decode_text,
    encode_text,
    supports_text_signature,
    verify_text_signature,
)
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.tokenizers import Bytes, train
from keras_s2s.translator import Translator
from tests.conformance import models

TEXTS = [
    "",
    "a",
    "abc cab",
    "a\0b",
    "\n\t",
    "zz\ufffd",
    "h\u00e9llo \u4e2d",
    "\U0001f600 a",
    "ab" * 40,
]


def characters():
    return train(TokenizerConfig(kind="characters", size=None), ["abc d\u00e9\u4e2d\U0001f600"])


@pytest.fixture(
    scope="module", params=["characters", pytest.param("bytes", marks=pytest.mark.slow)]
)
def exported(request, tmp_path_factory):
    side = characters() if request.param == "characters" else Bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "SOURCE_SIZE", side.size)
        patch.setattr(models, "TARGET_SIZE", side.size)
        model = models.make("gru", "gru", "softmax")
    translator = Translator(model, side, side, Decoding(beam_size=2, max_length=9))
    path = export_litert_translator(translator, tmp_path_factory.mktemp("texts"))
    return translator, path / "model.tflite"


def test_translations_equal_those_of_keras(exported):
    translator, path = exported
    run = Interpreter(model_path=str(path)).get_signature_runner("translate")
    side = translator.source_tokenizer
    for text, expected in zip(TEXTS, translator.decode(TEXTS)):
        codes = encode_text(side, text)
        found = run(text=np.array([*codes, 7], np.int32), length=np.array([len(codes)], np.int32))
        assert decode_text(side, found["text"][: found["length"][0]].tolist()) == expected[0].text
        np.testing.assert_allclose(found["score"], [expected[0].score], atol=1e-4)


def test_numbers_that_are_no_text_are_unknown(exported):
    run = Interpreter(model_path=str(exported[1])).get_signature_runner("translate")
    scores = []
    for number in (-1, -(2**31), 2**31 - 1, 0x10FFFF):
        decode_text = np.array([number], np.int32)
        scores.append(run(text=decode_text, length=np.array([1], np.int32))["score"][0])
        for length in (-5, 9, 2**31 - 1):
            found = run(text=decode_text, length=np.array([length], np.int32))
            assert 0 <= found["length"][0] < len(found["text"])
    assert len(set(scores)) == 1


def test_batch_is_refused_and_the_next_call_succeeds(exported):
    run = Interpreter(model_path=str(exported[1])).get_signature_runner("translate")
    with pytest.raises((RuntimeError, ValueError)):
        run(text=np.ones([2, 3], np.int32), length=np.array([3], np.int32))
    found = run(text=np.ones(3, np.int32), length=np.array([3], np.int32))
    assert found["score"].shape == (1,)


def test_other_answer_fails_verification(exported, tmp_path, monkeypatch):
    translator, path = exported
    monkeypatch.setattr(text_signature, "decode_text", lambda *args: decode_text(*args) + "!")
    with pytest.raises(
        VerificationError, match="signature translate, text 'a': expected .* got .*!'"
    ):
        verify_text_signature(translator, path, tmp_path, ["a"])


def test_other_tokenizers_and_constrained_defaults_are_not_supported(monkeypatch):
    side, words = characters(), train(TokenizerConfig(kind="whitespace", size=None), ["a b"])

    def is_supported(source, target, **decoding):
        monkeypatch.setattr(models, "SOURCE_SIZE", source.size)
        monkeypatch.setattr(models, "TARGET_SIZE", target.size)
        model = models.make("gru", "gru", "softmax")
        return supports_text_signature(Translator(model, source, target, Decoding(**decoding)))

    assert is_supported(side, Bytes())
    assert not is_supported(side, words)
    assert not is_supported(side, Bytes(["<2de>"]))
    assert not is_supported(side, side, no_repeat_ngram=2)
