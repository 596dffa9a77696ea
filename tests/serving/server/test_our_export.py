"""An exported and served model: the client agrees with the translator in process."""

import keras
import numpy as np
import pytest

from keras_s2s import models
from keras_s2s.config import Decoding, ModelConfig, TokenizerConfig
from keras_s2s.serving import RowError, errors
from keras_s2s.signatures.fields import TRANSLATE

TEXTS = ["abc def", "", "e", "zz 😀 abcabc", "日本"]


@pytest.fixture(scope="module")
def translator():
    from keras_s2s.tokenizers import train
    from keras_s2s.translator import Translator

    characters = TokenizerConfig(kind="characters", size=None)
    tokenizers = [train(characters, [letters]) for letters in ("abcdef ", "xyz ")]
    model = ModelConfig(
        encoder={"units": 8},
        decoder={"units": 8},
        head={"kind": "pointer_generator"},
        embedding=4,
    )
    keras.utils.set_random_seed(5)
    built = models.build(model, *(one.size for one in tokenizers))
    return Translator(built, *tokenizers, Decoding(beam_size=3, max_length=12))


@pytest.fixture(scope="module")
def base_path(translator, tmp_path_factory):
    from keras_s2s.export import export_translator

    path = tmp_path_factory.mktemp("export")
    export_translator(translator, path)
    return path


def assert_close(rows, expected):
    """Compares rows of hypotheses up to rounding."""
    assert [len(row) for row in rows] == [len(row) for row in expected]
    for one, other in zip(sum(rows, []), sum(expected, []), strict=True):
        for name in ("text", "tokens", "source_tokens", "finished"):
            assert getattr(one, name) == getattr(other, name)
        for name in ("score", "log_prob", "token_log_probs"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-4)
        if one.alignment is not None:
            np.testing.assert_allclose(one.alignment, other.alignment, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_size": 1, "num_hypotheses": 1},
        {"beam_size": 4, "num_hypotheses": 3, "length_penalty": 0.0, "max_length": 5},
        {"prefix_tokens": ["x", " "], "no_repeat_ngram": 2, "min_length": 5},
        {"constraints": ["zz", "y"], "max_length": 8, "repetition_penalty": 2.0},
        {"disallowed": [["x"], [], ["y", "z"], ["xyz"], []], "replace_unknown": True},
    ],
    ids=["defaults", "greedy", "beam", "prefix", "constraints", "disallowed"],
)
def test_client_and_translator_agree(client, translator, options):
    expected = translator.decode(TEXTS, **options)
    rows = client.translate(TEXTS, **options)
    assert_close(rows, expected)
    for one in sum(rows, []):
        assert one.alignment.shape == (len(one.tokens), len(one.source_tokens))
        assert len(one.token_log_probs) == len(one.tokens) + 1
        assert sum(one.token_log_probs) == pytest.approx(one.log_prob, abs=1e-4)


def test_serving_default_has_one_input(client, translator):
    outputs = client.predict("serving_default", {"text": TEXTS})
    assert outputs["text"].tolist() == translator.translate(TEXTS)


def test_invalid_option_rejects_only_its_row(client):
    with pytest.raises(RowError, match="^row 1: num_hypotheses: expected 1 to 2") as caught:
        client.translate(["a", "b"], beam_size=2, num_hypotheses=[2, 3])
    assert [len(row) for row in caught.value.results] == [2, 0]
    with pytest.raises(RowError, match=r"row 0: length_penalty: .* \(and 1 more of 2 rows\)"):
        client.translate(["a", "b"], length_penalty=float("nan"))


def test_metadata_has_the_models_defaults(client):
    defaults = client.metadata().signatures["translate"].defaults
    changed = {"beam_size": 3, "max_length": 12}
    assert {name: array.tolist() for name, array in defaults.items()} == {
        name: [pytest.approx(value) if isinstance(value, float) else value]
        for name, value in (
            (name, changed.get(name, field.default)) for name, field in TRANSLATE.options().items()
        )
    }


