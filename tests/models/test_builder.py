"""Every preset: built, saved, cast, trained; and what a bad description is told."""

import functools
import zipfile
from io import BytesIO

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import ModelConfig
from keras_s2s.models import PRESETS, build, resolve, with_policy
from keras_s2s.models.seq2seq import Seq2Seq
from tests.references import assert_close, randomise, right_padded

SOURCE_SIZE, V, S, T = 11, 9, 5, 4
# What reads and writes vectors is tested in test_vectors.py.
PRESETS = {k: preset for k, preset in PRESETS.items() if preset["head"]["kind"] != "regression"}


def shrunk(preset, **more):
    """The preset's configuration with tiny widths."""
    sizes = {"units": 8}
    if preset.startswith("transformer"):
        sizes |= {"num_heads": 2, "hidden_units": 12, "num_layers": 1}
    if preset in ("gnmt", "convs2s"):
        sizes |= {"num_layers": 3}
    return ModelConfig(preset=preset, encoder=dict(sizes), decoder=dict(sizes), **more)


def tiny(preset, sizes=(SOURCE_SIZE, V), policy="float32", label_smoothing=0.0, **more):
    made = build(shrunk(preset, **more), *sizes, policy=policy, label_smoothing=label_smoothing)
    return randomise(made, scale=0.3)


@functools.cache
def shared(preset):
    """One model of a preset for the tests that leave it as it is."""
    return tiny(preset, dropout=0.5)


def columns(model):
    """The width V' of the logits."""
    return model.vocabulary_size + (S if model.supports_copy else 0)


def batch(model=None):
    rng = np.random.default_rng(0)
    mask = right_padded([S, 2, 1], S)
    ids = np.where(mask, rng.integers(1, V, (3, S)), 0).astype("int32")
    source = {"ids": ids, "mask": mask, "copy_ids": np.where(ids == 5, V + 1, ids)}
    if model is not None and model.head.is_pointer:
        source["copy_ids"] = np.where(mask, 4 + np.arange(S), 0).astype("int32")
    y = rng.integers(1, V, (3, T)).astype("int32")
    return {"source": source, "target": y}, y


# Shrunk, these are like another preset but for a number, or their parts have tests of their own.
ALIKE = (
    "gru_small",
    "lstm",
    "transformer_small",
    "rnnsearch",
    "sutskever",
    "cho",
    "nematus",
    "noisy_linear",
    "transformer_ssru",
    "transformer_big",
    "transformer_t5",
    "transformer_rotary",
    "transformer_alibi",
)
EACH = [pytest.param(p, marks=[pytest.mark.slow] * (p in ALIKE), id=p) for p in PRESETS]
over_presets = pytest.mark.parametrize("preset", EACH)


def gru_size(units, embedding):
    def cell(width):
        return 3 * units * (width + units + 2)

    memory = 2 * units
    attention = units * units + memory * units + units + units
    readout = (units + memory + embedding) * units + units
    decoder = cell(embedding) + 3 * units * memory + attention + readout + memory * units + units
    return 2 * cell(embedding) + decoder + (SOURCE_SIZE + V) * embedding + (units + 1) * V


def transformer_size(units, layers, hidden, final_norms):
    attention, norm = 4 * (units * units + units), 2 * units
    feed = 2 * units * hidden + hidden + units
    layer = 3 * attention + 2 * feed + 5 * norm
    return layers * layer + final_norms * norm + (SOURCE_SIZE + V) * units + V


SIZES = {
    "gru": gru_size(256, 256),
    "gru_small": gru_size(128, 128),
    "transformer_tiny": transformer_size(128, 4, 256, 2),
    "transformer_small": transformer_size(256, 4, 1024, 2),
    "transformer_base": transformer_size(512, 6, 2048, 0),
    "transformer_big": transformer_size(1024, 6, 4096, 0),
    "transformer_rotary": transformer_size(512, 6, 2048, 2),
    "transformer_alibi": transformer_size(512, 6, 2048, 2),
    "transformer_t5": transformer_size(512, 6, 2048, 2) + 2 * 32 * 8,
    "transformer_relative": transformer_size(512, 6, 2048, 0) + 12 * 2 * 33 * 64,
    "rnnsearch": gru_size(1000, 620),
}


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(p, marks=[] if p in ("gru_small", "transformer_tiny") else pytest.mark.slow)
        for p in PRESETS
    ],
)
def test_real_size(preset):
    model = build(ModelConfig(preset=preset), SOURCE_SIZE, V)
    assert model.built
    assert model.count_params() == SIZES.get(preset, model.count_params())
    x, _ = batch(model)
    assert model(x).shape == (3, T, columns(model))


@over_presets
def test_tiny_size(preset):
    model = shared(preset)
    x, _ = batch(model)
    logits = model(x)
    assert logits.shape == (3, T, columns(model))
    assert np.isfinite(logits).all()
    assert model.supports_copy == ("pointer" in preset)
    assert all(layer.built for layer in model._flatten_layers())


@over_presets
def test_gradients_reach_every_weight(preset):
    model = shared(preset)
    x, y = batch(model)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True))
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), weight.path


@over_presets
def test_dropout_in_training_alone(preset):
    model = shared(preset)
    x, _ = batch(model)
    assert_close(model(x, training=False), model(x), 0)
    first, second = model(x, training=True), model(x, training=True)
    assert np.abs(first - second).max() > 1e-3


