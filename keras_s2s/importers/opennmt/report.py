"""Report of the conversion of every key of an OpenNMT-tf configuration."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Report", "TranslatedKey", "UntranslatedKey"]


class TranslatedKey(NamedTuple):
    """A key that has a counterpart in this package.

    Attributes:
        key: the dotted key of OpenNMT-tf.
        value: its value.
        ours: the dotted keys of this package that it sets, with their values.
        remark: how the two differ, or "".
    """

    key: str
    value: Any
    ours: dict
    remark: str = ""


class UntranslatedKey(NamedTuple):
    """A key without a counterpart, with the reason or the replacement.

    Attributes:
        key: the dotted key of OpenNMT-tf.
        value: its value.
        phrase: the reason, or what to use instead.
    """

    key: str
    value: Any
    phrase: str


@dataclass
class Report:
    """The outcome for every key of an OpenNMT-tf configuration; each key is listed once.

    Attributes:
        translated: keys that have a counterpart.
        same: keys whose behaviour is built in and needs no key.
        refused: keys that have no counterpart.
        unknown: keys that OpenNMT-tf does not define either.
        defaults: keys of this package that are set because the defaults differ, with values.
        remarks: how the model of this package differs from the original.
    """

    translated: list[TranslatedKey] = field(default_factory=list)
    same: list[UntranslatedKey] = field(default_factory=list)
    refused: list[UntranslatedKey] = field(default_factory=list)
    unknown: list[UntranslatedKey] = field(default_factory=list)
    defaults: dict = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def reported_keys(self) -> set[str]:
        """The keys of OpenNMT-tf that the report lists."""
        rows = (self.translated, self.same, self.refused, self.unknown)
        return {row.key for group in rows for row in group}

    def drop_overridden_defaults(self) -> None:
        """Removes from `defaults` the keys that a translated key sets."""
        translated_keys = {key for row in self.translated for key in row.ours}
        self.defaults = {k: v for k, v in self.defaults.items() if k not in translated_keys}

    def lines(self) -> Iterator[str]:
        """Yields a line of text per key; keys without a counterpart come last."""
        for row in self.translated:
            ours = ", ".join(f"{key}: {_to_json(value)}" for key, value in row.ours.items())
            remark = f" ({row.remark})" if row.remark else ""
            yield f"{row.key} -> {ours}{remark}"
        for row in self.same:
            yield f"{row.key}: the same here without a key: {row.phrase}"
        for key, value in self.defaults.items():
            yield f"left out -> {key}: {_to_json(value)}, their default"
        yield from self.remarks
        yield from self.untranslated_lines()

    def untranslated_lines(self) -> Iterator[str]:
        """Yields a line of text per refused or unknown key."""
        for row in self.refused:
            yield f"{row.key}: no counterpart: {row.phrase} (was {_to_json(row.value)})"
        for row in self.unknown:
            yield f"{row.key}: unknown: {row.phrase} (was {_to_json(row.value)})"

    def to_dict(self) -> dict:
        """The report as dictionaries and lists that JSON can hold."""
        groups = {
            name: [row._asdict() for row in getattr(self, name)]
            for name in ("translated", "same", "refused", "unknown")
        }
        return groups | {"defaults": dict(self.defaults), "remarks": list(self.remarks)}


def _to_json(value) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
