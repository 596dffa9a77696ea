"""Updates of several batches equal one large batch's; what is not finite changes nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import models
from keras_s2s.config import ModelConfig
from keras_s2s.losses.token_weights import token_weights
from keras_s2s.metrics import TokenAccuracy

V, POISON = 9, 8


def made(optimizer="sgd", batches=None, policy="float32", dropout=0.0):
    keras.utils.set_random_seed(3)
    side = {"kind": "transformer", "units": 8, "num_layers": 1, "num_heads": 2}
    config = ModelConfig(encoder=side, decoder=dict(side), dropout=dropout, tie="output")
    model = models.build(config, V, V, policy=policy)
    model.compile(optimizer, weighted_metrics=[TokenAccuracy()], jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    if batches:
        model.configure_updates(batches)
    return model


def rows(lengths, seed, width=5):
    """x, y, weights of as many rows, padded to one width; y never holds POISON."""
    real = np.arange(width) < np.array(lengths)[:, None]
    ids = np.where(real, np.random.default_rng(seed).integers(4, POISON, real.shape), 0)
    target = np.where(real, np.roll(ids, 1, axis=1), 0)
    x = {"source": {"ids": ids.astype("int32"), "mask": real}, "target": target.astype("int32")}
    return x, ids.astype("int32"), real.astype("float32")


SMALL, LARGE = rows([2], 0), rows([5, 4, 5], 1)


def stream(*batches):
    """A dataset of batches of different sizes, over and over."""
    spec = tf.nest.map_structure(
        lambda leaf: tf.TensorSpec([None] * leaf.ndim, leaf.dtype), batches[0]
    )
    data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)
    return data.repeat()


def joined(*batches):
    return tf.nest.map_structure(lambda *leaves: np.concatenate(leaves), *batches)


def fit(model, data, updates=3):
    return model.fit(data, steps_per_epoch=updates, verbose=0, shuffle=False).history


def assert_same_weights(model, other, tolerance):
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.5),
        keras.optimizers.SGD(0.5, global_clipnorm=0.1),
        keras.optimizers.Adam(0.01, epsilon=1e-3),
    ],
    ids=["plain", "clipped", "adam"],
)
def test_several_batches_are_one_large_batch(optimizer):
    """Adam and the norm want the sum of a row's gradients, which Keras leaves in parts."""
    config = optimizer.get_config()
    whole, parts = (made(type(optimizer).from_config(config), batches) for batches in (1, 2))
    before = whole.get_weights()
    first, second = fit(whole, stream(joined(SMALL, LARGE))), fit(parts, stream(SMALL, LARGE))
    assert_same_weights(whole, parts, 1e-5)
    assert max(np.abs(a - b).max() for a, b in zip(before, whole.get_weights())) > 1e-3
    assert int(parts.optimizer.iterations) == 3
    assert first["loss"] == pytest.approx(second["loss"], rel=1e-5)
    assert first["accuracy"] == pytest.approx(second["accuracy"])


def test_one_batch_an_update_is_what_keras_does():
    plain, ours = made(), made(batches=1)
    fit(plain, stream(LARGE))
    fit(ours, stream(LARGE))
    assert_same_weights(plain, ours, 1e-6)
    assert plain.evaluate(stream(LARGE), steps=1, verbose=0) == pytest.approx(
        ours.evaluate(stream(LARGE), steps=1, verbose=0)
    )


def test_the_loss_is_a_mean_over_tokens():
    model = made(keras.optimizers.SGD(0.0), batches=1)
    data, loss = stream(SMALL, LARGE), model.compute_loss
    of = [float(loss(x, y, model(x), w)) for x, y, w in (SMALL, LARGE)]
    expected = (2 * of[0] + 14 * of[1]) / 16
    assert fit(model, data, 2)["loss"] == pytest.approx([expected], rel=1e-5)
    assert model.evaluate(data, steps=2, verbose=0)[0] == pytest.approx(expected, rel=1e-5)


def poisoned(model):
    """Makes the loss of every batch that holds a certain token not a number."""
    plain = model.objectives

    def objective(x, y, logits, weights):
        total, count = plain()[0](x, y, logits, weights)
        return tf.where(tf.reduce_any(y == POISON), np.nan, 1.0) * total, count

    model.objectives = lambda: [objective]
    return model


