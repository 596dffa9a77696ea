"""Signature `translate` of a LiteRT file from string to string, with tf.text's operations."""

import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_text as tf_text
from ai_edge_litert.interpreter import Interpreter, InterpreterWithCustomOps
from sentencepiece import SentencePieceProcessor

from keras_s2s import cli
from keras_s2s.config import Decoding, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.export.litert import sentencepiece_support, string_signature
from keras_s2s.export.litert.converter import check_operations
from keras_s2s.export.litert.exporter import export_litert_translator
from keras_s2s.export.litert.sentencepiece_kernels import KernelDetokenizer, KernelTokenizer
from keras_s2s.export.litert.string_signature import (
    ODD_TEXTS,
    OPERATIONS,
    TOO_MANY_BYTES,
    verify_string_signature,
)
from keras_s2s.export.model_card import read_card
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import LONG
from keras_s2s.serving import EdgeTranslator
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.tokenizers import Bytes, SentencePiece, sentencepiece_model, train
from keras_s2s.tokenizers.sentencepiece_training import train_sentencepiece
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.export.tiny_models import tokenizers

RANDOM = random.Random(1)
WORDS = ["".join(RANDOM.choices("abcdefgh\u00e9\u4e2d", k=k % 7 + 1)) for k in range(90)]
LINES = [" ".join(RANDOM.choices(WORDS, k=8)) for _ in range(200)]
# Characters with and without codes of their own in the kernels.
PARTS = [
    *"abcdefgh\u00e9\u4e2dz ",
    " ",
    " ",
    " ",
    "\u2581",
    "\t",
    "\n",
    "\0",
    "\u3000",
    "\u200b",
    "\u00ad",
    "\u0301",
    "\u0308",
    "e\u0301",
    "\ufb01",
    "\u00b4",
    "\u0385",
    "\U0001f600",
    "\U00010348",
    "\ufffd",
    "\ufdfa",
    "\u1100\u1161",
    "<unk>",
    "<s>",
]


def unigram():
    return train(TokenizerConfig(kind="sentencepiece", size=120), LINES)


def changed(tokenizer, change):
    """The tokenizer after `change` has edited its model."""
    proto = sentencepiece_model.parse_model(tokenizer.model_file()[1])
    change(proto)
    return SentencePiece(proto.SerializeToString())


def translator_of(source, target, parts=("gru", "gru", "softmax"), **decoding):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "SOURCE_SIZE", source.size)
        patch.setattr(models, "TARGET_SIZE", target.size)
        # TensorFlow's seed would drop the models that SentencePiece's operation has loaded
        patch.setattr(models.keras.utils, "set_random_seed", random.seed)
        model = models.make(*parts)
    return Translator(
        model,
        source,
        target,
        Decoding(beam_size=2, max_length=9) if not decoding else Decoding(**decoding),
    )


@pytest.fixture(scope="module")
def side():
    return unigram()


@pytest.fixture(scope="module")
def exported(side, tmp_path_factory):
    translator = translator_of(side, side)
    directory = tmp_path_factory.mktemp("pieces")
    return translator, export_litert_translator(translator, directory, text_operations=True)


def interpreter(path):
    registrar = tf_text.tflite_registrar.SELECT_TFTEXT_OPS
    return InterpreterWithCustomOps(model_path=str(path), custom_op_registerers=registrar)


@pytest.fixture(scope="module")
def run(exported):
    return interpreter(exported[1] / "model.tflite").get_signature_runner("translate")


def column(*texts):
    given = np.empty(len(texts), np.object_)
    given[:] = [one if isinstance(one, bytes) else one.encode() for one in texts]
    return given


@pytest.mark.slow
def test_translations_equal_those_of_keras(exported, run):
    texts = [*WORDS[:5], LINES[0], *ODD_TEXTS, *LONG, TOO_MANY_BYTES]
    given = column(*texts)
    expected = exported[0].predict("serving_default", {"text": given})
    for i, text in enumerate(texts):
        found = run(text=given[i : i + 1])
        assert found["text"].tolist() == [expected["text"][i]], text[:40]
        np.testing.assert_allclose(found["score"], expected["score"][i : i + 1], atol=1e-4)
    assert len({*expected["text"]}) > 5


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 2, 5])
def test_other_batch_sizes_are_refused_and_the_next_call_succeeds(run, count):
    with pytest.raises(RuntimeError, match=f"num_input_elements != .*{count} != 1"):
        run(text=column(*"abcde"[:count]))
    assert run(text=column("a"))["text"].shape == (1,)


def test_kernel_tokenizes_as_sentencepiece(side):
    texts = ["".join(RANDOM.choices(PARTS, k=k % 9 + 1)) for k in range(3000)]
    mine = side.ids(side.tokenize(texts)).to_list()
    assert KernelTokenizer(side).tokenize_batch(texts).to_list() == mine


