"""Attention of recurrent decoders by name."""

import inspect
from typing import Any

from keras_s2s.attention.additive import AdditiveAttention
from keras_s2s.attention.coverage import CoverageAttention
from keras_s2s.attention.dot import DotAttention
from keras_s2s.attention.gated import GatedAttention
from keras_s2s.attention.linear import LinearAttention
from keras_s2s.attention.local import LocalAttention
from keras_s2s.attention.location import LocationAttention
from keras_s2s.attention.memory_attention import MemoryAttention
from keras_s2s.attention.monotonic import MonotonicAttention
from keras_s2s.attention.multi_head_memory import MultiHeadAttention
from keras_s2s.attention.no_attention import NoAttention
from keras_s2s.config.synonyms import nearest

__all__ = ["ATTENTIONS", "make_attention"]

ATTENTIONS = {
    "additive": AdditiveAttention,
    "concat": AdditiveAttention,
    "coverage": CoverageAttention,
    "dot": DotAttention,
    "gated": GatedAttention,
    "general": DotAttention,
    "linear": LinearAttention,
    "local": LocalAttention,
    "location": LocationAttention,
    "monotonic": MonotonicAttention,
    "multi_head": MultiHeadAttention,
    "none": NoAttention,
    "scaled": DotAttention,
}


def make_attention(attention: str | dict[str, Any], units: int, **kwargs: Any) -> MemoryAttention:
    """Makes the attention of a recurrent decoder.

    Args:
        attention: a name of `ATTENTIONS`, or a dict with the name as `kind` and arguments of its
            class.
        units: the width, for kinds that have one, unless the dict sets it.
        **kwargs: as for any layer.

    Returns:
        `MemoryAttention`.

    Raises:
        ValueError: for an unknown name, with the closest one, or an argument that the kind does
            not have.

    Example:

    >>> from keras_s2s.attention import make_attention
    >>> make_attention({"kind": "location", "filters": 4}, units=8).filters
    4
    """
    options = {"kind": attention} if not isinstance(attention, dict) else dict(attention)
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in ATTENTIONS:
        closest = nearest(kind, ATTENTIONS)
        hint = f"; the nearest is {closest!r}" if closest else ""
        raise ValueError(f"attention: expected one of {', '.join(ATTENTIONS)}, got {kind!r}{hint}")
    cls = ATTENTIONS[kind]
    names = _option_names(cls)
    for name in options:
        if name not in names:
            expected = f"one of {', '.join(names)}" if names else "none"
            raise ValueError(f"attention.{name}: unknown key of {kind!r}, expected {expected}")
    if "units" in names:
        options.setdefault("units", units)
    if cls is DotAttention:
        options["form"] = kind
    return cls(**options, **kwargs)


def _option_names(cls: type[MemoryAttention]) -> list[str]:
    """Arguments of a class that a configuration may set; the kind decides the form of scores."""
    excluded = ("self", "args", "kwargs", "form" if cls is DotAttention else None)
    return [name for name in inspect.signature(cls.__init__).parameters if name not in excluded]
