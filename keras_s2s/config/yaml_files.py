"""YAML files with the location of every key, and overrides."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from keras_s2s.config.parsing import join_keys
from keras_s2s.errors import UserError

__all__ = ["apply_override", "read_yaml"]


class _Loader(yaml.SafeLoader):
    """A loader that reads `1e-3` as a number, where YAML 1.1 reads text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path | str) -> tuple[Any, dict[str, str]]:
    """Reads a YAML file.

    Returns:
        (value, locations): the document, and `file:line` of every dotted key.

    Raises:
        UserError: the file is missing, not UTF-8 or not YAML, or contains a key twice.
    """
    locations = {"": str(path)}

    def locate(mark: yaml.Mark | None) -> str:
        return f"{path}:{mark.line + 1}" if mark else f"{path}"

    value = _load(_read_text(path), locate, locations)
    return ({} if value is None else value), locations


def _read_text(path: Path | str) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected a configuration file, got: {error.strerror}") from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x}"
        raise UserError(f"{path}:{line}: expected UTF-8, got {byte}") from None


def apply_override(raw: Any, locations: dict[str, str], text: str) -> None:
    """Sets one `section.key=value` in the results of `read_yaml`; the value is read as YAML.

    Raises:
        UserError: there is no `=`, a part of the key is empty, or the value is not YAML.
    """
    key, equals, value_text = text.partition("=")
    name = f"override {text!r}"
    if not equals or not all(key.split(".")):
        raise UserError(f"{name}: expected section.key=value")
    value = _load(value_text, lambda mark: name, {})
    if not isinstance(raw, dict):
        return  # `parse` reports the error of the whole file
    for dotted in [known for known in locations if known.startswith(f"{key}.")]:
        del locations[dotted]
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents, 1):
        entry = _entry(raw, parent, name)
        if isinstance(raw, dict) and not isinstance(raw.get(entry), dict | list):
            raw[entry] = {}
            locations[".".join(parents[:depth])] = name
        raw = raw[entry]
    raw[_entry(raw, last, name)] = value
    locations[key] = name


def _entry(container: dict | list, part: str, name: str) -> Any:
    """A part of a dotted key as the key of a mapping or the index of a list."""
    if not isinstance(container, list):
        return part
    if not part.isdecimal() or int(part) >= len(container):
        raise UserError(f"{name}: expected a number from 0 to {len(container) - 1}, got {part}")
    return int(part)


def _load(text: str, locate: Callable[[yaml.Mark | None], str], locations: dict[str, str]) -> Any:
    """The value of a YAML document; `locate` describes a mark, `locations` is filled."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _collect_locations(node, "", locate, locations)
        return loader.construct_document(node)
    except UserError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # ValueError: such as the date 2026-02-30
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        where = locate(getattr(error, "problem_mark", None))
        raise UserError(f"{where}: expected YAML, got: {problem}") from None
    finally:
        loader.dispose()


def _collect_locations(
    node: yaml.Node,
    path: str,
    locate: Callable[[yaml.Mark | None], str],
    locations: dict[str, str],
) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            locations[join_keys(path, index)] = locate(item.start_mark)
            _collect_locations(item, join_keys(path, index), locate, locations)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        dotted = join_keys(path, key.value)
        location = locate(key.start_mark)
        if dotted in locations:
            raise UserError(f"{location}: duplicate key {dotted}, first at {locations[dotted]}")
        locations[dotted] = location
        _collect_locations(value, dotted, locate, locations)
