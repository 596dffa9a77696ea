"""Transfer of weights between models, by name and shape, and by token between vocabularies."""

from typing import NamedTuple

import keras
import numpy as np

from keras_s2s import models
from keras_s2s.checkpoints.named_weights import named_weights
from keras_s2s.config import FactorSizes, ModelConfig

__all__ = ["TransferResult", "Vocabularies", "transfer"]


class Vocabularies(NamedTuple):
    """The tokens of both sides in the order of their ids; empty for a side of features.

    Attributes:
        source: tokens; of a source with factors, a tuple of tokens for each factor.
        target: tokens.

    Example:

    >>> from keras_s2s.checkpoints import Vocabularies
    >>> Vocabularies(("a", "b"), ("x",)).sides["source"]
    ('a', 'b')
    """

    source: tuple[str, ...] | tuple[tuple[str, ...], ...]
    target: tuple[str, ...]

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The tokens by side, `"source"` and `"target"`; factors are `"source 1"` and so on."""
        if self.source and not isinstance(self.source[0], str):
            sources = {f"source {n}": tokens for n, tokens in enumerate(self.source, 1)}
        else:
            sources = {"source": self.source}
        return sources | {"target": self.target}


class TransferResult(NamedTuple):
    """Result of `transfer`.

    Attributes:
        transferred: names of the weights that are transferred, completely or in part.
        skipped: for each other weight, the reason.
        known_tokens: for each side whose vocabulary differs, the number of its tokens that the
            donor has.
    """

    transferred: list[str]
    skipped: dict[str, str]
    known_tokens: dict[str, int]


def transfer(
    donor: keras.Model,
    model: keras.Model,
    config: ModelConfig,
    old: Vocabularies | None,
    new: Vocabularies,
) -> TransferResult:
    """Copies to `model` the weights that it shares with `donor`; other weights keep their values.

    Where the vocabularies differ, a token of both keeps its row of an embedding, its column of an
    output layer, and so on.

    Args:
        donor: a built model.
        model: a built model.
        config: the complete `model` section of `model`.
        old, new: the vocabularies of the donor and of the model. Without `old`, weights that
            depend on a vocabulary are copied when their shapes are equal.
    """
    values = {name: np.asarray(v.numpy()) for name, v in named_weights(donor).items()}
    old_sides, new_sides = old.sides if old else {}, new.sides
    common = {
        side: _common_tokens(old_sides[side], new_sides[side])
        for side in new_sides
        if side in old_sides and old_sides[side] != new_sides[side]
    }
    axes = _vocabulary_axes(model, config, new_sides) if common else {}
    transferred, skipped = [], {}
    for name, variable in named_weights(model).items():
        side, axis = axes.get(name, (None, None))
        if side not in common:
            axis = None
        reason = _mismatch(values.get(name), variable.shape, axis)
        if reason:
            skipped[name] = reason
            continue
        value = values[name]
        if axis is not None:
            value = _copy_tokens(value, variable.numpy(), axis, common[side])
        variable.assign(value)
        transferred.append(name)
    counts = {side: len(new_ids) for side, (new_ids, _) in common.items()}
    return TransferResult(transferred, skipped, counts)


def _mismatch(value: np.ndarray | None, shape: tuple[int, ...], axis: int | None) -> str:
    """The reason why a value does not fit a shape, sizes along `axis` aside; "" when it fits."""
    if value is None:
        return "not there"
    sizes, value_sizes = ([n for i, n in enumerate(s) if i != axis] for s in (shape, value.shape))
    fits = sizes == value_sizes and len(shape) == value.ndim
    return "" if fits else f"of shape {list(value.shape)}"


def _common_tokens(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """The ids of common tokens in the new vocabulary and in the old one."""
    old_ids = {token: index for index, token in enumerate(old)}
    new_ids = [index for index, token in enumerate(new) if token in old_ids]
    return new_ids, [old_ids[new[index]] for index in new_ids]


def _copy_tokens(
    value: np.ndarray, initial: np.ndarray, axis: int, common: tuple[list[int], list[int]]
) -> np.ndarray:
    """The initial value with the slices of common tokens replaced by those of `value`."""
    new_ids, old_ids = common
    result = np.moveaxis(np.array(initial), axis, 0)
    result[new_ids] = np.moveaxis(value, axis, 0)[old_ids]
    return np.moveaxis(result, 0, axis)


def _vocabulary_axes(
    model: keras.Model, config: ModelConfig, sides: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, int]]:
    """The side and the axis of every weight whose shape depends on a vocabulary.

    Builds models that differ by one entry of one vocabulary and compares the shapes.
    """
    sizes = dict.fromkeys(sides, 8)
    groups = {"target": tuple(sides)} if config.tie == "all" else {s: (s,) for s in sides}
    has_features = model.source.input_key == "features", model.has_feature_targets
    shapes = _weight_shapes(config, sizes, has_features)
    axes = {}
    for side, group in groups.items():
        larger = _weight_shapes(config, sizes | dict.fromkeys(group, 9), has_features)
        for name, shape in shapes.items():
            changed = [axis for axis, size in enumerate(shape) if larger[name][axis] != size]
            if changed:
                axes[name] = side, changed[0]
    return axes


def _weight_shapes(
    config: ModelConfig, sizes: dict[str, int], has_features: tuple[bool, bool]
) -> dict[str, tuple[int, ...]]:
    *source_sizes, target_size = sizes.values()
    source = source_sizes[0] if "source" in sizes else FactorSizes(tuple(source_sizes))
    model = models.build(config, source, target_size, frames=has_features)
    return {name: tuple(variable.shape) for name, variable in named_weights(model).items()}
