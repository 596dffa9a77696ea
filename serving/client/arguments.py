"""What a caller passes to the client, checked and made into what a request carries.

Every function raises a ValueError that names the argument. Ranges of options are not checked
here: they are the model's, which answers a row that lies outside them by an error of that row.
"""

import difflib
import math

import numpy as np

from keras_s2s.serving import tensor_codec
from keras_s2s.signatures.fields import Signature

__all__ = [
    "LIST_INPUTS",
    "check_address",
    "check_chunk",
    "check_model",
    "check_timeout",
    "check_version",
    "search_inputs",
    "target_inputs",
]

LIST_INPUTS = frozenset({"constraints", "disallowed", "prefix_tokens", "target_tokens"})


def search_inputs(signature: Signature, texts, options: dict) -> dict[str, np.ndarray]:
    """The inputs of `translate` or `sample`.

    Args:
        signature: the entry that is asked.
        texts: B strings, or B arrays of numbers [S, F] for a model of frames.
        options: other inputs of the signature by name, each one value or one for each text;
            those of `LIST_INPUTS` a string of lines or a list of strings for all texts, or one list
            for each text. None is as if it were left out.

    Returns:
        Arrays by name, all of them full vectors [B], as a batching server wants them; frames are
        `features` [B, S, F] and `length` [B].
    """
    inputs = _source(texts)
    count = len(next(iter(inputs.values())))
    fields = signature.options()
    for name, value in options.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"unknown option {name!r}: expected one of {list(fields)}{hint}")
        if value is not None:
            inputs[name] = _column(value, name, fields[name].dtype, count)
    return inputs


def target_inputs(texts, targets, target_tokens) -> dict[str, np.ndarray]:
    """The inputs of `score` or `attention`: full vectors [B] by name.

    Args:
        texts: B strings, or B arrays of numbers [S, F].
        targets: the targets as text, or None.
        target_tokens: the targets as lists of tokens, or None.
    """
    if (targets is None) == (target_tokens is None):
        came = "none" if targets is None else "both"
        raise ValueError(f"give targets or target_tokens, one of the two; came {came}")
    source = _source(texts)
    count = len(next(iter(source.values())))
    if targets is None:
        column = _column(target_tokens, "target_tokens", "string", count)
        return source | {"target_tokens": column}
    return source | {"target": _column(targets, "targets", "string", count)}


def _source(rows):
    """Texts as the input `text`, arrays as `features` and `length`."""
    if isinstance(rows, str | bytes):
        return {"text": _texts(rows)}
    rows = list(rows)
    if not rows or not _is_matrix(rows[0]):
        return {"text": _texts(rows)}
    made = []
    for number, row in enumerate(rows):
        wanted = f"[S, {made[0].shape[1]}]" if made else "[S, F]"
        array = np.zeros(0, object) if isinstance(row, str) else np.asarray(row)
        other = made and array.shape[1:] != made[0].shape[1:]
        if array.dtype.kind not in "fiub" or array.ndim != 2 or other:
            came = f"{array.dtype} {list(array.shape)}"
            raise ValueError(f"frames[{number}] must be numbers of shape {wanted}, not {came}")
        made.append(array.astype(np.float32))
    length = np.array([len(array) for array in made], np.int32)
    features = np.zeros([len(made), length.max(), made[0].shape[1]], np.float32)
    for place, array in enumerate(made):
        features[place, : len(array)] = array
    return {"features": features, "length": length}


def _is_matrix(row):
    """Whether a row is meant as frames: an array, or a list of lists."""
    nested = isinstance(row, list | tuple) and row and isinstance(row[0], list | tuple | np.ndarray)
    return bool(nested) or isinstance(row, np.ndarray)


def _texts(texts):
    if isinstance(texts, str | bytes):
        raise ValueError(f"texts must be a list of strings, not the one string {texts!r}")
    array = tensor_codec.to_array(list(texts), "texts", "string")
    if array.ndim != 1:
        raise ValueError("texts must be a flat list of strings")
    return array


def _column(value, name, dtype, rows):
    """One value, or one for each text, as a vector [B]."""
    if name in LIST_INPUTS:
        value = _lines_of_rows(value, name)
    array = tensor_codec.to_array(value, name, dtype)
    if array.ndim > 1 or array.ndim == 1 and len(array) != rows:
        raise ValueError(
            f"{name} must be one value or one for each of the {rows} texts;"
            f" got the shape {list(array.shape)}"
        )
    return np.broadcast_to(array, (rows,))


def _lines_of_rows(value, name):
    """A list of items as a string of lines, or one such string for each text."""
    if isinstance(value, str | bytes):
        return value
    try:
        items = list(value)
    except TypeError:
        raise ValueError(f"{name} must be a list of strings, not {value!r}") from None
    nested = [isinstance(item, list | tuple | np.ndarray) for item in items]
    if any(nested) and not all(nested):
        odd = nested.index(False)
        raise ValueError(
            f"{name} must be one list of strings, or one list for each text;"
            f" {name}[{odd}] is {items[odd]!r} beside lists"
        )
    if any(nested):
        return [_lines(row, f"{name}[{i}]") for i, row in enumerate(items)]
    return _lines(items, name)


def _lines(items, name):
    encoded = tensor_codec.to_array(list(items), name, "string")
    if encoded.ndim != 1:
        raise ValueError(f"{name} must be a flat list of strings")
    for i, item in enumerate(encoded):
        if b"\n" in item:
            raise ValueError(f"{name}[{i}] must not hold a newline; got {items[i]!r}")
    return b"\n".join(encoded)


def check_chunk(chunk) -> int:
    """Gives the number of tokens that a step of a stream asks for."""
    if not isinstance(chunk, int) or isinstance(chunk, bool) or chunk < 1:
        raise ValueError(f"chunk must be a positive whole number of tokens, not {chunk!r}")
    return chunk


def check_address(address) -> str:
    """Gives the address `"HOST:PORT"`."""
    host, colon, port = str(address).rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= 65535) or "/" in host:
        raise ValueError(f"address must be 'HOST:PORT', not {address!r}")
    return address


def check_model(model) -> str:
    """Gives a served model's name."""
    if not isinstance(model, str) or not model:
        raise ValueError(f"model must be a served model's name, not {model!r}")
    return model


def check_version(version) -> int | None:
    """Gives a version's number, or None."""
    whole = isinstance(version, int) and not isinstance(version, bool)
    if version is not None and not (whole and 0 <= version < 2**63):
        raise ValueError(f"version must be a whole number, not {version!r}")
    return version


def check_timeout(timeout) -> float:
    """Gives a number of seconds."""
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be a positive number of seconds, not {timeout!r}")
    return timeout
