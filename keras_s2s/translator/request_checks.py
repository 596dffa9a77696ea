"""Checks of the rows of a request in TensorFlow, by the rules of `signatures.request_rules`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from keras_s2s.signatures.fields import Signature
from keras_s2s.signatures.request_rules import Rule, bound_message

__all__ = ["bound_rules", "first_error"]


def bound_rules(
    signature: Signature, values: Mapping[str, tf.Tensor], caps: dict[str, int]
) -> Iterator[Rule]:
    """Yields the rule of the bounds of each number among a signature's options.

    Args:
        signature: the signature.
        values: the options' tensors [B] by name.
        caps: see `keras_s2s.signatures.CAPS`.
    """
    bounds = {
        name: field.bounds(caps)
        for name, field in signature.options().items()
        if field.low is not None
    }
    is_outside: dict[str, tf.Tensor] = {}
    for dtype in sorted({values[name].dtype for name in bounds}, key=str):
        names = [name for name in bounds if values[name].dtype == dtype]
        numbers = tf.stack([values[name] for name in names])  # [N, B]: one comparison for all
        low, high = (tf.constant([[bounds[name][i]] for name in names], dtype) for i in (0, 1))
        # Also true of a NaN, for which no comparison holds.
        outside = ~((numbers >= low) & (numbers <= high))
        is_outside |= zip(names, tf.unstack(outside, num=len(names)), strict=True)
    for name in bounds:
        yield is_outside[name], (bound_message(name, caps), values[name])


def first_error(rules: Iterable[Rule], batch: tf.Tensor) -> tf.Tensor:
    """Returns the message of the first rule that a row breaks, "" for a row that breaks none.

    Args:
        rules: conditions, bool [B], with the parts of their messages.
        batch: int32 scalar, B.

    Returns:
        string [B].
    """
    rules = list(rules)

    def messages():
        errors = tf.fill([batch], "")
        for is_broken, parts in rules:
            errors = tf.where(is_broken & tf.equal(errors, ""), _message(parts), errors)
        return errors

    is_any_broken = tf.reduce_any(tf.stack([is_broken for is_broken, _ in rules]))  # of [N, B]
    return tf.cond(is_any_broken, messages, lambda: tf.fill([batch], ""))


def _message(parts: tuple[Any, ...]) -> tf.Tensor:
    """A message of strings, of tensors of strings or numbers, scalars or [B], and of functions
    without arguments that return such a tensor."""
    return tf.strings.join([_text(part) for part in parts])


def _text(part: Any) -> Any:
    if callable(part):
        return part()
    if isinstance(part, str) or part.dtype == tf.string:
        return part
    return tf.strings.as_string(part, shortest=part.dtype.is_floating)
