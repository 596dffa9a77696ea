"""Resolution of a configuration's `model` section into a complete description."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from keras_s2s.config import ModelConfig
from keras_s2s.config.synonyms import nearest
from keras_s2s.errors import UserError
from keras_s2s.models.kinds import KINDS
from keras_s2s.models.presets import DEFAULT, PRESETS

__all__ = ["CORPUS_ARGUMENTS", "SIDE_KEYS", "resolve"]

# Constructor arguments that follow from the corpus, not from the configuration.
CORPUS_ARGUMENTS = ("self", "vocabulary_size", "features", "tied")
SIDE_KEYS = {"source": ("norm", "combine", "widths"), "target": ("norm", "first")}
# Arguments of a preset that a part of another kind takes over.
SHARED_ARGUMENTS = (
    "units",
    "num_layers",
    "num_heads",
    "hidden_units",
    "norm",
    "activation",
    "dropout",
    "cell",
)


def resolve(model: ModelConfig) -> dict[str, Any]:
    """The complete description of a model: a preset overridden by the configuration.

    Args:
        model: the configuration's `model` section. Without a preset, parts that it does not name
            are those of the preset `gru`.

    Returns:
        dict of `embedding`, `tie`, `source`, `target`, `encoder`, `decoder`, `head`; each of the
        last three holds `kind` and every argument of its class; the `encoders` of a composition
        are a list of such parts.

    Raises:
        UserError: naming the key: an unknown preset, kind or argument, with the nearest valid one.

    Example:

    >>> from keras_s2s.config import ModelConfig
    >>> from keras_s2s.models import resolve
    >>> resolve(ModelConfig(preset="transformer_tiny"))["encoder"]["num_heads"]
    4
    """
    if model.preset is not None and model.preset not in PRESETS:
        raise UserError(_unknown_value("model.preset", model.preset, PRESETS))
    preset = PRESETS[model.preset or DEFAULT]
    description = {
        part: _resolve_part(f"model.{part}", part, preset[part], getattr(model, part) or {})
        for part in KINDS
    }
    for part in ("encoder", "decoder"):
        if model.dropout is not None:
            _set_dropout(description[part], getattr(model, part) or {}, model.dropout)
    for side in SIDE_KEYS:
        description[side] = _resolve_side(side, preset.get(side, {}), getattr(model, side))
    description["tie"] = _resolve_tie(model.tie, preset, description["head"]["kind"])
    embedding = model.embedding or _embedding_width(model, preset, description)
    description["embedding"] = embedding
    for part in ("encoder", "decoder"):
        description[part] = _set_source_units(description[part], embedding)
    return description


def _resolve_tie(tie, preset, head_kind):
    if tie is None:
        supports_tying = KINDS["head"][head_kind].supports_tying
        tie = preset.get("tie", "none") if supports_tying else "none"
    return {True: "output", False: "none"}.get(tie, tie)


def _set_source_units(part, embedding):
    """Replaces `source_units: embedding` of a part, or of its attention, by the width."""
    if not isinstance(part, dict):
        return part
    resolved = {key: _set_source_units(value, embedding) for key, value in part.items()}
    if part.get("source_units") == "embedding":
        resolved["source_units"] = embedding
    return resolved


def _embedding_width(model, preset, description):
    """The width of the parts that need inputs of their own width, else that of the preset."""
    for part in ("encoder", "decoder"):
        for first in _input_parts(description[part]):
            if KINDS[part][first["kind"]].has_fixed_input_width:
                return first["units"]
    encoder = model.encoder or {}
    return encoder.get("units", preset["embedding"])


def _input_parts(part):
    """The parts of a composition whose inputs are the embedded source; else the part itself."""
    if "encoders" not in part:
        return [part]
    inner = part["encoders"][:1] if part["kind"] == "sequential" else part["encoders"]
    return [input_part for first in inner for input_part in _input_parts(first)]


def _set_dropout(part, section, rate):
    """Sets the model's rate in every part that has one and no rate of its own in its section."""
    if "dropout" in part and "dropout" not in section:
        part["dropout"] = rate
    for inner, inner_section in zip(part.get("encoders", []), section.get("encoders", [])):
        _set_dropout(inner, inner_section, rate)


def _resolve_side(side, preset, section):
    for key in section:
        if key not in SIDE_KEYS[side]:
            raise UserError(_unknown_key(f"model.{side}", key, SIDE_KEYS[side]))
    return {**preset, **section}


def _resolve_part(path, part, preset, section):
    """One part: checked and complete, the preset's arguments overridden by the section's.

    Args:
        path: the section's key, for errors.
        part: `"encoder"`, `"decoder"` or `"head"`.
    """
    kind = section.get("kind", preset["kind"])
    if kind not in list(KINDS[part]):  # a list: YAML values need not be hashable
        raise UserError(_unknown_value(f"{path}.kind", kind, KINDS[part]))
    defaults = _default_arguments(KINDS[part][kind])
    base = preset
    if kind != preset["kind"]:
        base = {key: preset[key] for key in SHARED_ARGUMENTS if key in preset}
    base = {key: value for key, value in base.items() if key in defaults}
    for key in section:
        if key != "kind" and key not in defaults:
            raise UserError(_unknown_key(path, key, defaults))
    _check_numbers(path, section)
    resolved = {"kind": kind, **defaults, **base, **section}
    if "encoders" in defaults:
        encoders = resolved["encoders"]
        resolved["encoders"] = _resolve_encoders(f"{path}.encoders", preset, encoders)
    return resolved


def _check_numbers(path, section):
    units = section.get("units", 1)
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        expected = "expected an integer of at least 1"
        raise UserError(f"{path}.units: {expected}, got {units!r}")
    rate = section.get("dropout", 0.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        expected = "expected a number of at least 0 and below 1"
        raise UserError(f"{path}.dropout: {expected}, got {rate!r}")


def _resolve_encoders(path, preset, sections):
    """The parts of a composition."""
    if not isinstance(sections, list) or not sections:
        raise UserError(f"{path}: expected a list of encoders, got {sections!r}")
    for section in sections:
        if not isinstance(section, dict):
            raise UserError(f"{path}: expected a list of encoders with their keys, got {section!r}")
    return [
        _resolve_part(f"{path}.{i}", "encoder", preset, section)
        for i, section in enumerate(sections)
    ]


def _default_arguments(cls):
    """The constructor arguments of a part with their defaults, without those of the corpus."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {
        p.name: None if p.default is p.empty else p.default
        for p in parameters
        if p.name not in CORPUS_ARGUMENTS and p.kind is not p.VAR_KEYWORD
    }


def _unknown_value(path: str, value: Any, known: Iterable[str]) -> str:
    return f"{path}: expected one of {', '.join(known)}, got {value!r}{_nearest(value, known)}"


def _unknown_key(path: str, key: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    expected = f"one of {', '.join(known)}{_nearest(key, known)}" if known else "none but kind"
    return f"{path}.{key}: unknown key, expected {expected}"


def _nearest(value, known):
    name = nearest(value, known)
    return f"; the nearest is {name!r}" if name else ""
