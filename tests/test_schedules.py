"""Learning rate schedules against the formulas of their docstrings in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import schedules

N = np.arange(1, 101, dtype=np.float64)  # number of the current update; Keras' step is one less


def inverse_sqrt(rate, warmup):
    return rate * np.minimum(N / warmup, np.sqrt(warmup / N))


def noam(scale, width, warmup):
    return scale * width**-0.5 * np.minimum(N**-0.5, N * warmup**-1.5)


def cosine(rate, updates, warmup):
    decay = rate * 0.5 * (1 + np.cos(np.pi * (N - warmup) / (updates - warmup)))
    return np.where(warmup > N, rate * N / max(warmup, 1), np.where(updates < N, 0, decay))


def exponential(rate, start, every, warmup):
    return rate * np.minimum(1, N / warmup) * 0.5 ** (np.maximum(0, N - start) / every)


CASES = {
    "constant": (schedules.Constant(0.3, 10), 0.3 * np.minimum(1, N / 10)),
    "constant without warm-up": (schedules.Constant(0.3), np.full(100, 0.3)),
    "inverse_sqrt": (schedules.InverseSqrt(0.2, 25), inverse_sqrt(0.2, 25)),
    "inverse_sqrt without warm-up": (schedules.InverseSqrt(0.2, 0), 0.2 / np.sqrt(N)),
    "noam": (schedules.Noam(2.0, 64, 30), noam(2.0, 64, 30)),
    "cosine": (schedules.Cosine(0.1, 80, 20), cosine(0.1, 80, 20)),
    "cosine without warm-up": (schedules.Cosine(0.1, 80), cosine(0.1, 80, 0.0)),
    "exponential": (schedules.Exponential(0.1, 50, 10, warmup=5), exponential(0.1, 50, 10, 5)),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_its_formula(name):
    schedule, expected = CASES[name]
    rates = [schedule(tf.constant(int(n) - 1, tf.int64)) for n in N]
    assert rates[0].dtype == tf.float32
    np.testing.assert_allclose(rates, expected, rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_serialization(name):
    schedule, expected = CASES[name]
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(loaded) is type(schedule)
    np.testing.assert_allclose([loaded(int(n) - 1) for n in N], expected, rtol=2e-6, atol=1e-8)


def test_peak_is_the_learning_rate_at_the_end_of_warm_up():
    for schedule in (
        schedules.Constant(0.5, 8),
        schedules.InverseSqrt(0.5, 8),
        schedules.Cosine(0.5, 100, 8),
    ):
        values = [float(schedule(step)) for step in range(100)]
        assert np.argmax(values) == 7
        assert values[7] == pytest.approx(0.5)
    peak = max(float(schedules.Noam(1.0, 64, 30)(step)) for step in range(100))
    assert peak == pytest.approx((64 * 30) ** -0.5)


def test_an_optimizer_uses_the_schedule():
    schedule = schedules.InverseSqrt(0.2, 4)
    optimizer = keras.optimizers.SGD(schedule)
    weight = keras.Variable([1.0])
    optimizer.build([weight])
    values = [1.0]
    for _ in range(6):
        optimizer.apply([tf.ones([1])], [weight])
        values.append(float(weight[0]))
    np.testing.assert_allclose(-np.diff(values), inverse_sqrt(0.2, 4)[:6], rtol=1e-5)


def test_get_makes_every_schedule():
    arguments = {"warmup": 10, "updates": 100, "width": 64}
    by_name = {
        name: schedules.get(name, 0.1, **arguments)
        for name in ("constant", "inverse_sqrt", "noam", "cosine", "exponential")
    }
    assert [type(s).__name__ for s in by_name.values()] == [
        "Constant",
        "InverseSqrt",
        "Noam",
        "Cosine",
        "Exponential",
    ]
    assert by_name["noam"].width == 64
    assert float(by_name["cosine"](99)) == pytest.approx(0.0, abs=1e-8)
    # the first half at the full rate, then halved five times
    assert float(by_name["exponential"](49)) == pytest.approx(0.1)
    assert float(by_name["exponential"](99)) == pytest.approx(0.1 / 32, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.get("linear", 1.0, updates=1), "schedule: expected one of .*'linear'"),
        (lambda: schedules.Constant(0.0), "learning_rate: expected a number above 0, got 0.0"),
        (lambda: schedules.InverseSqrt(1.0, -1), "warmup: .*at least 0, got -1"),
        (lambda: schedules.Noam(1.0, 64, 0), "warmup: .*at least 1, got 0"),
        (lambda: schedules.Noam(1.0, 0, 5), "width: .*at least 1, got 0"),
        (lambda: schedules.Cosine(1.0, 10, 10), r"updates: .*warmup \(10\), got 10"),
        (lambda: schedules.Exponential(1.0, 5, 0), "every: .*got 0"),
        (lambda: schedules.Exponential(1.0, 5, 1, rate=1.5), "rate: .*got 1.5"),
    ],
)
def test_invalid_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
