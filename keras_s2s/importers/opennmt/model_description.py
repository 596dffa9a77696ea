"""Parser of the file `model_description.py` in an OpenNMT-tf model directory."""

import ast
from dataclasses import dataclass
from pathlib import Path

from keras_s2s.errors import UserError

__all__ = ["ModelDescription", "read_description"]

FILE = "model_description.py"
# Activations of OpenNMT-tf -> Keras; gelu is missing because OpenNMT-tf approximates it.
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
    """Model settings that a checkpoint does not contain.

    Attributes:
        model_type: a name in the catalogue of OpenNMT-tf, or None for a custom model.
        heads, dropout: as in the file; None if missing.
        activation: Keras' name of the feed-forward activation.
        unsupported: a setting of a recurrent decoder that has no counterpart, or None.
    """

    model_type: str | None = None
    heads: int | None = None
    dropout: float | None = None
    activation: str = "relu"
    unsupported: str | None = None


def read_description(directory: Path | str) -> ModelDescription:
    """Reads the description in a model directory; the defaults if the file is missing.

    The file is Python code. It is parsed and never executed, so computed values stay unknown.

    Raises:
        UserError: the file is not Python, or describes an unsupported Transformer.
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
            return ModelDescription(unsupported=_unsupported_setting(call))
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


def _unsupported_setting(call):
    """A setting of a recurrent decoder that has no counterpart, as `name=value`, or None."""
    supported = {
        "attention_mechanism_class": "LuongAttention",
        "bridge_class": "CopyBridge",
        "cell_class": "LSTMCell",
        "attention_layer_activation": "tanh",
    }
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    for name, value in arguments.items():
        is_enabled = name in ("residual_connections", "first_layer_attention") and _literal(value)
        if is_enabled or (name in supported and _name(value) != supported[name]):
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
