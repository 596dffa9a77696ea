"""A model of ours, exported and served: the client gives what the translator gives in process."""

import keras
import numpy as np
import pytest

from keras_s2s import catalog
from keras_s2s.config import Decoding, ModelConfig, TokenizerConfig
from keras_s2s.serving import RowError, errors

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
    built = catalog.build(model, *(one.size for one in tokenizers))
    return Translator(built, *tokenizers, Decoding(beam_size=3, max_length=12))


@pytest.fixture(scope="module")
def base_path(translator, tmp_path_factory):
    from keras_s2s.export import export_translator

    path = tmp_path_factory.mktemp("ours")
    export_translator(translator, path)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_size": 1, "num_hypotheses": 1},
        {"beam_size": 4, "num_hypotheses": 3, "length_penalty": 0.0, "max_length": 5},
    ],
    ids=["defaults", "greedy", "beam"],
)
def test_client_and_translator_agree(client, translator, options):
    expected = translator.decode(TEXTS, **options)
    found = client.translate(TEXTS, **options)
    assert [len(row) for row in found] == [len(row) for row in expected]
    for one, other in zip(sum(found, []), sum(expected, []), strict=True):
        for name in ("text", "tokens", "source_tokens", "finished"):
            assert getattr(one, name) == getattr(other, name)
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
        np.testing.assert_allclose(one.alignment, other.alignment, atol=1e-5)
        assert one.alignment.shape == (len(one.tokens), len(one.source_tokens))


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
    assert {name: array.tolist() for name, array in defaults.items()} == {
        "beam_size": [3],
        "length_penalty": [pytest.approx(0.6)],
        "max_length": [12],
        "num_hypotheses": [1],
    }


def test_the_server_checks_types(client):
    with pytest.raises(errors.InvalidArgument, match="to be int32 but float is provided"):
        client.predict("translate", {"text": ["a"], "beam_size": [2.5]})
