"""Dtypes and axes of the inputs and outputs of a LiteRT file's signatures.

Axes: B rows, K hypotheses, S source and T target positions, N steps, P prefix; D disallowed
sequences and C constraints of at most L tokens.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_s2s.search.beam_state import ENDED_COLUMNS

__all__ = [
    "BEAM",
    "CARRY",
    "CONSTRAINT_OPTIONS",
    "INT",
    "OPTIONS",
    "REAL",
    "TARGETS",
    "TRACE",
    "output_specs",
    "tensor_specs",
    "trace_concrete",
]

INT, REAL = tf.int32, tf.float32
OPTIONS = {
    "beam_size": (INT, "B"),
    "num_hypotheses": (INT, "B"),
    "length_penalty": (REAL, "B"),
    "length_offset": (REAL, "B"),
    "min_length": (INT, "B"),
    "max_length": (INT, "B"),
}
CONSTRAINT_OPTIONS = {
    "coverage_penalty": (REAL, "B"),
    "no_repeat_ngram": (INT, "B"),
    "repetition_penalty": (REAL, "B"),
    "prefix": (INT, "BP"),
    "prefix_length": (INT, "B"),
    "disallowed": (INT, "BDL"),
    "constraints": (INT, "BCL"),
    "beam_groups": (INT, "B"),
    "diversity_penalty": (REAL, "B"),
    "alternatives_at": (INT, "B"),
}
BEAM = {
    "beam_ids": (INT, "BK"),
    "beam_totals": (REAL, "BK"),
    "beam_done": (tf.bool, "B"),
    "beam_ended": (REAL, f"BK{ENDED_COLUMNS}"),
}
CARRY = {  # of `ConstrainedBeamSearch`
    "history": (INT, "BKT"),
    "log_probs": (REAL, "BK"),
    "met": (tf.bool, "BKC"),
    "group": (INT, "BK"),
    "coverage": (REAL, "BKS"),
}
TRACE = {
    "beam_ended": BEAM["beam_ended"],
    "step_records": (REAL, "NBK4"),
    "attention_history": (REAL, "NBKS"),
}
TARGETS = {"targets": (INT, "BT"), "target_lengths": (INT, "B")}


def tensor_specs(table: dict) -> dict[str, tf.TensorSpec]:
    """Returns the specs of a table of dtypes and axis letters; a digit is a known size."""
    return {
        name: tf.TensorSpec([int(x) if x.isdecimal() else None for x in letters], dtype, name)
        for name, (dtype, letters) in table.items()
    }


def output_specs(concrete: Any) -> dict[str, tf.TensorSpec]:
    """Returns the specs of a concrete function's outputs by name."""
    return {
        name: tf.TensorSpec(x.shape, x.dtype, name)
        for name, x in concrete.structured_outputs.items()
    }


def trace_concrete(function: Callable, specs: dict[str, tf.TensorSpec]) -> Any:
    """Returns the concrete function of a function for inputs by name."""
    return tf.function(function, autograph=False).get_concrete_function(**specs)