def with_poison(batch):
    x, y, weights = batch
    return x, np.where(y == y[0, 0], POISON, y), weights


@pytest.mark.parametrize("batches", [1, 2])
def test_an_update_that_is_not_finite_changes_nothing(batches):
    model = poisoned(made("adam", batches=batches))
    fit(model, stream(LARGE), 1)
    assert model.update_stats.read()[1]
    kept = [np.copy(v) for v in [*model.get_weights(), *map(np.asarray, model.optimizer.variables)]]
    loss = fit(model, stream(with_poison(LARGE), SMALL), 1)["loss"]
    assert not model.update_stats.read()[1]
    assert np.isnan(model.update_stats.read()[0])
    now = [*model.get_weights(), *map(np.asarray, model.optimizer.variables)]
    for one, two in zip(kept, now, strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.isfinite(loss).all()  # of the good batches alone
    fit(model, stream(SMALL), 1)
    assert model.update_stats.read()[1]
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize("batches", [1, 2])
def test_logits_that_are_no_numbers_leave_the_metrics_numbers(batches):
    model = made(batches=batches)
    table = model.source.table.numpy()
    table[POISON] = np.nan
    model.source.table.assign(table)
    x, y, weights = LARGE
    ids = np.where(x["source"]["ids"] == x["source"]["ids"][0, 0], POISON, x["source"]["ids"])
    bad = {"source": {**x["source"], "ids": ids}, "target": x["target"]}, y, weights
    history = fit(model, stream(SMALL, bad), 2)
    assert not model.update_stats.read()[1]
    assert np.isfinite([*history["loss"], *history["accuracy"]]).all()
    assert np.isfinite(model.target.table.numpy()).all()


def test_a_gradient_that_is_not_finite_changes_nothing():
    model = made(batches=1)
    plain = model.objectives

    def objective(x, y, logits, weights):
        total, count = plain()[0](x, y, logits, weights)
        zero = tf.reduce_sum(logits) * 0.0
        return total + tf.sqrt(zero), count  # finite, but its gradient is 0 / 0

    model.objectives = lambda: [objective]
    kept = model.get_weights()
    fit(model, stream(LARGE), 1)
    loss, applied = model.update_stats.read()
    assert np.isfinite(loss)
    assert not applied
    for one, two in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("batches", [1, 2])
def test_float16_scales_its_loss_down_until_gradients_fit(batches):
    model = made("adam", batches=batches, policy="mixed_float16")
    model.optimizer.dynamic_scale.assign(2.0**30)  # overflows
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    losses = [fit(model, stream(LARGE), 10)["loss"][0] for _ in range(6)]
    assert 1 < float(model.optimizer.dynamic_scale) < 2**30
    assert 0 < int(model.optimizer.iterations) < 60
    assert losses[-1] < 0.99 * losses[0]
    assert {weight.dtype for weight in model.get_weights()} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("batches", "policy"), [(1, "float32"), (2, "float32"), (1, "mixed_float16")]
)
def test_the_norm_is_of_the_step_that_plain_descent_makes(batches, policy):
    model = made(keras.optimizers.SGD(0.5), batches=batches, policy=policy)
    if policy == "mixed_float16":
        model.optimizer.dynamic_scale.assign(64.0)
    before = [np.copy(v) for v in model.trainable_variables]
    fit(model, stream(LARGE, SMALL), 1)
    steps = [(a - v.numpy()) / 0.5 for a, v in zip(before, model.trainable_variables, strict=True)]
    norm = np.sqrt(sum(np.sum(np.square(step, dtype="float64")) for step in steps))
    assert norm > 0.1
    assert model.update_stats.gradient_norm() == pytest.approx(norm, rel=1e-4)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="batches: expected at least 1, came 0"):
        made(batches=None).configure_updates(0)


def test_token_weights_of_every_form():
    y = np.array([[4, 5], [6, 0]])
    np.testing.assert_array_equal(token_weights(y), [[1, 1], [1, 1]])
    np.testing.assert_array_equal(token_weights(y, np.array([2, 3])), [[2, 2], [3, 3]])
    np.testing.assert_array_equal(token_weights(y, y > 0), [[1, 1], [1, 0]])
