"""One model's weights in another: by name and shape, and by piece where vocabularies differ."""

from typing import NamedTuple

import numpy as np

from keras_s2s import models
from keras_s2s.checkpoints.named_weights import named_weights
from keras_s2s.config import FactorSizes

__all__ = ["TransferResult", "Vocabularies", "transfer"]


class Vocabularies(NamedTuple):
    """The pieces of both sides, in the order of their ids; none of a side of frames.

    Attributes:
        source: of tokens with factors, a tuple of the pieces of each factor.
        target: pieces.
    """

    source: tuple[str, ...] | tuple[tuple[str, ...], ...]
    target: tuple[str, ...]

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The pieces by what they are of; of factors `"source 1"` and so on."""
        if self.source and not isinstance(self.source[0], str):
            found = {f"source {n}": pieces for n, pieces in enumerate(self.source, 1)}
        else:
            found = {"source": self.source}
        return found | {"target": self.target}


class TransferResult(NamedTuple):
    """What `transfer` did.

    Attributes:
        taken: names of the weights that were taken, whole or in part.
        left: for each weight that was not taken, why.
        pieces: for each side whose vocabulary changed, how many of its pieces were known.
    """

    taken: list[str]
    left: dict[str, str]
    pieces: dict[str, int]


def transfer(donor, model, config, old: Vocabularies | None, new: Vocabularies) -> TransferResult:
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
    before, now = old.sides if old else {}, new.sides
    known = {
        side: _known(before[side], now[side])
        for side in now
        if side in before and before[side] != now[side]
    }
    axes = _vocabulary_axes(model, config, now) if known else {}
    taken, left = [], {}
    for name, variable in named_weights(model).items():
        side, axis = axes.get(name, (None, None))
        if side not in known:
            axis = None
        problem = _misfit(given.get(name), variable.shape, axis)
        if problem:
            left[name] = problem
            continue
        value = given[name]
        if axis is not None:
            value = _mapped(value, variable.numpy(), axis, known[side])
        variable.assign(value)
        taken.append(name)
    return TransferResult(taken, left, {side: len(places) for side, (places, _) in known.items()})


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


def _vocabulary_axes(model, config, sides):
    """For each weight whose shape depends on a vocabulary: which side's, and along which axis."""
    # one more entry on a side moves just the shapes that depend on it
    plain, axes = dict.fromkeys(sides, 8), {}
    probes = {"target": sides} if config.tie == "all" else {side: (side,) for side in sides}
    framed = model.source.input_key == "features", model.has_feature_targets
    shapes = _shapes(config, plain, framed)
    for side, growing in probes.items():
        grown = _shapes(config, plain | dict.fromkeys(growing, 9), framed)
        for name, shape in shapes.items():
            moved = [axis for axis, n in enumerate(shape) if grown[name][axis] != n]
            if moved:
                axes[name] = side, moved[0]
    return axes


def _shapes(config, sizes, framed):
    *source, target = sizes.values()
    source = source[0] if "source" in sizes else FactorSizes(tuple(source))
    model = models.build(config, source, target, frames=framed)
    return {name: tuple(variable.shape) for name, variable in named_weights(model).items()}
