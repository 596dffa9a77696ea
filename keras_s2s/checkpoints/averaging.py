"""The mean of several checkpoints' weights."""

from collections.abc import Sequence

import numpy as np

from keras_s2s.checkpoints.named_weights import named_weights
from keras_s2s.checkpoints.storage import load_model
from keras_s2s.errors import UserError

__all__ = ["average"]


def average(directories: Sequence):
    """A model with the mean of the weights of several checkpoints of one kind of model.

    Raises:
        UserError: no checkpoint, one that is damaged, or one whose weights are others.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 6.1.
    """
    if not directories:
        raise UserError("checkpoints: expected at least one to average, came none")
    model = load_model(directories[0])
    ours = named_weights(model)
    sums = {name: np.asarray(v.numpy(), np.float64) for name, v in ours.items()}
    for directory in directories[1:]:
        theirs = named_weights(load_model(directory))
        for name in dict.fromkeys([*sums, *theirs]):
            shapes = [list(w[name].shape) if name in w else "none" for w in (sums, theirs)]
            if shapes[0] != shapes[1]:
                problem = f"{name}: expected {shapes[0]} as in {directories[0]}, came {shapes[1]}"
                raise UserError(f"{directory}: {problem}")
            sums[name] += theirs[name].numpy()
    for name, variable in ours.items():
        variable.assign(sums[name] / len(directories))
    return model