def test_server_checks_types(client):
    with pytest.raises(errors.InvalidArgument, match="to be int32 but float is provided"):
        client.predict("translate", {"text": ["a"], "beam_size": [2.5]})


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 3},
        {"seed": [1, 2, 3, 4, 5], "num_samples": 3, "temperature": 0.7, "max_length": 6},
        {"top_k": 3, "top_p": 0.9, "min_p": 0.1, "target_prefix": "xy"},
    ],
    ids=["one", "three", "truncated"],
)
def test_samples_agree(client, translator, options):
    assert_close(client.sample(TEXTS, **options), translator.sample(TEXTS, **options))


def test_samples_depend_on_the_seed(client):
    rows = client.sample(["abc"] * 20, seed=list(range(20)))
    assert len({row[0].text for row in rows}) > 10
    assert_close(client.sample(["abc"] * 20, seed=list(range(20))), rows)


def test_scores_agree_with_translator_and_search(client, translator):
    targets = ["xyz", "", "zz y", "q x", "x"]
    for one, other in zip(client.score(TEXTS, targets), translator.score(TEXTS, targets)):
        assert (one.tokens, one.words) == (other.tokens, other.words)
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-4)
        assert one.word_log_probs == pytest.approx(other.word_log_probs, abs=1e-4)
        assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-4)
        assert one.log_prob == pytest.approx(sum(one.word_log_probs), abs=1e-4)
    best = [row[0] for row in client.translate(TEXTS)]
    scored = client.score(TEXTS, target_tokens=[one.tokens for one in best])
    for one, other in zip(scored, best, strict=True):
        assert one.tokens[:-1] == other.tokens
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-4)


def test_attention_agrees(client, translator):
    targets = ["xyz", "", "zz y", "q x", "x"]
    maps, expected = client.attention(TEXTS, targets), translator.attention(TEXTS, targets)
    for one, other in zip(maps, expected, strict=True):
        assert (one.source_tokens, one.tokens) == (other.source_tokens, other.tokens)
        assert one.names == other.names != []
        shape = (len(one.names), len(one.tokens), len(one.source_tokens))
        assert one.attention.shape == shape
        np.testing.assert_allclose(one.attention, other.attention, atol=1e-5)
        np.testing.assert_allclose(one.attention.sum(2), np.ones(shape[:2]), atol=1e-4)
        # only a Transformer has these
        assert (one.encoder_attention, one.decoder_attention) == (None, None)
        assert (one.encoder_names, one.decoder_names) == ([], [])


def test_long_target_rejects_only_its_row(client):
    with pytest.raises(RowError, match="^row 1: target tokens: expected 0 to") as caught:
        client.score(["a", "b", "c"], ["x", "x" * 2000, "y"])
    assert [row is None for row in caught.value.results] == [False, True, False]


@pytest.mark.parametrize("chunk", [1, 3, 5])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_length": 7, "no_repeat_ngram": 2, "repetition_penalty": 1.5},
        {"max_length": 6, "target_prefix": "zy"},
        {"max_new_tokens": 4, "prefix_tokens": ["x"]},
    ],
    ids=["plain", "adjusted", "prefix", "limited"],
)
def test_stream_ends_with_the_result_of_one_search(client, options, chunk):
    for text in TEXTS:
        *_, last = stream = list(client.stream(text, chunk=chunk, alignment=True, **options))
        (whole,) = client.translate([text], beam_size=1, **options)
        assert_close([[last]], [whole])
        for shorter, longer in zip(stream, stream[1:], strict=False):
            assert longer.tokens[: len(shorter.tokens)] == shorter.tokens


@pytest.mark.parametrize("chunk", [1, 3])
def test_stream_ends_with_the_sample_of_one_call(client, chunk):
    for seed, text in enumerate(TEXTS * 3):
        options = {"seed": seed, "temperature": 0.8, "top_p": 0.95}
        *_, last = client.stream(text, chunk=chunk, sampling=True, alignment=True, **options)
        assert_close([[last]], client.sample([text], **options))
