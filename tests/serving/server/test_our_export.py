"""A model of ours, exported and served: the client gives what the translator gives in process."""

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

    path = tmp_path_factory.mktemp("ours")
    export_translator(translator, path)
    return path


def assert_alike(found, expected):
    """Rows of hypotheses, equal but for rounding."""
    assert [len(row) for row in found] == [len(row) for row in expected]
    for one, other in zip(sum(found, []), sum(expected, []), strict=True):
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
    found = client.translate(TEXTS, **options)
    assert_alike(found, expected)
    for one in sum(found, []):
        assert one.alignment.shape == (len(one.tokens), len(one.source_tokens))
        assert len(one.token_log_probs) == len(one.tokens) + 1
        assert sum(one.token_log_probs) == pytest.approx(one.log_prob, abs=1e-4)


def test_serving_default_takes_the_text_alone(client, translator):
    found = client.predict("serving_default", {"text": TEXTS})
    assert found["text"].tolist() == translator.translate(TEXTS)


def test_a_wrong_option_refuses_its_row_alone(client):
    with pytest.raises(RowError, match="^row 1: num_hypotheses: expected 1 to 2") as caught:
        client.translate(["a", "b"], beam_size=2, num_hypotheses=[2, 3])
    assert [len(row) for row in caught.value.results] == [2, 0]
    with pytest.raises(RowError, match=r"row 0: length_penalty: .* \(and 1 more of 2 rows\)"):
        client.translate(["a", "b"], length_penalty=float("nan"))


def test_metadata_tells_the_models_own_defaults(client):
    defaults = client.metadata().signatures["translate"].defaults
    own = {"beam_size": 3, "max_length": 12}
    assert {name: array.tolist() for name, array in defaults.items()} == {
        name: [pytest.approx(value) if isinstance(value, float) else value]
        for name, value in (
            (name, own.get(name, field.default)) for name, field in TRANSLATE.options().items()
        )
    }


def test_the_server_checks_types(client):
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
    assert_alike(client.sample(TEXTS, **options), translator.sample(TEXTS, **options))


def test_samples_are_drawn_by_their_seed(client):
    found = client.sample(["abc"] * 20, seed=list(range(20)))
    assert len({row[0].text for row in found}) > 10
    assert_alike(client.sample(["abc"] * 20, seed=list(range(20))), found)


def test_scores_agree_and_are_those_of_the_search(client, translator):
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
    found, expected = client.attention(TEXTS, targets), translator.attention(TEXTS, targets)
    for one, other in zip(found, expected, strict=True):
        assert (one.source_tokens, one.tokens) == (other.source_tokens, other.tokens)
        assert one.names == other.names != []
        shape = (len(one.names), len(one.tokens), len(one.source_tokens))
        assert one.attention.shape == shape
        np.testing.assert_allclose(one.attention, other.attention, atol=1e-5)
        np.testing.assert_allclose(one.attention.sum(2), np.ones(shape[:2]), atol=1e-4)
        # it is no Transformer
        assert (one.encoder_attention, one.decoder_attention) == (None, None)
        assert (one.encoder_names, one.decoder_names) == ([], [])


def test_a_target_that_is_too_long_refuses_its_row_alone(client):
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
def test_a_stream_ends_as_the_uncut_search(client, options, chunk):
    for text in TEXTS:
        *_, last = found = list(client.stream(text, chunk=chunk, alignment=True, **options))
        (uncut,) = client.translate([text], beam_size=1, **options)
        assert_alike([[last]], [uncut])
        for shorter, longer in zip(found, found[1:], strict=False):
            assert longer.tokens[: len(shorter.tokens)] == shorter.tokens


@pytest.mark.parametrize("chunk", [1, 3])
def test_a_stream_draws_as_the_uncut_sampling(client, chunk):
    for seed, text in enumerate(TEXTS * 3):
        options = {"seed": seed, "temperature": 0.8, "top_p": 0.95}
        *_, last = client.stream(text, chunk=chunk, sampling=True, alignment=True, **options)
        assert_alike([[last]], client.sample([text], **options))
