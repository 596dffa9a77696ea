"""One model's weights in another: by name and shape, and by piece where vocabularies differ."""

from typing import NamedTuple

import numpy as np

from keras_s2s import catalog
from keras_s2s.checkpoints.weights import named_weights

__all__ = ["Transfer", "Vocabularies", "transfer"]


class Vocabularies(NamedTuple):
    """The pieces of both sides, in the order of their ids."""

    source: tuple[str, ...]
    target: tuple[str, ...]


class Transfer(NamedTuple):
    """What `transfer` did.

    Attributes:
        taken: names of the weights that were taken, whole or in part.
        left: for each weight that was not taken, why.
        pieces: for each side whose vocabulary changed, how many of its pieces were known.
    """

    taken: list[str]
    left: dict[str, str]
    pieces: dict[str, int]


def transfer(donor, model, config, old: Vocabularies | None, new: Vocabularies) -> Transfer:
    """Puts into `model` the weights that it shares with `donor`; all others stay as they are.

    Where a vocabulary changed, a piece that both know keeps its row of an embedding, its column
    of an output layer, and so on.

    Args:
        donor: a built model.
        model: a built model.
        config: the complete `model` section that `model` was made of.
        old, new: the vocabularies of the donor and of the model; without `old` whatever depends
            on a vocabulary is taken when its shape fits.
    """
    given = {name: np.asarray(v.numpy()) for name, v in named_weights(donor).items()}
    axes = _vocabulary_axes(config) if old else {}
    known = {side: _known(getattr(old, side), getattr(new, side)) for side in _SIDES} if old else {}
    taken, left = [], {}
    for name, variable in named_weights(model).items():
        side, axis = axes.get(name, (None, None))
        problem = _misfit(given.get(name), variable.shape, axis)
        if problem:
            left[name] = problem
            continue
        value = given[name]
        if side is not None:
            value = _mapped(value, variable.numpy(), axis, known[side])
        variable.assign(value)
        taken.append(name)
    changed = {side: len(known[side][0]) for side in known
               if getattr(old, side) != getattr(new, side)}  # fmt: skip
    return Transfer(taken, left, changed)


_SIDES = ("source", "target")


def _misfit(value, shape, axis):
    """Why a value cannot fill a weight of this shape, whatever its size along `axis`; or ""."""
    if value is None:
        return "not there"
    ours, theirs = ([n for i, n in enumerate(s) if i != axis] for s in (shape, value.shape))
    return "" if ours == theirs and len(shape) == value.ndim else f"of shape {list(value.shape)}"


def _known(old, new):
    """Places in the new and in the old vocabulary of the pieces that stand in both, two lists."""
    places = {piece: place for place, piece in enumerate(old)}
    pairs = [(place, places[piece]) for place, piece in enumerate(new) if piece in places]
    return [list(column) for column in zip(*pairs, strict=True)] if pairs else [[], []]


def _mapped(value, fresh, axis, known):
    made = np.moveaxis(np.array(fresh), axis, 0)
    made[known[0]] = np.moveaxis(value, axis, 0)[known[1]]
    return np.moveaxis(made, 0, axis)


def _vocabulary_axes(config):
    """For each weight whose shape depends on a vocabulary: which side's, and along which axis."""
    # one more entry on a side moves just the shapes that depend on it
    probes = {"target": (9, 9)} if config.tie == "all" else {"source": (9, 8), "target": (8, 9)}
    plain, axes = _shapes(config, 8, 8), {}
    for side, sizes in probes.items():
        grown = _shapes(config, *sizes)
        for name, shape in plain.items():
            moved = [axis for axis, n in enumerate(shape) if grown[name][axis] != n]
            if moved:
                axes[name] = side, moved[0]
    return axes


def _shapes(config, source_size, target_size):
    model = catalog.build(config, source_size, target_size)
    return {name: tuple(variable.shape) for name, variable in named_weights(model).items()}