def test_unknown_characters_do_not_affect_the_text_after_them(side):
    # "aaa" is a + aa or aa + a, with equal scores: rounding decides, which depends on the prefix.
    def free(proto):
        for piece in proto.pieces:
            piece.score = {"a": -2.7182817, "aa": -3.1415927}.get(piece.piece, piece.score)

    tied = changed(side, free)
    package = SentencePieceProcessor(model_proto=tied.model_file()[1])
    numbers = {piece: i for i, piece in enumerate(tied.vocabulary)}
    texts = ["\U0001f600 b" * n + "aaa" * m for n in range(1, 12) for m in range(1, 6)]
    expected = [[numbers.get(piece, 1) for piece in package.encode(x, out_type=str)] for x in texts]
    assert KernelTokenizer(tied).tokenize_batch(texts).to_list() == expected


def test_kernel_detokenizes_as_sentencepiece(side):
    detokenize, size = KernelDetokenizer(side), len(side.vocabulary)
    space = side.vocabulary.index(sentencepiece_model.SPACE)
    odd = [[], [1], [space, space, 1, space], [space, 4, space], [0, 2, 3, space, 5], [3], [1, 1]]
    for ids in [*odd, *(RANDOM.choices(range(size), k=k % 9 + 1) for k in range(300))]:
        expected = side.detokenize(side.strings(np.array([ids], np.int32)))
        assert detokenize(np.array(ids, np.int32)).numpy().tolist() == expected.numpy().tolist()


@pytest.mark.slow
def test_card_and_operations_name_the_custom_operations(exported):
    content = (exported[1] / "model.tflite").read_bytes()
    with pytest.raises(UserError, match="built-in operations alone, got TFText>ByteSplit"):
        check_operations(content)
    with pytest.raises(UserError, match="alone, got TFText>ByteSplitWithOffsets$"):
        check_operations(content, OPERATIONS[1:])
    assert check_operations(content, OPERATIONS)["CUSTOM"] == 3
    figures = read_card(exported[1])["litert"]
    assert figures["custom_operations"] == {"translate": list(OPERATIONS)}
    assert "FastSentencepieceTokenize" in (exported[1] / "assets.extra/model_card.md").read_text()


@pytest.mark.slow
def test_edge_translator_needs_no_custom_operations(exported):
    translator, edge = exported[0], EdgeTranslator(exported[1] / "model.tflite")
    assert edge.translate(WORDS[:3]) == translator.translate(WORDS[:3])
    with pytest.raises(ValueError, match="got 'translate', which needs TFText>Byte"):
        edge.run("translate", text=column("a"))


@pytest.mark.slow
def test_interpreter_without_them_runs_the_other_signatures(exported):
    plain = Interpreter(model_path=str(exported[1] / "model.tflite"))
    with pytest.raises(RuntimeError, match="unresolved custom op: TFText>"):
        plain.get_signature_runner("translate")(text=column("a"))
    source = {"ids": np.array([[4, 3]], np.int32), "lengths": np.array([2], np.int32)}
    target = {"targets": np.array([[4]], np.int32), "target_lengths": np.array([1], np.int32)}
    found = plain.get_signature_runner("score")(**source, **target)
    assert found["log_prob"].shape == (1,)


@pytest.mark.slow
def test_other_answer_fails_verification(exported, tmp_path, monkeypatch):
    path = exported[1] / "model.tflite"

    def other(*given):
        found = real(*given)
        if len(given) == 4:
            found[0]["text"] = column("x!")
        return found

    real = string_signature.run_file
    monkeypatch.setattr(string_signature, "run_file", other)
    with pytest.raises(
        VerificationError, match="signature translate, text 'abc': expected .* got .*x!"
    ):
        verify_string_signature(path, tmp_path, ["abc"])


@pytest.mark.slow  # another export
def test_overlong_text_in_float16(exported, tmp_path):
    path = (
        export_litert_translator(
            exported[0], tmp_path, quantization="float16", text_operations=True
        )
        / "model.tflite"
    )
    found = interpreter(path).get_signature_runner("translate")(text=column(LONG[0]))
    assert found["text"].tolist() == [b""]
    assert found["score"].tolist() == [np.float32(MISSING_SCORE)]


def refuse(expected, translator, tmp_path):
    with pytest.raises(UserError, match=f"^text_operations: expected {expected}"):
        export_litert_translator(translator, tmp_path, text_operations=True)
    assert not [*tmp_path.iterdir()]


def test_unsupported_models_are_refused(side, tmp_path, monkeypatch):
    refuse(
        "a model that does not copy, got one that does",
        translator_of(side, side, ("bigru", "gru", "pointer")),
        tmp_path,
    )
    refuse(
        "default options of a plain search, got others",
        translator_of(side, side, no_repeat_ngram=2),
        tmp_path,
    )
    refuse(
        "a source of kind sentencepiece, got whitespace",
        translator_of(tokenizers()[0], side),
        tmp_path,
    )
    refuse("a target of kind sentencepiece, got bytes", translator_of(side, Bytes()), tmp_path)
    tagged = SentencePiece(side.model_file()[1], ["<2de>"])
    refuse("a source without special tokens, got <2de>", translator_of(tagged, side), tmp_path)
    monkeypatch.setattr(
        sentencepiece_support.importlib.util,
        "find_spec",
        lambda name: None if name == "tensorflow_text" else name,
    )
    refuse("the package tensorflow-text, got none", translator_of(side, side), tmp_path)


