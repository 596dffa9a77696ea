"""Default decoding options: the section `decoding` of a configuration."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from keras_s2s.config.validation import Section, setting
from keras_s2s.signatures.caps import CAPS, EXPORT_CAPS, resolve_bound
from keras_s2s.signatures.decoding_option import ConfigKey, DecodingOption
from keras_s2s.signatures.option_groups import active_options, config_options
from keras_s2s.signatures.options import OPTIONS

__all__ = ["Decoding"]

_TYPES: dict[str, Any] = {"int32": int, "float32": float, "bool": bool, "string": str}


def _field(option: DecodingOption) -> tuple[str, Any, dataclasses.Field]:
    """The dataclass field of an option: name, type, default and bounds."""
    if option.is_list:
        return option.name, list | None, setting(None)
    key, kind = option.config or ConfigKey(), _TYPES[option.dtype]
    low = key.low if key.low is not None else option.low
    # A cap that an export may set is checked against the section `export`.
    high = None if option.high in EXPORT_CAPS else resolve_bound(option.high, CAPS)
    low, high = (None if bound is None else kind(bound) for bound in (low, high))
    if key.is_derived:
        return option.name, kind | None, setting(None, low=low, high=high)
    return option.name, kind, setting(option.default, low=low, high=high)


_Options: Any = dataclasses.make_dataclass(
    "_Options", map(_field, config_options()), bases=(Section,), frozen=True
)


@dataclass(frozen=True)
class Decoding(_Options):
    """Defaults of the decoding options, in Python and in the served model alike.

    The fields are the options of `keras_s2s.signatures.OPTIONS` that have a configuration key, with
    their defaults and bounds. `disallowed` is a list of texts. `steps` is the number of frames of a
    forecast; left out, as many as the longest of the corpus. `dictionary` is a file of replacements
    for `replace_unknown`.

    Example:

    >>> from keras_s2s.config import Decoding
    >>> Decoding(beam_size=4).num_hypotheses
    1
    """

    dictionary: str | None = setting(None, is_path=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in config_options():
            value = getattr(self, option.name)
            if option.at_most is not None and value > (most := getattr(self, option.at_most)):
                expected = f"expected at most {option.at_most}, {most}"
                self.fail(option.name, f"{expected}, got {value}")
            if option.divides is not None and (multiple := getattr(self, option.divides)) % value:
                expected = f"expected a divisor of {option.divides}, {multiple}"
                self.fail(option.name, f"{expected}, got {value}")
            if option.is_list:
                self._check_list(option.name, value)

    def _check_list(self, name: str, items: list | None) -> None:
        for text in items or ():
            if not isinstance(text, str) or not text or "\n" in text:
                expected = "expected a list of texts without line feeds"
                self.fail(name, f"{expected}, got {text!r}")

    def default(self, name: str, otherwise: Any = None) -> Any:
        """Returns the value of an option of a request, lists as lines.

        Args:
            name: the option.
            otherwise: the value of an option without a configuration key, or that is null.
        """
        value = getattr(self, name, None)
        value = otherwise if value is None else value
        return "\n".join(value or ()) if name in OPTIONS and OPTIONS[name].is_list else value

    def needs_alignment(self) -> bool:
        """Whether a search under these options needs the attention over the source."""
        return self.replace_unknown or self.coverage_penalty > 0

    def needs_constraints(self) -> bool:
        """Whether these options need a constrained beam search."""
        values = {option.name: self.default(option.name) for option in config_options()}
        return bool(active_options(values))
