"""Arguments and layers of a stack of Transformer layers."""

from typing import Any

import keras

from keras_s2s.attention.positions import ATTENTION_POSITIONS, make_position
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.positions import SINUSOIDAL_KINDS, LearnedPositions
from keras_s2s.layers.transformer import TransformerLayer

__all__ = [
    "check_absolute_positions",
    "check_stack",
    "head_names",
    "make_layers",
    "make_position_table",
    "parse_positions",
]


def check_stack(
    units: int,
    num_layers: int,
    num_heads: int,
    hidden_units: int | None,
    epsilon: float = 1e-6,
    positions: str | dict[str, Any] = "sinusoidal",
    scaled: bool = True,
    first_position: int = 0,
) -> None:
    """Checks the arguments of a stack of Transformer layers.

    Raises:
        ValueError: naming the argument that is not a positive integer (`hidden_units` may be
            None), an odd `units` with sinusoidal positions, or another invalid argument.
    """
    inner = {} if hidden_units is None else {"hidden_units": hidden_units}
    check_positive_integers(units=units, num_layers=num_layers, num_heads=num_heads, **inner)
    kind, _ = parse_positions(positions)
    if units % 2 and kind in SINUSOIDAL_KINDS:
        raise ValueError(f"units: expected an even width for sinusoidal positions, got {units}")
    is_number = isinstance(epsilon, int | float) and not isinstance(epsilon, bool)
    if not is_number or not 0 < epsilon < 1:
        raise ValueError(f"epsilon: expected a number between 0 and 1, got {epsilon!r}")
    if not isinstance(scaled, bool):
        raise ValueError(f"scaled: expected True or False, got {scaled!r}")
    if type(first_position) is not int or first_position < 0:
        expected = "expected an integer of at least 0"
        raise ValueError(f"first_position: {expected}, got {first_position!r}")


def parse_positions(positions: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Splits the `positions` argument of a stack into the kind and its options.

    Args:
        positions: a kind, or a dict of `kind` and the arguments of its class: `"sinusoidal"` and
            `"vaswani"` (see `keras_s2s.layers.positions.sinusoidal_positions`), `"none"`,
            `"learned"` (`LearnedPositions`: max_length), `"relative"` (`RelativePosition`:
            max_distance), `"t5"` (`BucketPosition`: num_buckets, max_distance), `"rotary"`
            (`RotaryPosition`: base), `"alibi"` (`AlibiPosition`).

    Returns:
        the kind, and a dict of the arguments.

    Raises:
        ValueError: for an unknown kind, or options of a kind that has none.

    Example:

    >>> from keras_s2s.layers.transformer_stack import parse_positions
    >>> parse_positions({"kind": "relative", "max_distance": 8})
    ('relative', {'max_distance': 8})
    """
    options = dict(positions) if isinstance(positions, dict) else {"kind": positions}
    kind = options.pop("kind", None)
    kinds = [*SINUSOIDAL_KINDS, "none", "learned", *ATTENTION_POSITIONS]
    if kind not in kinds:
        raise ValueError(f"positions: expected one of {', '.join(kinds)}, got {kind!r}")
    if options and kind in (*SINUSOIDAL_KINDS, "none"):
        raise ValueError(f"positions: {kind} has no arguments, got {', '.join(options)}")
    return kind, options


def check_absolute_positions(positions: str | dict[str, Any]) -> str:
    """Kind of positions of a stack without self-attention: only added to the inputs.

    Raises:
        ValueError: for a kind that acts inside self-attention.
    """
    kind, _ = parse_positions(positions)
    if kind in ATTENTION_POSITIONS:
        kinds = ", ".join((*SINUSOIDAL_KINDS, "none", "learned"))
        raise ValueError(
            f"positions: expected one of {kinds} without self-attention, got {positions!r}"
        )
    return kind


def make_layers(
    stack: Any, cross: bool, layer_class: type[TransformerLayer] | None = None
) -> list[TransformerLayer]:
    """Makes the layers of an encoder or, with `cross`, of a causal decoder.

    Args:
        stack: a layer with the arguments of `TransformerEncoder` as attributes.
        cross: whether the layers attend to a memory.
        layer_class: class of the layers; `TransformerLayer` when None.

    Returns:
        list of `TransformerLayer`s, float tensors [B, N, D] -> [B, N, D].

    Raises:
        ValueError: as for `TransformerLayer`, or for invalid options of the positions.
    """
    kind, options = parse_positions(stack.positions)
    policy, size = stack.dtype_policy, stack.units // stack.num_heads

    def position() -> keras.layers.Layer | None:
        if kind not in ATTENTION_POSITIONS:
            return None
        return make_position(kind, stack.num_heads, size, cross, policy, **options)

    shared = position() if kind == "t5" else None
    return [
        (layer_class or TransformerLayer)(
            stack.units,
            stack.num_heads,
            stack.hidden_units or 4 * stack.units,
            cross,
            stack.norm,
            stack.activation,
            stack.dropout,
            stack.epsilon,
            shared or position(),
            dtype=policy,
        )
        for _ in range(stack.num_layers)
    ]


def make_position_table(units: int, positions: str | dict[str, Any]) -> LearnedPositions | None:
    """Makes the `LearnedPositions` [N] -> [N, D] of a stack; None for other kinds."""
    kind, options = parse_positions(positions)
    return LearnedPositions(units, **options) if kind == "learned" else None


def head_names(num_layers: int, num_heads: int) -> list[str]:
    """Names of a stack's attention maps, layer by layer, head by head.

    Example:

    >>> from keras_s2s.layers.transformer_stack import head_names
    >>> head_names(1, 2)
    ['layer 1 head 1', 'layer 1 head 2']
    """
    return [
        f"layer {layer + 1} head {head + 1}"
        for layer in range(num_layers)
        for head in range(num_heads)
    ]
