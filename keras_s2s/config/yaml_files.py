"""From YAML to sections: keys, where each was written, overrides, and files replaced whole."""

import contextlib
import dataclasses
import difflib
import os
import re
import shutil
import types
import typing
from pathlib import Path

import yaml

from keras_s2s.config.validation import BadValue, options
from keras_s2s.errors import UserError

__all__ = ["apply_override", "making", "parse", "read_yaml", "replace_file", "replacing"]


def parse(cls, raw: dict, places: dict):
    """The dataclass `cls` from plain dictionaries.

    Args:
        cls: a subclass of `Section`, whose fields may be such classes themselves.
        raw: what `read_yaml` gave, or the like.
        places: for a dotted key, where it was written; errors begin with it.

    Raises:
        UserError: an unknown key (naming the nearest real one) or a bad value.
    """
    return _section(cls, raw, "", _Source(cls, places))


class _Source(typing.NamedTuple):
    root: type
    places: dict

    def place(self, dotted) -> str:
        while dotted and dotted not in self.places:
            dotted = dotted.rpartition(".")[0]
        return f"{self.places[dotted]}: " if dotted in self.places else ""


def _section(cls, raw, path, source):
    if not isinstance(raw, dict):
        keys = ", ".join(field.name for field in dataclasses.fields(cls))
        where = f"{path}: " if path else ""
        raise UserError(f"{source.place(path)}{where}expected a mapping of {keys}, came {raw!r}")
    values = {key: _value(cls, key, value, path, source) for key, value in raw.items()}
    try:
        return cls(**values)
    except BadValue as error:
        dotted = _join(path, error.key)
        raise UserError(f"{source.place(dotted)}{dotted}: {error.problem}") from None


def _value(cls, key, value, path, source):
    hints = typing.get_type_hints(cls)
    dotted = _join(path, key)
    if key not in hints:
        nearest = _nearest(cls, dotted, source.root)
        raise UserError(f"{source.place(dotted)}unknown key {dotted}; {nearest}")
    kinds = options(hints[key])
    if isinstance(value, list):
        items = (typing.get_args(kind) for kind in kinds if typing.get_origin(kind) is list)
        item = next((one for one, *_ in items if dataclasses.is_dataclass(one)), None)
        if item is not None:
            return [_section(item, one, _join(dotted, n), source) for n, one in enumerate(value)]
    section = next(filter(dataclasses.is_dataclass, kinds), None)
    if section is None or (value is None and types.NoneType in kinds):
        return value
    # a section whose keys are all commented out reads as null
    return _section(section, {} if value is None else value, dotted, source)


def _join(path, key) -> str:
    return ".".join(str(part) for part in (path, key) if part != "")


def _keys(cls, path=""):
    for name, hint in typing.get_type_hints(cls).items():
        yield _join(path, name)
        for section in filter(dataclasses.is_dataclass, options(hint)):
            yield from _keys(section, _join(path, name))


def _nearest(cls, dotted, root) -> str:
    """What to say about an unknown key: a sibling spelt alike, its namesake, or all siblings."""
    path, _, key = dotted.rpartition(".")
    siblings = list(typing.get_type_hints(cls))
    alike = difflib.get_close_matches(key, siblings, n=1, cutoff=0.7)
    if alike:
        return f"the nearest is {_join(path, alike[0])}"
    tails = {real.rpartition(".")[2]: real for real in reversed(list(_keys(root)))}
    elsewhere = difflib.get_close_matches(key, tails, n=1, cutoff=0.7)
    if elsewhere:
        return f"the nearest is {tails[elsewhere[0]]}"
    return f"expected one of {', '.join(siblings)}"


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-3` as text; this loader reads it as the number everyone means."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path) -> tuple:
    """A YAML file as (value, places): `places` gives `file:line` for every dotted key.

    Raises:
        UserError: the file is missing, not UTF-8 or not YAML, or a key stands twice.
    """
    places = {"": str(path)}
    text = _text(path)
    value = _load_yaml(text, lambda mark: f"{path}:{mark.line + 1}" if mark else f"{path}", places)
    return ({} if value is None else value), places


def _text(path) -> str:
    try:
        content = Path(path).read_bytes()
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        came = f"byte 0x{content[error.start]:02x}"
        raise UserError(f"{path}:{line}: expected UTF-8, came {came}") from None
    except OSError as error:
        raise UserError(f"{path}: expected a configuration file, came: {error.strerror}") from None


def apply_override(raw: dict, places: dict, text: str) -> None:
    """Sets one `section.key=value` in what `read_yaml` gave, the value read as YAML.

    Raises:
        UserError: there is no `=`, a part of the key is empty, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    name = f"override {text!r}"
    if not equals or not all(key.split(".")):
        raise UserError(f"{name}: expected section.key=value")
    value = _load_yaml(value, lambda mark: name, {})
    if not isinstance(raw, dict):
        return  # `parse` says what is wrong with the whole file
    for dotted in [known for known in places if known.startswith(f"{key}.")]:
        del places[dotted]
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents, 1):
        parent = _entry(raw, parent, name)
        if isinstance(raw, dict) and not isinstance(raw.get(parent), dict | list):
            raw[parent] = {}
            places[".".join(parents[:depth])] = name
        raw = raw[parent]
    raw[_entry(raw, last, name)] = value
    places[key] = name


def _entry(raw, part, name):
    """A part of a dotted key as the key of a mapping or the place in a list."""
    if not isinstance(raw, list):
        return part
    if not part.isdecimal() or int(part) >= len(raw):
        raise UserError(f"{name}: expected a number from 0 to {len(raw) - 1}, came {part}")
    return int(part)


def _load_yaml(text, place, places):
    """The value of a YAML document; `place` names a mark, `places` is filled."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _walk(node, "", place, places)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        where = place(getattr(error, "problem_mark", None))
        raise UserError(f"{where}: expected YAML, came: {problem}") from None
    finally:
        loader.dispose()


def _walk(node, path, place, places):
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            places[_join(path, number)] = place(item.start_mark)
            _walk(item, _join(path, number), place, places)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        dotted = _join(path, key.value)
        where = place(key.start_mark)
        if dotted in places:
            raise UserError(f"{where}: key {dotted} stands twice, first at {places[dotted]}")
        places[dotted] = where
        _walk(value, dotted, place, places)


def replace_file(path, content: str | bytes) -> None:
    """Writes UTF-8 text, or bytes, to a file that is seen whole or as it was before."""
    with replacing(path) as beside, beside.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path):
    """A name beside `path` to write to; in the end that file becomes `path`, or goes.

    Raises:
        OSError: as the writing did, with the name of `path`.
    """
    path = Path(path)
    beside = path.with_name(f".new-{os.getpid()}-{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        if error.errno:
            error.filename = str(path)  # a full disk names no file, and nobody knows `beside`
        raise
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def making(output):
    """A directory beside `output` that becomes it when all went well.

    Raises:
        UserError: `output` is there already.
    """
    output = Path(output)
    if os.path.lexists(output):
        raise UserError(f"{output}: expected a directory that does not exist yet, came one")
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = output.with_name(f".{output.name}.{os.getpid()}.new")
    beside.mkdir()
    try:
        yield beside
        os.replace(beside, output)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
