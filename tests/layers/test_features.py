"""Features as source and target: layers, head, model, and forecasts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import search
from keras_s2s.config import ModelConfig
from keras_s2s.errors import UserError
from keras_s2s.heads import PointerGeneratorHead, RegressionHead, SoftmaxHead
from keras_s2s.layers.features import FeatureProjection, last_frame
from keras_s2s.layers.loop_backend import XLALoopBackend
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models import build
from keras_s2s.models.seq2seq import Seq2Seq
from tests.conformance import models

F = 3
LENGTHS = (5, 3, 1, 0)


def make(encoder="gru", decoder="gru", loss="l2", first="zeros", norm=False, policy="float32"):
    keras.utils.set_random_seed(3)
    model = Seq2Seq(
        FeatureProjection(F, models.WIDTH, norm),
        models.ENCODERS[encoder](dtype=policy),
        FeatureProjection(F, models.WIDTH, norm, first),
        models.DECODERS[decoder](dtype=policy),
        RegressionHead(F, loss, clip=2.0),
        dtype=policy,
    )
    model.build()
    random = np.random.default_rng(5)
    for weight in model.trainable_variables:
        weight.assign_add(random.normal(0, 0.25, weight.shape))
    return model


def source(lengths=LENGTHS, width=5, seed=7):
    frames = np.random.default_rng(seed).normal(size=(4, 5, F)).astype("float32")
    frames = np.pad(frames[: len(lengths)], [(0, 0), (0, width - 5), (0, 0)])
    real = np.arange(width) < np.asarray(lengths, int).reshape(-1, 1)
    return {"features": tf.constant(frames * real[..., None]), "mask": tf.constant(real)}


def target(batch=4, length=6):
    return tf.constant(np.random.default_rng(9).normal(size=(batch, length, F)), tf.float32)


def run_steps(model, x, frames):
    """Outputs [B, K, T, F'] of the steps over frames [B, K, T, F]."""
    context, state = model.begin(x, frames.shape[1])
    rows = []
    for position in range(frames.shape[2]):
        outputs, state, _ = model.next(
            frames[:, :, position], tf.constant(position), context, state
        )
        rows.append(outputs.numpy())
    return np.stack(rows, 2)


@pytest.mark.parametrize(
    ("encoder", "decoder", "loss", "first", "norm"),
    [
        ("bigru", "gru", "l2", "zeros", True),
        ("lstm", "lstms", "l1", "source", False),
        ("pre", "pre", "gaussian", "source", False),
        ("post", "post", "gaussian", "zeros", True),
    ],
)
def test_steps_equal_the_call(encoder, decoder, loss, first, norm):
    model, x, y = make(encoder, decoder, loss, first, norm), source(), target()
    expected = model({"source": x, "target": y}).numpy()
    assert expected.shape == (4, 6, 2 * F if loss == "gaussian" else F)
    np.testing.assert_allclose(run_steps(model, x, y[:, None])[:, 0], expected, atol=1e-4)
    three = tf.stack([y, y + 1.0, -y], 1)
    outputs = run_steps(model, x, three)
    for k in range(3):
        expected = model({"source": x, "target": three[:, k]}).numpy()
        np.testing.assert_allclose(outputs[:, k], expected, atol=1e-4)


@pytest.mark.parametrize(("encoder", "decoder"), [("bigru", "gru"), ("pre", "pre")])
def test_padding_changes_nothing(encoder, decoder):
    model, y = make(encoder, decoder, "gaussian", "source"), target()
    one, two = (model({"source": source(width=w), "target": y}) for w in (5, 9))
    np.testing.assert_allclose(two, one, atol=1e-5)


def test_the_first_target_frame_is_not_used():
    for first in ("zeros", "source"):
        model, x, y = make(first=first), source(), target()
        other = tf.concat([y[:, :1] + 5.0, y[:, 1:]], 1)
        one, two = (model({"source": x, "target": frames}) for frames in (y, other))
        np.testing.assert_array_equal(one, two)
    zeros, last = (make(first=first)({"source": x, "target": y}) for first in ("zeros", "source"))
    assert np.abs(zeros - last)[:3].max() > 1e-3  # the fourth row has no source


def test_last_frame():
    x = source()
    expected = np.stack([x["features"][0, 4], x["features"][1, 2], x["features"][2, 0], [0] * F])
    np.testing.assert_array_equal(last_frame(x["features"], x["mask"]), expected)


@pytest.mark.parametrize("loss", ["l1", "l2", "gaussian"])
def test_losses_against_their_formulas(loss):
    head = RegressionHead(F, loss, clip=1.0)
    head.build((None, None, 4))
    random = np.random.default_rng(1)
    head.projection.kernel.assign(random.normal(size=head.projection.kernel.shape))
    hidden = random.normal(size=(2, 3, 4)).astype("float32")
    outputs, y = head(tf.constant(hidden)).numpy(), random.normal(size=(2, 3, F)).astype("float32")
    projected = hidden @ head.projection.kernel.numpy()
    d = y - projected[..., :F]
    if loss == "gaussian":
        variance = np.exp(np.clip(projected[..., F:], -1.0, 1.0))
        assert (np.abs(projected[..., F:]) > 1).any()
        density = np.exp(-(d**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        errors = -np.log(density).mean(-1)
    else:
        errors = (np.abs(d) if loss == "l1" else d * d).mean(-1)
    weights = np.array([[1.0, 1.0, 0.0], [0.5, 0.0, 0.0]], "float32")
    y[1, 2] = np.inf  # padding must not matter
    total, count = head.objective()(None, tf.constant(y), tf.constant(outputs), weights)
    assert float(total) == pytest.approx((errors * weights).sum(), rel=1e-5)
    assert float(count) == 2.5


@pytest.mark.parametrize("loss", ["l2", "gaussian"])
@pytest.mark.parametrize("decoder", ["gru", "pre"])
def test_forecast_reads_its_own_output(decoder, loss):
    model, x = make("bigru", decoder, loss, "source"), source()
    steps = tf.constant([4, 2, 3, 0])
    forecast = search.forecast(model.begin, model.next, x, steps, F)
    assert forecast.values.shape == (4, 4, F)
    inputs = np.pad(forecast.values.numpy()[:, :-1], [(0, 0), (1, 0), (0, 0)])  # of the steps
    expected = model({"source": x, "target": tf.constant(inputs)}).numpy()
    for row, count in enumerate(steps.numpy()):
        np.testing.assert_allclose(
            forecast.values[row, :count], expected[row, :count, :F], atol=1e-4
        )
        assert not forecast.values[row, count:].numpy().any()
        if loss == "gaussian":
            variances = np.exp(expected[row, :count, F:])
            np.testing.assert_allclose(forecast.variances[row, :count], variances, rtol=1e-3)
            assert not forecast.variances[row, count:].numpy().any()
    assert (forecast.variances is None) == (loss == "l2")


def test_forecast_in_a_graph_of_any_size():
    model = make("bigru", "pre", "gaussian")
    mask = tf.TensorSpec([None, None], tf.bool)
    spec = {"features": tf.TensorSpec([None, None, F]), "mask": mask}

    @tf.function(input_signature=[spec, tf.TensorSpec([None], tf.int32)], autograph=False)
    def run(x, steps):
        return search.forecast(model.begin, model.next, x, steps, F)._asdict()

    x, steps = source(), tf.constant([4, 2, 3, 1])
    eager = search.forecast(model.begin, model.next, x, steps, F)
    fixed = search.forecast(model.begin, model.next, x, steps, F, loop_backend=XLALoopBackend(6))
    np.testing.assert_allclose(run(x, steps)["values"], eager.values, atol=1e-4)
    np.testing.assert_allclose(fixed.values, eager.values, atol=1e-4)
    alone = run({k: v[1:2] for k, v in x.items()}, steps[1:2])
    np.testing.assert_allclose(alone["values"], eager.values[1:2, :2], atol=1e-4)
    empty = run({k: v[:0] for k, v in x.items()}, steps[:0])
    assert empty["values"].shape == (0, 1, F)


def test_tokens_from_features():
    keras.utils.set_random_seed(1)
    model = Seq2Seq(
        FeatureProjection(F, models.WIDTH),
        models.ENCODERS["bigru"](),
        TokenEmbedding(11, models.WIDTH),
        models.DECODERS["gru"](),
        SoftmaxHead(11),
        "output",
    )
    model.build()
    x, ids = source(), models.target()
    expected, attention = models.call_model(model, x, ids)
    log_probs, alignment = models.run_steps(model, x, tf.expand_dims(ids, 1))
    np.testing.assert_allclose(log_probs[:, 0], expected, atol=1e-4)
    np.testing.assert_allclose(alignment[:, 0], attention["cross"][:, 0], atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_fit_and_save(tmp_path, policy):
    model = make("bigru", "gru", "gaussian", "source", True, policy)
    x, y = source(), target()
    model.compile("adam")
    model.configure_updates(2)
    data = tf.data.Dataset.from_tensors(({"source": x, "target": y}, y, tf.ones([4, 6]))).repeat()
    history = model.fit(data, steps_per_epoch=4, epochs=3, verbose=0, shuffle=False).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = model({"source": x, "target": y})
    np.testing.assert_allclose(loaded({"source": x, "target": y}), expected, atol=1e-6)
    assert (loaded.target.first, loaded.source.norm, loaded.head.clip) == ("source", True, 2.0)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (lambda f, t: (f, t, RegressionHead(F)), "head: expected a head over a vocabulary"),
        (lambda f, t: (f, f, SoftmaxHead(11)), "head: expected a regression head"),
        (lambda f, t: (f, f, RegressionHead(4)), "head: expected frames of 3 numbers, got 4"),
        (lambda f, t: (f, f, RegressionHead(F), "output"), "tie: expected 'none' beside frames"),
        (lambda f, t: (f, t, SoftmaxHead(11), "all"), "tie: expected 'none' beside frames"),
        (lambda f, t: (f, t, PointerGeneratorHead(11)), "head: expected one that does not copy"),
        (
            lambda f, t: (t, FeatureProjection(F, 8, first="source"), RegressionHead(F)),
            "first: 'source' expected source frames of 3 numbers, got no",
        ),
    ],
)
def test_invalid_combinations(parts, message):
    source, target, *rest = parts(FeatureProjection(F, 8), TokenEmbedding(11, 8))
    with pytest.raises(ValueError, match=message):
        Seq2Seq(source, models.ENCODERS["gru"](), target, models.DECODERS["gru"](), *rest)


def test_a_preset():
    model = build(ModelConfig(preset="forecaster"), F, 2)
    assert (model.source.size, model.target.size, model.has_feature_targets) == (F, 2, True)
    forecast = search.forecast(model.begin, model.next, source(), tf.constant([2, 1, 1, 1]), 2)
    assert forecast.values.shape == (4, 2, 2)
    same = build(ModelConfig(preset="forecaster", target={"first": "source"}), F, F)
    assert same.target.first == "source"
    with pytest.raises(UserError, match="first: 'source' expected source frames of 2 numbers"):
        build(ModelConfig(preset="forecaster", target={"first": "source"}), F, 2)
    with pytest.raises(UserError, match="model.source.norm: expected none for a side of text"):
        build(ModelConfig(source={"norm": True}), 9, 9)


def test_invalid_arguments():
    with pytest.raises(ValueError, match="first: expected one of zeros, source, got 'end'"):
        FeatureProjection(F, 8, first="end")
    with pytest.raises(ValueError, match="loss: expected one of l1, l2, gaussian, got 'mae'"):
        RegressionHead(F, "mae")
    with pytest.raises(ValueError, match="clip: expected a positive number, got 0"):
        RegressionHead(F, clip=0)
