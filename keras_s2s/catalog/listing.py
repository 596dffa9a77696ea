"""What the presets are: sizes and papers."""

import tensorflow as tf

from keras_s2s.catalog.building import assemble, resolve
from keras_s2s.catalog.presets import PAPERS, PRESETS
from keras_s2s.config import ModelConfig

__all__ = ["count_parameters", "listing"]


def count_parameters(model: ModelConfig, source_size: int, target_size: int) -> int:
    """Number of weights of a configuration's model, of which none is made.

    Args:
        model: the configuration's `model` section.
        source_size, target_size: vocabulary sizes, the four special ids included.

    Raises:
        UserError: as for `build`.
    """
    # Into a graph that nobody runs: variables have shapes there and no memory.
    with tf.Graph().as_default():
        made = assemble(resolve(model), source_size, target_size)
        made.build()
        return made.count_params()


def listing(vocabulary_size: int, presets=tuple(PRESETS)) -> list[dict]:
    """Presets as dicts of `name`, `parameters` and `paper`.

    Args:
        vocabulary_size: tokens of either side, for which parameters are counted.
        presets: their names; all in the catalogue's order unless given.

    Raises:
        UserError: for a name that is no preset's, with the nearest real one.
    """
    return [
        {
            "name": name,
            "parameters": count_parameters(
                ModelConfig(preset=name), vocabulary_size, vocabulary_size
            ),
            "paper": PAPERS[name],
        }
        for name in presets
    ]
