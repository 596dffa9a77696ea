"""Objectives of training against the papers' formulas, in NumPy loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import losses, models
from keras_s2s.config import Config, ModelConfig, Objectives
from keras_s2s.errors import UserError
from keras_s2s.losses.criterion import Criterion
from tests.references import assert_close, log_softmax, normal, right_padded, run_both

V, S, T = 7, 5, 4
LENGTHS = [4, 2, 1]
WEIGHTS = right_padded(LENGTHS, T).astype("float32")
ALIGNMENT = np.zeros((3, T, S), bool)
for place in ((0, 0, 1), (0, 1, 0), (0, 1, 3), (1, 0, 2)):
    ALIGNMENT[place] = True
Y = np.random.default_rng(1).integers(4, V, (3, T)).astype("int32")


def attention():
    scores = np.exp(normal(3, T, S) * 2)
    return (scores / scores.sum(-1, keepdims=True)).astype("float32")


def measured(objective, x=None, **outputs):
    return run_both(lambda o, w: objective(x, Y, o, w), outputs, WEIGHTS)


def real_places():
    return [(b, t) for b, length in enumerate(LENGTHS) for t in range(length)]


def test_guided_alignment_by_cross_entropy():
    a, expected = attention(), 0.0
    for b, t in real_places():
        for s in np.flatnonzero(ALIGNMENT[b, t]):
            expected -= np.log(a[b, t, s]) / ALIGNMENT[b, t].sum()
    came = measured(
        losses.guided_alignment(), {"alignment": ALIGNMENT}, attention={"cross": a[:, None]}
    )
    assert_close(came, (expected, 7.0))


def test_guided_alignment_by_squares():
    a, expected = attention(), 0.0
    for b, t in real_places():
        if ALIGNMENT[b, t].any():  # a token aligned to nothing has no term
            wanted = ALIGNMENT[b, t] / ALIGNMENT[b, t].sum()
            expected += sum((wanted - a[b, t]) ** 2) / 2
    came = measured(
        losses.guided_alignment("squared"),
        {"alignment": ALIGNMENT},
        attention={"cross": a[:, None]},
    )
    assert_close(came, (expected, 7.0))


def test_guided_alignment_needs_one():
    with pytest.raises(ValueError, match=r"x: expected 'alignment' \[B, T, S\] .*, came none"):
        losses.guided_alignment()({}, Y, {}, WEIGHTS)
    with pytest.raises(ValueError, match="guided_alignment: expected one of .*, came 'mse'"):
        losses.guided_alignment("mse")


def test_coverage():
    a, expected = attention(), 0.0
    for b, t in real_places():
        covered = sum((a[b, before] for before in range(t)), np.zeros(S))
        expected += sum(min(a[b, t, s], covered[s]) for s in range(S))
    came = measured(losses.coverage(), attention={"cross": a[:, None]})
    assert_close(came, (expected, 7.0))
    assert expected > 0.5


def test_l2():
    weights = [tf.Variable(normal(2, 3)), tf.Variable(normal(4, seed=1))]
    total, count = losses.l2(lambda: weights)(None, None, None, None)
    assert_close(total, sum((w.numpy() ** 2).sum() for w in weights))
    assert count == 1.0


def test_r_drop():
    one, two = normal(3, T, V), normal(3, T, V, seed=1)
    p, q, expected = log_softmax(one), log_softmax(two), 0.0
    for b, t in real_places():
        entropy = -p[b, t, Y[b, t]] - q[b, t, Y[b, t]]
        apart = sum(np.exp(p[b, t]) * (p[b, t] - q[b, t]))
        apart += sum(np.exp(q[b, t]) * (q[b, t] - p[b, t]))
        expected += (entropy + 5.0 / 2 * apart) / 2
    assert_close(measured(losses.r_drop(5.0), logits=one, again=two), (expected, 7.0))
    plain = losses.cross_entropy(0.1, V)(None, Y, one, WEIGHTS)
    assert_close(measured(losses.r_drop(5.0, 0.1, V), logits=one, again=one), arrays(plain))


def arrays(nest):
    return tf.nest.map_structure(lambda x: x.numpy(), nest)


def test_omit_words():
    target = np.concatenate([np.full((3, 1), 2), Y[:, :-1]], 1).astype("int32")
    y = Y * WEIGHTS.astype("int32")
    came = run_both(lambda *given: losses.omit_words(*given, places=[1, 0, 0]), target, y, WEIGHTS)
    for row, place in ((0, 1), (1, 0)):
        length = LENGTHS[row] - 1
        expected = np.delete(y[row], place)[:length]
        np.testing.assert_array_equal(came[1][row, :length], expected)
        np.testing.assert_array_equal(came[0][row, :length], [2, *expected[:-1]])
    # of a row that is its end alone nothing can be left out
    np.testing.assert_array_equal(came[2], [[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])


def test_omitted_places_are_all_but_the_end():
    y = tf.tile([[4, 5, 6, 3, 0]], [200, 1])
    weights = tf.cast(y > 0, tf.float32)
    keras.utils.set_random_seed(1)
    _, came, left = losses.omit_words(y, y, weights)
    rows = {tuple(row) for row in tf.where(left > 0, came, 0).numpy().tolist()}
    assert rows == {(5, 6, 3, 0, 0), (4, 6, 3, 0, 0), (4, 5, 3, 0, 0)}


def test_max_margin():
    one, two, eta, expected = normal(3, T, V), normal(3, T, V, seed=1), 0.7, 0.0
    other = np.roll(Y, 1, 1)
    left = np.where(right_padded([3, 1, 0], T), 1.0, 0.0).astype("float32")
    for b in (0, 1):
        good = sum(log_softmax(one)[b, t, Y[b, t]] for t in range(LENGTHS[b]))
        bad = sum(log_softmax(two)[b, t, other[b, t]] for t in range(LENGTHS[b] - 1))
        expected += max(0.0, bad + eta - good)
    corrupted = {"logits": two, "y": other, "weights": left}
    assert_close(measured(losses.max_margin(eta), logits=one, corrupted=corrupted), (expected, 2.0))
    assert expected > 0


@pytest.mark.parametrize(
    ("schedule", "k", "floor", "expected"),
    [
        ("constant", None, 0.3, lambda i: 0.3),
        ("linear", 100.0, 0.25, lambda i: max(0.25, 1 - i / 100)),
        ("exponential", 0.99, 0.0, lambda i: 0.99**i),
        ("inverse_sigmoid", 20.0, 0.0, lambda i: 20 / (20 + np.exp(i / 20))),
    ],
)
def test_read_probability(schedule, k, floor, expected):
    for step in (0, 7, 90, 500):
        came = losses.teacher_forcing_probability(schedule, tf.constant(step, tf.int64), k, floor)
        assert_close(came, np.float32(expected(step)))
    late = losses.teacher_forcing_probability(schedule, 10**6, k, floor)
    assert np.isfinite(late)


def test_read_probability_of_bad_settings():
    with pytest.raises(ValueError, match="scheduled_sampling: expected one of .*, came 'cosine'"):
        losses.teacher_forcing_probability("cosine", 0, 1.0)
    with pytest.raises(ValueError, match="sampling_k: expected a number above 0 and below 1 for"):
        losses.teacher_forcing_probability("exponential", 0, 2.0)
    with pytest.raises(ValueError, match="sampling_probability: expected 0 to 1, came 1.5"):
        losses.teacher_forcing_probability("constant", 0, None, 1.5)


def test_mix_targets():
    target = np.concatenate([np.full((3, 1), 2), Y[:, :-1]], 1).astype("int32")
    sure = tf.one_hot(np.full((3, T), 6) - np.arange(T) % 2, V) * 1e4  # says 6, 5, 6, 5
    none = run_both(losses.mix_targets, target, sure, 1.0)
    np.testing.assert_array_equal(none, target)
    every = run_both(losses.mix_targets, target, sure, 0.0)
    np.testing.assert_array_equal(every, [[2, 6, 5, 6]] * 3)
    keras.utils.set_random_seed(1)
    many = [losses.mix_targets(np.full((50, T), 4), tf.tile(sure[:1], [50, 1, 1]), 0.75)]
    assert 0.65 < (many[0].numpy()[:, 1:] == 4).mean() < 0.85


def made(settings=None, dropout=0.0, preset="gru"):
    keras.utils.set_random_seed(3)
    side = {"units": 8}
    if preset.startswith("transformer"):
        side |= {"num_layers": 1, "num_heads": 2, "hidden_units": 12}
    config = ModelConfig(
        preset=preset, encoder=side, decoder=dict(side), dropout=dropout, embedding=8
    )
    model = models.build(config, V, V)
    model.compile("sgd", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    model.configure_updates(1)
    if settings is not None:
        model.configure_objectives(settings)
    return model


def batch():
    mask = right_padded([5, 3, 2], S)
    ids = np.where(mask, np.random.default_rng(0).integers(4, V, (3, S)), 0).astype("int32")
    target = np.concatenate([np.full((3, 1), 2), Y[:, :-1]], 1).astype("int32")
    source = {"ids": ids, "mask": mask, "copy_ids": ids}
    return {"source": source, "target": target, "alignment": ALIGNMENT}, Y, WEIGHTS


ALL = {
    "guided_alignment": 0.5,
    "coverage": 1.0,
    "l2": 0.01,
    "r_drop": 2.0,
    "max_margin": 0.3,
    "max_margin_eta": 50.0,
    "scheduled_sampling": "linear",
    "sampling_k": 100.0,
}


@pytest.mark.parametrize("preset", ["gru", "transformer_tiny", "pointer_generator"])
def test_an_update_of_every_objective_at_once(preset):
    model = made(Objectives(**ALL), dropout=0.3, preset=preset)
    data = tf.data.Dataset.from_tensors(batch()).repeat()
    before = model.get_weights()
    model.fit(data, steps_per_epoch=2, verbose=0, shuffle=False)
    loss, updated = model.update_stats.read()
    assert updated
    assert np.isfinite(loss)
    changed = [np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True)]
    assert np.mean(changed) > 0.8
    # a validation sees the cross-entropy alone
    x, y, weights = batch()
    loss = model.evaluate(tf.data.Dataset.from_tensors(batch()), verbose=0)
    expected = losses.cross_entropy(0.0, V)(x, y, model(x), weights)
    assert_close(np.float32(np.ravel(loss)[0]), expected[0] / expected[1], 1e-4)


def test_the_loss_is_the_weighted_sum():
    settings = Objectives(guided_alignment=0.5, coverage=2.0, l2=0.01, cross_entropy=3.0)
    model, (x, y, weights) = made(settings), batch()
    outputs = model.criterion.outputs(x, y, weights)
    total = model.compute_loss(x, y, outputs, weights, training=True)
    made_of = model(x, maps="alignment")
    expected = 0.0
    for factor, objective, given in (
        (3.0, losses.cross_entropy(0.0, V), made_of["logits"]),
        (0.5, losses.guided_alignment(), made_of),
        (2.0, losses.coverage(), made_of),
        (0.01, losses.l2(lambda: model.trainable_variables), made_of),
    ):
        value, count = objective(x, y, given, weights)
        expected += factor * float(value) / float(count)
    assert_close(total, np.float32(expected))


def ops(model):
    """The kinds of the operations of one update's graph, in order."""
    iterator = iter(tf.data.Dataset.from_tensors(batch()).repeat())
    model.make_train_function(force=True)
    graph = model.train_function.get_concrete_function(iterator).graph
    return [operation.type for operation in graph.get_operations()]


