"""A decoder's steps give what its call gives, for every model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import models, parts
from tests.conformance.models import over_models

OUTPUTS, ATTENTION = 1e-4, 1e-5


@over_models
def test_steps_equal_the_whole(encoder, decoder, head):
    model, x, ids = models.make(encoder, decoder, head), models.source(), models.target()
    expected, attention = models.call_model(model, x, ids)
    log_probs, alignment = models.run_steps(model, x, tf.expand_dims(ids, 1))
    np.testing.assert_allclose(log_probs[:, 0], expected, atol=OUTPUTS)
    np.testing.assert_allclose(alignment[:, 0], attention["cross"][:, 0], atol=ATTENTION)


@over_models
def test_three_hypotheses_reordered_after_every_step(encoder, decoder, head):
    model = models.make(encoder, decoder, head)
    x = models.adapt_source(model, models.source())
    random = np.random.default_rng(1)
    shape = [models.BATCH, 3, 1]
    histories, came = np.zeros([*shape[:2], 0], "int32"), []
    context, state = model.begin(x, 3)
    for position in range(models.TARGET):
        new = random.integers(4, models.TARGET_SIZE, shape) if position else np.full(shape, 2)
        histories = np.concatenate([histories, new.astype("int32")], 2)
        ids = tf.constant(histories[:, :, -1])
        log_probs, state, _ = model.next(ids, tf.constant(position), context, state)
        came.append(log_probs.numpy())
        parents = random.integers(0, 3, shape)
        histories, *came = [np.take_along_axis(kept, parents, 1) for kept in (histories, *came)]
        state = tf.nest.map_structure(
            lambda leaf, p=parents[:, :, 0]: tf.gather(leaf, tf.constant(p), axis=1, batch_dims=1),
            state,
        )
    for k in range(3):
        expected, _ = models.call_model(model, x, tf.constant(histories[:, k]))
        np.testing.assert_allclose(np.stack(came, 2)[:, k], expected, atol=OUTPUTS)


@pytest.mark.parametrize("decoder", list(parts.DECODERS))
def test_a_state_of_fixed_size_gives_the_same(decoder):
    model, x, ids = models.make("bigru", decoder, "softmax"), models.source(), models.target()
    ids = tf.expand_dims(ids, 1)
    grown, _ = models.run_steps(model, x, ids)
    fixed, _ = models.run_steps(model, x, ids, max_length=models.TARGET + 2)
    np.testing.assert_allclose(fixed, grown, atol=1e-5)


@over_models
def test_steps_equal_the_whole_in_bfloat16(encoder, decoder, head):
    model = models.make(encoder, decoder, head, "mixed_bfloat16")
    x, ids = models.source(), models.target()
    expected, _ = models.call_model(model, x, ids)
    log_probs, _ = models.run_steps(model, x, tf.expand_dims(ids, 1))
    np.testing.assert_allclose(log_probs[:, 0], expected, atol=5e-2, rtol=1e-2)
    chosen = log_probs[:, 0].argmax(-1)[..., None]
    behind = expected.max(-1) - np.take_along_axis(expected, chosen, -1)[..., 0]
    assert (behind < 5e-2).all()  # another choice is a tie


class Stepper(keras.Model):
    """Runs the steps inside its own call, under its own policy's autocast scope."""

    def __init__(self, model):
        super().__init__(dtype=model.dtype_policy)
        self.model = model

    def call(self, inputs):
        context, state = self.model.begin(inputs["source"], 1)
        rows = []
        for position in range(models.TARGET):
            ids = inputs["target"][:, position : position + 1]
            log_probs, state, _ = self.model.next(ids, tf.constant(position), context, state)
            rows.append(log_probs)
        return tf.concat(rows, 1)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("head", ["tied", "pointer"])
@pytest.mark.parametrize("decoder", ["gru", "lstms", "pre", "location", "monotonic"])
def test_steps_inside_a_models_call(decoder, head, policy):
    model = models.make("pre", decoder, head, policy)
    x, ids = models.source(), models.target()
    outside, _ = models.run_steps(model, x, tf.expand_dims(ids, 1))
    stepper = Stepper(model)
    stepper.build({"source": None})
    inside = stepper({"source": x, "target": ids})
    np.testing.assert_allclose(inside, outside[:, 0], atol=1e-5)
