"""OpenNMT-tf checkpoints: model sizes, and Transformer weights under the names of this package."""

import contextlib
import re
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt.model_types import Transformer
from keras_s2s.io import path_without_wildcards

__all__ = [
    "OUTPUT",
    "TABLES",
    "Checkpoint",
    "head_weights",
    "infer_transformer",
    "transformer_weights",
]

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
INPUTTERS = "model/examples_inputter"
TABLES = {
    side: f"{INPUTTERS}/{name}_inputter/embedding"
    for side, name in (("source", "features"), ("target", "labels"))
}
OUTPUT = "model/decoder/output_layer"
RELATIVE = {"key": "relative_position_keys", "value": "relative_position_values"}
LOGIT_OFFSET = 30.0  # subtracted from the unknown token's bias for tokens without a row


class Checkpoint:
    """The model variables of a checkpoint; records which have been read.

    Args:
        path: a model directory, whose latest checkpoint is read, or a prefix (`DIR/ckpt-100`).

    Attributes:
        shapes: the shape of each variable, by its name starting with `model/`.
        step: number of training updates, from the name of the checkpoint.

    Raises:
        UserError: there is no checkpoint, or it is of OpenNMT-tf 1.
    """

    def __init__(self, path: Path | str):
        is_directory = Path(path).is_dir()
        directory = Path(path) if is_directory else Path(path).parent
        stack = contextlib.ExitStack()  # the reader opens files as long as it exists
        weakref.finalize(self, stack.close)
        readable = stack.enter_context(path_without_wildcards(directory))
        name = "" if is_directory else Path(path).name
        found = tf.train.latest_checkpoint(readable) if is_directory else str(readable / name)
        prefix = (found or str(path)).replace(str(readable), str(directory), 1)
        try:
            self._reader = tf.train.load_checkpoint(found or str(path))
        except (tf.errors.OpError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: expected an OpenNMT-tf checkpoint, got: {reason}") from None
        shapes = self._reader.get_variable_to_shape_map()
        self.shapes = {
            name.removesuffix(SUFFIX): list(shape)
            for name, shape in shapes.items()
            if name.startswith("model/")
            and name.endswith(SUFFIX)
            and "/.OPTIMIZER_SLOT/" not in name
        }
        self.path, self.read = prefix, set()
        if not any(name in self.shapes for name in TABLES.values()):
            raise UserError(
                f"{prefix}: expected a model of OpenNMT-tf 2 that reads text from one"
                " file, got other variables"
            )
        number = re.search(r"-(\d+)$", prefix)
        self.step = int(number[1]) if number else 0

    def __call__(self, name: str) -> np.ndarray:
        """Reads a variable as a float32 array.

        Raises:
            UserError: the checkpoint does not have the variable.
        """
        if name not in self.shapes:
            raise UserError(f"{self.path}: expected a variable {name}, got none")
        self.read.add(name)
        return np.asarray(self._reader.get_tensor(name + SUFFIX), np.float32)

    def get(self, name: str, default: Any) -> Any:
        """Reads a variable; `default` if the checkpoint does not have it."""
        return self(name) if name in self.shapes else default

    def check_all_read(self) -> None:
        """Checks that every variable has been read.

        Raises:
            UserError: naming the first variable that has not been read.
        """
        unread = sorted(self.shapes.keys() - self.read)
        if unread:
            more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
            expected = "expected the variables of a Transformer, or of Luong's model"
            raise UserError(
                f"{self.path}: {expected}, got {unread[0]}{more}, for which there are no parts here"
            )


def infer_transformer(
    checkpoint: Checkpoint, *, heads: int, dropout: float = 0.1, activation: str = "relu"
) -> Transformer:
    """Infers the sizes of a Transformer from the shapes in a checkpoint.

    Args:
        checkpoint: the checkpoint.
        heads: number of attention heads, which shapes do not determine.
        dropout: dropout rate.
        activation: of the feed-forward layer.

    Raises:
        UserError: the model is not a Transformer, or `heads` does not divide the width.
    """
    shapes = checkpoint.shapes
    layers = tuple(
        len({n.split("/")[3] for n in shapes if n.startswith(f"model/{part}/layers/")})
        for part in ("encoder", "decoder")
    )
    inner = "model/encoder/layers/0/ffn/layer/inner/kernel"
    if not all(layers) or inner not in shapes:
        raise UserError(
            f"{checkpoint.path}: expected a Transformer, got another model;"
            " there are no parts here for its weights"
        )
    units, hidden = shapes[inner]
    if heads < 1 or units % heads:
        raise UserError(f"--num-heads: expected a divisor of the width, {units}, got {heads}")
    has_output_kernel = f"{OUTPUT}/kernel" in shapes
    shared = TABLES["target"] not in shapes
    sharing = (
        ("source_target_input" if shared else "none")
        if has_output_kernel
        else ("all" if shared else "target")
    )
    post = "model/encoder/layers/0/ffn/output_layer_norm/gamma" in shapes
    distances = shapes.get(f"model/encoder/layers/0/self_attention/layer/{RELATIVE['key']}")
    return Transformer(
        layers,
        units,
        heads,
        hidden,
        "post" if post else "pre",
        activation,
        dropout,
        sharing,
        relative=distances and distances[0] // 2,
        biased=f"{OUTPUT}/bias" in shapes,
    )


def transformer_weights(
    checkpoint: Checkpoint, model: Transformer, rows: dict
) -> dict[str, np.ndarray]:
    """Converts the weights of a Transformer.

    Args:
        checkpoint: a `Checkpoint`.
        model: its sizes.
        rows: for `source` and `target` the embedding row of each id, -1 for a token that
            OpenNMT-tf does not have.

    Returns:
        Arrays by the names of `checkpoints.named_weights`.

    Raises:
        UserError: a variable is missing.
    """
    weights = {}
    for part, count in zip(("encoder", "decoder"), model.layers, strict=True):
        for layer in range(count):
            prefix, variable_prefix = f"{part}/layers/{layer}", f"model/{part}/layers/{layer}"
            weights |= _layer(checkpoint, prefix, variable_prefix, model, part == "decoder")
        if model.norm == "pre":
            weights |= _norm(checkpoint, f"{part}/final_norm", f"model/{part}/layer_norm")
    source = checkpoint(TABLES["source"])
    target = checkpoint.get(TABLES["target"], source)
    weights["source/table"] = source[rows["source"]]  # -1 is the last row, the unknown token
    if model.sharing != "all":
        weights["target/table"] = target[rows["target"]]
    return weights | head_weights(
        checkpoint, len(target), model.sharing, np.asarray(rows["target"])
    )


def _layer(checkpoint, prefix, variable_prefix, model, cross):
    name = "input_layer_norm" if model.norm == "pre" else "output_layer_norm"
    relative = model.relative is not None
    parts = [("self_attention", "self_attention", "self_norm")]
    parts += [("cross_attention", "attention/0", "cross_norm")] if cross else []
    weights = {}
    for part, variable_part, own_norm in parts:
        weights |= _attention(
            checkpoint,
            f"{prefix}/{part}",
            f"{variable_prefix}/{variable_part}/layer",
            part,
            relative,
        )
        weights |= _norm(
            checkpoint, f"{prefix}/{own_norm}", f"{variable_prefix}/{variable_part}/{name}"
        )
    for half in ("inner", "outer"):
        variable = f"{variable_prefix}/ffn/layer/{half}"
        weights |= _dense(f"{prefix}/feed_forward/{half}", [_pair(checkpoint, variable)])
    return weights | _norm(checkpoint, f"{prefix}/feed_norm", f"{variable_prefix}/ffn/{name}")


def _attention(checkpoint, prefix, variable_prefix, kind, relative):
    query, keys, values, output = (
        _pair(checkpoint, f"{variable_prefix}/linear_{name}")
        for name in ("queries", "keys", "values", "output")
    )
    if kind == "self_attention":
        weights = _dense(f"{prefix}/input_projection", [query, keys, values])
        weights |= {
            f"{prefix}/position/{part}_table": checkpoint(f"{variable_prefix}/{name}")
            for part, name in RELATIVE.items()
            if relative
        }
    else:
        weights = _dense(f"{prefix}/query_projection", [query])
        weights |= _dense(f"{prefix}/memory_projection", [keys, values])
    return weights | _dense(f"{prefix}/output_projection", [output])


def _pair(checkpoint, name):
    kernel = checkpoint(f"{name}/kernel")
    return kernel, checkpoint.get(f"{name}/bias", np.zeros(kernel.shape[1], np.float32))


def _dense(name, layers):
    """Concatenates dense layers into one."""
    kernels, biases = zip(*layers, strict=True)
    return {f"{name}/kernel": np.concatenate(kernels, 1), f"{name}/bias": np.concatenate(biases)}


def _norm(checkpoint, prefix, variable_prefix):
    return {
        f"{prefix}/{name}": checkpoint(f"{variable_prefix}/{name}") for name in ("gamma", "beta")
    }


def head_weights(
    checkpoint: Checkpoint, size: int, sharing: str, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Converts the weights of the output layer.

    Args:
        checkpoint: a `Checkpoint`.
        size: size of the target vocabulary of OpenNMT-tf.
        sharing: how embeddings are shared, one of `SHARINGS`.
        rows: the row of each target id, -1 for a token that OpenNMT-tf does not have.

    Returns:
        Arrays by the names of `checkpoints.named_weights`.
    """
    bias = checkpoint.get(f"{OUTPUT}/bias", np.zeros(size, np.float32))[rows]
    bias = np.where(rows < 0, bias - LOGIT_OFFSET, bias)
    if sharing in ("target", "all"):
        return {"head/bias": bias}
    kernel = checkpoint(f"{OUTPUT}/kernel")[:, rows]
    return {"head/projection/kernel": kernel, "head/projection/bias": bias}
