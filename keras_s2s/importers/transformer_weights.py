"""Weights of Hugging Face Transformer layers (BART and derived models) under Keras names."""

from typing import Any, NamedTuple

import numpy as np

from keras_s2s.errors import UserError

__all__ = ["StackSizes", "assign_weights", "stack_weights"]

# Name in this package -> names in the file; several are concatenated into one product.
DENSE = {
    "self_attention/input_projection": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/output_projection": ("self_attn.out_proj",),
    "feed_forward/inner": ("fc1",),
    "feed_forward/outer": ("fc2",),
}
CROSS_DENSE = {
    "cross_attention/query_projection": ("encoder_attn.q_proj",),
    "cross_attention/memory_projection": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "cross_attention/output_projection": ("encoder_attn.out_proj",),
}
NORMS = {"self_norm": "self_attn_layer_norm", "feed_norm": "final_layer_norm"}
CROSS_NORMS = {"cross_norm": "encoder_attn_layer_norm"}


class StackSizes(NamedTuple):
    """Sizes of one stack of layers."""

    layers: int
    units: int
    hidden: int


def stack_weights(weights: Any, part: str, sizes: StackSizes) -> dict:
    """Converts the weights of a stack of layers.

    Args:
        weights: the weights of the file.
        part: `"encoder"` or `"decoder"`.
        sizes: sizes of the stack.

    Returns:
        Arrays by the names of `checkpoints.named_weights`.

    Raises:
        UserError: a weight is missing or has another shape.
    """
    cross = part == "decoder"
    dense = DENSE | CROSS_DENSE if cross else DENSE
    norms = NORMS | CROSS_NORMS if cross else NORMS
    arrays = {}
    for number in range(sizes.layers):
        prefix, stored_prefix = f"{part}/layers/{number}", f"model.{part}.layers.{number}"
        for name, names in dense.items():
            pair = _dense(weights, [f"{stored_prefix}.{layer}" for layer in names], sizes)
            arrays[f"{prefix}/{name}/kernel"], arrays[f"{prefix}/{name}/bias"] = pair
        for name, other in norms.items():
            for variable, suffix in (("gamma", "weight"), ("beta", "bias")):
                array = weights.take(f"{stored_prefix}.{other}.{suffix}", sizes.units)
                arrays[f"{prefix}/{name}/{variable}"] = array
    return arrays


def _dense(weights, names, sizes):
    """Kernel [inputs, outputs] and bias [outputs] of concatenated layers."""
    outputs = sizes.hidden if names[0].endswith("fc1") else sizes.units
    inputs = sizes.hidden if names[0].endswith("fc2") else sizes.units
    kernels = [weights.take(f"{name}.weight", outputs, inputs).T for name in names]
    return (
        np.concatenate(kernels, 1),
        np.concatenate([weights.take(f"{name}.bias", outputs) for name in names]),
    )


def assign_weights(variables: dict, arrays: dict) -> None:
    """Assigns arrays to the weights of a model.

    Args:
        variables: variables by the names of `checkpoints.named_weights`.
        arrays: arrays by the same names.

    Raises:
        UserError: the names differ, or an array has another shape.
    """
    for name in variables.keys() ^ arrays.keys():
        raise UserError(f"{name}: expected it in the model and among the weights, got one alone")
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            expected = f"expected {list(variable.shape)}"
            raise UserError(f"{name}: {expected}, got {list(arrays[name].shape)}")
        variable.assign(arrays[name])
