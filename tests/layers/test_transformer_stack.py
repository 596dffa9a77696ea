"""Arguments of a stack of Transformer layers."""

import pytest

from keras_s2s.layers.transformer_stack import check_stack


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1, None), "units: expected a positive integer, got 0"),
        ((8, 0, 1, None), "num_layers: expected a positive integer, got 0"),
        ((8, 1, 1.5, None), "num_heads: expected a positive integer, got 1.5"),
        ((8, 1, 1, -3), "hidden_units: expected a positive integer, got -3"),
        ((5, 1, 1, None), "units: expected an even width for sinusoidal positions, got 5"),
        ((8, 1, 1, None, 0), "epsilon: expected a number between 0 and 1, got 0"),
        ((8, 1, 1, None, "x"), "epsilon: expected a number between 0 and 1, got 'x'"),
        ((8, 1, 1, None, 0.1, "learnt"), "positions: .* of sinusoidal, vaswani, .*, got 'learnt'"),
        ((8, 1, 1, None, 0.1, ["t5"]), r"positions: expected one of .*, got \['t5'\]"),
        (
            (8, 1, 1, None, 0.1, {"kind": "none", "base": 2}),
            "positions: none has no arguments, got base",
        ),
        ((8, 1, 1, None, 0.1, "vaswani", 2), "scaled: expected True or False, got 2"),
        (
            (8, 1, 1, None, 0.1, "vaswani", True, -1),
            "first_position: expected an integer of at least 0, got -1",
        ),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_stack(*arguments)
