"""Conversion of nested dictionaries to configuration sections."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeGuard, TypeVar

from keras_s2s.config.synonyms import KEY_SYNONYMS, normalize
from keras_s2s.config.validation import FieldError, Section, union_members
from keras_s2s.errors import UserError

__all__ = ["join_keys", "parse"]

SIMILARITY = 0.7  # of a key to the one suggested in its place

SectionT = TypeVar("SectionT", bound=Section)


def parse(cls: type[SectionT], raw: Any, locations: dict[str, str]) -> SectionT:
    """Builds a section from plain dictionaries.

    Args:
        cls: the section's class, whose fields may be sections or lists of sections.
        raw: nested dictionaries, for example the first result of `read_yaml`.
        locations: the place in a file of each dotted key; errors begin with it.

    Raises:
        UserError: an unknown key (naming the nearest one) or an invalid value.
    """
    return _parse_section(cls, raw, "", _Source(cls, locations))


class _Source(NamedTuple):
    root: type[Section]
    locations: dict[str, str]

    def prefix(self, dotted: str) -> str:
        """The location of a key, or of the nearest enclosing one, as the start of an error."""
        while dotted and dotted not in self.locations:
            dotted = dotted.rpartition(".")[0]
        return f"{self.locations[dotted]}: " if dotted in self.locations else ""


def _parse_section(cls: type[SectionT], raw: Any, path: str, source: _Source) -> SectionT:
    if not isinstance(raw, dict):
        keys = ", ".join(field.name for field in dataclasses.fields(cls))
        where = source.prefix(path) + (f"{path}: " if path else "")
        raise UserError(f"{where}expected a mapping of {keys}, got {raw!r}")
    values = {key: _parse_value(cls, key, value, path, source) for key, value in raw.items()}
    try:
        return cls(**values)
    except FieldError as error:
        dotted = join_keys(path, error.key)
        raise UserError(f"{source.prefix(dotted)}{dotted}: {error.problem}") from None


def _parse_value(cls: type[Section], key: str, value: Any, path: str, source: _Source) -> Any:
    hints = typing.get_type_hints(cls)
    dotted = join_keys(path, key)
    if key not in hints:
        suggestion = _suggest_key(cls, dotted, source.root)
        raise UserError(f"{source.prefix(dotted)}unknown key {dotted}; {suggestion}")
    kinds = union_members(hints[key])
    if isinstance(value, list):
        list_types = [kind for kind in kinds if typing.get_origin(kind) is list]
        for item_type in (typing.get_args(kind)[0] for kind in list_types):
            if _is_section(item_type):
                items = [(join_keys(dotted, index), item) for index, item in enumerate(value)]
                return [_parse_section(item_type, item, where, source) for where, item in items]
    section = next(filter(_is_section, kinds), None)
    if section is None or (value is None and types.NoneType in kinds):
        return value
    # A section whose keys are all commented out is read as null.
    return _parse_section(section, {} if value is None else value, dotted, source)


def _is_section(kind: Any) -> TypeGuard[type[Section]]:
    return isinstance(kind, type) and issubclass(kind, Section)


def join_keys(path: str, key: str | int) -> str:
    """The dotted key of `key` within `path`; either may be empty."""
    return ".".join(str(part) for part in (path, key) if part != "")


def _all_keys(cls: type[Section], path: str = "") -> Iterator[str]:
    for name, hint in typing.get_type_hints(cls).items():
        yield join_keys(path, name)
        for section in filter(_is_section, union_members(hint)):
            yield from _all_keys(section, join_keys(path, name))


def _suggest_key(cls: type[Section], dotted: str, root: type[Section]) -> str:
    """Suggests a key of the same name or meaning, else a similar one, else lists the section's."""
    path, _, key = dotted.rpartition(".")
    siblings = list(typing.get_type_hints(cls))
    by_name = {full.rpartition(".")[2]: full for full in reversed(list(_all_keys(root)))}
    name = normalize(key)
    own = join_keys(path, name) if name in siblings else None
    meaning = own or by_name.get(name) or KEY_SYNONYMS.get(name)
    if meaning and (own or meaning.partition(".")[0] in typing.get_type_hints(root)):
        return f"the nearest is {meaning}"
    similar = difflib.get_close_matches(key, siblings, n=1, cutoff=SIMILARITY)
    if similar:
        return f"the nearest is {join_keys(path, similar[0])}"
    similar = difflib.get_close_matches(key, by_name, n=1, cutoff=SIMILARITY)
    if similar:
        return f"the nearest is {by_name[similar[0]]}"
    return f"expected one of {', '.join(siblings)}"
