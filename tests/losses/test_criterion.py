"""Training criterion: the sum of objectives, and updates with all of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import losses, models
from keras_s2s.config import Config, ModelConfig, Objectives
from keras_s2s.errors import UserError
from keras_s2s.losses.criterion import Criterion
from tests.losses.batches import (
    ALIGNMENT,
    WEIGHTS,
    S,
    V,
    Y,
)
from tests.references import assert_close, right_padded


def make(settings=None, dropout=0.0, preset="gru"):
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
def test_an_update_with_every_objective(preset):
    model = make(Objectives(**ALL), dropout=0.3, preset=preset)
    data = tf.data.Dataset.from_tensors(batch()).repeat()
    before = model.get_weights()
    model.fit(data, steps_per_epoch=2, verbose=0, shuffle=False)
    loss, updated = model.update_stats.read()
    assert updated
    assert np.isfinite(loss)
    changed = [np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True)]
    assert np.mean(changed) > 0.8
    # validation uses the cross-entropy only
    x, y, weights = batch()
    loss = model.evaluate(tf.data.Dataset.from_tensors(batch()), verbose=0)
    expected = losses.cross_entropy(0.0, V)(x, y, model(x), weights)
    assert_close(np.float32(np.ravel(loss)[0]), expected[0] / expected[1], 1e-4)


def test_the_loss_is_the_weighted_sum():
    settings = Objectives(guided_alignment=0.5, coverage=2.0, l2=0.01, cross_entropy=3.0)
    model, (x, y, weights) = make(settings), batch()
    outputs = model.criterion.outputs(x, y, weights)
    total = model.compute_loss(x, y, outputs, weights, training=True)
    model_outputs = model(x, maps="alignment")
    expected = 0.0
    for factor, objective, inputs in (
        (3.0, losses.cross_entropy(0.0, V), model_outputs["logits"]),
        (0.5, losses.guided_alignment(), model_outputs),
        (2.0, losses.coverage(), model_outputs),
        (0.01, losses.l2(lambda: model.trainable_variables), model_outputs),
    ):
        value, count = objective(x, y, inputs, weights)
        expected += factor * float(value) / float(count)
    assert_close(total, np.float32(expected))


def test_the_contrast_is_that_of_a_pass_over_the_corrupted_target():
    model, (x, y, weights) = make(Objectives(max_margin=1.0)), batch()
    corrupted = model.criterion.outputs(x, y, weights)["corrupted"]
    rows = [0, 1]  # the third has no token to leave out
    # A target is its tokens behind the start token.
    target = np.concatenate([np.full((3, 1), 2), corrupted["y"][:, :-1]], 1).astype("int32")
    expected = model({**x, "target": target}).numpy()
    kept = corrupted["weights"].numpy() > 0
    assert kept[rows].any(1).all()
    assert_close(corrupted["logits"].numpy()[kept], expected[kept], 1e-5)
    assert (target != x["target"]).any()


def ops(model):
    """Types of the operations of one update's graph, in order."""
    iterator = iter(tf.data.Dataset.from_tensors(batch()).repeat())
    model.make_train_function(force=True)
    graph = model.train_function.get_concrete_function(iterator).graph
    return [operation.type for operation in graph.get_operations()]


def test_disabled_objectives_cost_nothing():
    plain, off, on = ops(make()), ops(make(Objectives())), ops(make(Objectives(coverage=1.0)))
    assert plain == off
    assert len(on) > len(plain)


def test_configuration():
    config = Config.from_dict({"training": {"objectives": {"coverage": 1, "r_drop": 5}}})
    assert config.training.objectives.coverage == 1.0
    assert Config.from_dict(config.to_dict()) == config
    for section, message in (
        ({"sampling_k": 2.0}, "sampling_k: expected none for no scheduled_sampling, got 2.0"),
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


def test_coverage_needs_a_decoder_with_attention():
    model = make()
    model.decoder.attention_names = []
    with pytest.raises(ValueError, match="coverage: expected a decoder with attention, got one"):
        Criterion(Objectives(coverage=1.0), model)