def set_rule(name, value):
    return lambda proto: setattr(proto.normalizer_spec, name, value)


def set_type(piece, kind):
    def change(proto):
        found = next(one for one in proto.pieces if one.piece == piece)
        found.type = type(found).Type.Value(kind)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (set_rule("precompiled_charsmap", b""), "that normalises texts, got the rule nmt_nfkc"),
        (set_rule("add_dummy_prefix", False), "with add_dummy_prefix, got one without"),
        (set_rule("remove_extra_whitespaces", False), "with remove_extra_whitespaces, got"),
        (set_type("a", "USER_DEFINED"), "of normal pieces alone, got user_defined 'a'"),
        (set_type("a", "UNUSED"), "of normal pieces alone, got unused 'a'"),
        (set_type("\u2581", "CONTROL"), "with the piece \u2581, got one without"),
        (lambda proto: proto.pieces.add(piece="a\u2581", score=-9.0), "without \u2581 at the end"),
        (lambda proto: proto.pieces.add(piece="<s>\0", score=-9.0), "without NUL or special names"),
    ],
    ids=lambda x: x.split(",")[0] if isinstance(x, str) else "",
)
def test_unusual_pieces_and_normalizations_are_refused(side, change, expected, tmp_path):
    refuse(f"a target model {expected}", translator_of(side, changed(side, change)), tmp_path)


def test_byte_fallback_and_bpe_are_refused(side, tmp_path):
    target = SentencePiece(train_sentencepiece("unigram", 400, LINES, byte_fallback=True))
    refuse(
        "a target model of normal pieces alone, got byte '<0x00>'",
        translator_of(side, target),
        tmp_path,
    )
    source = SentencePiece(train_sentencepiece("bpe", 120, LINES))
    refuse("a source model of type unigram, got bpe", translator_of(source, side), tmp_path)


def test_model_that_the_kernel_tokenizes_differently_is_refused(side, tmp_path, monkeypatch):
    refuse(
        "a source model .* whole vocabulary, got '\U0001f600' of the vocabulary alone",
        translator_of(SentencePiece(side.model_file()[1], vocabulary=["\U0001f600", "a"]), side),
        tmp_path,
    )
    monkeypatch.setattr(
        KernelTokenizer, "tokenize_batch", lambda self, texts: side.ids(side.tokenize(texts))[:, 1:]
    )
    refuse(
        "a source model by which .* SentencePiece does, got one by which it cuts 'a' otherwise",
        translator_of(side, side),
        tmp_path,
    )


@pytest.mark.slow
def test_custom_operations_load_without_tensorflow(exported):
    """Only the registrar is imported, with TensorFlow's shared library loaded."""
    code = f"""
import ctypes, importlib.util, sys
from pathlib import Path
place = {{name: Path(importlib.util.find_spec(name).origin).parent for name in
         ("tensorflow", "tensorflow_text")}}
ctypes.CDLL(str(place["tensorflow"] / "libtensorflow_framework.so.2"))
spec = importlib.util.spec_from_file_location(
    "tflite_registrar", place["tensorflow_text"] / "core/pybinds/tflite_registrar.so")
registrar = importlib.util.module_from_spec(spec)
spec.loader.exec_module(registrar)
from ai_edge_litert.interpreter import InterpreterWithCustomOps
import numpy as np
interpreter = InterpreterWithCustomOps(
    model_path={str(exported[1] / "model.tflite")!r},
    custom_op_registerers=[getattr(registrar, name) for name in
                           ("AddByteSplit", "AddByteSplitByOffsets",
                            "AddFastSentencepieceTokenize", "AddFastSentencepieceDetokenize")])
found = interpreter.get_signature_runner("translate")(text=np.array([b"abc"], np.object_))
assert "tensorflow" not in sys.modules
print(found["text"][0].decode())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == exported[0].translate(["abc"])[0].strip(), done.stderr


def test_command(tmp_path, monkeypatch, capsys):
    options = {}
    monkeypatch.setattr(
        "keras_s2s.export.export_litert",
        lambda *args, **kwargs: options.update(kwargs),
        raising=False,
    )
    assert cli.main(["export", "run", str(tmp_path), "--format", "litert"]) == 0
    assert options["text_operations"] is False
    command = ["export", "run", str(tmp_path), "--text-operations"]
    assert cli.main([*command, "--format", "litert"]) == 0
    assert options["text_operations"] is True
    assert cli.main(command) == 2
    assert (
        "--text-operations: expected no value with --format saved_model" in capsys.readouterr().err
    )
