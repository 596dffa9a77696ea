"""What became of every key of another toolkit's configuration."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Report", "Said", "Translated"]


class Translated(NamedTuple):
    """A key that has a counterpart.

    Attributes:
        key: their dotted key.
        value: what it was.
        ours: our dotted keys and their values.
        remark: how the two differ, or "".
    """

    key: str
    value: Any
    ours: dict
    remark: str = ""


class Said(NamedTuple):
    """A key that has none, with a phrase why or what to use instead."""

    key: str
    value: Any
    phrase: str


@dataclass
class Report:
    """Every key of theirs, once.

    Attributes:
        translated: those that have a counterpart.
        same: those that say what holds here without a key.
        refused: those that have no counterpart.
        unknown: those that the other toolkit does not know either.
        defaults: our keys that were set because the defaults differ, with their values.
        remarks: how our model differs from theirs.
    """

    translated: list[Translated] = field(default_factory=list)
    same: list[Said] = field(default_factory=list)
    refused: list[Said] = field(default_factory=list)
    unknown: list[Said] = field(default_factory=list)
    defaults: dict = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def spoken(self) -> set[str]:
        """The keys that were spoken of."""
        rows = (self.translated, self.same, self.refused, self.unknown)
        return {row.key for group in rows for row in group}

    def settle(self) -> None:
        """Leaves of the defaults those that no key of theirs has set."""
        taken = {key for row in self.translated for key in row.ours}
        self.defaults = {k: v for k, v in self.defaults.items() if k not in taken}

    def lines(self):
        """Yields a line for each key, those without a counterpart last."""
        for row in self.translated:
            ours = ", ".join(f"{key}: {_show(value)}" for key, value in row.ours.items())
            remark = f" ({row.remark})" if row.remark else ""
            yield f"{row.key} -> {ours}{remark}"
        for row in self.same:
            yield f"{row.key}: the same here without a key: {row.phrase}"
        for key, value in self.defaults.items():
            yield f"left out -> {key}: {_show(value)}, their default"
        yield from self.remarks
        yield from self.without_counterpart()

    def without_counterpart(self):
        """Yields a line for each key that was refused or is unknown."""
        for row in self.refused:
            yield f"{row.key}: no counterpart: {row.phrase} (was {_show(row.value)})"
        for row in self.unknown:
            yield f"{row.key}: unknown: {row.phrase} (was {_show(row.value)})"

    def to_dict(self) -> dict:
        """Everything as plain dictionaries and lists, for JSON."""
        groups = {
            name: [row._asdict() for row in getattr(self, name)]
            for name in ("translated", "same", "refused", "unknown")
        }
        return groups | {"defaults": dict(self.defaults), "remarks": list(self.remarks)}


def _show(value) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
