"""What the presets are: sizes and papers."""

import dataclasses
import inspect
import re

import tensorflow as tf

from keras_s2s import losses
from keras_s2s.attention import ATTENTIONS
from keras_s2s.attention.positions import ATTENTION_POSITIONS
from keras_s2s.config import ModelConfig, Objectives
from keras_s2s.layers.positions import LearnedPositions, sinusoidal_positions
from keras_s2s.models.builder import assemble
from keras_s2s.models.kinds import KINDS
from keras_s2s.models.presets import PAPERS, PRESETS
from keras_s2s.models.resolution import resolve

__all__ = ["count_parameters", "listing", "parts"]


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


def parts() -> list[dict]:
    """What a configuration can choose a model's parts from, as dicts of `part`, `kind` and `what`.

    The parts are encoder, decoder, head, the attention of recurrent decoders, the positions of
    Transformers and the objectives of training; `what` is a sentence.
    """
    positions = {
        "sinusoidal": sinusoidal_positions,
        "learned": LearnedPositions,
        **ATTENTION_POSITIONS,
    }
    ours = {name: getattr(losses, name, None) for name in _objectives()}
    ours["scheduled_sampling"] = losses.mix_targets
    groups = {**KINDS, "attention": ATTENTIONS, "positions": positions, "objective": ours}
    return [
        {"part": part, "kind": kind, "what": _sentence(made)}
        for part, kinds in groups.items()
        for kind, made in kinds.items()
    ]


def _objectives():
    """Those of the settings of `Objectives` that are an objective's weight or schedule."""
    names = [field.name for field in dataclasses.fields(Objectives)]
    return [name for name in names if hasattr(losses, name) or name == "scheduled_sampling"]


def _sentence(made):
    """The first sentence of something's description."""
    first = " ".join(inspect.getdoc(made).partition("\n\n")[0].split())
    return re.split(r"\. (?=[A-Z])", first)[0].rstrip(".:") + "."
