"""JSON text that strict parsers read: numbers that are not finite are null, with the reason."""

import json
import math
from typing import Any

__all__ = ["NOT_FINITE", "dump_json", "load_json"]

NOT_FINITE = "not_finite"  # beside values that are null: their keys and what they are


def dump_json(value: Any, **options: Any) -> str:
    """Returns a JSON text (RFC 8259), which has no number for NaN and the infinities.

    Such a number is written as null. The innermost object around it says what it is, in the entry
    `not_finite`; `load_json` reads it back.

    Args:
        value: dicts, lists, texts, numbers, booleans and None.
        **options: arguments of `json.dumps`.

    Example:

    >>> from keras_s2s.signatures.json_text import dump_json
    >>> dump_json({"loss": float("inf"), "step": 4})
    '{"loss": null, "step": 4, "not_finite": {"loss": "Infinity"}}'
    """
    return json.dumps(_replaced(value, "", {}), allow_nan=False, **options)


def _replaced(value: Any, path: str, reasons: dict[str, str]) -> Any:
    """The value with null for numbers that are not finite, which are added to `reasons`."""
    if isinstance(value, dict):
        own: dict[str, str] = {}
        items = {key: _replaced(item, str(key), own) for key, item in value.items()}
        return {**items, NOT_FINITE: own} if own else items
    if isinstance(value, list | tuple):
        return [_replaced(item, f"{path}.{i}", reasons) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        reasons[path] = json.dumps(float(value))
        return None
    return value


def load_json(text: str | bytes) -> Any:
    """Reads the value of `dump_json`, or of any JSON text; numbers get their values back.

    Raises:
        ValueError: the text is not JSON.

    Example:

    >>> from keras_s2s.signatures.json_text import load_json
    >>> load_json('{"loss": null, "step": 4, "not_finite": {"loss": "Infinity"}}')
    {'loss': inf, 'step': 4}
    """
    return json.loads(text, object_hook=_restored)


def _restored(fields: dict[str, Any]) -> dict[str, Any]:
    reasons = fields.get(NOT_FINITE)
    if isinstance(reasons, dict) and set(reasons.values()) <= {"NaN", "Infinity", "-Infinity"}:
        del fields[NOT_FINITE]
        for path, number in reasons.items():
            *parents, last = _find(fields, path)
            container: Any = fields
            for key in parents:
                container = container[key]
            container[last] = float(number)
    return fields


def _find(fields: dict[str, Any], path: str) -> list[Any]:
    """The keys of a value in nested lists; a key of `fields` may contain dots."""
    indexes: list[Any] = []
    while path not in fields:
        path, _, index = path.rpartition(".")
        indexes.insert(0, int(index))
    return [path, *indexes]
