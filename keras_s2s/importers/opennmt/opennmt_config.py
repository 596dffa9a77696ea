"""An OpenNMT-tf configuration: several YAML files as one, with the place of every key."""

import json
import math
import os
from collections.abc import Sequence

from keras_s2s.config.yaml_files import read_yaml as read_yaml
from keras_s2s.errors import UserError

__all__ = ["Theirs", "from_text", "leaves", "merge", "read"]

WHOLE = ("optimizer_params", "decay_params")  # replaced by a later file, not merged
ABSENT = object()


class Theirs:
    """A configuration of theirs, checked where it is read.

    Args:
        raw: nested dictionaries.
        places: for a dotted key, the file and line where it was written.
        automatic: dotted keys that come from the automatic values of a model type.
    """

    def __init__(self, raw: dict, places: dict | None = None, automatic=frozenset()):
        self.raw, self.places, self.automatic = raw, places or {}, frozenset(automatic)

    def get(self, key: str, default=None):
        """The value of a dotted key; `default` where it is missing or null."""
        value = self.raw
        for part in key.split("."):
            value = value.get(part, ABSENT) if isinstance(value, dict) else ABSENT
            if value is ABSENT:
                return default
        return default if value is None else value

    def has(self, key: str) -> bool:
        """Whether the key is written, null included."""
        parent, _, last = key.rpartition(".")
        found = self.get(parent) if parent else self.raw
        return isinstance(found, dict) and last in found

    def wrong(self, key: str, expected: str) -> UserError:
        """The error that names a key, where it was written, what was expected and what came."""
        place = key
        while place and place not in self.places:
            place = place.rpartition(".")[0]
        where = self.places.get(place, self.places.get("", ""))
        came = f"{key}: expected {expected}, came {self.get(key)!r}"
        return UserError(f"{where}: {came}" if where else came)

    def number(self, key: str, default=None, *, low=-math.inf, whole=False):
        """A number of at least `low`.

        Raises:
            UserError: it is none.
        """
        value = self.get(key, default)
        try:
            # YAML 1.1 reads 1e-4 as text, and so do they where TensorFlow takes it
            number = float(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if value is None and not self.has(key):
            return None
        good = isinstance(number, int | float) and not isinstance(number, bool)
        if value is not None and not (good and math.isfinite(number) and number >= low):
            kind = "a whole number" if whole else "a number"
            raise self.wrong(key, kind + (f" of at least {low}" if low > -math.inf else ""))
        if value is not None and whole:
            if number != int(number):
                raise self.wrong(key, "a whole number")
            return int(number)
        return number

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false.

        Raises:
            UserError: it is neither.
        """
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def mapping(self, key: str) -> dict:
        """A mapping; empty where it is missing or null.

        Raises:
            UserError: it is something else.
        """
        value = self.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "a mapping")
        return value

    def texts(self, key: str) -> list[str]:
        """One text or a list of them, as a list; empty where it is missing.

        Raises:
            UserError: it is something else.
        """
        value = self.get(key, [])
        value = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in value):
            raise self.wrong(key, "a text or a list of texts")
        return value

    def path(self, text: str) -> str:
        """A file of `data`, which may also be named from the model directory on."""
        beside = os.path.join(str(self.get("model_dir", "")), text)
        return beside if os.path.exists(beside) else text


def read(paths: Sequence) -> Theirs:
    """Several files as one configuration, of which the later ones win.

    Mappings are merged, but for `optimizer_params` and `decay_params`, which are replaced whole.

    Args:
        paths: YAML or JSON files.

    Raises:
        UserError: naming the file, and the line where one is wrong.
    """
    merged, places = {}, {}
    for path in paths:
        raw, found = read_yaml(path)
        if not isinstance(raw, dict):
            raise UserError(f"{path}: expected a mapping of sections, came {raw!r}")
        merged = merge(merged, raw)
        places |= found
    places[""] = ", ".join(str(path) for path in paths)
    theirs = Theirs(merged, places)
    for section in ("data", "params", "train", "eval", "infer", "score"):
        theirs.mapping(section)
    return theirs


def merge(old: dict, new: dict) -> dict:
    """`new` over `old`, both left as they are."""
    made = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = merge(made[key], value) if both and key not in WHOLE else value
    return made


def leaves(raw: dict, path: str = ""):
    """Yields the dotted key of everything that is no mapping, or an empty one."""
    for key, value in raw.items():
        dotted = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict) and value:
            yield from leaves(value, dotted)
        else:
            yield dotted


def from_text(text: str):
    """The value of JSON text, or None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None