def test_what_is_off_costs_nothing():
    plain, off, on = ops(made()), ops(made(Objectives())), ops(made(Objectives(coverage=1.0)))
    assert plain == off
    assert len(on) > len(plain)


def test_configuration():
    config = Config.from_dict({"training": {"objectives": {"coverage": 1, "r_drop": 5}}})
    assert config.training.objectives.coverage == 1.0
    assert Config.from_dict(config.to_dict()) == config
    for section, message in (
        ({"sampling_k": 2.0}, "sampling_k: expected none for no scheduled_sampling, came 2.0"),
        ({"scheduled_sampling": "exponential", "sampling_k": 2}, "above 0 and below 1 for expon"),
        ({"cross_entropy": 0}, "cross_entropy: expected more than 0 where max_margin is 0"),
        ({"cross_entropy": 0, "max_margin": 1, "r_drop": 1}, "r_drop: expected 0 where cross_en"),
        ({"covrage": 1}, "unknown key training.objectives.covrage"),
    ):
        with pytest.raises(UserError, match=message):
            Config.from_dict({"training": {"objectives": section}})
    with pytest.raises(UserError, match="expected a corpus of data.train with alignments"):
        Config.from_dict(
            {
                "data": {"train": {"source": "a", "target": "b"}},
                "training": {"objectives": {"guided_alignment": 1.0}},
            }
        )


def test_attention_that_a_decoder_lacks():
    model = made()
    model.decoder.attention_names = []
    with pytest.raises(ValueError, match="coverage: expected a decoder with attention, came one"):
        Criterion(Objectives(coverage=1.0), model)