def stored_numbers(path):
    """How many numbers the weights of a .keras file hold, whatever their names."""
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file:
        found = []
        with h5py.File(BytesIO(file.read())) as weights:
            weights.visititems(
                lambda _, item: found.append(item.size) if isinstance(item, h5py.Dataset) else None
            )
    return sum(found)


TIES = [("gru", "output"), ("transformer_tiny", "none"), ("transformer_pointer_generator", "all")]
SAVED = ("pointer_generator", "transformer_base")  # with the ties: every kind of part once
TIED = [
    *(pytest.param(p, None, marks=[] if p in SAVED else pytest.mark.slow, id=p) for p in PRESETS),
    *(pytest.param(*case, id="-".join(case)) for case in TIES),
]
over_ties = pytest.mark.parametrize(("preset", "tie"), TIED)


@over_ties
def test_keras_file_round_trip(preset, tie, tmp_path):
    sizes = (V, V) if tie == "all" else (SOURCE_SIZE, V)
    model = tiny(preset, sizes, tie=tie, label_smoothing=0.2)
    x, _ = batch(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_close(loaded(x), model(x), 1e-6)
    for part in ("source", "encoder", "target", "decoder", "head"):
        assert getattr(loaded, part).get_config() == getattr(model, part).get_config()
    assert loaded.label_smoothing == model.label_smoothing == 0.2
    assert loaded.tie == model.tie == resolve(ModelConfig(preset=preset, tie=tie))["tie"]
    numbers = {
        loaded.count_params(),
        model.count_params(),
        stored_numbers(tmp_path / "model.keras"),
    }
    assert len(numbers) == 1
    if tie == "all":
        assert loaded.source is loaded.target


@pytest.mark.parametrize("preset", ["lstm_stacked"])
def test_weights_alone_round_trip(preset, tmp_path):
    model, (x, _) = tiny(preset), batch()
    model.save_weights(tmp_path / "model.weights.h5")
    other = build(shrunk(preset), SOURCE_SIZE, V)
    other.load_weights(tmp_path / "model.weights.h5")
    assert_close(other(x), model(x), 1e-6)


@over_ties
def test_with_policy(preset, tie):
    sizes = (V, V) if tie == "all" else (SOURCE_SIZE, V)
    policy = "mixed_float16" if preset.startswith("transformer") else "mixed_bfloat16"
    mixed = tiny(preset, sizes, policy, tie=tie, label_smoothing=0.1)
    x, _ = batch(mixed)
    mixed.compile("adam")
    plain = with_policy(mixed)
    assert {layer.dtype_policy.name for layer in plain._flatten_layers()} == {"float32"}
    expected = tiny(preset, sizes, tie=tie) if tie else shared(preset)
    assert_close(plain(x), expected(x), 1e-6)
    assert not plain.compiled
    assert (plain.tie, plain.label_smoothing) == (mixed.tie, 0.1)
    assert plain.count_params() == mixed.count_params()
    for weight, other in zip(plain.weights, mixed.weights, strict=True):
        assert weight is not other


@pytest.mark.parametrize(
    "preset", ["gru", pytest.param("transformer_pointer_generator", marks=pytest.mark.slow)]
)
def test_with_policy_from_float32_and_back(preset):
    model, (x, _) = tiny(preset), batch()
    mixed = with_policy(model, "mixed_bfloat16")
    expected = tiny(preset, policy="mixed_bfloat16")
    assert_close(mixed(x), expected(x), 1e-6)
    policies = [
        {layer.dtype_policy.name for layer in made._flatten_layers()} for made in (mixed, expected)
    ]
    assert policies[0] == policies[1] == {"float32", "mixed_bfloat16"}
    assert_close(with_policy(mixed)(x), model(x), 0)


def test_with_policy_gives_a_model_of_that_policy_itself():
    model = tiny("gru")
    assert with_policy(model) is model
    assert with_policy(model, "float32") is model


@pytest.mark.parametrize(
    ("preset", "policy"),
    [("pointer_generator", "mixed_bfloat16"), ("transformer_tiny", "mixed_float16")],
)
def test_policy_of_the_parts(preset, policy):
    model, (x, _) = tiny(preset, policy=policy), batch()
    assert model.encoder.compute_dtype == model.decoder.compute_dtype == model.compute_dtype
    for part in (model.source, model.target, model.head):
        assert part.compute_dtype == "float32"
    assert model(x).dtype == tf.float32
    assert {w.dtype for w in model.weights} == {"float32"}


@pytest.mark.parametrize(
    ("encoder", "decoder", "head"),
    [
        ("recurrent", "transformer", "pointer_generator"),
        ("transformer", "recurrent", "softmax"),
        pytest.param("recurrent", "transformer", "softmax", marks=pytest.mark.slow),
        pytest.param("transformer", "recurrent", "pointer_generator", marks=pytest.mark.slow),
    ],
)
def test_any_encoder_under_any_decoder_under_any_head(encoder, decoder, head):
    config = ModelConfig(
        encoder={"kind": encoder, "units": 8},
        decoder={"kind": decoder, "units": 8},
        head={"kind": head},
    )
    model, (x, _) = build(config, SOURCE_SIZE, V), batch()
    assert isinstance(model, Seq2Seq)
    assert np.isfinite(model(x)).all()


def test_a_bridge_that_copies():
    same = {"units": 8, "num_layers": 2, "cell": "lstm"}
    config = ModelConfig(
        encoder={**same, "bidirectional": False}, decoder={**same, "bridge": "copy"}
    )
    model, (x, _) = build(config, SOURCE_SIZE, V), batch()
    assert not model.decoder.state_bridge.weights
    assert np.isfinite(model(x)).all()
