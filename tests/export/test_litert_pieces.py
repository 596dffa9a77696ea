"""Text to text within a LiteRT file by tf.text's operations: strings, with what Keras gives."""

import dataclasses
import importlib.util
import io
import json

import numpy as np
import pytest
import sentencepiece
from ai_edge_litert.interpreter import Interpreter, InterpreterWithCustomOps
from tensorflow_text import tflite_registrar

from keras_s2s.config import Decoding, UserError
from keras_s2s.export import litert_pieces
from keras_s2s.export.comparing import NotProven
from keras_s2s.export.litert import export_litert_translator
from keras_s2s.serving import EdgeTranslator
from keras_s2s.tokenizers import Bytes, SentencePiece
from keras_s2s.translator import Translator
from tests.conformance import models

TEXTS = ["", " ", "the cat sat", "  on  the mat ", "\U0001f600 dog", "h\u00e9llo \u4e2d", "ab" * 40]
LINES = ["the cat sat on the mat", "a dog ran to the other dog", "cats and dogs and mats"] * 20


def trained(**options):
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=made, minloglevel=2, hard_vocab_limit=False,
        **{"vocab_size": 60, "model_type": "unigram", **options},
    )  # fmt: skip
    return SentencePiece(made.getvalue())


def translator_of(side, target=None, decoding=None):
    target = target or side
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "SOURCE_SIZE", side.size)
        patch.setattr(models, "TARGET_SIZE", target.size)
        model = models.make("gru", "gru", "softmax")
    # Seeds, which a model is made with, end the resources of tokenizers that there are.
    side, target = fresh(side), None if target is side else target
    return Translator(model, side, target or side, decoding or Decoding(beam_size=2, max_length=9))


def fresh(side):
    return SentencePiece(side.model_file()[1], side.special_tokens)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    translator, base = translator_of(trained()), tmp_path_factory.mktemp("pieces")
    path = export_litert_translator(translator, base, text_operations=True)
    return translator, path


@pytest.fixture(scope="module")
def run(made):
    interpreter = InterpreterWithCustomOps(
        model_path=str(made[1] / "model.tflite"),
        custom_op_registerers=tflite_registrar.SELECT_TFTEXT_OPS,
    )
    return interpreter.get_signature_runner("translate")


def strings(*texts):
    return np.array([text.encode() for text in texts], np.object_)


def test_texts_are_translated_as_keras_translates_them(made, run):
    for text, expected in zip(TEXTS, made[0].decode(TEXTS), strict=True):
        found = run(text=strings(text))
        assert [one.decode() for one in found["text"]] == [expected[0].text]
        np.testing.assert_allclose(found["score"], [expected[0].score], atol=1e-4)


def test_pieces_are_joined_as_keras_joins_them(made):
    side = made[0].target_tokenizer
    pieces, rng = litert_pieces._Pieces(side), np.random.default_rng(1)
    space = side.vocabulary.index("\N{LOWER ONE EIGHTH BLOCK}")
    for _ in range(200):
        ids = rng.integers(4, side.size, rng.integers(1, 6)).astype(np.int32)
        ids[0] = rng.choice([ids[0], space, 1])
        expected = side.detokenize(np.array([[side.vocabulary[i] for i in ids]]))
        assert pieces.text(ids).numpy()[0] == expected.numpy()[0]
    assert pieces.text(np.array([space, space], np.int32)).numpy()[0] == b""


def test_other_numbers_of_texts_are_refused_and_the_next_call_is_not(run):
    for texts in (("a", "the cat"), ("a", "b", "c")):
        with pytest.raises((RuntimeError, ValueError)):
            run(text=strings(*texts))
        assert len(run(text=strings("the cat"))["text"]) == 1


def test_a_text_beyond_the_cap_has_no_translation(made, run):
    found = run(text=strings("cat " * (made[0].caps["source_length"] + 1)))
    assert found["text"].tolist() == [b""]
    assert found["score"][0] < -1e8


def test_a_host_without_the_operations_has_the_other_signatures(made):
    path = made[1] / "model.tflite"
    with pytest.raises(RuntimeError, match="custom"):
        Interpreter(model_path=str(path)).get_signature_runner("translate")(text=strings("a"))
    edge = EdgeTranslator(path)
    assert edge.translate(TEXTS) == [found[0].text for found in made[0].decode(TEXTS)]


def test_the_card_names_the_operations(made):
    (card,) = (json.loads(p.read_text()) for p in made[1].rglob("*.json"))
    assert card["litert"]["custom_operations"] == [*litert_pieces.OPERATIONS]


def test_a_file_that_answers_otherwise_is_not_proved(made, tmp_path, monkeypatch):
    monkeypatch.setattr(litert_pieces, "_answers", lambda *_: [b"other"])
    with pytest.raises(NotProven, match="signature translate, text b'a': expected .*, came b'o"):
        litert_pieces.check_pieces(made[1] / "model.tflite", tmp_path, ["a"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_type": "bpe"}, "a source of a unigram model, came bpe"),
        ({"byte_fallback": True, "vocab_size": 330}, "a source of normal pieces alone, came byte"),
        ({"user_defined_symbols": ["<x>"]}, "a source of normal pieces alone, came byte fallback"),
        ({"remove_extra_whitespaces": False}, "a source that makes runs of spaces one, came a mod"),
    ],
)
def test_models_that_the_operations_cut_otherwise_are_refused(options, message):
    with pytest.raises(UserError, match=f"text_operations: expected {message}"):
        litert_pieces.check_offered(translator_of(trained(**options)))


def test_what_else_is_refused(made, monkeypatch):
    side = made[0].source_tokenizer
    check = litert_pieces.check_offered
    with pytest.raises(UserError, match="a target of SentencePiece's pieces, came bytes"):
        check(translator_of(side, Bytes()))
    marked = SentencePiece(side.model_file()[1], special_tokens=["<x>"])
    with pytest.raises(UserError, match="a source without special tokens, came 1"):
        check(translator_of(marked))
    penalty = dataclasses.replace(Decoding(), repetition_penalty=1.5)
    with pytest.raises(UserError, match="the options of a plain search, came others"):
        check(translator_of(side, decoding=penalty))
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow_text" else find(name)
    )
    with pytest.raises(UserError, match="expected the package tensorflow-text, came none"):
        check(made[0])
