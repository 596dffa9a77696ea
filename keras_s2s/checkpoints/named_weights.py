"""A model's weights by names that are the same in every process."""

import difflib
import fnmatch
import itertools

import keras

from keras_s2s.errors import UserError

__all__ = ["match_weights", "named_weights"]

# Where a Keras layer lists again what its own attributes hold.
_LISTS = {"_layers", "_metrics", "_losses", "_trainable_variables", "_non_trainable_variables"}
ALIASES = {"embeddings": ("source/table", "target/table")}


def named_weights(model) -> dict[str, keras.Variable]:
    """Every weight of a model by the attributes that lead to it: `encoder/layers/0/.../kernel`.

    Keras' own paths count the layers made in a process. A weight that two parts share has the
    name it has in the first; the states of random generators are no weights.
    """
    found = {}
    _walk(model, "", found, set())
    wanted = {id(variable) for variable in model.weights}
    return {name: variable for name, variable in found.items() if id(variable) in wanted}


def _walk(value, path, found, seen):
    if id(value) in seen:
        return
    if isinstance(value, keras.Variable):
        seen.add(id(value))
        found[path] = value
    elif isinstance(value, keras.layers.Layer):
        seen.add(id(value))
        for name, attribute in vars(value).items():
            if name not in _LISTS:
                _walk(attribute, _join(path, name.lstrip("_")), found, seen)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            _walk(one, _join(path, str(number)), found, seen)


def _join(path, name):
    return f"{path}/{name}" if path else name


def match_weights(names, pattern: str) -> list[str]:
    """Those of the names that a pattern means.

    Args:
        names: as of `named_weights`.
        pattern: a name, the beginning of names up to a `/`, such as `encoder` or
            `decoder/layers/0`, either with the wildcards of file names, or `embeddings`.

    Raises:
        UserError: none; it gives the nearest name.
    """
    names = list(names)
    patterns = ALIASES.get(pattern, (pattern,))
    found = [
        n
        for n in names
        if any(fnmatch.fnmatchcase(n, f) or fnmatch.fnmatchcase(n, f"{f}/*") for f in patterns)
    ]
    if not found:
        known = [*ALIASES, *dict.fromkeys(itertools.chain(*map(_beginnings, names)))]
        nearest = difflib.get_close_matches(pattern, known, n=1, cutoff=0.0)
        raise UserError(
            f"expected the name of a weight or of a part, came {pattern!r};"
            f" the nearest is {nearest[0]}"
        )
    return found


def _beginnings(name):
    parts = name.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
