"""Checkpoint averaging."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_s2s.checkpoints.named_weights import named_weights
from keras_s2s.checkpoints.storage import load_model
from keras_s2s.errors import UserError

__all__ = ["average"]


def average(directories: Sequence[Path | str]) -> keras.Model:
    """Returns a model whose weights are the mean of the weights of several checkpoints.

    Args:
        directories: checkpoint directories of models with the same weights.

    Raises:
        UserError: there is no checkpoint, one is damaged, or their weights differ in name or shape.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 6.1.
    """
    if not directories:
        raise UserError("checkpoints: expected at least one to average, got none")
    model = load_model(directories[0])
    variables = named_weights(model)
    sums = {name: np.asarray(v.numpy(), np.float64) for name, v in variables.items()}
    for directory in directories[1:]:
        weights = named_weights(load_model(directory))
        for name in dict.fromkeys([*sums, *weights]):
            expected, actual = (
                list(values[name].shape) if name in values else "none" for values in (sums, weights)
            )
            if expected != actual:
                problem = f"{name}: expected {expected} as in {directories[0]}, got {actual}"
                raise UserError(f"{directory}: {problem}")
            sums[name] += weights[name].numpy()
    for name, variable in variables.items():
        variable.assign(sums[name] / len(directories))
    return model
