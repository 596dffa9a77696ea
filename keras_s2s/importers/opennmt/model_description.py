"""What a model directory says of its model beside the weights: `model_description.py`, not run."""

import ast
from dataclasses import dataclass
from pathlib import Path

from keras_s2s.config import UserError

__all__ = ["ModelDescription", "read_description"]

FILE = "model_description.py"
# Their activations that are ours too; their gelu is an approximation.
ACTIVATIONS = {
    "relu": "relu",
    "swish": "silu",
    "silu": "silu",
    "tanh": "tanh",
    "elu": "elu",
    "sigmoid": "sigmoid",
}


@dataclass(frozen=True)
class ModelDescription:
    """What cannot be read off the weights.

    Attributes:
        model_type: a name of their catalogue, or None for a model of one's own.
        heads, dropout: as written; None where they are left out.
        activation: Keras's name of the feed-forward activation.
        other: what a recurrent decoder has that ours has not; None for nothing.
    """

    model_type: str | None = None
    heads: int | None = None
    dropout: float | None = None
    activation: str = "relu"
    other: str | None = None


def read_description(directory) -> ModelDescription:
    """Reads the description that training left in a model directory; empty where there is none.

    The file is Python, and is parsed and never run: what it computes stays unknown.

    Raises:
        UserError: it is no Python, or describes what our Transformer cannot be.
    """
    path = Path(directory) / FILE
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ModelDescription()
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path}: expected Python, got: {error}") from None
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = _name(call.func)
        if name == "get_model_from_catalog" and call.args:
            return ModelDescription(model_type=_literal(call.args[0]))
        if name == "AttentionalRNNDecoder":
            return ModelDescription(other=_other(call))
        if name.endswith("Transformer") or (name == "__init__" and _has_heads(call)):
            return _transformer(path, call)
    return ModelDescription()


def _name(node) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def _literal(node):
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _has_heads(call):
    return any(keyword.arg == "num_heads" for keyword in call.keywords)


def _other(call):
    """A setting of a recurrent decoder that changes what it computes, as `name=value`."""
    is_none = {
        "attention_mechanism_class": "LuongAttention",
        "bridge_class": "CopyBridge",
        "cell_class": "LSTMCell",
        "attention_layer_activation": "tanh",
    }
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    for name, value in arguments.items():
        switched = name in ("residual_connections", "first_layer_attention") and _literal(value)
        if switched or (name in is_none and _name(value) != is_none[name]):
            return f"{name}={ast.unparse(value)}"
    return None if "bridge_class" in arguments else "bridge_class=None"


def _transformer(path, call):
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    is_none = isinstance(arguments.get("position_encoder_class"), ast.Constant)
    relative = arguments.get("maximum_relative_position", ast.Constant(None))
    if is_none == (isinstance(relative, ast.Constant) and relative.value is None):
        got = "neither" if is_none else "both"
        expected = "expected position_encoder_class or maximum_relative_position"
        raise UserError(f"{path}: {expected}, got {got}")
    activation = _name(arguments["ffn_activation"]) if "ffn_activation" in arguments else "relu"
    if activation not in ACTIVATIONS:
        expected = f"expected one of {', '.join(ACTIVATIONS)}"
        raise UserError(f"{path}: ffn_activation: {expected}, got {activation or 'code'}")
    heads = _literal(arguments["num_heads"]) if "num_heads" in arguments else 8
    dropout = _literal(arguments["dropout"]) if "dropout" in arguments else 0.1
    return ModelDescription(None, heads, dropout, ACTIVATIONS[activation])
