"""Families of parts learn to reverse sequences of symbols."""

import keras
import numpy as np
import pytest

from keras_s2s.config import ModelConfig
from keras_s2s.models import build

SIZE, LONGEST = 12, 8


def reversals(count, seed):
    """x, y and weights: sources of 3 to 8 symbols, and their reversals."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, LONGEST + 1, count)
    mask = np.arange(LONGEST) < lengths[:, None]
    ids = np.where(mask, rng.integers(4, SIZE, mask.shape), 0).astype("int32")
    y = np.zeros((count, LONGEST + 1), "int32")
    for row, source, length in zip(y, ids, lengths, strict=True):
        row[: length + 1] = [*source[:length][::-1], 3]
    x = {"source": {"ids": ids, "mask": mask}, "target": np.pad(y, [(0, 0), (1, 0)])[:, :-1]}
    x["target"][:, 0] = 2
    return x, y, (y > 0).astype("float32")


def side(kind, **more):
    return {"kind": kind, "units": 32, "dropout": 0.0, **more}


def transformers(positions):
    stack = side("transformer", num_layers=2, num_heads=2, hidden_units=64, positions=positions)
    return {"encoder": stack, "decoder": stack}


FAMILIES = {
    "convolutional": {
        "encoder": side("convolutional", num_layers=3),
        "decoder": side("convolutional", num_layers=2),
    },
    "gnmt": {"encoder": side("gnmt", num_layers=3), "decoder": side("recurrent")},
    "relative": transformers({"kind": "relative", "max_distance": 8}),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_reversal_is_learned(family):
    keras.utils.set_random_seed(1)
    model = build(ModelConfig(embedding=32, **FAMILIES[family]), SIZE, SIZE)
    model.compile(keras.optimizers.Adam(3e-3, clipnorm=1.0))
    x, y, weights = reversals(64 * 300, seed=1)
    model.fit(x, y, sample_weight=weights, batch_size=64, epochs=2, verbose=0)
    x, y, weights = reversals(200, seed=2)
    right = (model(x).numpy().argmax(-1) == y) * weights
    assert right.sum() / weights.sum() > 0.97
