"""Rows of Python values through a compiled signature, in batches of like lengths."""

import tensorflow as tf

from keras_s2s.config import UserError

__all__ = ["run"]


def run(function, signature, texts, options, batch_size):
    """Runs a signature over texts.

    Args:
        function: of one tensor for each input.
        signature: a `Signature`.
        texts: list of strings.
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
    texts = list(texts)
    columns = {
        name: _column(name, options[name], field, len(texts))
        for name, field in signature.options().items()
    }
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found = [None] * len(texts)
    for first in range(0, len(texts), batch_size):
        rows = order[first : first + batch_size]
        encoded = tf.constant([texts[i].encode("utf-8", "replace") for i in rows])
        given = [
            _tensor(name, [columns[name][i] for i in rows], field)
            for name, field in signature.options().items()
        ]
        outputs = {name: x.numpy() for name, x in function(encoded, *given).items()}
        for place, row in enumerate(rows):
            found[row] = {name: x[place] for name, x in outputs.items()}
    return found


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
