"""Factors and several sources: in the model, in the translator, and in exports."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import models
from keras_s2s.config import Config, Decoding, FactorSizes, ModelConfig, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.export import export_litert_translator, export_translator
from keras_s2s.serving.errors import RowError
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.tokenizers import train
from keras_s2s.training import train as train_run
from keras_s2s.translator import Translator
from tests.export.feature_models import letters, randomize

GRU = {"kind": "recurrent", "units": 8}
PRE = {"kind": "transformer", "units": 8, "num_layers": 1, "num_heads": 2, "hidden_units": 8}
WORD = {"kind": "whitespace", "size": None}
PARTS = [WORD, WORD]
KINDS = {
    "factors": (["a￨X b￨Y c￨X d￨Z"], ["a￨X b￨Z c￨Y", "d￨Y", "", "a new￨X"], PRE),
    "sources": (
        ["a b c\td e", "b\tf g"],
        ["a c\td e f", "\tg", "b\t", "c new\te"],
        {"kind": "parallel", "encoders": [PRE, PRE]},
    ),
}
HEADS = {"factors": {"kind": "softmax"}, "sources": {"kind": "pointer_generator"}}


def tokenizer(kind):
    parts = [TokenizerConfig(**part) for part in PARTS]
    return train(TokenizerConfig(kind=kind, parts=parts), KINDS[kind][0])


def translator(kind):
    keras.utils.set_random_seed(3)
    source, target = tokenizer(kind), letters("a b c d e f g")
    model = ModelConfig(
        embedding=8,
        encoder=KINDS[kind][2],
        head=HEADS[kind],
        decoder={**GRU, "bridge": "zero"},
    )
    model = randomize(models.build(model, source.input_size, target.size))
    return Translator(model, source, target, Decoding(beam_size=2, max_length=6), {"max_length": 8})


@pytest.fixture(scope="module", params=["factors", "sources"])
def exported(request, tmp_path_factory):
    local, texts = translator(request.param), KINDS[request.param][1]
    pairs = [(text, "a b c") for text in texts]
    return local, texts, export_translator(local, tmp_path_factory.mktemp("export"), pairs=pairs)


@pytest.mark.slow
def test_client_results_equal_those_of_the_translator(exported):
    # LocalModel answers from a Session of TensorFlow 1, as TensorFlow Serving does
    local, texts, path = exported
    with LocalModel(path) as client:
        found = client.translate(texts, num_hypotheses=2)
    expected = local.decode(texts, num_hypotheses=2)
    assert any(row[0].text for row in expected)
    for one, two in zip(expected, found, strict=True):
        assert [h.text for h in one] == [h.text for h in two]
        np.testing.assert_allclose([h.score for h in one], [h.score for h in two], atol=1e-4)
        assert one[0].source_tokens == two[0].source_tokens


def test_source_tokens_have_no_marks():
    found = translator("factors").attention(["a￨X new￨Z"], ["a b"])[0]
    assert list(found.source_tokens) == ["a", "new", "</s>"]
    assert np.shape(found.attention)[-2:] == (3, 3)
    found = translator("sources").attention(["a c\td new"], ["a b"])[0]
    assert list(found.source_tokens) == ["a", "c", "|||", "d", "new", "</s>"]
    assert np.shape(found.attention)[-2:] == (3, 6)
    np.testing.assert_allclose(np.sum(found.attention, -1), 1.0, atol=1e-5)
    maps = np.array(found.encoder_attention)  # each encoder looks at its own source alone
    assert list(found.encoder_names)[0].startswith("encoder 1")
    assert np.all(maps[:2, 3:] == 0) and np.all(maps[2:, :3] == 0)
    np.testing.assert_allclose(maps[:2, :3, :3].sum(-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(maps[2:, 3:, 3:].sum(-1), 1.0, atol=1e-5)


def test_unknown_token_is_replaced_by_the_word_only():
    local = translator("factors")
    local.model.head.trainable_weights[-1].assign(
        tf.one_hot(1, local.model.vocabulary_size) * 50.0  # everything is unknown
    )
    found = local.translate(["new￨X"], replace_unknown=True, max_length=2)
    assert set(found[0].split()) == {"new"}


@pytest.mark.slow
def test_the_number_of_sources_is_checked_row_by_row(exported):
    local, _, path = exported
    if local.source_tokenizer.kind == "factors":
        return
    with LocalModel(path) as client, pytest.raises(RowError, match="expected 2 parts") as caught:
        client.translate(["a\tb", "a"])
    assert caught.value.results[0][0].text == local.translate(["a\tb"])[0]


@pytest.mark.slow
def test_rows_are_independent(exported):
    local, texts, _ = exported
    alone = [local.decode([text])[0][0] for text in texts]
    for one, two in zip(alone, local.decode(texts), strict=True):
        assert one.text == two[0].text
        np.testing.assert_allclose(one.score, two[0].score, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_litert_export_is_refused(kind, tmp_path):
    with pytest.raises(UserError, match=f"litert expected a source of one text, got {kind}"):
        export_litert_translator(translator(kind), tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"combine": "mean"}, "model.source.combine: expected concat or sum, got 'mean'"),
        ({"widths": [4, 3]}, "model.source.widths: expected 2 positive integers whose sum is the"),
        ({"widths": [4, 4], "combine": "sum"}, "model.source.widths: expected none beside sum"),
        ({"norm": True}, "model.source.norm: expected none for a side of text"),
    ],
)
def test_invalid_factors_are_refused(source, message):
    model = ModelConfig(embedding=8, encoder=GRU, decoder=GRU, source=source)
    with pytest.raises(UserError, match=message):
        models.build(model, FactorSizes((7, 6)), 9)


def test_widths_of_factors():
    found = {}
    for name, source in (("left", {}), ("own", {"widths": [5, 3]}), ("sum", {"combine": "sum"})):
        model = ModelConfig(embedding=8, encoder=GRU, decoder=GRU, source=source)
        tables = models.build(model, FactorSizes((7, 6)), 9).source.embeddings
        found[name] = [tuple(one.table.shape) for one in tables]
    assert found == {"left": [(7, 7), (6, 1)], "own": [(7, 5), (6, 3)], "sum": [(7, 8), (6, 8)]}


@pytest.mark.parametrize(
    "encoder",
    [
        GRU,
        {"kind": "parallel", "encoders": [GRU] * 3},
        {"kind": "parallel", "encoders": [GRU] * 2, "combine": "sum"},
    ],
)
def test_several_sources_need_as_many_encoders(encoder):
    model = ModelConfig(embedding=8, encoder=encoder, decoder={**GRU, "bridge": "zero"})
    with pytest.raises(UserError, match="model.encoder: expected kind parallel, 2 encoders"):
        models.build(model, tokenizer("sources").input_size, 9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_from_a_configuration_to_a_translator(kind, tmp_path):
    known, _, encoder = KINDS[kind]
    files = {"source": known[0] + "\n", "target": "a b c\n"}
    for side, text in files.items():
        (tmp_path / side).write_text(text * 20)
    config = {
        "data": {
            "train": {side: str(tmp_path / side) for side in files},
            "source_tokenizer": {"kind": kind, "parts": PARTS},
            "target_tokenizer": WORD,
        },
        "model": {"embedding": 8, "encoder": encoder, "decoder": {**GRU, "bridge": "zero"}},
        "training": {"updates": 2},
        "decoding": {"beam_size": 2, "max_length": 4},
    }
    train_run(Config.from_dict(config), tmp_path / "run", stream=io.StringIO())
    trained = Translator.load(tmp_path / "run")
    assert trained.source_tokenizer.vocabulary == tokenizer_of(kind, known[:1]).vocabulary
    assert len(trained.decode([known[0]])[0][0].source_tokens) == {"factors": 5, "sources": 7}[kind]
    trained.save(tmp_path / "copy")
    again = Translator.load(tmp_path / "copy")
    assert again.translate([known[0]]) == trained.translate([known[0]])


def tokenizer_of(kind, lines):
    parts = [TokenizerConfig(**part) for part in PARTS]
    return train(TokenizerConfig(kind=kind, parts=parts), lines)
