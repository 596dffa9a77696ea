"""Rows of Python values through a compiled signature, in batches of like lengths."""

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError

__all__ = ["run"]


def run(function, signature, texts, options, batch_size):
    """Runs a signature over texts.

    Args:
        function: concrete, of one tensor for each input.
        signature: a `Signature`.
        texts: list of strings, or of arrays [S, F] where the signature takes features.
        options: for each other input one value, or a list or tuple with one for each text. A
            list of strings is one item for all texts where the texts are not as many lists.
        batch_size: texts that run together; those of like length do.

    Returns:
        for each text a dict of its row of every output.

    Raises:
        ValueError: `texts` is one string.
        UserError: naming the option whose values are of another number or type.
    """
    if isinstance(texts, str):
        raise ValueError("texts: expected a list of strings, came one string")
    texts, framed = list(texts), signature.inputs[0].name == "features"
    if framed:
        texts = _frames(texts, function.structured_input_signature[0][0].shape[2])
    columns = {
        name: _column(name, options[name], field, len(texts))
        for name, field in signature.options().items()
    }
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found = [None] * len(texts)
    for first in range(0, len(texts), batch_size):
        rows = order[first : first + batch_size]
        source = [texts[i] for i in rows]
        encoded = _padded(source) if framed else [_encoded(source)]
        given = [
            _tensor(name, [columns[name][i] for i in rows], field)
            for name, field in signature.options().items()
        ]
        outputs = {name: x.numpy() for name, x in function(*encoded, *given).items()}
        for place, row in enumerate(rows):
            found[row] = {name: x[place] for name, x in outputs.items()}
    return found


def _encoded(texts):
    for text in texts:
        if not isinstance(text, str):
            raise UserError(f"texts: expected strings, came {type(text).__name__}")
    return tf.constant([text.encode("utf-8", "replace") for text in texts])


def _frames(rows, size):
    """Rows as float32 arrays [S, F]."""
    made = []
    for number, row in enumerate(rows):
        array = None if isinstance(row, str) else np.asarray(row)
        if array is None or array.dtype.kind not in "fiub" or array.shape[1:] != (size,):
            came = "text" if array is None else f"{array.dtype} {list(array.shape)}"
            raise UserError(f"row {number}: expected numbers [S, {size}], came {came}")
        made.append(array.astype(np.float32))
    return made


def _padded(rows):
    """Arrays [S, F] as features [B, S, F] and length [B]."""
    lengths = [len(row) for row in rows]
    features = np.zeros([len(rows), max(lengths), rows[0].shape[1]], np.float32)
    for place, row in enumerate(rows):
        features[place, : len(row)] = row
    return [tf.constant(features), tf.constant(lengths, tf.int32)]


def _column(name, value, field, count):
    """One value for each text."""
    if field.dtype == "string":
        return _strings(name, value, count)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise UserError(f"{name}: expected one value or {count}, one a text, came {len(value)}")
    return list(value)


def _strings(name, value, count):
    """Strings, one a text: a list of lists, or of lines, has one entry a text."""
    if isinstance(value, str):
        return [value] * count
    rows = list(value)
    nested = any(isinstance(row, list | tuple) for row in rows)
    single = name in ("target_prefix", "target") or nested
    if not single:
        return [_joined(name, rows)] * count
    if len(rows) != count:
        raise UserError(f"{name}: expected {count} entries, one a text, came {len(rows)}")
    return [row if isinstance(row, str) else _joined(name, row) for row in rows]


def _joined(name, items):
    for item in items:
        if not isinstance(item, str) or "\n" in item:
            raise UserError(f"{name}: expected strings without a line feed, came {item!r}")
    return "\n".join(items)


def _tensor(name, values, field):
    try:
        if field.dtype == "string":
            values = [value.encode("utf-8", "replace") for value in values]
        return tf.constant(values, field.dtype)
    except (TypeError, ValueError, AttributeError):
        raise UserError(f"{name}: expected {field.dtype} values, came {values[0]!r}") from None
