"""Odd sizes and padding: nothing breaks, and nothing that is not there has a say."""

import numpy as np
import tensorflow as tf

from tests.conformance import models, parts
from tests.conformance.models import over_models


@over_models
def test_padding_changes_nothing(encoder, decoder, head):
    model, ids = models.make(encoder, decoder, head), models.target()
    narrow, maps = models.call_model(model, models.source(), ids)
    wide, wide_maps = models.call_model(model, models.source(width=models.SOURCE + 4), ids)
    columns = narrow.shape[-1]
    # What a copying head has for padding is the floor of a copy, the same for every column.
    np.testing.assert_allclose(wide[..., :columns], narrow, atol=1e-5)
    cross = wide_maps["cross"].numpy()
    np.testing.assert_allclose(cross[..., : models.SOURCE], maps["cross"], atol=1e-5)
    assert not cross[..., models.SOURCE :].any()


@over_models
def test_a_row_does_not_depend_on_its_neighbours(encoder, decoder, head):
    model, ids = models.make(encoder, decoder, head), models.target()
    together, _ = models.call_model(model, models.source(), ids)
    x = {name: value[1:2] for name, value in models.source().items()}
    alone, _ = models.call_model(model, x, ids[1:2])
    np.testing.assert_allclose(alone[0], together[1], atol=1e-5)


@over_models
def test_an_empty_row_is_finite_and_alone(encoder, decoder, head):
    model, ids = models.make(encoder, decoder, head), models.target()
    expected, _ = models.call_model(model, models.source(), ids)
    log_probs, maps = models.call_model(model, models.source((models.SOURCE, 0, 1, 2)), ids)
    assert np.isfinite(log_probs).all()
    assert not maps["cross"].numpy()[1].any()
    np.testing.assert_allclose(np.delete(log_probs, 1, 0), np.delete(expected, 1, 0), atol=1e-5)


@over_models
def test_one_token_and_no_rows(encoder, decoder, head):
    model = models.make(encoder, decoder, head)
    for batch in (1, 0):
        x, ids = models.source((1,) * batch, width=1), models.target(batch)
        expected, maps = models.call_model(model, x, ids)
        assert expected.shape[:2] == (batch, models.TARGET)
        assert maps["cross"].shape == (batch, 1, models.TARGET, 1)
        log_probs, _ = models.run_steps(model, x, tf.expand_dims(ids, 1))
        np.testing.assert_allclose(log_probs[:, 0], expected, atol=1e-4)


@over_models
def test_all_maps_are_named_and_sum_to_one(encoder, decoder, head):
    model = models.make(encoder, decoder, head)
    _, maps = models.call_model(model, models.source(), models.target(), maps="all")
    count = len(model.decoder.attention_names)
    assert maps["cross"].shape == (models.BATCH, count, models.TARGET, models.SOURCE)
    for attention in maps.values():
        assert attention.dtype == tf.float32
        total = tf.reduce_sum(attention, -1).numpy()
        if decoder == "local":  # weighed down by their distance from a place
            assert (total > 0).all()
            assert (total < 1.00001).all()
            continue
        whole = total[total > 0] if decoder == "monotonic" else total  # who walks past the end
        np.testing.assert_allclose(whole, 1.0, atol=1e-5)
    assert ("self" in maps) == (decoder in parts.SELF_MAPS)
    assert ("encoder" in maps) == bool(parts.ENCODERS[encoder]().attention_names)
