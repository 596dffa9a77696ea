"""Groups of the decoding options: those of a signature, of the configuration, of a search."""

from collections.abc import Mapping
from typing import Any

from keras_s2s.signatures.decoding_option import BEAM, CONSTRAINT, LENGTH, LIST, DecodingOption
from keras_s2s.signatures.options import OPTIONS

__all__ = [
    "active_options",
    "config_options",
    "constraint_options",
    "constraint_tensors",
    "search_options",
    "search_tensors",
    "signature_options",
]


def signature_options(signature: str) -> list[DecodingOption]:
    """Returns the options of a signature in the order of its inputs, its own options first."""
    options = [option for option in OPTIONS.values() if signature in option.signatures]
    return sorted(options, key=lambda option: "translate" in option.signatures)


def config_options() -> list[DecodingOption]:
    """Returns the options that are keys of the configuration's section `decoding`."""
    return [option for option in OPTIONS.values() if option.config is not None]


def search_options() -> list[DecodingOption]:
    """Returns the options that every beam search reads, one number for each row."""
    groups = (BEAM, LENGTH)
    return [o for o in OPTIONS.values() if o.group in groups and o.merged_into is None]


def constraint_options() -> list[DecodingOption]:
    """Returns the numeric options that only a constrained beam search reads."""
    return [option for option in OPTIONS.values() if option.group == CONSTRAINT]


def search_tensors() -> dict[str, tuple[str, str]]:
    """Returns {name: (dtype, axes)} of the tensors of `search_options`."""
    return {option.name: (option.dtype, "B") for option in search_options()}


def constraint_tensors() -> dict[str, tuple[str, str]]:
    """Returns {name: (dtype, axes)} of all that a constrained beam search reads, lists as ids."""
    numbers = {option.name: (option.dtype, "B") for option in constraint_options()}
    lists = {o.name: ("int32", o.id_axes) for o in OPTIONS.values() if o.id_axes is not None}
    return numbers | {"prefix": ("int32", "BP"), "prefix_length": ("int32", "B")} | lists


def active_options(values: Mapping[str, Any]) -> list[str]:
    """Returns the names of options for which a row needs a constrained beam search.

    Args:
        values: values of one row by name; other options than those of the groups "constraint" and
            "list" are ignored.

    Returns:
        The options that are active and whose required option is active too.
    """

    def is_active(name: str) -> bool:
        return name in values and bool(OPTIONS[name].is_active(values[name]))

    return [
        option.name
        for option in OPTIONS.values()
        if option.group in (CONSTRAINT, LIST)
        and is_active(option.name)
        and (option.requires is None or is_active(option.requires))
    ]
