"""Files made by version 0.1.0 before its modules and classes were renamed."""

import json
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_s2s.models  # noqa: F401  registers the classes of saved models
from keras_s2s import Config, Translator
from keras_s2s.serving import EdgeTranslator
from keras_s2s.serving.local import LocalModel

FILES = Path(__file__).parent / "files"
MODELS = json.loads((FILES / "models.json").read_text())
TRANSLATIONS = json.loads((FILES / "translations.json").read_text())
OPTIONS = {
    "plain": {"beam_size": 3, "num_hypotheses": 2},
    "constrained": {"beam_size": 3, "constraints": ["7"], "no_repeat_ngram": 2},
}
SOURCE_SIZE, TARGET_SIZE = 13, 11


def unpack(archive, directory):
    with tarfile.open(FILES / archive) as tar:
        tar.extractall(directory, filter="data")
    return directory


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return unpack("models.tar.xz", tmp_path_factory.mktemp("models")) / "keras"


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    return unpack("run_and_exports.tar.xz", tmp_path_factory.mktemp("exports"))


def model_inputs(is_pointer):
    """The source and target batch that the reference figures belong to."""
    lengths = np.array([[5], [3], [1], [2]])
    mask = np.arange(5) < lengths
    ids = np.random.default_rng(7).integers(4, SOURCE_SIZE, (4, 5))
    outside = TARGET_SIZE + np.arange(5)  # source tokens that the target vocabulary lacks
    copies = np.where(ids % 2 == 0, outside, np.minimum(ids, TARGET_SIZE - 1))
    if is_pointer:  # a pointer network copies source positions
        copies = np.broadcast_to(4 + np.arange(5), ids.shape)
    target = np.random.default_rng(11).integers(4, TARGET_SIZE + 1, (4, 6))
    target[:, 0] = 2
    source = {"ids": np.where(mask, ids, 0), "copy_ids": np.where(mask, copies, 0)}
    source = {name: tf.constant(value, tf.int32) for name, value in source.items()}
    return {"source": {**source, "mask": tf.constant(mask)}, "target": tf.constant(target, "int32")}


@pytest.mark.parametrize("name", MODELS)
def test_keras_files_load_and_compute_the_same(name, models):
    model = keras.saving.load_model(models / f"{name}.keras")
    outputs = model(model_inputs(name.endswith("network")), maps="alignment")
    log_probs = tf.nn.log_softmax(outputs["logits"]).numpy()
    np.testing.assert_allclose(np.abs(log_probs).sum(), MODELS[name]["sum"], rtol=1e-4)
    np.testing.assert_allclose(log_probs[0, 1, :4], MODELS[name]["log_probs"], atol=1e-4)


@pytest.mark.parametrize(
    ("load", "path"),
    [
        (lambda path: Translator.load(path).decode, "run"),
        (lambda path: LocalModel(path).translate, "saved"),
        (lambda path: EdgeTranslator(path / "1" / "model.tflite").decode, "edge"),
    ],
    ids=["run", "saved_model", "litert"],
)
def test_runs_and_exports_load_and_translate_the_same(load, path, exports):
    translate = load(exports / path)
    for options, arguments in OPTIONS.items():
        translations = translate(TRANSLATIONS["sources"], **arguments)
        assert len(translations) == len(TRANSLATIONS[options])
        for hypotheses, references in zip(translations, TRANSLATIONS[options], strict=True):
            assert [h.text for h in hypotheses] == [r["text"] for r in references]
            np.testing.assert_allclose(
                [h.log_prob for h in hypotheses], [r["log_prob"] for r in references], atol=1e-4
            )


def test_configuration_loads_and_is_written_back_as_it_was(exports, tmp_path):
    config = Config.load(exports / "run" / "config.yml")
    config.save(tmp_path / "config.yml")
    assert Config.load(tmp_path / "config.yml") == config
    assert config.decoding.beam_size == 3
    assert config.training.scores == ["cer"]
