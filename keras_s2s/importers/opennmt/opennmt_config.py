"""OpenNMT-tf configurations: YAML files merged into one, with the location of every key."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

from keras_s2s.config.yaml_files import read_yaml as read_yaml
from keras_s2s.errors import UserError

__all__ = ["OpenNMTConfig", "leaf_keys", "merge", "parse_json", "read"]

REPLACED_KEYS = ("optimizer_params", "decay_params")  # replaced by a later file, not merged
MISSING = object()


class OpenNMTConfig:
    """A configuration of OpenNMT-tf; each accessor checks the value it returns.

    Args:
        raw: nested dictionaries.
        places: the file and line of each dotted key.
        automatic: dotted keys whose values are automatic values of a model type.

    Example:

    >>> from keras_s2s.importers.opennmt import OpenNMTConfig
    >>> OpenNMTConfig({"params": {"beam_width": 4}}).number("params.beam_width", integer=True)
    4
    """

    def __init__(self, raw: dict, locations: dict | None = None, automatic: Any = frozenset()):
        self.raw, self.locations, self.automatic = raw, locations or {}, frozenset(automatic)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key; `default` if the key is missing or null."""
        value = self.raw
        for part in key.split("."):
            value = value.get(part, MISSING) if isinstance(value, dict) else MISSING
            if value is MISSING:
                return default
        return default if value is None else value

    def has(self, key: str) -> bool:
        """Whether the configuration holds the key; null counts."""
        parent, _, last = key.rpartition(".")
        file_locations = self.get(parent) if parent else self.raw
        return isinstance(file_locations, dict) and last in file_locations

    def error(self, key: str, expected: str) -> UserError:
        """An error with the location of a key, the expected value and the actual one."""
        located_key = key
        while located_key and located_key not in self.locations:
            located_key = located_key.rpartition(".")[0]
        location = self.locations.get(located_key, self.locations.get("", ""))
        message = f"{key}: expected {expected}, got {self.get(key)!r}"
        return UserError(f"{location}: {message}" if location else message)

    def number(
        self,
        key: str,
        default: float | None = None,
        *,
        low: float = -math.inf,
        integer: bool = False,
    ) -> float | None:
        """A number of at least `low`, as an integer if `integer`; None if it has no value.

        Raises:
            UserError: the value is no such number.
        """
        value = self.get(key, default)
        try:
            # YAML 1.1 reads 1e-4 as a string, which TensorFlow accepts as a number
            number = float(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if value is None and not self.has(key):
            return None
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if value is not None and not (is_number and math.isfinite(number) and number >= low):
            kind = "a whole number" if integer else "a number"
            raise self.error(key, kind + (f" of at least {low}" if low > -math.inf else ""))
        if value is not None and integer:
            if number != int(number):
                raise self.error(key, "a whole number")
            return int(number)
        return number

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean.

        Raises:
            UserError: the value is not a boolean.
        """
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "true or false")
        return value

    def mapping(self, key: str) -> dict:
        """A mapping; empty if the key is missing or null.

        Raises:
            UserError: the value is not a mapping.
        """
        value = self.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, "a mapping")
        return value

    def strings(self, key: str) -> list[str]:
        """A string or a list of strings, as a list; empty if the key is missing.

        Raises:
            UserError: the value is neither.
        """
        value = self.get(key, [])
        value = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in value):
            raise self.error(key, "a text or a list of texts")
        return value

    def path(self, text: str) -> str:
        """The path of a file in `data`, which may be relative to the model directory."""
        model_file = os.path.join(str(self.get("model_dir", "")), text)
        return model_file if os.path.exists(model_file) else text


def read(paths: Sequence) -> OpenNMTConfig:
    """Reads files into one configuration; later files override earlier ones.

    Mappings are merged, except `optimizer_params` and `decay_params`, which are replaced.

    Args:
        paths: YAML or JSON files.

    Raises:
        UserError: a file is missing or invalid; the message holds the file and line.
    """
    merged, locations = {}, {}
    for path in paths:
        raw, file_locations = read_yaml(path)
        if not isinstance(raw, dict):
            raise UserError(f"{path}: expected a mapping of sections, got {raw!r}")
        merged = merge(merged, raw)
        locations |= file_locations
    locations[""] = ", ".join(str(path) for path in paths)
    opennmt_config = OpenNMTConfig(merged, locations)
    for section in ("data", "params", "train", "eval", "infer", "score"):
        opennmt_config.mapping(section)
    return opennmt_config


def merge(old: dict, new: dict) -> dict:
    """Merges `new` over `old` into a new dictionary."""
    result = dict(old)
    for key, value in new.items():
        are_mappings = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = (
            merge(result[key], value) if are_mappings and key not in REPLACED_KEYS else value
        )
    return result


def leaf_keys(raw: dict, path: str = "") -> Iterator[str]:
    """Yields the dotted key of every value that is not a mapping, and of every empty mapping."""
    for key, value in raw.items():
        dotted = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict) and value:
            yield from leaf_keys(value, dotted)
        else:
            yield dotted


def parse_json(text: str) -> Any:
    """Parses JSON; None if the text is invalid."""
    try:
        return json.loads(text)
    except ValueError:
        return None
