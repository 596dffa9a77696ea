"""Names of a model's weights that are the same in every process."""

import difflib
import fnmatch
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_s2s.errors import UserError

__all__ = ["match_weights", "named_weights"]

# Attributes in which a Keras layer lists a second time what its other attributes hold.
_TRACKING_LISTS = {
    "_layers",
    "_metrics",
    "_losses",
    "_trainable_variables",
    "_non_trainable_variables",
}
ALIASES = {"embeddings": ("source/table", "target/table")}


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """Every weight of a model by its attribute path, such as `encoder/layers/0/.../kernel`.

    Keras' own paths contain counters of the layers created in a process and differ between
    processes. A weight that two parts share has its name in the first one. The states of random
    generators are not weights.
    """
    variables: dict[str, keras.Variable] = {}
    _collect(model, "", variables, set())
    weight_ids = {id(variable) for variable in model.weights}
    return {name: v for name, v in variables.items() if id(v) in weight_ids}


def _collect(value: Any, path: str, variables: dict[str, keras.Variable], seen: set[int]) -> None:
    if id(value) in seen:
        return
    if isinstance(value, keras.Variable):
        seen.add(id(value))
        variables[path] = value
    elif isinstance(value, keras.layers.Layer):
        seen.add(id(value))
        for name, attribute in vars(value).items():
            if name not in _TRACKING_LISTS:
                _collect(attribute, _join(path, name.lstrip("_")), variables, seen)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _collect(item, _join(path, str(index)), variables, seen)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def match_weights(names: Iterable[str], pattern: str) -> list[str]:
    """The names that match a pattern.

    Args:
        names: names of weights, see `named_weights`.
        pattern: a name, or its beginning up to a `/` such as `encoder` or `decoder/layers/0`, both
            with the wildcards of file names; or `embeddings`.

    Raises:
        UserError: no name matches; the nearest one is suggested.

    Example:

    >>> from keras_s2s.checkpoints import match_weights
    >>> match_weights(["encoder/kernel", "encoder/bias", "head/bias"], "encoder")
    ['encoder/kernel', 'encoder/bias']
    """
    names = list(names)
    patterns = [p for name in ALIASES.get(pattern, (pattern,)) for p in (name, f"{name}/*")]
    matches = [name for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
    if not matches:
        known = [*ALIASES, *dict.fromkeys(itertools.chain(*map(_prefixes, names)))]
        nearest = difflib.get_close_matches(pattern, known, n=1, cutoff=0.0)
        raise UserError(
            f"expected the name of a weight or of a part, got {pattern!r};"
            f" the nearest is {nearest[0]}"
        )
    return matches


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
