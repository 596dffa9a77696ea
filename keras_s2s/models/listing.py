"""Listings of presets with their sizes and papers, and of the parts of models."""

import dataclasses
import inspect
import re
from collections.abc import Iterable
from typing import Any

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

__all__ = ["catalog_table", "count_parameters", "listing", "parts"]

_SIZES = (4, 1004)  # vocabulary sizes that determine the line of a preset's parameters


def count_parameters(model: ModelConfig, source_size: int, target_size: int) -> int:
    """Number of weights of a configuration's model; allocates none of them.

    Args:
        model: the configuration's `model` section.
        source_size, target_size: vocabulary sizes, the four special ids included.

    Raises:
        UserError: as for `build`.

    Example:

    >>> from keras_s2s.config import ModelConfig
    >>> from keras_s2s.models import count_parameters
    >>> count_parameters(ModelConfig(preset="gru_small"), source_size=100, target_size=100)
    581988
    """
    # In a graph that never runs variables have shapes and no memory.
    with tf.Graph().as_default():
        seq2seq = assemble(resolve(model), source_size, target_size)
        seq2seq.build()
        return seq2seq.count_params()


def listing(vocabulary_size: int, presets: Iterable[str] = tuple(PRESETS)) -> list[dict[str, Any]]:
    """Presets as dicts of `name`, `parameters` and `paper`.

    Args:
        vocabulary_size: tokens of either side, for the number of parameters.
        presets: names of presets; all in the order of `PRESETS` unless given.

    Raises:
        UserError: for an unknown name, with the nearest valid one.

    Example:

    >>> from keras_s2s.models import listing
    >>> listing(100, ["gru_small"])[0]["paper"]
    'after Bahdanau et al. 2015, arXiv:1409.0473'
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


def parts() -> list[dict[str, str]]:
    """The choices of a configuration's model and objectives, as dicts of `part`, `kind`, `what`.

    The parts are encoder, decoder, head, the attention of recurrent decoders, the positions of
    Transformers and the objectives of training; `what` is a sentence.

    Example:

    >>> from keras_s2s.models import parts
    >>> [row["kind"] for row in parts() if row["part"] == "head"][:2]
    ['softmax', 'adaptive_softmax']
    """
    positions = {
        "sinusoidal": sinusoidal_positions,
        "learned": LearnedPositions,
        **ATTENTION_POSITIONS,
    }
    objectives = {name: getattr(losses, name, None) for name in _objective_names()}
    objectives["scheduled_sampling"] = losses.mix_targets
    groups = {
        **KINDS,
        "attention": ATTENTIONS,
        "positions": positions,
        "objective": objectives,
    }
    return [
        {"part": part, "kind": kind, "what": _first_sentence(choice)}
        for part, kinds in groups.items()
        for kind, choice in kinds.items()
    ]


def catalog_table() -> dict[str, list[dict[str, Any]]]:
    """The contents of `cli/catalog.json`, from which the command `catalog` answers at once.

    The number of parameters of a preset is `base` and `per_token` for each token of either side.
    """
    presets = []
    for name in PRESETS:
        low, high = (count_parameters(ModelConfig(preset=name), size, size) for size in _SIZES)
        per_token = (high - low) // (_SIZES[1] - _SIZES[0])
        base = low - per_token * _SIZES[0]
        presets.append({"name": name, "base": base, "per_token": per_token, "paper": PAPERS[name]})
    return {"presets": presets, "parts": parts()}


def _objective_names():
    """The settings of `Objectives` that are the weight or the schedule of an objective."""
    names = [field.name for field in dataclasses.fields(Objectives)]
    return [name for name in names if hasattr(losses, name) or name == "scheduled_sampling"]


def _first_sentence(documented):
    """The first sentence of a docstring."""
    summary = " ".join(inspect.getdoc(documented).partition("\n\n")[0].split())
    return re.split(r"\. (?=[A-Z])", summary)[0].rstrip(".:") + "."
