"""The Markdown table of decoding options, printed by `python -m` of this module."""

import sys

from keras_s2s.signatures.caps import CAPS, resolve_bound
from keras_s2s.signatures.decoding_option import DecodingOption
from keras_s2s.signatures.options import OPTIONS

__all__ = ["option_table"]

COLUMNS = ("option", "type", "default", "bounds", "effect", "signatures")


def option_table() -> str:
    """Returns the options as a Markdown table, one line each."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *map(_row, OPTIONS.values())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(option: DecodingOption) -> tuple[str, ...]:
    default = f"`{option.default!r}`".replace("'", '"')
    signatures = ", ".join(f"`{name}`" for name in option.signatures)
    kind = "list" if option.is_list else option.dtype
    return f"`{option.name}`", kind, default, _bounds(option), _effect(option), signatures


def _bounds(option: DecodingOption) -> str:
    high = resolve_bound(option.high, CAPS)
    if option.low is None or high is None:
        return ""
    return f"{option.low:g} to {high:d}" if isinstance(high, int) else f"{option.low:g} to {high:g}"


def _effect(option: DecodingOption) -> str:
    effect = option.description
    if option.requires is not None:
        effect += f"; takes effect beside `{option.requires}`"
    if option.excludes:
        effect += f"; excludes {', '.join(f'`{name}`' for name in option.excludes)}"
    return effect


if __name__ == "__main__":
    sys.stdout.write(option_table())
